"""Sessions, messages and events, as Everruns' real engine answered."""

from __future__ import annotations

from typing import Any

import pytest

from live.sources import ENGINE_KEY, Source
from polysession import (
    AuthenticationFailed,
    CancelState,
    InvalidRequest,
    MediaBlock,
    MessageCompleted,
    NotFound,
    PolysessionError,
    Role,
    SessionStatus,
    TextBlock,
    TurnEnded,
)
from polysession_everruns import EverrunsNewSession
from support.client_runners import ClientRunner
from support.everruns_caller import Caller, problem
from tools.recordings.cassettes import cassette

pytestmark = pytest.mark.filterwarnings("ignore:.*clear text:polysession.ClearTextWarning")
"""The recorded engine has no TLS, and its address is a name that stands for it."""

UNKNOWN = "session_00000000000000000000000000000000"


@pytest.fixture
def caller(source: Source, runner: ClientRunner) -> Caller:
    return Caller(source, runner)


def sequences(answer: Any) -> list[int]:
    return [event["sequence"] for event in answer.json()["data"]]


@cassette("everruns/recorded/session.yaml")
def test_a_session_is_created_and_read(caller: Caller) -> None:
    session = caller.create("storyteller", title="Ticket 42", tags=["red", "blue"])
    assert session.id.startswith("session_")
    assert session.model_dump(include={"title", "tags", "status", "native_status", "organization_id", "usage"}) == {
        "title": "Ticket 42",
        "tags": ("red", "blue"),
        "status": SessionStatus.IDLE,
        "native_status": "idle",
        "organization_id": "org_00000000000000000000000000000000",
        "usage": None,
    }
    assert session.created_at is not None
    assert session.created_at == session.updated_at
    assert caller.do(lambda client: client.sessions.get(session)) == session
    # A session of the engine has no event before its first turn.
    assert caller.do(lambda client: client.sessions.events(session)) == []


@cassette("everruns/recorded/turn.yaml")
def test_a_message_starts_a_turn_that_is_read_afterwards(caller: Caller) -> None:
    session = caller.create()
    caller.tell(session, "hello")
    assert caller.wait(session).updated_at > session.updated_at  # type: ignore[operator]
    events = caller.do(lambda client: client.sessions.events(session))
    assert [event.native_type for event in events] == [
        "input.message",
        "session.started",
        "session.activated",
        "turn.started",
        "reason.started",
        "capability.usage",
        "output.message.started",
        "llm.generation",
        "output.message.completed",
        "reason.completed",
        "turn.completed",
        "session.idled",
        "session.idled",
    ]
    said = [event.message for event in events if isinstance(event, MessageCompleted)]
    assert [(message.role, message.text) for message in said] == [(Role.USER, "hello"), (Role.ASSISTANT, "Echo: hello")]
    (end,) = [event for event in events if isinstance(event, TurnEnded)]
    assert end.outcome == "completed"
    assert end.usage == said[1].usage
    # By pages: each one asks for all that follows.
    pages = caller.do(lambda client: client.sessions.events(session, page_size=5))
    assert [event.sequence for event in pages] == [event.sequence for event in events]
    assert caller.do(lambda client: client.sessions.pending_actions(session)) == ()


@cassette("everruns/recorded/event_queries.yaml")
def test_events_are_asked_for_in_every_way(caller: Caller) -> None:
    session = caller.create()
    caller.tell(session)
    caller.wait(session)

    def events(**query: Any) -> Any:
        return caller.ask("GET", f"/v1/sessions/{session.id}/events", **query)

    everything = events().json()["data"]
    total = len(everything)
    assert sequences(events()) == list(range(1, total + 1))
    assert sequences(events(limit=2)) == [total - 1, total]
    assert sequences(events(after_sequence=total - 1)) == [total]
    assert sequences(events(after_sequence=total)) == []
    assert sequences(events(before_sequence=3)) == [1, 2]
    assert sequences(events(limit=1, before_sequence=3)) == [2]
    assert sequences(events(since_id=everything[-3]["id"])) == [total - 1, total]
    assert sequences(events(types=["turn.started", "turn.completed"])) == [4, total - 1]
    assert sequences(events(types="no.such.type")) == []
    assert sequences(events(exclude="input.message")) == list(range(2, total + 1))
    problems = "application/problem+json"
    assert problem(events(limit=0)) == (400, problems, "limit must be between 1 and 1000")
    assert problem(events(since_id="x")) == (400, problems, 'invalid since_id "x"')
    unknown = f"event_{'0' * 32}"
    assert problem(events(since_id=unknown)) == (400, problems, "event cursor does not belong to this session")
    status, kind, text = problem(events(limit="x"))
    assert (status, kind) == (400, "text/plain; charset=utf-8")
    assert text == "Failed to deserialize query string: limit: invalid digit found in string"


@cassette("everruns/recorded/cancel.yaml")
def test_a_turn_is_cancelled(caller: Caller) -> None:
    session = caller.create("slow")
    cancelled = caller.do(lambda client: client.sessions.cancel(session))
    assert (cancelled.state, cancelled.raw["message"]) == (CancelState.NOTHING_RUNNING, "No turn was running")
    caller.tell(session)
    assert caller.wait(session, SessionStatus.RUNNING).native_status == "active"
    cancelled = caller.do(lambda client: client.sessions.cancel(session))
    assert cancelled.raw == {"status": "accepted", "message": "Cancellation requested"}
    assert cancelled.state is CancelState.REQUESTED
    caller.wait(session)
    events = caller.do(lambda client: client.sessions.events(session))
    assert [event.native_type for event in events][-3:] == ["turn.cancelled", "input.message", "session.idled"]
    (end,) = [event for event in events if isinstance(event, TurnEnded)]
    assert (end.outcome, end.native_reason) == ("cancelled", "User requested cancellation")


@cassette("everruns/recorded/not_found.yaml")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_not_there_is_said_to_be_so(caller: Caller) -> None:
    uses = (
        lambda client, id_: client.sessions.get(id_),
        lambda client, id_: client.sessions.send(id_, "hello"),
        lambda client, id_: client.sessions.events(id_),
        lambda client, id_: client.sessions.cancel(id_),
    )
    for id_, text in ((UNKNOWN, f"Session not found: {UNKNOWN}"), ("session_1", "session session_1 not found")):
        for use in uses:
            error = refusal(caller, lambda client, use=use, id_=id_: use(client, id_))
            assert isinstance(error, NotFound)
            assert text in str(error)
    error = refusal(caller, lambda client: client.sessions.create(native=EverrunsNewSession(agent_name="nobody")))
    assert isinstance(error, NotFound)
    assert "agent nobody not found" in str(error)


@cassette("everruns/recorded/no_such_route.yaml")
def test_what_the_engine_does_not_serve_is_an_error_that_says_so(caller: Caller) -> None:
    session = caller.create()
    uses = {
        "sessions.list": lambda client: client.sessions.list(),
        "sessions.update": lambda client: client.sessions.update(session, title="Done"),
        "sessions.delete": lambda client: client.sessions.delete(session),
        "sessions.messages": lambda client: client.sessions.messages(session),
    }
    for operation, use in uses.items():
        error = refusal(caller, use)
        assert (error.operation, error.status) == (operation, 405)
    error = refusal(caller, lambda client: client.agents.list())
    assert isinstance(error, NotFound)


@cassette("everruns/recorded/bad_input.yaml")
def test_bad_input_is_refused(caller: Caller) -> None:
    session = caller.create()
    error = refusal(
        caller, lambda client: client.sessions.send(session, [MediaBlock(type="image", url="https://a.test/b.png")])
    )
    assert isinstance(error, InvalidRequest)
    assert 'unsupported content part "image"; serve accepts text parts only' in str(error)
    error = refusal(caller, lambda client: client.sessions.send(session, [TextBlock(text=" ")]))
    assert isinstance(error, InvalidRequest)
    assert "message has no text" in str(error)
    messages = f"/v1/sessions/{session.id}/messages"
    plain = "text/plain; charset=utf-8"
    agent_says = {"message": {"role": "agent", "content": [{"type": "text", "text": "x"}]}}
    assert problem(caller.ask("POST", messages, agent_says)) == (
        400,
        "application/problem+json",
        "only user messages can be created",
    )
    assert problem(caller.ask("POST", messages, {})) == (
        422,
        plain,
        "Failed to deserialize the JSON body into the target type: missing field `message` at line 1 column 2",
    )
    assert problem(caller.ask("POST", "/v1/sessions", "{")) == (
        400,
        plain,
        "Failed to parse the request body as JSON: EOF while parsing an object at line 1 column 1",
    )
    status, kind, text = problem(caller.ask("POST", "/v1/sessions", {"tags": "x"}))
    assert (status, kind) == (422, plain)
    assert 'tags: invalid type: string "x", expected a sequence' in text


@cassette("everruns/recorded/keys.yaml")
def test_an_engine_that_asks_for_a_key_takes_it_as_a_bearer_alone(caller: Caller) -> None:
    for api_key in ("Bearer of-another-lock", ENGINE_KEY):
        error = refusal(caller.locked_out(api_key), lambda client: client.sessions.create())
        assert isinstance(error, AuthenticationFailed)
        assert "a valid bearer credential is required" in str(error)
    assert caller.locked_out(f"Bearer {ENGINE_KEY}").create().native_status == "idle"


def refusal(caller: Caller, use: Any) -> PolysessionError:
    with pytest.raises(PolysessionError) as caught:
        caller.do(use)
    return caught.value
