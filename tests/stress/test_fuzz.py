"""Bytes that no backend sends: the decoder, the wire models and the normalisers must take them or refuse them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stress import recorded
from stress.fuzzing import CORPUS, TARGETS, check_answers, check_cuts, check_frames, frame_of, seeds
from stress.targets import Target

SSE_PIECES = st.sampled_from(
    [
        b"data: x\n",
        b"data:",
        b"\n",
        b"\r",
        b"\r\n",
        b"id: 7\n",
        b"event: e\n",
        b":c\n",
        b"retry: 5\n",
        b"\xf0\x9f",
        b"\0",
    ]
)
STRANGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [10**400, -(10**400), 2**63, 1e308, -0.0, "", "\x00", "\ud800", "2026-99-99T99:99:99Z", "a" * 5000]
    )
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def changed(data: st.DataObject, value: Any) -> Any:
    """A wire value with some of its parts replaced, taken out or added."""
    value = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 3))):
        place = value
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
                if data.draw(st.integers(0, 4)) == 0:
                    del place[key]
                else:
                    place[key] = data.draw(STRANGE)
                break
            place = place[key]
    return value


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether it may take minutes."""
    return bool(request.config.getoption("--stress"))


@pytest.fixture
def examples(long: bool) -> settings:  # noqa: FBT001  (a fixture)
    """How many, and whether at random."""
    return settings(
        max_examples=3000 if long else 25,
        derandomize=not long,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("file", sorted((CORPUS / "sse").iterdir()), ids=lambda file: file.stem)
def test_bytes_of_the_corpus_may_be_cut_anywhere(file: Any) -> None:
    data = file.read_bytes()
    for cut in range(len(data) + 1):
        check_cuts(data, [cut])
    check_cuts(data, list(range(len(data))))


@pytest.mark.parametrize("file", sorted((CORPUS / "answers").iterdir()), ids=lambda file: file.stem)
def test_answers_that_broke_an_operation_once_do_so_no_more(file: Any) -> None:
    for line in file.read_bytes().splitlines():
        check_answers(TARGETS[file.stem], line)


def test_no_bytes_are_read_otherwise_when_they_are_cut(examples: settings) -> None:
    @examples
    @given(st.lists(SSE_PIECES | st.binary(max_size=4), max_size=30).map(b"".join), st.lists(st.integers(0, 200)))
    def holds(data: bytes, cuts: list[int]) -> None:
        check_cuts(data, cuts)

    holds()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_no_answer_breaks_an_operation(target: Target, examples: settings, long: bool) -> None:  # noqa: FBT001  (a fixture)
    bodies = [body for bodies in target.whole.values() for body in bodies]
    bodies += [
        json.loads(line)
        for file in (CORPUS / "answers").glob(f"{target.provider}.*")
        for line in file.read_text().splitlines()
    ]
    bodies += [{"data": seeds(target), "messages": seeds(target), "has_more": False}]
    bodies += recorded.answers(target.provider) if long else []

    @examples
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        check_answers(target, json.dumps(changed(data, data.draw(st.sampled_from(bodies)))).encode())

    holds()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_half_a_surrogate_pair_does_not_break_a_stream(target: Target) -> None:
    for event in seeds(target):
        check_frames(target, [frame_of({**event, key: "\ud800"}) for key in event])


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_no_event_breaks_a_stream(target: Target, examples: settings, long: bool) -> None:  # noqa: FBT001  (a fixture)
    events = seeds(target)
    check_frames(target, [frame_of(event) for event in events])
    others = (recorded.events(target.provider) if long else []) or events

    @examples
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        chosen = data.draw(st.just(events) | st.lists(st.sampled_from(others), max_size=10))
        sent = [changed(data, event) if data.draw(st.booleans()) else event for event in chosen]
        check_frames(target, [frame_of(event) for event in sent])

    holds()


@pytest.mark.parametrize("provider", [name for name in TARGETS if name != "anthropic"])  # never recorded
def test_there_are_seeds_of_real_services(provider: str) -> None:
    assert len(recorded.answers(provider)) > 10
    assert len(recorded.events(provider)) > 3
