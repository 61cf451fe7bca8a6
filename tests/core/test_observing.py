"""Observers and the log: calls, events and turns, through both clients."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from polysession._core.exchange import Exchange
from polysession._core.flow import Call
from polysession._drivers.observation import Observation
from polysession.client import Client
from polysession.errors import ConnectError, ConnectionLost, PolysessionError, ServerError, UsageError
from polysession.event import Event, Outcome
from polysession.message import TextBlock
from polysession.observing import Observers, RequestSent, ResponseReceived, TurnWatched, hookimpl
from polysession.session import ModelConfig, Session
from polysession.testing.fault_server import closed_port, http
from support.acme import TOKEN, AcmeProvider, AcmeSettings
from support.client_runners import ClientRunner, both_runners
from support.scripted import Script
from support.stream_runners import (
    ASYNC,
    END,
    HELLO,
    ONE_TURN,
    QUICK,
    START,
    TURN,
    StreamRunner,
    acme_streams,
    both_stream_runners,
    no_leaks,
    run_to_the_end,
    text_of,
)
from support.stream_server import AFTER_INPUT, StreamServer, stream

__all__ = ["acme_streams", "no_leaks"]

pytestmark = pytest.mark.usefixtures("acme_streams", "no_leaks")


class Notes:
    """Writes down all hooks that are called."""

    def __init__(self) -> None:
        self.requests: list[RequestSent] = []
        self.responses: list[ResponseReceived] = []
        self.events: list[Event] = []
        self.turns: list[TurnWatched] = []
        self.ends: list[tuple[TurnWatched, Any, BaseException | None]] = []

    @hookimpl
    def polysession_before_request(self, request: RequestSent) -> None:
        assert len(self.responses) == len(self.requests)
        self.requests.append(request)

    @hookimpl
    def polysession_after_response(self, request: RequestSent, response: ResponseReceived) -> None:
        assert request is self.requests[-1]
        self.responses.append(response)

    @hookimpl
    def polysession_on_event(self, provider: str, event: Event) -> None:
        assert provider == "acme"
        self.events.append(event)

    @hookimpl
    def polysession_turn_started(self, turn: TurnWatched) -> None:
        self.turns.append(turn)

    @hookimpl
    def polysession_turn_ended(self, turn: TurnWatched, result: Any, error: BaseException | None) -> None:
        self.ends.append((turn, result, error))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@both_stream_runners
def test_a_turn_is_told_with_its_calls_and_events(stream_runner: StreamRunner, notes: Notes) -> None:
    with StreamServer(ONE_TURN) as server:
        received = stream_runner.play(server.url, run_to_the_end, observers=[notes])

    assert [text_of(event) for event in notes.events] == received == TURN
    assert [(one.provider, one.operation, one.method, one.attempt) for one in notes.requests] == [
        ("acme", "sessions.run", "GET", 1),
        ("acme", "sessions.run", "POST", 1),
    ]
    assert notes.requests[1].url == f"{server.url}/sessions/s1/messages"
    assert [one.status for one in notes.responses] == [200, 200]
    assert all(0 < one.elapsed_s < 5 and one.error is None for one in notes.responses)
    (turn,), ((ended, result, error),) = notes.turns, notes.ends
    assert ended is turn
    assert (turn.provider, turn.base_url, turn.session_id, turn.content) == ("acme", server.url, "s1", "hi")
    assert (result.outcome, error) == (Outcome.COMPLETED, None)
    assert "hi" not in repr(turn)


@both_stream_runners
def test_a_session_tells_its_agent_and_model(stream_runner: StreamRunner, notes: Notes) -> None:
    session = Session(provider="acme", id="s1", agent_id="a1", model=ModelConfig(id="m1"))

    async def run(sessions: Any) -> None:
        async with sessions.run(session, [TextBlock(text="hi")]) as turn:
            await turn.wait()

    with StreamServer(ONE_TURN) as server:
        stream_runner.play(server.url, run, observers=[notes])

    assert [(turn.session_id, turn.agent_id, turn.model) for turn in notes.turns] == [("s1", "a1", "m1")]


@both_stream_runners
def test_each_attempt_is_told(stream_runner: StreamRunner, notes: Notes) -> None:
    replies = (http(503, "{}"), http(200, "{}"))
    with StreamServer(stream(AFTER_INPUT, START, HELLO, end="drop"), stream(END), replies=replies) as server:
        failure = stream_runner.failure(server.url, run_to_the_end, observers=[notes])

    assert isinstance(failure, ServerError)  # a message is not sent twice
    assert [one.status for one in notes.responses] == [200, 503]
    assert notes.ends[0][2] is failure


@both_stream_runners
def test_no_answer_is_told_with_its_error_and_the_turn_ends(stream_runner: StreamRunner, notes: Notes) -> None:
    failure = stream_runner.failure(closed_port(), run_to_the_end, observers=[notes])

    assert isinstance(failure, ConnectError)
    assert {(one.status, type(one.error)) for one in notes.responses} == {(None, ConnectError)}
    assert [(result, error) for _, result, error in notes.ends] == [(None, failure)]


@both_stream_runners
def test_a_turn_that_fails_while_it_is_read_ends_once(stream_runner: StreamRunner, notes: Notes) -> None:
    async def run(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            with pytest.raises(PolysessionError):
                await turn.wait()

    with StreamServer(stream(AFTER_INPUT, START, b"data: {}\n\n")) as server:
        stream_runner.play(server.url, run, observers=[notes])

    assert [(result, type(error).__name__) for _, result, error in notes.ends] == [(None, "MalformedResponse")]


@both_stream_runners
def test_a_turn_that_is_left_early_ends_with_neither(stream_runner: StreamRunner, notes: Notes) -> None:
    async def run(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            async for _ in turn:
                break

    with StreamServer(stream(AFTER_INPUT, START, HELLO)) as server:
        stream_runner.play(server.url, run, observers=[notes])

    assert [(result, error) for _, result, error in notes.ends] == [(None, None)]


@both_stream_runners
@pytest.mark.parametrize("reads_on", [True, False])
def test_a_turn_that_is_closed_by_hand_ends_once(stream_runner: StreamRunner, notes: Notes, *, reads_on: bool) -> None:
    async def run(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            if reads_on:
                await turn.wait()
            await turn.aclose()
            assert len(notes.ends) == 1

    with StreamServer(ONE_TURN) as server:
        stream_runner.play(server.url, run, observers=[notes])

    ((_, result, error),) = notes.ends
    assert (result is not None, error) == (reads_on, None)


NOTES = Notes()


def test_a_task_that_is_cancelled_ends_the_turn(notes: Notes) -> None:
    async def run(sessions: Any) -> None:
        async with asyncio.timeout(0.2), sessions.run("s1", "hi") as turn:
            await turn.wait()

    with StreamServer(stream(AFTER_INPUT, START)) as server, pytest.raises(TimeoutError):
        ASYNC.play(server.url, run, observers=[notes])

    assert [(result, type(error)) for _, result, error in notes.ends] == [(None, asyncio.CancelledError)]


@both_stream_runners
def test_an_observer_that_fails_harms_nobody(stream_runner: StreamRunner, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        @hookimpl
        def polysession_on_event(self, event: Event) -> None:
            raise ValueError(f"private: {event}")

    with StreamServer(ONE_TURN) as server:
        assert stream_runner.play(server.url, run_to_the_end, observers=[Broken()]) == TURN

    assert {record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR} == {
        "an observer failed: ValueError"
    }


@both_stream_runners
def test_the_log_tells_calls_and_interruptions_and_no_secret(
    stream_runner: StreamRunner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "polysession")
    answers = (stream(AFTER_INPUT, START, HELLO, end="drop"), stream(END))
    with StreamServer(*answers) as server:
        stream_runner.play(server.url + f"/{TOKEN}", run_to_the_end)

    lines = [record.getMessage() for record in caplog.records if record.name == "polysession"]
    assert lines[0] == f"sessions.run: GET {server.url}/***/sessions/s1/stream, attempt 1"
    assert lines[1].startswith("sessions.run: 200 after 0.")
    assert any("the stream was interrupted (" in line and "reconnecting" in line for line in lines)
    assert TOKEN not in caplog.text


def test_a_retry_is_told_at_info(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "polysession")
    with (
        StreamServer(ONE_TURN, replies=(http(503, "{}"), http(200, '{"id": "s1"}'))) as server,
        Client("acme", base_url=server.url, token=TOKEN, retry=QUICK, observers=[notes]) as client,
    ):
        client.sessions.get("s1")

    assert [(one.attempt, two.status) for one, two in zip(notes.requests, notes.responses, strict=True)] == [
        (1, 503),
        (2, 200),
    ]
    lines = [record.getMessage() for record in caplog.records if record.name == "polysession"]
    assert [re.sub(r"\d\.\d+ s", "N s", line) for line in lines] == [
        "sessions.get: 503 after N s, request id None",
        f"sessions.get: GET {server.url}/sessions/s1, attempt 2",
    ]


STRANGE = f"\x1b[2J\u202e\x9b\r\nERROR {TOKEN}"


@both_runners
@pytest.mark.parametrize("failed", [httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError])
def test_what_an_http_library_quotes_is_told_in_a_line_and_without_secrets(
    runner: ClientRunner, failed: type[httpx.TransportError]
) -> None:
    received: list[str] = []

    class Early:
        @hookimpl
        def polysession_after_response(self, response: ResponseReceived) -> None:
            received.append(str(response.error))

    Script(failed(STRANGE)).failure(runner, lambda client: client.sessions.get("s1"), retry=None, observers=[Early()])

    assert len(received) == 1
    assert received[0].isprintable()
    assert TOKEN not in received[0]
    assert "ERROR ***" in received[0]


@pytest.fixture
def observation(notes: Notes) -> Observation:
    provider = AcmeProvider(AcmeSettings(base_url="http://127.0.0.1:9", token=SecretStr(TOKEN)))
    return Observation(provider, Exchange(provider), [notes])


def test_the_address_of_a_call_is_told_in_a_line(
    observation: Observation, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "polysession")
    observation.request("sessions.get", Call("GET", f"/{STRANGE}"))

    shown = r"http://127.0.0.1:9/\x1b[2J\u202e\x9b\r\nERROR ***"
    assert notes.requests == [RequestSent("acme", "sessions.get", "GET", shown)]
    assert caplog.messages == [f"sessions.get: GET {shown}, attempt 1"]


def test_why_a_stream_broke_is_told_in_a_line(observation: Observation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "polysession")
    observation.interrupted("sessions.stream", ConnectionLost(STRANGE, request_id="req_1"), 0.5)

    broke = r"the stream was interrupted (\x1b[2J\u202e\x9b\r\nERROR ***)"
    assert caplog.messages == [f"sessions.stream: {broke}, request id req_1; reconnecting in 0.50 s"]


def test_without_observers_nothing_is_watched() -> None:
    watching = Observers()

    assert vars(watching) == {
        "before_request": None,
        "after_response": None,
        "on_event": None,
        "stream_opened": None,
        "stream_closed": None,
        "turn_started": None,
        "turn_ended": None,
        "watch_requests": False,
    }


def test_a_mistaken_observer_is_refused() -> None:
    class Misspelt:
        @hookimpl
        def polysession_on_events(self, event: Event) -> None:
            """There is no such hook."""

    with pytest.raises(UsageError, match="implements no hook"):
        Observers([object()])
    with pytest.raises(UsageError, match="polysession_on_events"):
        Observers([Misspelt()])


@pytest.mark.parametrize(
    ("observers", "message"),
    [
        (Notes(), "observers must be a list of observers"),
        ("notes", "observers must be a list of observers"),
        ([Notes], "the observer Notes is a class; pass an instance of it"),
        ([NOTES, NOTES], "is given twice"),
        ([5], "implements no hook"),
    ],
)
def test_wrong_observers_are_refused_at_construction(observers: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Client("acme", token=TOKEN, observers=observers)
