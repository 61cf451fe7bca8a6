"""Sessions, turns and answers, as ADK's real API server answered."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest

from live.sources import Source
from polysession import (
    Approve,
    Conflict,
    Deny,
    InvalidRequest,
    MediaBlock,
    MessageCompleted,
    NotFound,
    Outcome,
    Reply,
    Session,
    SessionRef,
    SessionStatus,
    TextBlock,
    ToolApproval,
    ToolOutput,
    ToolResultCompleted,
    TurnEnded,
)
from polysession_adk import AdkNewSession, AdkSessionChanges
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent

MARKER = "polysession_turn"


@dataclass(frozen=True)
class User:
    """A user of the server, on a cassette or live, with a name of its own for each test."""

    source: Source
    runner: ClientRunner
    id: str

    def do(self, use: Any, **settings: Any) -> Any:
        given = {"base_url": self.source.base_url, "app": "assistant", "user_id": self.id, **settings}
        return self.runner.call("adk", use, **given)

    def create(self, **fields: Any) -> Session:
        session: Session = self.do(lambda client: client.sessions.create(**fields))
        return session

    def send(self, session: Session, content: Any) -> None:
        self.do(lambda client: client.sessions.send(session, content))

    def answer(self, session: Session, *answers: Any) -> None:
        self.do(lambda client: client.sessions.answer(session, list(answers)))

    def pending(self, session: Session) -> Any:
        return self.do(lambda client: client.sessions.pending_actions(session))

    def events(self, session: Session) -> list[Any]:
        found: list[Any] = self.do(lambda client: client.sessions.events(session))
        return found

    def types_of(self, session: Session) -> list[str]:
        """The types of the session's events; of the end of a turn its outcome."""
        return [each.outcome.value if isinstance(each, TurnEnded) else each.type for each in self.events(session)]


@pytest.fixture
def user(source: Source, runner: ClientRunner, request: pytest.FixtureRequest) -> User:
    return User(source, runner, request.node.originalname)


@cassette("adk/recorded/session.yaml")
def test_a_session_lives_from_creation_to_deletion(user: User, vcr: Any) -> None:
    session = user.create(id="s1", title="Ticket 42", metadata={"team": "red"})
    assert session.model_dump(include={"id", "agent_id", "owner_id", "title", "metadata", "status", "usage"}) == {
        "id": "s1",
        "agent_id": "assistant",
        "owner_id": user.id,
        "title": "Ticket 42",
        "metadata": {"team": "red"},
        "status": SessionStatus.IDLE,
        "usage": None,
    }
    assert session.updated_at is not None
    assert user.do(lambda client: client.sessions.get(session)) == session
    listed = user.do(lambda client: client.sessions.list())
    assert [(each.id, each.title, each.status) for each in listed] == [("s1", "Ticket 42", SessionStatus.UNKNOWN)]
    changes = {"title": "Done", "metadata": {"team": None, "priority": "high"}}
    changed = user.do(lambda client: client.sessions.update(session, **changes))
    assert (changed.title, changed.metadata) == ("Done", {"priority": "high"})
    with pytest.raises(Conflict, match="Session already exists: s1"):
        user.create(id="s1")
    user.do(lambda client: client.sessions.delete(session))
    with pytest.raises(NotFound, match="Session not found"):
        user.do(lambda client: client.sessions.get(session))
    with pytest.raises(NotFound):
        user.do(lambda client: client.sessions.delete(session))
    title, state = {"__session_metadata__": {"displayName": "Ticket 42"}}, {"team": "red"}
    assert sent(vcr, "POST")[0] == {"sessionId": "s1", "state": state | title}
    assert sent(vcr, "PATCH") == [
        {"stateDelta": {"team": None, "priority": "high", "__session_metadata__": {"displayName": "Done"}}}
    ]


@cassette("adk/recorded/state.yaml")
def test_state_of_the_user_and_the_app_is_no_metadata(user: User) -> None:
    state = {"user:k": "1", "app:k": "2", "temp:k": "3", "a": {"by": [1]}}
    session = user.create(agent="crew", id="s1", native=AdkNewSession(state=state))
    other = user.create(agent="crew", id="s2")
    assert other.metadata == {}
    assert (other.raw["state"]["user:k"], other.raw["state"]["app:k"]) == ("1", "2")
    first = user.do(lambda client: client.sessions.get(session))
    assert first.metadata == {"a": {"by": [1]}}
    native = AdkSessionChanges(state_delta={"a": {"by": [2]}, "user:k": None})
    assert user.do(lambda client: client.sessions.update(session, native=native)).metadata == {"a": {"by": [2]}}


@cassette("adk/recorded/agents.yaml")
def test_apps_are_agents(user: User) -> None:
    found = user.do(lambda client: client.agents.list())
    assert [(each.id, each.description) for each in found] == [
        ("assistant", "Answers by a script."),
        ("crew", "Hands over to others."),
        ("quiet", "Has no model."),
    ]
    assert user.do(lambda client: client.agents.get("crew")) == found[1]
    with pytest.raises(NotFound, match="no app 'nope'"):
        user.create(agent="nope")
    assert user.do(lambda client: client.backend_version()) == "2.13.0"


@cassette("adk/recorded/turn.yaml")
def test_a_turn_is_its_stored_events(user: User, vcr: Any) -> None:
    session = user.create(id="s1")
    user.send(session, "/tool 2")
    assert user.types_of(session) == [
        *["turn.started", "message.completed", "tool_call.completed", "tool_call.completed", "usage"],
        *["tool_result.completed", "tool_result.completed", "message.completed", "usage", "completed"],
    ]
    asked, answered = user.do(lambda client: client.sessions.messages(session))[0::3]
    assert (asked.text, asked.author) == ("/tool 2", None)
    assert (answered.text, answered.author) == ("The tool has answered.", "assistant")
    read = user.do(lambda client: client.sessions.get(session))
    assert (read.status, read.usage.input_tokens, read.usage.output_tokens) == (SessionStatus.IDLE, 22, 20)
    (run,) = sent(vcr, "POST", "/run_sse")
    assert run.pop("customMetadata").keys() == {MARKER}
    assert run == {
        "appName": "assistant",
        "userId": user.id,
        "sessionId": "s1",
        "newMessage": {"role": "user", "parts": [{"text": "/tool 2"}]},
        "streaming": False,
    }


@cassette("adk/recorded/thinking.yaml")
def test_a_thought_is_whole_before_its_message(user: User) -> None:
    session = user.create(id="s1")
    user.send(session, "/think")
    assert user.types_of(session)[2:5] == ["thinking.completed", "message.completed", "usage"]
    _, said = user.do(lambda client: client.sessions.messages(session))
    assert [block.type for block in said.content] == ["thinking", "text"]


@cassette("adk/recorded/approvals.yaml")
def test_approvals_are_answered_one_by_one_and_once(user: User, vcr: Any) -> None:
    session = user.create(id="s1")
    user.send(session, "/ask 2")
    first, second = user.pending(session)
    assert [(each.name, each.arguments) for each in (first, second)] == [
        ("lookup_with_approval", {"query": "item 0"}),
        ("lookup_with_approval", {"query": "item 1"}),
    ]
    assert user.do(lambda client: client.sessions.get(session)).status is SessionStatus.REQUIRES_ACTION
    assert user.types_of(session)[-1] == "requires_action"
    user.answer(session, Approve(second))
    assert user.pending(session) == (first,)
    user.answer(session, Deny(first, "not today"))
    assert user.pending(session) == ()
    results = [each for each in user.events(session) if isinstance(each, ToolResultCompleted)]
    assert [(each.text, each.is_error) for each in results] == [
        ("item 1 is in stock", False),
        ("This tool call is rejected.", True),
    ]
    with pytest.raises(Conflict, match="is not pending"):
        user.answer(session, Approve(second))
    responses = [run["newMessage"]["parts"][0] for run in sent(vcr, "POST", "/run_sse")[1:]]
    assert [each["functionResponse"]["response"] for each in responses] == [
        {"confirmed": True},
        {"confirmed": False, "payload": {"reason": "not today"}},
    ]


@cassette("adk/recorded/asks_and_continues.yaml")
def test_a_tool_that_asks_by_itself_waits_although_the_agent_went_on(user: User) -> None:
    session = user.create(id="s1")
    user.send(session, "/ask-more")
    assert user.types_of(session)[-3:] == ["usage", "action.required", "requires_action"]
    (action,) = user.pending(session)
    assert isinstance(action, ToolApproval)
    assert (action.name, action.arguments) == ("book", {"place": "Rome"})


@cassette("adk/recorded/client_tool.yaml")
def test_a_tool_of_the_caller_is_answered(user: User) -> None:
    session = user.create(id="s1")
    user.send(session, "/client-tool")
    (action,) = user.pending(session)
    user.answer(session, ToolOutput(action, "42"))
    assert user.pending(session) == ()
    assert user.types_of(session)[-4:] == ["tool_result.completed", "message.completed", "usage", "completed"]


@cassette("adk/recorded/question.yaml")
def test_a_question_is_answered(user: User) -> None:
    session = user.create(id="s1")
    user.send(session, "/question")
    (action,) = user.pending(session)
    assert (action.type, action.prompt, action.options) == ("question", "Which colour?", ("red", "green"))
    user.answer(session, Reply(action, "red"))
    assert user.types_of(session)[-1] == "completed"


@cassette("adk/recorded/failures.yaml")
def test_failures_are_stored(user: User) -> None:
    session = user.create(id="s1")
    user.send(session, "/refuse")
    assert user.types_of(session)[-2:] == ["error", "failed"]
    user.send(session, "/boom")
    assert user.types_of(session)[-2:] == ["error", "failed"]
    user.send(session, "/cut")
    assert user.types_of(session)[-1] == "limit_reached"
    reasons = [each.native_reason for each in user.events(session) if isinstance(each, TurnEnded)]
    assert reasons == ["SAFETY", "ValueError", "MAX_TOKENS"]


@cassette("adk/recorded/silence.yaml")
def test_an_agent_that_says_nothing_completes_without_a_message(user: User) -> None:
    session, quiet = user.create(id="s1"), user.create(agent="quiet", id="s1")
    user.send(session, "/empty")
    assert user.types_of(session) == ["turn.started", "message.completed", "completed"]
    user.send(quiet, "hello")
    assert user.types_of(quiet) == ["turn.started", "message.completed", "raw"]


@cassette("adk/recorded/agents_in_turn.yaml")
def test_each_agent_has_its_messages(user: User) -> None:
    session = user.create(agent="crew", id="s1")
    user.send(session, "/transfer line")
    said = [each for each in user.events(session) if isinstance(each, MessageCompleted) and each.author]
    assert sorted(str(each.author) for each in said) == ["first", "left", "right"]
    assert user.types_of(session)[-1] == "completed"


@cassette("adk/recorded/artifact.yaml")
def test_an_artifact_is_one_result_and_stays_raw(user: User) -> None:
    session = user.create(id="s1")
    user.send(session, "/note hello")
    assert user.types_of(session) == [
        *["turn.started", "message.completed", "tool_call.completed", "usage", "tool_result.completed", "raw"],
        *["message.completed", "usage", "completed"],
    ]


@cassette("adk/recorded/media.yaml")
def test_media_keep_their_bytes(user: User) -> None:
    content = base64.b64encode(b"\x89PNG\xfb\xff").decode()
    picture = MediaBlock(type="image", data=content, media_type="image/png")
    link = MediaBlock(type="document", url="https://files.example/a.pdf", media_type="application/pdf")
    session = user.create(id="s1")
    user.send(session, [TextBlock(text="/picture"), picture, link])
    sent_message, got = user.do(lambda client: client.sessions.messages(session))
    assert sent_message.content[1:] == (picture, link)
    assert got.content == (picture,)


@cassette("adk/recorded/refusals.yaml")
def test_refusals_are_read_without_paths_of_the_server(user: User) -> None:
    with pytest.raises(NotFound, match="Session not found"):
        user.do(lambda client: client.sessions.get("none"))
    with pytest.raises(NotFound, match="Session not found: none"):
        user.do(lambda client: client.sessions.send("none", "hello"))
    with pytest.raises(NotFound) as caught:
        user.do(lambda client: client.sessions.send(SessionRef("s1", agent_id="nope"), "hello"))
    assert caught.value.message.endswith("Agent not found: 'nope'.")
    with pytest.raises(InvalidRequest, match=r"body\.stateDelta: Input should be"):
        user.do(lambda client: client.request("PATCH", f"/apps/a/users/{user.id}/sessions/s", json={"stateDelta": 5}))


@cassette("adk/recorded/restored.yaml")
def test_an_earlier_conversation_is_restored(user: User) -> None:
    events = [
        {"author": "user", "invocationId": "e-1", "content": {"parts": [{"text": "hi"}]}},
        {"author": "assistant", "invocationId": "e-1", "content": {"parts": [{"text": "yo"}]}},
    ]
    session = user.create(id="s1", native=AdkNewSession(events=events))
    assert user.types_of(session) == ["turn.started", "message.completed", "message.completed", Outcome.COMPLETED.value]
    assert [each.text for each in user.do(lambda client: client.sessions.messages(session))] == ["hi", "yo"]
