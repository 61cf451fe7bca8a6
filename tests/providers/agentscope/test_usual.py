from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession.provider_api import Response
from polysession_agentscope import calls, normaliser, usual
from support.usual import assert_same, spoilt

TEXT = st.text(max_size=5)
MAYBE_TEXT = st.none() | TEXT
TIMES = st.sampled_from([None, "2026-03-01T08:00:00.123456", "2026-03-01T08:00:00Z", "2026-03-01T12:00:00+02:00"])
RECORD: dict[str, Any] = {
    "id": "5" * 32,
    "user_id": "u1",
    "agent_id": "a" * 32,
    "config": {
        "workspace_id": "w1",
        "name": "first",
        "chat_model_config": {
            "type": "openai_credential",
            "credential_id": "c" * 32,
            "model": "m",
            "parameters": {"temperature": 0.5},
        },
        "fallback_chat_model_config": None,
    },
    "state": {"permission_context": {"mode": "explore", "rules": []}, "context": []},
    "created_at": "2026-03-01T08:00:00.123456",
    "updated_at": "2026-03-01T08:00:01",
}
VIEW: dict[str, Any] = {"session": RECORD, "status": "idle", "is_running": False, "team": None}
RECORDS = st.fixed_dictionaries(
    {
        "id": TEXT,
        "config": st.fixed_dictionaries(
            {"name": TEXT},
            optional={
                "workspace_id": MAYBE_TEXT,
                "chat_model_config": st.none()
                | st.fixed_dictionaries(
                    {"model": TEXT},
                    optional={
                        "type": MAYBE_TEXT,
                        "credential_id": MAYBE_TEXT,
                        "parameters": st.just({"a": [1]}),
                        "id": TEXT,
                    },
                ),
            },
        ),
        "state": st.just({"permission_context": {"mode": "explore"}}),
    },
    optional={
        "user_id": MAYBE_TEXT,
        "agent_id": MAYBE_TEXT,
        "created_at": TIMES,
        "updated_at": TIMES,
        "of_tomorrow": TEXT,
    },
)
VIEWS = st.fixed_dictionaries(
    {"session": RECORDS},
    optional={
        "status": st.sampled_from([None, "", "idle", "running", "awaiting_permission", "of_tomorrow"]),
        "is_running": st.sampled_from([None, True, False]),
    },
)


def reply(body: object) -> Response:
    return Response(200, {}, json.dumps(body).encode())


@given(spoilt(VIEWS))
def test_where_the_usual_form_fits_it_says_what_the_models_say(wire: dict[str, Any]) -> None:
    views = usual.VIEWS.read(reply({"sessions": [wire]}))
    if views is not None:
        assert_same(usual.to_session(views["sessions"][0], wire), normaliser.to_session(wire))


@given(spoilt(RECORDS))
def test_where_the_usual_form_of_a_record_fits_it_says_what_the_models_say(wire: dict[str, Any]) -> None:
    record = usual.RECORD.read(reply(wire))
    if record is not None:
        assert_same(usual.to_session({"session": record}, wire), normaliser.to_session(wire))


def test_what_is_listed_today_fits() -> None:
    assert usual.VIEWS.read(reply({"sessions": [VIEW, VIEW], "total": 2})) is not None
    assert usual.RECORD.read(reply(RECORD)) is not None
    assert calls.changed_session(reply(RECORD)) == normaliser.to_session(RECORD)


@pytest.mark.parametrize(
    "items",
    [[VIEW, VIEW], [VIEW, RECORD], [VIEW, {**VIEW, "session": {"id": 5}}], [{**VIEW, "session": {"id": "s"}}, VIEW]],
)
def test_each_session_of_a_list_is_made_alone(items: list[dict[str, Any]]) -> None:
    records, make = calls.listed_sessions(reply({"sessions": items}))

    assert [record["id"] for record in records] == [normaliser.record_of(item)["id"] for item in items]
    session = make(items.index(VIEW))
    assert session == normaliser.to_session(VIEW)
    assert session.raw == VIEW


@pytest.mark.parametrize(
    "other",
    [{"config": None}, {"config": {}}, {"state": None}, {"state": {"permission_context": None}}, {"session": None}],
)
def test_a_record_of_another_time_does_not_fit_or_is_read_alike(other: dict[str, Any]) -> None:
    assert calls.changed_session(reply(RECORD | other)) == normaliser.to_session(RECORD | other)


@pytest.mark.parametrize("other", [{"config": 5}, {"state": 5}, {"session": {"id": 5}}, {"created_at": "x"}])
def test_what_is_wrong_does_not_fit(other: dict[str, Any]) -> None:
    assert usual.RECORD.read(reply(RECORD | other)) is None
    with pytest.raises(ValidationError):
        normaliser.to_session(RECORD | other)


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": ""}, {"status": "awaiting_permission"}])
@pytest.mark.parametrize("running", [{}, {"is_running": None}, {"is_running": False}, {"is_running": True}])
def test_a_view_tells_the_status_as_it_can(status: dict[str, Any], running: dict[str, Any]) -> None:
    view = {"session": RECORD, **status, **running}
    _, make = calls.listed_sessions(reply({"sessions": [view]}))

    assert make(0) == normaliser.to_session(view)
