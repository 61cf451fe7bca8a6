from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession.provider_api import Response
from polysession_qoder import normaliser, provider, usual
from polysession_qoder.wire import WireSession
from support.usual import assert_same, spoilt

TEXT = st.text(max_size=5)
TIMES = st.sampled_from(["2026-10-01T08:00:00Z", "2026-10-01T08:00:00.123456789Z", "2026-10-01T08:00:00.5+00:00", None])
COUNT = st.none() | st.integers(0, 9)
CREDITS = st.none() | st.integers(0, 9) | st.floats(0, 1e6)
USUAL: dict[str, Any] = {
    "id": "sess_1",
    "status": "running",
    "title": "Ticket 42",
    "agent": {"id": "agent_1", "version": 3, "model": {"id": "ultimate", "effective_context_window": 200000}},
    "environment_id": "env_1",
    "metadata": {"team": "red"},
    "usage": {"total_credits": 4.63, "model_credits": 4.0, "sandbox_runtime_credits": 0.63},
    "archived_at": None,
    "created_at": "2026-10-01T08:00:00.123456Z",
    "updated_at": "2026-10-01T09:30:00Z",
}
WIRES = st.fixed_dictionaries(
    {"id": TEXT, "agent": st.fixed_dictionaries({"id": TEXT}, optional={"model": st.just({"id": "m", "effort": [1]})})},
    optional={
        "agent_id": TEXT,
        "title": st.none() | TEXT,
        "status": st.sampled_from(["idle", "running", "canceling", "of a later year"]),
        "turn_status": st.sampled_from([None, "idle", "running", "canceling"]),
        "metadata": st.dictionaries(TEXT, TEXT, max_size=2),
        "environment_id": st.none() | TEXT,
        "usage": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "total_credits": CREDITS,
                "model_credits": CREDITS,
                "sandbox_runtime_credits": CREDITS,
                "input_tokens": COUNT,
                "output_tokens": COUNT,
                "cache_read_input_tokens": COUNT,
                "cache_creation": st.none() | st.just({"ephemeral_5m_input_tokens": 1}),
                "cost_usd": st.just(1),
                "": st.none() | st.just(1),
            },
        ),
        "created_at": TIMES,
        "updated_at": TIMES,
        "archived_at": TIMES,
        "of a later year": st.just({"a": [None]}),
    },
)


@given(spoilt(WIRES))
def test_where_the_usual_form_fits_it_says_what_the_models_say(wire: dict[str, Any]) -> None:
    text = json.dumps(wire).encode()
    fields = usual.SESSION.read(Response(200, {}, text))
    if fields is not None:
        slow = normaliser.read_session(WireSession.model_validate_json(text), wire)
        assert_same(usual.to_session(fields, wire), slow)


@pytest.mark.parametrize("left_out", [None, "title", "metadata", "usage", "environment_id", "created_at", "status"])
def test_a_session_of_today_fits(left_out: str | None) -> None:
    wire = {name: value for name, value in USUAL.items() if name != left_out}
    text = json.dumps({"data": [wire], "has_more": False}).encode()

    page = usual.SESSIONS.read(Response(200, {}, text))

    assert page is not None
    assert usual.to_session(page["data"][0], wire) == normaliser.to_session(wire)


@pytest.mark.parametrize(
    "other", [{"agent": None}, {"agent": {"id": ""}}, {"agent": {"id": "a", "model": "auto"}}, {"status": None}]
)
def test_a_session_of_another_time_does_not_fit(other: dict[str, Any]) -> None:
    text = json.dumps(USUAL | other).encode()

    assert usual.SESSION.read(Response(200, {}, text)) is None
    assert normaliser.to_session(USUAL | other).id == "sess_1"


@pytest.mark.parametrize(
    "other", [{"agent": 5}, {"agent_id": 5}, {"turn_status": 5}, {"usage": {"total_credits": "x"}}]
)
def test_what_is_wrong_does_not_fit(other: dict[str, Any]) -> None:
    text = json.dumps(USUAL | other).encode()

    assert usual.SESSION.read(Response(200, {}, text)) is None
    with pytest.raises(ValidationError):
        normaliser.to_session(USUAL | other)


@pytest.mark.parametrize("other", [{}, {"agent": {"id": "agent_1", "model": "auto"}}], ids=["today's", "another"])
def test_either_form_gives_the_same_session_alone_and_in_a_list(other: dict[str, Any]) -> None:
    wire = USUAL | other
    alone = Response(200, {}, json.dumps(wire).encode())
    listed = Response(200, {}, json.dumps({"data": [USUAL, wire], "has_more": False, "total": 2}).encode())

    assert provider._session(alone) == normaliser.to_session(wire)
    assert provider._session(alone).raw == wire
    assert [session.raw for session in provider._sessions(listed).items] == [USUAL, wire]
