from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession.provider_api import Response
from polysession_everruns import normaliser, provider, usual
from polysession_everruns.wire import WireSession
from support.usual import assert_same, spoilt

TEXT = st.text(max_size=5)
MAYBE_TEXT = st.none() | TEXT
TIMES = st.sampled_from(["2026-03-01T08:00:00Z", "2026-03-01T08:00:00.123456789Z", None])
COUNT = st.none() | st.integers(0, 9)
DOLLARS = st.none() | st.integers(0, 9) | st.floats(0, 1e3)
USUAL: dict[str, Any] = {
    "id": "session_0195e0c0000070008000000000000001",
    "organization_id": "org_1",
    "agent_id": "agent_1",
    "owner_principal_id": "principal_1",
    "workspace_id": "wsp_1",
    "status": "active",
    "title": "Demo",
    "tags": ["a", "b"],
    "capabilities": [{"ref": "current_time"}, {"ref": "web_fetch", "config": {"hosts": ["x"]}, "since": 1}],
    "model_id": "model_1",
    "preview": "Hello",
    "usage": {"input_tokens": 12, "output_tokens": 3, "effective_cost_usd": 0.0125},
    "created_at": "2026-03-01T10:00:00.000Z",
    "updated_at": "2026-03-01T10:00:05.123456Z",
    "started_at": None,
}
WIRES = st.fixed_dictionaries(
    {"id": TEXT},
    optional={
        **dict.fromkeys(
            ("organization_id", "agent_id", "workspace_id", "owner_principal_id", "title", "preview", "model_id"),
            MAYBE_TEXT,
        ),
        **dict.fromkeys(("created_at", "updated_at", "started_at", "finished_at"), TIMES),
        "status": st.sampled_from(["started", "waitingfortoolresults", "of_tomorrow"]),
        "tags": st.lists(TEXT, max_size=2),
        "capabilities": st.lists(
            st.fixed_dictionaries(
                {"ref": TEXT}, optional={"config": st.none() | st.just({"a": [1]}), "of_tomorrow": TEXT}
            ),
            max_size=2,
        ),
        "usage": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                **dict.fromkeys(
                    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "credits"), COUNT
                ),
                **dict.fromkeys(("effective_cost_usd", "actual_cost_usd", "estimated_cost_usd"), DOLLARS),
            },
        ),
        "metadata": st.just({"a": 1}),
    },
)


@given(spoilt(WIRES))
def test_where_the_usual_form_fits_it_says_what_the_models_say(wire: dict[str, Any]) -> None:
    text = json.dumps(wire).encode()
    fields = usual.SESSION.read(Response(200, {}, text))
    if fields is not None:
        slow = normaliser.read_session(WireSession.model_validate_json(text), wire)
        assert_same(usual.to_session(fields, wire), slow)


@pytest.mark.parametrize("left_out", [None, *(name for name in USUAL if name != "id")])
def test_a_session_of_today_fits(left_out: str | None) -> None:
    wire = {name: value for name, value in USUAL.items() if name != left_out}
    text = json.dumps({"data": [wire], "total": 1}).encode()

    page = usual.SESSIONS.read(Response(200, {}, text))

    assert page is not None
    assert usual.to_session(page["data"][0], wire) == normaliser.to_session(wire)


@pytest.mark.parametrize(
    "other", [{"tags": None}, {"capabilities": None}, {"status": None}, {"created_at": "2026-03-01T12:00:00+02:00"}]
)
def test_a_session_that_is_written_in_another_way_does_not_fit(other: dict[str, Any]) -> None:
    text = json.dumps(USUAL | other).encode()

    assert usual.SESSION.read(Response(200, {}, text)) is None
    assert normaliser.to_session(USUAL | other).id == USUAL["id"]


@pytest.mark.parametrize("other", [{"id": 5}, {"usage": {"actual_cost_usd": "x"}}, {"capabilities": [{}]}])
def test_what_is_wrong_does_not_fit(other: dict[str, Any]) -> None:
    text = json.dumps(USUAL | other).encode()

    assert usual.SESSION.read(Response(200, {}, text)) is None
    with pytest.raises(ValidationError):
        normaliser.to_session(USUAL | other)


@pytest.mark.parametrize("other", [{}, {"tags": None}], ids=["today's", "another"])
def test_either_form_gives_the_same_session_alone_and_in_a_list(other: dict[str, Any]) -> None:
    wire = USUAL | other
    alone = Response(200, {}, json.dumps(wire).encode())
    listed = Response(200, {}, json.dumps({"data": [USUAL, wire], "has_more": False, "total": 2}).encode())

    assert provider._session(alone) == normaliser.to_session(wire)
    assert provider._session(alone).raw == wire
    assert [session.raw for session in provider._sessions(listed)[1]] == [USUAL, wire]
