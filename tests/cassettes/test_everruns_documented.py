"""Published exchanges of Everruns, of routes that its embedded engine does not serve, through the current client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from polysession import CancelState, InvalidRequest, NotFound, RetryPolicy, SessionStatus, UnsupportedOperation
from polysession_everruns import EverrunsNewSession
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent

ONE, OTHER = "session_01933b5a00007000800000000000001", "session_01933b5a00007000800000000000002"
LOST = "session_01933b5a000070008000000000000001"
AGENT = "agent_01933b5a00007000800000000000001"
Do = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture
def do(runner: ClientRunner) -> Do:
    once = RetryPolicy(attempts=1)
    return lambda use: runner.call("everruns", use, api_key="any", retry=once)


@cassette("everruns/documented/create.yaml")
def test_a_session_is_created(do: Do, vcr: Any) -> None:
    def create(client: Any) -> Any:
        native = EverrunsNewSession(harness_name="generic")
        return client.sessions.create(title="Debug login issue", tags=["debugging", "urgent"], native=native)

    session = do(create)
    assert (session.id, session.title, session.tags) == (ONE, "Debug login issue", ("debugging", "urgent"))
    assert (session.status, session.native_status, session.agent_id) == (SessionStatus.IDLE, "started", None)
    assert session.owner_id == "principal_01933b5a000070008000000000000001"
    assert session.created_at == datetime(2026, 5, 27, 15, 24, tzinfo=UTC)
    with pytest.raises(NotFound, match="Harness 'generic' not found") as lost:
        do(create)
    assert lost.value.code == "harness_not_found"
    asked = {"title": "Debug login issue", "tags": ["debugging", "urgent"], "harness_name": "generic"}
    assert sent(vcr, "POST") == [asked, asked]


@cassette("everruns/documented/update.yaml")
def test_a_session_is_updated(do: Do, vcr: Any) -> None:
    session = do(lambda client: client.sessions.update(ONE, title="Updated session title", tags=["resolved"]))
    assert (session.id, session.title, session.tags) == (ONE, "Updated session title", ("resolved",))
    assert (session.agent_id, session.workspace_id) == (AGENT, "wsp_01933b5a00007000800000000000001")
    assert (session.preview, session.model.id) == (
        "Help me draft the Q3 marketing plan",
        "model_01933b5a00007000800000000000001",
    )
    assert session.finished_at == datetime(2026, 5, 25, 10, 14, 32, tzinfo=UTC)
    assert do(lambda client: client.sessions.update(ONE, tags=None)).tags == ()
    with pytest.raises(NotFound, match=f"Session {LOST} not found in org") as lost:
        do(lambda client: client.sessions.update(LOST, title="Updated session title"))
    assert (lost.value.code, lost.value.status) == ("session_not_found", 404)
    with pytest.raises(UnsupportedOperation):
        do(lambda client: client.sessions.update(ONE, title=None))
    assert sent(vcr, "PATCH") == [
        {"title": "Updated session title", "tags": ["resolved"]},
        {"tags": []},
        {"title": "Updated session title"},
    ]


@cassette("everruns/documented/legacy_update.yaml")
def test_a_legacy_session_is_updated(do: Do, vcr: Any) -> None:
    session = do(lambda client: client.sessions.update(ONE, title="Updated session title", tags=["resolved"]))
    assert (session.title, session.tags, session.agent_id) == ("Updated session title", ("resolved",), AGENT)
    assert [capability.ref for capability in session.capabilities] == ["current_time"]
    assert (session.workspace_id, session.owner_id) == (None, None)
    with pytest.raises(InvalidRequest, match="expected 32, got 1"):
        do(lambda client: client.sessions.update("session_0", title="Updated session title"))
    with pytest.raises(NotFound, match="Session not found"):
        do(lambda client: client.sessions.update(LOST, title="Updated session title"))
    assert sent(vcr, "PATCH")[0] == {"title": "Updated session title", "tags": ["resolved"]}


@cassette("everruns/documented/list.yaml")
def test_sessions_are_listed_over_two_pages(do: Do) -> None:
    sessions = do(lambda client: client.sessions.list(page_size=1))
    assert [(session.id, session.status) for session in sessions] == [
        (ONE, SessionStatus.IDLE),
        (OTHER, SessionStatus.REQUIRES_ACTION),
    ]
    assert sessions[0].usage.input_tokens == 12


@cassette("everruns/documented/delete.yaml")
def test_a_session_is_deleted_once(do: Do) -> None:
    assert do(lambda client: client.sessions.delete(ONE)) is None
    with pytest.raises(NotFound):
        do(lambda client: client.sessions.delete(ONE))


@cassette("everruns/documented/cancel.yaml")
def test_a_turn_is_cancelled(do: Do) -> None:
    assert do(lambda client: client.sessions.cancel(ONE)).state is CancelState.REQUESTED
    assert do(lambda client: client.sessions.cancel(ONE)).state is CancelState.NOTHING_RUNNING
    with pytest.raises(NotFound, match=f"Session {LOST} not found"):
        do(lambda client: client.sessions.cancel(LOST))
