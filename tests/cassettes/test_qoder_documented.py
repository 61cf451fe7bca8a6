"""Qoder's published examples of every generation, through the current client.

Generation A is of May 2026, B of June and July, C of August and later. What was filled in is in each file's note.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polysession import (
    AuthenticationFailed,
    CancelState,
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RetryPolicy,
    ServerError,
    SessionStatus,
)
from polysession_qoder import QoderNewSession, QoderSessionChanges
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent

ONE, DEV = "sess_019e3bb1e8c171fd9abbb1477ffb84cc", "sess_019ef30a4f0275678965d496ab542ef0"
TALK = "sess_019e392c0d1e74e095d21ea4c6b41def"
AGENT, ENVIRONMENT = "agent_019e390add9f7bac9b6cc806db46fcbd", "env_019e2590d33f711fabf42f2857cecd8a"
CREATED = datetime(2026, 5, 18, 15, 26, 15, 747298, tzinfo=UTC)
Do = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture
def do(runner: ClientRunner) -> Do:
    once = RetryPolicy(attempts=1)
    return lambda use: runner.call("qoder", use, token="any", retry=once)


# --- Generation A


@cassette("qoder/documented/a_create.yaml")
def test_a_creates(do: Do, vcr: Any) -> None:
    session = do(
        lambda client: client.sessions.create(
            agent=AGENT, environment=ENVIRONMENT, title="My session", metadata={"purpose": "customer-support"}
        )
    )
    assert (session.id, session.agent_id, session.environment_id) == (ONE, AGENT, ENVIRONMENT)
    assert (session.title, session.status, session.metadata) == ("My session", SessionStatus.IDLE, {})
    assert session.model.id == "ultimate"
    assert (session.usage.input_tokens, session.usage.cache_creation_tokens, session.usage.credits) == (0, 0, None)
    assert session.created_at == session.updated_at == CREATED
    assert session.raw["agent"]["instructions"] == "You are a test assistant."
    assert sent(vcr, "POST") == [
        {
            "agent": AGENT,
            "environment_id": ENVIRONMENT,
            "title": "My session",
            "metadata": {"purpose": "customer-support"},
        }
    ]


@cassette("qoder/documented/a_get.yaml")
def test_a_reads(do: Do) -> None:
    session = do(lambda client: client.sessions.get(ONE))
    assert (session.id, session.agent_id, session.title) == (ONE, AGENT, "API-doc-verification-session")
    assert (session.status, session.native_status, session.created_at) == (SessionStatus.IDLE, "idle", CREATED)


@cassette("qoder/documented/a_list.yaml")
def test_a_lists(do: Do) -> None:
    (session,) = do(lambda client: client.sessions.list(page_size=3))
    assert (session.id, session.agent_id, session.environment_id) == (ONE, AGENT, ENVIRONMENT)
    assert session.model is None


@cassette("qoder/documented/a_update.yaml")
def test_a_updates_and_answers_with_five_fields(do: Do, vcr: Any) -> None:
    session = do(lambda client: client.sessions.update(ONE, title="新标题", metadata={"priority": "high"}))
    assert (session.id, session.title, session.status) == (ONE, "新标题", SessionStatus.IDLE)
    assert (session.agent_id, session.created_at) == (None, None)
    assert session.updated_at == datetime(2026, 5, 18, 15, 26, 25, 865347, tzinfo=UTC)
    assert sent(vcr, "POST") == [{"title": "新标题", "metadata": {"priority": "high"}}]


@cassette("qoder/documented/a_update_late_may.yaml")
def test_a_updates_as_in_late_may(do: Do, vcr: Any) -> None:
    session = do(
        lambda client: client.sessions.update(
            "sess_019e6a0f4d9170a989eee39f6685f3fb", title="New title", metadata={"priority": "high"}
        )
    )
    assert (session.title, session.status) == ("New title", SessionStatus.IDLE)
    assert session.metadata == {"priority": "high", "purpose": "customer-support"}
    assert (session.agent_id, session.model.id) == ("agent_019e6886cdf5778098368adde92a2a02", "ultimate")
    assert session.environment_id == "env_019e6954e74770d6bce983cdb53be448"
    assert session.created_at == datetime(2026, 5, 27, 15, 30, 48, 336828, tzinfo=UTC)
    assert session.raw["resources"][0]["path"] == "/data/input.py"
    assert sent(vcr, "POST") == [{"title": "New title", "metadata": {"priority": "high"}}]


@cassette("qoder/documented/a_update_page.yaml")
def test_a_updates_as_the_page_says(do: Do, vcr: Any) -> None:
    changes = QoderSessionChanges(delta_flush_interval_ms=250)
    session = do(
        lambda client: client.sessions.update(
            "sess_019e6a0f4d9170a989eee39f6685f3fb", title="New title", metadata={"priority": "high"}, native=changes
        )
    )
    assert (session.title, session.status, session.archived_at) == ("doc-test-title", SessionStatus.IDLE, None)
    assert session.metadata == {"priority": "high"}
    assert (session.agent_id, session.model.id) == ("agent_019e6886cdf5778098368adde92a2a02", "ultimate")
    assert session.raw["agent"]["tools"][0]["type"] == "agent_toolset_20260401"
    assert sent(vcr, "POST") == [
        {"title": "New title", "metadata": {"priority": "high"}, "delta_flush_interval_ms": 250}
    ]


@cassette("qoder/documented/a_archive.yaml")
def test_a_archives_and_does_not_say_when(do: Do) -> None:
    session = do(lambda client: client.sessions.archive(ONE))
    assert (session.title, session.archived_at) == ("API-doc-verification-session-updated", None)
    assert session.updated_at == datetime(2026, 5, 18, 15, 26, 35, 559600, tzinfo=UTC)


@cassette("qoder/documented/a_cancel.yaml")
def test_a_cancels(do: Do) -> None:
    assert do(lambda client: client.sessions.cancel(ONE)).state is CancelState.NOTHING_RUNNING
    assert do(lambda client: client.sessions.cancel(ONE)).state is CancelState.REQUESTED


@cassette("qoder/documented/a_send_event.yaml")
def test_a_takes_a_message(do: Do, vcr: Any) -> None:
    text = "Help me analyze the performance of this code."
    do(lambda client: client.sessions.send(TALK, text))
    assert sent(vcr, "POST") == [{"events": [{"type": "user.message", "content": [{"type": "text", "text": text}]}]}]


@cassette("qoder/documented/a_list_events.yaml")
def test_a_lists_events(do: Do) -> None:
    said, *running = do(lambda client: client.sessions.events(TALK, page_size=5).page()).items
    assert (said.type, said.message.text) == ("message.completed", "你好,这是一个测试消息")
    assert said.created_at == datetime(2026, 5, 18, 3, 40, 48, 888852, tzinfo=UTC)
    assert {event.native_type for event in running} == {"session.status_running"}
    assert running[0].id == "evt_771c1195bcbd4a07834d4ed4dd6450ca"


@cassette("qoder/documented/a_errors.yaml")
def test_a_refuses(do: Do) -> None:
    with pytest.raises(InvalidRequest, match=r"Missing required field: name \(parameter name\)") as invalid:
        do(lambda client: client.agents.create(name="", model="ultimate"))
    assert (invalid.value.status, invalid.value.code, invalid.value.request_id) == (400, "invalid_request_error", None)
    with pytest.raises(AuthenticationFailed, match="Invalid API key or token"):
        do(lambda client: client.agents.list())
    with pytest.raises(NotFound, match=f"Session '{ONE}' was not found"):
        do(lambda client: client.sessions.get(ONE))


# --- Generation B


@cassette("qoder/documented/b_get.yaml")
def test_b_reads_a_running_session(do: Do) -> None:
    session = do(lambda client: client.sessions.get(ONE))
    assert (session.status, session.native_status, session.agent_id) == (SessionStatus.RUNNING, "running", AGENT)
    assert (session.usage, session.archived_at, session.metadata) == (None, None, {})


# --- Generation C


@cassette("qoder/documented/c_create.yaml")
def test_c_creates(do: Do, vcr: Any) -> None:
    native = QoderNewSession(
        environment_variables="FEATURE_FLAG=on;LOG_LEVEL=debug", vault_ids=["vault_019eed0519807975983d0ffc4b4b4c79"]
    )
    session = do(
        lambda client: client.sessions.create(
            agent=AGENT,
            environment=ENVIRONMENT,
            title="Code review session",
            metadata={"purpose": "review"},
            native=native,
        )
    )
    assert (session.id, session.agent_id, session.environment_id) == (ONE, AGENT, ENVIRONMENT)
    assert (session.title, session.metadata) == ("Code review session", {"purpose": "review"})
    assert (session.model.id, session.usage.credits) == ("ultimate", Decimal(0))
    (body,) = sent(vcr, "POST")
    assert body.keys() == {"agent", "environment_id", "title", "metadata", "environment_variables", "vault_ids"}


@cassette("qoder/documented/c_get.yaml")
def test_c_reads(do: Do) -> None:
    session = do(lambda client: client.sessions.get(DEV))
    assert (session.id, session.agent_id) == (DEV, "agent_019eda46c02b754499cdd3e282dbb8f1")
    assert (session.status, session.usage.credits) == (SessionStatus.IDLE, Decimal("1.25"))
    assert session.created_at == datetime(2026, 6, 23, 5, 53, 19, 774840, tzinfo=UTC)
    assert session.raw["agent"]["model"] == {"id": "ultimate", "effective_context_window": 200000}


@cassette("qoder/documented/c_update.yaml")
def test_c_updates_and_clears(do: Do, vcr: Any) -> None:
    changed = do(lambda client: client.sessions.update(DEV, title="New title", metadata={"priority": "high"}))
    assert (changed.title, changed.metadata) == ("New title", {"purpose": "doc-verification", "priority": "high"})
    cleared = do(lambda client: client.sessions.update(DEV, title=None, metadata={"purpose": None}))
    assert (cleared.title, cleared.metadata) == (None, {"priority": "high"})
    assert sent(vcr, "POST") == [
        {"title": "New title", "metadata": {"priority": "high"}},
        {"title": None, "metadata": {"purpose": None}},
    ]


@cassette("qoder/documented/c_list.yaml")
def test_c_lists(do: Do) -> None:
    (session,) = do(lambda client: client.sessions.list(page_size=20))
    assert (session.id, session.title) == (ONE, "API-doc-verification-session")


@cassette("qoder/documented/c_archive_and_delete.yaml")
def test_c_cancels_archives_and_deletes(do: Do) -> None:
    assert do(lambda client: client.sessions.cancel(DEV)).state is CancelState.REQUESTED
    archived = do(lambda client: client.sessions.archive(DEV))
    assert archived.archived_at == datetime(2026, 6, 23, 5, 53, 7, 524734, tzinfo=UTC)
    assert archived.status is SessionStatus.IDLE
    assert do(lambda client: client.sessions.delete(ONE)) is None


@cassette("qoder/documented/c_messages.yaml")
def test_c_lists_messages(do: Do) -> None:
    said, answered = do(lambda client: client.sessions.messages(TALK, page_size=5))
    assert (said.role, said.text) == ("user", "Hello, this is a test message.")
    assert (answered.role, answered.text) == ("assistant", "Hello!")
    assert said.created_at == datetime(2026, 5, 18, 3, 40, 48, 888852, tzinfo=UTC)


@cassette("qoder/documented/c_turn.yaml")
def test_c_tells_a_turn_with_its_credits(do: Do, vcr: Any) -> None:
    text = "你好，请用一句话介绍你自己。"  # noqa: RUF001  (as it is printed)
    do(lambda client: client.sessions.send(DEV, text))
    events = do(lambda client: client.sessions.events(DEV))
    assert [event.type for event in events if event.type in {"turn.started", "message.completed", "turn.ended"}] == [
        "turn.started",
        "message.completed",
        "message.completed",
        "turn.ended",
    ]
    assert (events[-1].outcome, events[-1].native_reason) == ("completed", "end_turn")
    (span,) = [event for event in events if event.native_type == "span.model_request_end"]
    assert span.raw["model_usage"] == {"credits": 4.05}
    assert do(lambda client: client.sessions.get(DEV)).usage.credits == Decimal("4.63")
    assert sent(vcr, "POST") == [{"events": [{"type": "user.message", "content": [{"type": "text", "text": text}]}]}]


@cassette("qoder/documented/c_agents.yaml")
def test_c_creates_reads_and_lists_agents(do: Do, vcr: Any) -> None:
    system = "You are a documentation testing assistant."
    created = do(lambda client: client.agents.create(name="doc-test-agent", model="ultimate", system_prompt=system))
    assert (created.name, created.model, created.system_prompt) == ("doc-test-agent", "ultimate", system)
    assert do(lambda client: client.agents.get(created.id)).raw["skills"][0]["type"] == "custom"
    page = do(lambda client: client.agents.list(page_size=2).page())
    assert [agent.name for agent in page.items] == ["doc-test-agent", "test-agent-e2e"]
    assert page.next_cursor is not None
    assert sent(vcr, "POST") == [{"name": "doc-test-agent", "model": "ultimate", "system": system}]


@cassette("qoder/documented/c_errors.yaml")
def test_c_refuses(do: Do) -> None:
    with pytest.raises(NotFound, match="Session 'sess_lost' was not found") as lost:
        do(lambda client: client.sessions.get("sess_lost"))
    assert (lost.value.code, lost.value.request_id) == ("not_found_error", "req-1")
    with pytest.raises(AuthenticationFailed):
        do(lambda client: client.agents.list())
    with pytest.raises(Conflict, match="The session is running"):
        do(lambda client: client.sessions.send(DEV, "Hello"))
    with pytest.raises(ServerError) as fault:
        do(lambda client: client.sessions.delete(DEV))
    assert (fault.value.status, fault.value.outcome_unknown) == (500, True)
    with pytest.raises(PermissionDenied, match="without giving a reason"):
        do(lambda client: client.sessions.archive(DEV))
