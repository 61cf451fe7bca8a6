"""Stories on the real ADK API server, through both clients."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from live.adk_service.process import serve_adk
from polysession import (
    Approve,
    AsyncClient,
    AuthenticationFailed,
    Client,
    Conflict,
    DeadlineExceeded,
    Deny,
    Event,
    Feature,
    MediaBlock,
    MessageCompleted,
    MessageDelta,
    NotFound,
    Outcome,
    RawEvent,
    Reply,
    RetryPolicy,
    Session,
    SessionRef,
    SessionStatus,
    StreamInterrupted,
    TextBlock,
    ThinkingCompleted,
    ToolApproval,
    ToolOutput,
    ToolResultCompleted,
    TurnEnded,
    TurnResult,
    UsageError,
)
from polysession.emulation import Fault
from polysession.testing import ServerProcess, covers, proxy

pytestmark = pytest.mark.evidence("adk", "live", by="adk")

LIMIT_S = 60.0
AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0.0, max_wait_s=0.05)


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex}"


@pytest.fixture
def client(adk_server: ServerProcess, user: str) -> Iterator[Client]:
    with open_client(adk_server.base_url, user) as client:
        yield client


@pytest.fixture
def session(client: Client) -> Session:
    return client.sessions.create()


def open_client(base_url: str, user: str | None, **options: Any) -> Client:
    return Client("adk", **{"base_url": base_url, "app": "assistant", "user_id": user, "retry": AT_ONCE, **options})


def run(client: Client, session: Session, content: Any) -> tuple[list[Event], TurnResult]:
    with client.sessions.run(session, content, deadline_s=LIMIT_S) as turn:
        events = list(turn)
        return events, turn.result


def of(kind: type[Any], events: Sequence[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def eventually(look: Any) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not look():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_UPDATE, Feature.SESSIONS_LIST, Feature.SESSIONS_GET)
def test_title_and_metadata_are_read_and_changed_by_another_client(
    adk_server: ServerProcess, client: Client, user: str
) -> None:
    created = client.sessions.create(id="mine", title="Ticket 42", metadata={"team": "red"})
    with open_client(adk_server.base_url, user) as other, open_client(adk_server.base_url, "somebody-else") as stranger:
        read = other.sessions.get("mine")
        assert (read.title, read.metadata, read.owner_id) == ("Ticket 42", {"team": "red"}, user)
        changed = other.sessions.update(read, title="Done", metadata={"team": None, "n": "1"})
        assert (changed.title, changed.metadata) == ("Done", {"n": "1"})
        assert "mine" in [each.id for each in other.sessions.list()]
        assert "mine" not in [each.id for each in stranger.sessions.list()]
        with pytest.raises(UsageError):
            stranger.sessions.get(created)
        with pytest.raises(NotFound):
            stranger.sessions.get("mine")
    assert client.sessions.update("mine", title=None).title is None


@covers(Feature.SESSIONS_CREATE_OWNER, Feature.SESSIONS_CREATE_ID, Feature.SESSIONS_LIST_OWNER)
def test_one_client_serves_several_users(adk_server: ServerProcess, user: str) -> None:
    with open_client(adk_server.base_url, None) as client:
        mine = client.sessions.create(id="same", owner=user, title="mine")
        theirs = client.sessions.create(id="same", owner=f"{user}-2", title="theirs")
        run(client, theirs, "hello")
        assert list(client.sessions.messages(mine)) == []
        assert client.sessions.get(SessionRef("same", owner_id=user)).title == "mine"
        assert [each.title for each in client.sessions.list(owner=user)] == ["mine"]
        with pytest.raises(UsageError):
            client.sessions.get("same")
        with pytest.raises(Conflict):
            client.sessions.create(id="same", owner=user)


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_MESSAGES)
@pytest.mark.parametrize("text", ["hello there", "/think", "/long 200"])
def test_deltas_are_the_message_and_the_message_is_the_history(client: Client, session: Session, text: str) -> None:
    events, result = run(client, session, text)

    (said,) = of(MessageCompleted, events)
    assert "".join(each.text for each in of(MessageDelta, events)) == said.message.text == result.text
    assert {each.message_id for each in of(MessageDelta, events)} == {said.id}
    kept = [each for each in client.sessions.messages(session) if each.author == "assistant"]
    assert [each.id for each in kept] == [said.id]
    assert kept[0].content == said.message.content
    assert result.usage == client.sessions.get(session).usage
    thoughts = of(ThinkingCompleted, events)
    assert len(thoughts) == (text == "/think")
    assert all(events.index(each) < events.index(said) for each in thoughts)


@covers(Feature.SESSIONS_RUN)
def test_six_tools_at_once(client: Client, session: Session) -> None:
    events, result = run(client, session, "/tool 6")
    calls = [each.tool_call_id for each in events if each.type == "tool_call.completed"]
    results = [each.tool_call_id for each in of(ToolResultCompleted, events)]
    assert len(set(calls)) == 6
    assert calls == results
    assert result.outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_ANSWER_APPROVAL, Feature.SESSIONS_PENDING_ACTIONS)
def test_what_waits_survives_a_restart_and_is_answered_one_by_one(adk_python: Path, tmp_path: Path, user: str) -> None:
    with serve_adk(adk_python, tmp_path) as server:
        with open_client(server.base_url, user) as client:
            session = client.sessions.create()
            _, asked = run(client, session, "/ask 2")
            first, second = asked.actions
            _, result = run(client, session, [Approve(second)])
            assert (result.outcome, result.actions) == (Outcome.REQUIRES_ACTION, (first,))
        server.kill()
        server.start()
        with open_client(server.base_url, user) as client:
            assert client.sessions.pending_actions(session) == (first,)
            assert client.sessions.get(session).status is SessionStatus.REQUIRES_ACTION
            events, result = run(client, session, [Approve(first)])
            assert [each.text for each in of(ToolResultCompleted, events)] == ["item 0 is in stock"]
            assert (result.outcome, client.sessions.pending_actions(session)) == (Outcome.COMPLETED, ())


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_an_approval_is_given_once(client: Client, session: Session) -> None:
    _, asked = run(client, session, "/ask")
    events, result = run(client, session, [Deny(asked.actions[0], "not today")])
    assert [each.is_error for each in of(ToolResultCompleted, events)] == [True]
    assert result.outcome is Outcome.COMPLETED

    with pytest.raises(Conflict):
        run(client, session, [Approve(asked.actions[0])])
    assert len([each for each in client.sessions.events(session) if each.type == "tool_result.completed"]) == 1


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_a_tool_that_asks_by_itself_waits_although_the_agent_goes_on(client: Client, session: Session) -> None:
    events, asked = run(client, session, "/ask-more")
    assert of(MessageCompleted, events)[-1].message.text == "You said: /ask-more"
    assert asked.outcome is Outcome.REQUIRES_ACTION
    (action,) = asked.actions
    assert isinstance(action, ToolApproval)
    assert (action.name, action.arguments) == ("book", {"place": "Rome"})

    events, _ = run(client, session, [Deny(action, "too far")])
    assert [each.text for each in of(ToolResultCompleted, events)] == ["not booked: too far"]


@covers(Feature.SESSIONS_ANSWER_OUTPUT, Feature.SESSIONS_ANSWER_QUESTION, Feature.SESSIONS_PENDING_ACTIONS)
@pytest.mark.parametrize("text", ["/client-tool", "/ticket", "/question"])
def test_what_the_caller_is_asked_is_pending_until_it_is_answered(client: Client, session: Session, text: str) -> None:
    _, asked = run(client, session, text)
    assert asked.outcome is Outcome.REQUIRES_ACTION
    assert client.sessions.pending_actions(session) == asked.actions
    (action,) = asked.actions

    given = Reply(action, "red") if action.type == "question" else ToolOutput(action, "42")
    _, result = run(client, session, [given])

    assert result.outcome is Outcome.COMPLETED
    assert client.sessions.pending_actions(session) == ()


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_a_message_leaves_what_waits_and_the_late_approval_runs_the_tool(client: Client, session: Session) -> None:
    _, asked = run(client, session, "/ask")
    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED
    events, result = run(client, session, [Approve(asked.actions[0])])
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
def test_a_failure_is_told_once_and_the_session_goes_on(
    client: Client, app: str, text: str, reason: str, error: str
) -> None:
    session = client.sessions.create(agent=app)
    events, result = run(client, session, text)

    assert [each.message for each in events if each.type == "error"] == [error]
    assert (result.outcome, result.error, of(TurnEnded, events)[0].native_reason) == (Outcome.FAILED, error, reason)
    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_a_limit_is_no_failure(client: Client, session: Session) -> None:
    _, result = run(client, session, "/cut")
    assert (result.outcome, result.text) == (Outcome.LIMIT_REACHED, "As long as it may be")


@covers(Feature.SESSIONS_RUN)
def test_too_many_calls_of_the_model_are_a_limit(adk_python: Path, tmp_path: Path, user: str) -> None:
    with (
        serve_adk(adk_python, tmp_path, "memory", "--max_llm_calls", "1") as server,
        open_client(server.base_url, user) as client,
    ):
        _, result = run(client, client.sessions.create(), "/tool")
    assert (result.outcome, result.native_reason) == (Outcome.LIMIT_REACHED, "LlmCallsLimitExceededError")


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(("app", "text"), [("assistant", "/empty"), ("quiet", "/nothing"), ("quiet", "hello")])
def test_an_agent_that_says_nothing_completes(client: Client, app: str, text: str) -> None:
    events, result = run(client, client.sessions.create(agent=app), text)
    assert result.outcome is Outcome.COMPLETED
    assert of(MessageCompleted, events) == []


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(("text", "until"), [("/slow 100", "message.delta"), ("/wait 30", "tool_call.completed")])
def test_leaving_a_turn_aborts_it(client: Client, session: Session, text: str, until: str) -> None:
    with client.sessions.run(session, text, deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == until)

    eventually(lambda: client.sessions.get(session).status is SessionStatus.IDLE)
    ended = of(TurnEnded, list(client.sessions.events(session)))
    assert [each.outcome for each in ended] == [Outcome.CANCELLED]
    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_leaving_while_a_tool_blocks_is_noticed_when_it_returns(client: Client, session: Session) -> None:
    with client.sessions.run(session, "/block 1", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "tool_call.completed")
    eventually(lambda: client.sessions.get(session).status is SessionStatus.IDLE)
    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_leaving_after_the_last_event_leaves_a_whole_answer(client: Client, session: Session) -> None:
    with client.sessions.run(session, "hello", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "usage")
    eventually(lambda: client.sessions.get(session).status is SessionStatus.IDLE)
    ended = of(TurnEnded, list(client.sessions.events(session)))
    assert [each.outcome for each in ended] == [Outcome.COMPLETED]


@covers(Feature.SESSIONS_RUN)
def test_a_deadline_aborts_the_turn(client: Client, session: Session) -> None:
    with pytest.raises(DeadlineExceeded), client.sessions.run(session, "/slow 100", deadline_s=0.5) as turn:
        turn.wait()
    eventually(lambda: client.sessions.get(session).status is SessionStatus.IDLE)


def body_of(adk_server: ServerProcess, user: str, text: str) -> bytes:
    """The whole body of one turn."""
    body = {"appName": "assistant", "userId": user, "sessionId": "cut", "streaming": True}
    message = {"newMessage": {"role": "user", "parts": [{"text": text}]}}
    return httpx.post(f"{adk_server.base_url}/run_sse", json=body | message, trust_env=False).content


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize("text", ["/think", "/tool", "/ask"])
def test_a_cut_at_any_byte_is_never_half_a_success(
    adk_server: ServerProcess, user: str, text: str, request: pytest.FixtureRequest
) -> None:
    """After a cut the outcome is what the server stored; the message is sent once."""
    step = 1 if request.config.getoption("--every-byte") else 97
    with proxy(adk_server.base_url) as (base_url, faults), open_client(base_url, user) as client:
        client.sessions.create(id="cut")
        size = len(body_of(adk_server, user, text))
        whole = run(client, client.sessions.create(), text)[1]
        for at_byte in range(0, size, step):
            session = client.sessions.create()
            faults.add(Fault("drop", path="/run_sse", at_byte=at_byte))
            try:
                events, result = run(client, session, text)
            except StreamInterrupted:
                continue
            if result.outcome in {Outcome.COMPLETED, Outcome.REQUIRES_ACTION}:
                assert (result.outcome, result.text) == (whole.outcome, whole.text), at_byte
            else:
                assert result.outcome in {Outcome.CANCELLED, Outcome.FAILED}
            sent = [each for each in client.sessions.messages(session) if each.role.value == "user"]
            assert len(sent) <= 1, at_byte  # in the first milliseconds not even the message is stored
            assert len(of(TurnEnded, events)) == 1


@covers(Feature.SESSIONS_RUN)
def test_of_two_messages_at_once_the_first_is_told_what_it_is(
    adk_server: ServerProcess, client: Client, session: Session, user: str
) -> None:
    with (
        open_client(adk_server.base_url, user) as other,
        client.sessions.run(session, "/wait 1", deadline_s=LIMIT_S) as turn,
    ):
        next(event for event in turn if event.type == "tool_call.completed")
        assert run(other, session, "hello")[1].outcome is Outcome.COMPLETED
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "StaleSessionError")


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_UPDATE)
def test_a_change_of_the_session_fails_its_turn(client: Client, session: Session) -> None:
    with client.sessions.run(session, "/wait 1", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "tool_call.completed")
        assert client.sessions.update(session, title="Changed").title == "Changed"
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "StaleSessionError")
    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_DELETE)
def test_a_session_that_is_deleted_in_a_turn_stays_deleted(client: Client, session: Session) -> None:
    with client.sessions.run(session, "/wait 1", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "tool_call.completed")
        client.sessions.delete(session)
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "SessionNotFoundError")
    with pytest.raises(NotFound):
        client.sessions.get(session)


@covers(Feature.SESSIONS_RUN)
def test_no_silence_ends_a_turn(adk_server: ServerProcess, user: str) -> None:
    """Longer than the client's timeout, and than what is taken for a dead stream elsewhere."""
    with (
        open_client(adk_server.base_url, user, timeout=2) as client,
        client.sessions.run(client.sessions.create(), "/wait 50", deadline_s=90) as turn,
    ):
        assert turn.wait().outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_agents_are_told_apart(client: Client) -> None:
    session = client.sessions.create(agent="crew")
    events, result = run(client, session, "/transfer line")
    said = of(MessageCompleted, events)
    assert sorted(str(each.author) for each in said) == ["first", "left", "right"]
    for each in said:
        deltas = [delta.text for delta in of(MessageDelta, events) if delta.message_id == each.id]
        assert "".join(deltas) == each.message.text
    assert result.outcome is Outcome.COMPLETED

    session = client.sessions.create(agent="crew")
    run(client, session, "/transfer writer")
    events, _ = run(client, session, "hello")
    assert {each.author for each in of(MessageCompleted, events)} == {"writer"}


@covers(Feature.SESSIONS_SEND_IMAGE)
def test_an_image_goes_out_and_in_with_equal_bytes(client: Client, session: Session) -> None:
    content = base64.b64encode(b"\x89PNG\xfb\xff").decode()
    picture = MediaBlock(type="image", data=content, media_type="image/png")
    run(client, session, [TextBlock(text="/picture"), picture])
    sent, got = client.sessions.messages(session)
    assert sent.content[1] == picture
    assert got.content == (picture,)


@covers(Feature.SESSIONS_RUN)
def test_an_artifact_is_one_result(client: Client, session: Session) -> None:
    events, _ = run(client, session, "/note hello")
    assert len(of(ToolResultCompleted, events)) == 1
    (saved,) = of(RawEvent, events)
    assert saved.payload["actions"]["artifactDelta"] == {"note.txt": 0}


@covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_RUN)
def test_the_right_errors(adk_server: ServerProcess, client: Client, user: str) -> None:
    with pytest.raises(NotFound):
        client.sessions.create(agent="nope")
    with pytest.raises(NotFound) as caught:
        client.sessions.send(SessionRef("s1", agent_id="nope"), "hello")
    assert "/" not in caught.value.message
    with pytest.raises(NotFound):
        run(client, client.sessions.create().model_copy(update={"id": "none"}), "hello")
    with pytest.raises(UsageError):
        client.sessions.create(id="a/b")
    port = adk_server.base_url.rpartition(":")[2]
    with open_client(f"http://localhost:{port}", user) as other:
        assert list(other.sessions.list(page_size=1))
    with (
        open_client(adk_server.base_url, user, headers={"origin": "http://example.net"}) as foreign,
        pytest.raises(AuthenticationFailed, match="origin not allowed"),
    ):
        foreign.sessions.get("none")


@covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_PAGE_SIZE)
def test_many_sessions_are_listed_newest_first(client: Client) -> None:
    created = [client.sessions.create().id for _ in range(60)]
    assert [each.id for each in client.sessions.list(page_size=7)] == created[::-1]
    found: list[str] = []
    for session in client.sessions.list(page_size=7):
        found.append(session.id)
        if len(found) == 7:
            client.sessions.update(created[0], metadata={"a": "1"})
    assert len(found) == len(set(found))
    assert set(created[1:]) <= set(found)
    assert next(iter(client.sessions.list())).id == created[0]


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_STREAM)
def test_a_server_that_is_killed_in_a_turn_leaves_no_turn_that_runs_for_ever(
    adk_python: Path, tmp_path: Path, user: str
) -> None:
    with serve_adk(adk_python, tmp_path) as server, open_client(server.base_url, user) as client:
        session = client.sessions.create()

        def lose() -> None:
            with client.sessions.run(session, "/wait 30", deadline_s=LIMIT_S) as turn:
                next(event for event in turn if event.type == "tool_call.completed")
                server.kill()
                turn.wait()

        with pytest.raises(StreamInterrupted) as caught:
            lose()
        assert caught.value.cursor
        server.start()
        assert client.sessions.get(session).status is SessionStatus.UNKNOWN
        assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED
        assert client.sessions.get(session).status is SessionStatus.IDLE


@covers(Feature.SESSIONS_RUN)
def test_twenty_turns_at_once(adk_server: ServerProcess, user: str) -> None:
    async def turns() -> list[TurnResult]:
        options: dict[str, Any] = {"base_url": adk_server.base_url, "app": "assistant", "user_id": user}
        async with AsyncClient("adk", **options) as client:
            sessions = [await client.sessions.create() for _ in range(20)]

            async def one(number: int) -> TurnResult:
                async with client.sessions.run(sessions[number], f"number {number}", deadline_s=LIMIT_S) as turn:
                    return await turn.wait()

            return await asyncio.gather(*[one(number) for number in range(20)])

    results = asyncio.run(turns())
    assert [each.text for each in results] == [f"You said: number {number}" for number in range(20)]


@covers(Feature.SESSIONS_STREAM)
def test_a_follower_sees_a_turn_of_another_client(adk_server: ServerProcess, client: Client, user: str) -> None:
    session = client.sessions.create()
    with (
        open_client(adk_server.base_url, user) as other,
        other.sessions.stream(session, deadline_s=LIMIT_S) as followed,
    ):
        mine, _ = run(client, session, "/tool")
        seen: list[Event] = []
        for event in followed:
            seen.append(event)
            if isinstance(event, TurnEnded):
                break
    kept = [(event.id, event.type) for event in mine if event.id]
    assert [(event.id, event.type) for event in seen if (event.id, event.type) in kept] == kept
    assert [each.outcome for each in of(TurnEnded, seen)] == [Outcome.COMPLETED]


@covers(Feature.SESSIONS_RUN)
def test_in_memory_two_turns_at_once_go_on(adk_python: Path, tmp_path: Path, user: str) -> None:
    with (
        serve_adk(adk_python, tmp_path, "memory") as server,
        open_client(server.base_url, user) as client,
        contextlib.ExitStack() as stack,
    ):
        session = client.sessions.create()
        turn = stack.enter_context(client.sessions.run(session, "/wait 1", deadline_s=LIMIT_S))
        next(event for event in turn if event.type == "tool_call.completed")
        assert run(client, session, "hello")[1].text == "You said: hello"
        assert turn.wait().text == "You said: /wait 1"
