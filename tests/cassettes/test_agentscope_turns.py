"""Turns without a stream, as AgentScope's real service answered: send, look, read, answer, cancel."""

from __future__ import annotations

from typing import Any

import pytest

from live.sources import Source
from polysession import (
    Approve,
    CancelState,
    Conflict,
    Deny,
    NotFound,
    Session,
    SessionStatus,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UsageError,
)
from support.agentscope_user import User, model
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent


@pytest.fixture
def user(source: Source, runner: ClientRunner, request: pytest.FixtureRequest) -> User:
    return User(source, runner, request.node.originalname)


def talk(user: User, script: str = "scripted") -> Session:
    return user.create(user.create_agent(), model=model(user.create_credential(), script))


def say(user: User, session: Session, text: str, *statuses: SessionStatus) -> None:
    user.do(lambda client: client.sessions.send(session, text))
    user.run_until(session, *(statuses or (SessionStatus.IDLE,)))


def answer(user: User, session: Session, *answers: Any) -> None:
    user.do(lambda client: client.sessions.answer(session, list(answers)))


def pending(user: User, session: Session) -> Any:
    return user.do(lambda client: client.sessions.pending_actions(session))


def texts(user: User, session: Session) -> list[tuple[str, str]]:
    messages = user.do(lambda client: client.sessions.messages(session))
    return [(message.role, message.text) for message in messages]


@cassette("agentscope/recorded/turns.yaml")
def test_what_was_said_is_read_back(user: User) -> None:
    session = talk(user)
    say(user, session, "one")
    say(user, session, "/think")
    say(user, session, "/tool")
    assert texts(user, session) == [
        ("user", "one"),
        ("assistant", "You said: one"),
        ("user", "/think"),
        ("assistant", "I have thought about it."),
        ("user", "/tool"),
        ("assistant", "The tool has answered."),
    ]
    events = user.do(lambda client: client.sessions.events(session, page_size=4))
    kinds = [event.type for event in events]
    assert [kinds.count(kind) for kind in ("message.completed", "thinking.completed", "tool_call.completed")] == [
        6,
        1,
        1,
    ]
    (call,) = [event for event in events if event.type == "tool_call.completed"]
    (result,) = [event for event in events if event.type == "tool_result.completed"]
    assert (call.name, call.arguments) == ("Bash", {"command": "echo item 0 is in stock"})
    assert (result.tool_call_id, result.text) == (call.tool_call_id, "item 0 is in stock\n")
    last = user.do(lambda client: client.sessions.messages(session))[-1]
    assert (last.usage.input_tokens, last.usage.output_tokens) == (14, 6)


@cassette("agentscope/recorded/approvals.yaml")
def test_tools_are_approved_and_denied(user: User, vcr: Any) -> None:
    session = talk(user)
    say(user, session, "/ask 2", SessionStatus.REQUIRES_ACTION)
    (first,) = pending(user, session)
    assert isinstance(first, ToolApproval)
    assert (first.name, first.arguments) == ("Bash", {"command": "touch item-0"})
    with pytest.raises(Conflict, match="waits for an answer"):
        user.do(lambda client: client.sessions.send(session, "hello?"))
    with pytest.raises(NotFound):
        answer(user, session, Approve("nothing"))
    answer(user, session, Approve(first))
    user.run_until(session, SessionStatus.REQUIRES_ACTION)
    (second,) = pending(user, session)
    assert second.arguments == {"command": "touch item-1"}
    answer(user, session, Deny(second))
    user.run_until(session, SessionStatus.IDLE)
    assert pending(user, session) == ()
    assert texts(user, session)[-1] == ("assistant", "The decision was heard.")
    with pytest.raises(Conflict, match="no pending actions"):
        answer(user, session, Approve(first))
    _, *answers = sent(vcr, "POST", "/chat/")
    given = [(each["input"]["type"], each["input"]["confirm_results"][0]) for each in answers]
    assert [(kind, result["confirmed"], result["tool_call"]["id"]) for kind, result in given] == [
        ("USER_CONFIRM_RESULT", True, first.id),
        ("USER_CONFIRM_RESULT", False, second.id),
    ]


@cassette("agentscope/recorded/external_tools.yaml")
def test_tools_of_the_caller_are_answered_one_by_one(user: User, vcr: Any) -> None:
    session = talk(user)
    say(user, session, "/client-tool 2", SessionStatus.REQUIRES_ACTION)
    one, other = pending(user, session)
    assert isinstance(one, ToolExecution)
    with pytest.raises(UsageError):
        answer(user, session, ToolOutput(one, "blue"), Approve(other))
    answer(user, session, ToolOutput(other, "red", is_error=True))
    user.run_until(session, SessionStatus.REQUIRES_ACTION)
    assert pending(user, session) == (one,)
    answer(user, session, ToolOutput(one, "blue"))
    user.run_until(session, SessionStatus.IDLE)
    assert texts(user, session)[-1] == ("assistant", "The output was received.")
    _, *answers = sent(vcr, "POST", "/chat/")
    given = [each["input"]["execution_results"][0] for each in answers]
    assert [(result["id"], result["state"]) for result in given] == [(other.id, "error"), (one.id, "success")]


@cassette("agentscope/recorded/interrupt.yaml")
def test_what_waits_can_be_cancelled_and_the_session_goes_on(user: User) -> None:
    session = talk(user)
    say(user, session, "/client-tool", SessionStatus.REQUIRES_ACTION)
    assert len(pending(user, session)) == 1
    assert user.do(lambda client: client.sessions.cancel(session)).state is CancelState.REQUESTED
    user.run_until(session, SessionStatus.IDLE)
    say(user, session, "again")
    assert texts(user, session)[-1] == ("assistant", "You said: again")


@cassette("agentscope/recorded/failures.yaml")
def test_a_turn_that_fails_is_read_with_its_error(user: User) -> None:
    session = talk(user)
    user.do(lambda client: client.sessions.send(session, "/fail"))
    user.run_until(session, SessionStatus.RUNNING)
    user.run_until(session, SessionStatus.IDLE, poll_s=3)  # the service tries again and again
    said, failed = user.do(lambda client: client.sessions.messages(session))
    assert (said.text, failed.text) == ("/fail", "")
    assert (failed.raw["finished_reason"], failed.raw["error"]["type"]) == ("error", "upstream")
    (error,) = [event for event in user.do(lambda client: client.sessions.events(session)) if event.type == "error"]
    assert error.code == "upstream"
