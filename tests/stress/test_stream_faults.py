"""The fault matrix, streams: a proxy of raw sockets between both drivers and every emulator."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence

import pytest

from polysession import Event, MessageCompleted, MessageDelta, RawEvent
from polysession.testing.comparing import check_same
from stress import outcomes
from stress.following import DEADLINE_S, Baselines, Case, Followed, side_by_side
from stress.libraries import Library
from stress.outcomes import REOPENED, STREAMS, StreamOutcome, outcome_of_stream
from stress.stream_faults import FAULTS, REOPENING, SAID, UNKNOWN_TYPE, cut
from support.cuts import check_ended
from support.fault_proxy import FaultInjector, FaultProxy

STALL_DEADLINE_S = 1.5
SLOW_SAID = "/slow 5"


def check(
    baselines: Baselines,
    case: Case,
    library: Library,
    said: str,
    expected: StreamOutcome,
    fault: str,
    *spoilers: FaultInjector,
) -> None:
    emulator = baselines.emulators[case.provider]
    whole = baselines.of(case.provider, case.operation, said).events
    deadline_s = STALL_DEADLINE_S if expected.error == "DeadlineExceeded" else DEADLINE_S
    with FaultProxy(emulator.base_url, *spoilers) as proxy:
        found = case.follow(baselines.emulators, proxy.url, said, deadline_s, library)

    assert found.took_s < deadline_s + 20, "it hung past its deadline"
    assert proxy.inputs <= 1, "an input was sent twice"
    if expected.error:
        check_error(found, expected, case, whole)
    else:
        assert found.error is None, "".join(traceback.format_exception(found.error))
        check_whole(found.events, whole, expected, fault, case)


def check_error(found: Followed, expected: StreamOutcome, case: Case, whole: list[Event]) -> None:
    assert type(found.error).__name__ == expected.error, f"{case}: {found.error!r}"
    assert found.error is not None
    assert (found.error.provider, found.error.operation) == (case.provider, f"sessions.{case.operation}")
    assert all(event.type != "turn.ended" for event in found.events), "a turn ended, and then did not"
    kinds = [event.type for event in found.events]
    assert kinds == [event.type for event in whole][: len(kinds)], "what came before the fault is not whole"


def check_whole(
    events: Sequence[Event], whole: Sequence[Event], expected: StreamOutcome, fault: str, case: Case
) -> None:
    check_ended(events)
    strange = [event for event in events if _is_strange(event)]
    assert [event.type for event in strange] == ["raw"] * (expected.note == outcomes.AS_RAW)
    ours = [event for event in events if event not in strange]
    if expected.note == outcomes.DOUBLED:
        ours, whole = _without_deltas(ours), _without_deltas(whole)
    if fault == "two frames change places":
        assert Counter(event.type for event in ours) == Counter(event.type for event in whole)
    else:
        has_gap = check_same(ours, whole, f"{fault}, {case}")
        assert expected.may_lack or not has_gap
    if expected.note != outcomes.AS_IT_CAME:
        assert _last_message(events) == _last_message(whole)


def _is_strange(event: Event) -> bool:
    """Whether it came from the frame that a fault added."""
    return event.native_type == UNKNOWN_TYPE or (
        isinstance(event, RawEvent) and event.payload.keys() <= {"text", "value"}
    )


def _without_deltas(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, MessageDelta)]


def _last_message(events: Sequence[Event]) -> str:
    return [event.message.text for event in events if isinstance(event, MessageCompleted)][-1]


@pytest.mark.parametrize("fault", STREAMS)
def test_a_fault_of_a_stream_comes_to_what_is_written_down(
    fault: str, baselines: Baselines, cases: list[Case], library: Library, request: pytest.FixtureRequest
) -> None:
    if "stall" not in fault:
        request.getfixturevalue("late_look")

    def check_case(case: Case) -> None:
        expected = outcome_of_stream(fault, case.provider, case.operation)
        check(baselines, case, library, SAID, expected, fault, FAULTS[fault])

    side_by_side(check_case, cases)


@pytest.mark.usefixtures("late_look")
@pytest.mark.parametrize("fault", REOPENED)
def test_a_fault_of_a_reopened_stream_comes_to_what_is_written_down(
    fault: str, baselines: Baselines, cases: list[Case], library: Library
) -> None:
    def check_case(case: Case) -> None:
        check(baselines, case, library, SLOW_SAID, REOPENED[fault], fault, cut("reset"), REOPENING[fault])

    side_by_side(check_case, cases)


def test_every_fault_has_an_outcome() -> None:
    assert list(FAULTS) == list(STREAMS)
    assert set(REOPENING) == set(REOPENED)
