"""Sessions and turns on the real ADK API server."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx
import pytest

from live.adk_clients import of, open_client, run
from live.adk_service.process import serve_adk
from polysession import (
    Approve,
    AuthenticationFailed,
    Client,
    Conflict,
    Deny,
    Feature,
    MediaBlock,
    MessageCompleted,
    MessageDelta,
    NotFound,
    Outcome,
    RawEvent,
    Reply,
    Session,
    SessionRef,
    SessionStatus,
    TextBlock,
    ThinkingCompleted,
    ToolApproval,
    ToolOutput,
    ToolResultCompleted,
    TurnEnded,
    UsageError,
)
from polysession.testing import ServerProcess, covers
from polysession_adk import AdkNewSession

pytestmark = pytest.mark.evidence("adk", "live", by="adk")


@covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_UPDATE, Feature.SESSIONS_LIST, Feature.SESSIONS_GET)
def test_title_and_metadata_are_read_and_changed_by_another_client(
    adk_server: ServerProcess, adk_client: Client, adk_user: str
) -> None:
    created = adk_client.sessions.create(
        id="mine", title="Ticket 42", metadata={"team": "red"}, native=AdkNewSession(state={"user:tone": "dry"})
    )
    beside = adk_client.sessions.create()
    assert (beside.raw["state"]["user:tone"], beside.metadata) == ("dry", {})
    with (
        open_client(adk_server.base_url, adk_user) as other,
        open_client(adk_server.base_url, "somebody-else") as stranger,
    ):
        read = other.sessions.get("mine")
        assert (read.title, read.metadata, read.owner_id) == ("Ticket 42", {"team": "red"}, adk_user)
        changed = other.sessions.update(read, title="Done", metadata={"team": None, "n": "1"})
        assert (changed.title, changed.metadata) == ("Done", {"n": "1"})
        assert "mine" in [each.id for each in other.sessions.list()]
        assert "mine" not in [each.id for each in stranger.sessions.list()]
        with pytest.raises(UsageError):
            stranger.sessions.get(created)
        with pytest.raises(NotFound):
            stranger.sessions.get("mine")
    assert adk_client.sessions.update("mine", title=None).title is None


@covers(Feature.SESSIONS_CREATE_OWNER, Feature.SESSIONS_CREATE_ID, Feature.SESSIONS_LIST_OWNER)
def test_one_client_serves_several_users(adk_server: ServerProcess, adk_user: str) -> None:
    with open_client(adk_server.base_url, None) as client:
        mine = client.sessions.create(id="same", owner=adk_user, title="mine")
        theirs = client.sessions.create(id="same", owner=f"{adk_user}-2", title="theirs")
        run(client, theirs, "hello")
        assert list(client.sessions.messages(mine)) == []
        assert client.sessions.get(SessionRef("same", owner_id=adk_user)).title == "mine"
        assert [each.title for each in client.sessions.list(owner=adk_user)] == ["mine"]
        with pytest.raises(UsageError):
            client.sessions.get("same")
        with pytest.raises(Conflict):
            client.sessions.create(id="same", owner=adk_user)


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_MESSAGES)
@pytest.mark.parametrize("text", ["hello there", "/think", "/long 200"])
def test_deltas_message_and_history_are_equal(adk_client: Client, adk_session: Session, text: str) -> None:
    events, result = run(adk_client, adk_session, text)

    (message,) = of(MessageCompleted, events)
    assert "".join(each.text for each in of(MessageDelta, events)) == message.message.text == result.text
    assert {each.message_id for each in of(MessageDelta, events)} == {message.id}
    kept = [each for each in adk_client.sessions.messages(adk_session) if each.author == "assistant"]
    assert [each.id for each in kept] == [message.id]
    assert kept[0].content == message.message.content
    assert result.usage == adk_client.sessions.get(adk_session).usage
    thoughts = of(ThinkingCompleted, events)
    assert len(thoughts) == (text == "/think")
    assert all(events.index(each) < events.index(message) for each in thoughts)


@covers(Feature.SESSIONS_SEND, Feature.SESSIONS_RUN, Feature.SESSIONS_EVENTS)
@pytest.mark.parametrize("text", ["/think", "/tool 2"])
def test_a_turn_without_fragments_differs_only_in_deltas(adk_client: Client, text: str) -> None:
    followed, sent = adk_client.sessions.create(), adk_client.sessions.create()
    events, _ = run(adk_client, followed, text)
    adk_client.sessions.send(sent, text)

    streamed = [(each.type, each.author) for each in events if each.id]
    if text == "/think":  # the thought is complete before the text begins
        streamed.insert(0, ("thinking.completed", "assistant"))
    stored = [[(each.type, each.author) for each in adk_client.sessions.events(each)] for each in (followed, sent)]
    assert stored[0] == stored[1]
    assert [each for each in stored[1] if each[1]] == streamed


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize("text", ["/tool 6", "/row 6"])
def test_six_tools_in_parallel_and_in_sequence(adk_client: Client, adk_session: Session, text: str) -> None:
    events, result = run(adk_client, adk_session, text)
    calls = [each.tool_call_id for each in events if each.type == "tool_call.completed"]
    results = [each.tool_call_id for each in of(ToolResultCompleted, events)]
    assert len(set(calls)) == 6
    assert calls == results
    assert result.outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_call_ids_in_fragments_are_not_used(adk_client: Client, adk_session: Session) -> None:
    events, result = run(adk_client, adk_session, "/typing")
    pieces = [each.payload["content"]["parts"][0]["functionCall"] for each in of(RawEvent, events)]
    (call,) = [each for each in events if each.type == "tool_call.completed"]
    (answer,) = of(ToolResultCompleted, events)
    assert (call.arguments, answer.tool_call_id) == ({"query": "item 0"}, call.tool_call_id)
    assert len({each["id"] for each in pieces} - {call.tool_call_id}) == len(pieces) == 2
    assert result.outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_ANSWER_APPROVAL, Feature.SESSIONS_PENDING_ACTIONS)
def test_pending_actions_survive_a_restart_and_are_answered_one_by_one(
    adk_python: Path, tmp_path: Path, adk_user: str
) -> None:
    with serve_adk(adk_python, tmp_path) as server:
        with open_client(server.base_url, adk_user) as client:
            session = client.sessions.create()
            _, waiting = run(client, session, "/ask 2")
            first, second = waiting.actions
            _, result = run(client, session, [Approve(second)])
            assert (result.outcome, result.actions) == (Outcome.REQUIRES_ACTION, (first,))
        server.kill()
        server.start()
        with open_client(server.base_url, adk_user) as client:
            assert client.sessions.pending_actions(session) == (first,)
            assert client.sessions.get(session).status is SessionStatus.REQUIRES_ACTION
            events, result = run(client, session, [Approve(first)])
            assert [each.text for each in of(ToolResultCompleted, events)] == ["item 0 is in stock"]
            assert (result.outcome, client.sessions.pending_actions(session)) == (Outcome.COMPLETED, ())


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_a_repeated_approval_is_a_conflict(adk_client: Client, adk_session: Session) -> None:
    _, waiting = run(adk_client, adk_session, "/ask")
    events, result = run(adk_client, adk_session, [Deny(waiting.actions[0], "not today")])
    assert [each.is_error for each in of(ToolResultCompleted, events)] == [True]
    assert result.outcome is Outcome.COMPLETED

    with pytest.raises(Conflict):
        run(adk_client, adk_session, [Approve(waiting.actions[0])])
    assert len([each for each in adk_client.sessions.events(adk_session) if each.type == "tool_result.completed"]) == 1


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_a_tools_own_confirmation_waits_while_the_agent_continues(adk_client: Client, adk_session: Session) -> None:
    events, waiting = run(adk_client, adk_session, "/ask-more")
    assert of(MessageCompleted, events)[-1].message.text == "You said: /ask-more"
    assert waiting.outcome is Outcome.REQUIRES_ACTION
    (action,) = waiting.actions
    assert isinstance(action, ToolApproval)
    assert (action.name, action.arguments) == ("book", {"place": "Rome"})

    events, _ = run(adk_client, adk_session, [Deny(action, "too far")])
    assert [each.text for each in of(ToolResultCompleted, events)] == ["not booked: too far"]


@covers(Feature.SESSIONS_ANSWER_OUTPUT, Feature.SESSIONS_ANSWER_QUESTION, Feature.SESSIONS_PENDING_ACTIONS)
@pytest.mark.parametrize("text", ["/client-tool", "/ticket", "/question"])
def test_requests_to_the_caller_are_pending_until_answered(adk_client: Client, adk_session: Session, text: str) -> None:
    _, waiting = run(adk_client, adk_session, text)
    assert waiting.outcome is Outcome.REQUIRES_ACTION
    assert adk_client.sessions.pending_actions(adk_session) == waiting.actions
    (action,) = waiting.actions

    given = Reply(action, "red") if action.type == "question" else ToolOutput(action, "42")
    _, result = run(adk_client, adk_session, [given])

    assert result.outcome is Outcome.COMPLETED
    assert adk_client.sessions.pending_actions(adk_session) == ()


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_a_message_keeps_actions_pending_and_a_late_approval_runs_the_tool(
    adk_client: Client, adk_session: Session
) -> None:
    _, waiting = run(adk_client, adk_session, "/ask")
    assert run(adk_client, adk_session, "hello")[1].outcome is Outcome.COMPLETED
    events, result = run(adk_client, adk_session, [Approve(waiting.actions[0])])
    assert [each.text for each in of(ToolResultCompleted, events)] == ["item 0 is in stock"]
    assert result.outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(
    ("app", "text", "reason", "error"),
    [
        ("assistant", "/refuse", "SAFETY", "blocked by the safety filter"),
        ("assistant", "/fail-late", "RuntimeError", "the model is out of order"),
        ("assistant", "/boom", "ValueError", "the tool broke"),
        ("quiet", "/fail", "RuntimeError", "the agent is out of order"),
    ],
)
def test_a_failure_is_reported_once_and_the_session_continues(
    adk_client: Client, app: str, text: str, reason: str, error: str
) -> None:
    session = adk_client.sessions.create(agent=app)
    events, result = run(adk_client, session, text)

    assert [each.message for each in events if each.type == "error"] == [error]
    assert (result.outcome, result.error, of(TurnEnded, events)[0].native_reason) == (Outcome.FAILED, error, reason)
    assert run(adk_client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_a_limit_is_not_a_failure(adk_client: Client, adk_session: Session) -> None:
    _, result = run(adk_client, adk_session, "/cut")
    assert (result.outcome, result.text) == (Outcome.LIMIT_REACHED, "As long as it may be")


@covers(Feature.SESSIONS_RUN)
def test_too_many_model_calls_are_a_limit(adk_python: Path, tmp_path: Path, adk_user: str) -> None:
    with (
        serve_adk(adk_python, tmp_path, "memory", "--max_llm_calls", "1") as server,
        open_client(server.base_url, adk_user) as client,
    ):
        _, result = run(client, client.sessions.create(), "/tool")
    assert (result.outcome, result.native_reason) == (Outcome.LIMIT_REACHED, "LlmCallsLimitExceededError")


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(("app", "text"), [("assistant", "/empty"), ("quiet", "/nothing"), ("quiet", "hello")])
def test_an_agent_without_output_completes(adk_client: Client, app: str, text: str) -> None:
    events, result = run(adk_client, adk_client.sessions.create(agent=app), text)
    assert result.outcome is Outcome.COMPLETED
    assert of(MessageCompleted, events) == []


@covers(Feature.SESSIONS_RUN)
def test_agents_are_distinguished_by_author(adk_client: Client) -> None:
    session = adk_client.sessions.create(agent="crew")
    events, result = run(adk_client, session, "/transfer line")
    message = of(MessageCompleted, events)
    assert sorted(str(each.author) for each in message) == ["first", "left", "right"]
    for each in message:
        deltas = [delta.text for delta in of(MessageDelta, events) if delta.message_id == each.id]
        assert "".join(deltas) == each.message.text
    assert result.outcome is Outcome.COMPLETED

    session = adk_client.sessions.create(agent="crew")
    run(adk_client, session, "/transfer writer")
    events, _ = run(adk_client, session, "hello")
    assert {each.author for each in of(MessageCompleted, events)} == {"writer"}


@covers(Feature.SESSIONS_SEND_IMAGE)
def test_an_image_is_sent_and_read_with_equal_bytes(adk_client: Client, adk_session: Session) -> None:
    content = base64.b64encode(b"\x89PNG\xfb\xff").decode()
    picture = MediaBlock(type="image", data=content, media_type="image/png")
    run(adk_client, adk_session, [TextBlock(text="/picture"), picture])
    sent, got = adk_client.sessions.messages(adk_session)
    assert sent.content[1] == picture
    assert got.content == (picture,)


@covers(Feature.SESSIONS_RUN)
def test_an_artifact_is_one_result(adk_client: Client, adk_session: Session) -> None:
    events, _ = run(adk_client, adk_session, "/note hello")
    assert len(of(ToolResultCompleted, events)) == 1
    (saved,) = of(RawEvent, events)
    assert saved.payload["actions"]["artifactDelta"] == {"note.txt": 0}


@covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_RUN)
def test_errors_have_the_right_class(adk_server: ServerProcess, adk_client: Client, adk_user: str) -> None:
    with pytest.raises(NotFound):
        adk_client.sessions.create(agent="nope")
    with pytest.raises(NotFound) as caught:
        adk_client.sessions.send(SessionRef("s1", agent_id="nope"), "hello")
    assert "/" not in caught.value.message
    with pytest.raises(NotFound):
        run(adk_client, adk_client.sessions.create().model_copy(update={"id": "none"}), "hello")
    with pytest.raises(UsageError):
        adk_client.sessions.create(id="a/b")
    port = adk_server.base_url.rpartition(":")[2]
    with open_client(f"http://localhost:{port}", adk_user) as other:
        assert list(other.sessions.list(page_size=1))
    for name, value in (("origin", "http://example.net"), ("host", "example.net")):
        with (
            httpx.Client(headers={name: value}, trust_env=False) as http_client,
            open_client(adk_server.base_url, adk_user, http_client=http_client) as foreign,
            pytest.raises(AuthenticationFailed, match=f"{name} not allowed"),
        ):
            foreign.sessions.get("none")


@covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_PAGE_SIZE)
def test_many_sessions_are_listed_newest_first(adk_client: Client) -> None:
    created = [adk_client.sessions.create().id for _ in range(200)]
    assert [each.id for each in adk_client.sessions.list(page_size=30)] == created[::-1]
    found: list[str] = []
    for session in adk_client.sessions.list(page_size=30):
        found.append(session.id)
        if len(found) == 30:
            adk_client.sessions.update(created[0], metadata={"a": "1"})
    assert len(found) == len(set(found))
    assert set(created[1:]) <= set(found)
    assert next(iter(adk_client.sessions.list())).id == created[0]
