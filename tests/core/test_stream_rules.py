"""Rules of live streams that both clients keep, over loopback servers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from polysession._core import sse
from polysession._core.retry import RetryPolicy
from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.errors import (
    AuthenticationFailed,
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    PolysessionError,
    StreamInterrupted,
    UsageError,
)
from polysession.event import Outcome, TurnEnded
from polysession.observing import hookimpl
from polysession.provider_api import Finished, Head, Items, Reconcile, Reopen
from polysession.testing.fault_server import http
from support.acme import TOKEN
from support.acme_streams import AcmeStream, frame
from support.stream_runners import (
    ASYNC,
    END,
    HELLO,
    ONE_TURN,
    QUICK,
    START,
    SYNC,
    TURN,
    WORLD,
    Interrupted,
    StreamRunner,
    acme_streams,
    both_stream_runners,
    follow,
    interrupting,
    lasting,
    no_leaks,
    run_to_the_end,
    text_of,
)
from support.stream_server import AFTER_INPUT, Stream, StreamServer, stream

__all__ = ["acme_streams", "no_leaks"]

pytestmark = pytest.mark.usefixtures("acme_streams", "no_leaks")


# --- Two waits, two limits


@both_stream_runners
def test_a_slow_head_is_waited_for_as_long_as_the_client_says(
    stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AcmeStream, "silence_s", 0.2)
    monkeypatch.setattr(AcmeStream, "quiet_s", 0.1)
    with StreamServer(Stream((START, HELLO, WORLD, END), head_after_s=0.6)) as server:
        assert stream_runner.play(server.url, run_to_the_end, timeout=60) == TURN

    assert [target for target in server.targets if "stream" in target] == ["GET /sessions/s1/stream"]


@both_stream_runners
def test_a_head_that_is_too_slow_for_the_client_is_a_failure(stream_runner: StreamRunner) -> None:
    with StreamServer(Stream((START,), head_after_s=0.5)) as server, lasting(0.3):
        error = stream_runner.failure(server.url, follow, timeout=0.2, retry=RetryPolicy(attempts=2, first_wait_s=0))

    assert "no response in time" in error.message
    assert len(server.targets) == 2


@both_stream_runners
def test_a_silence_is_asked_about_while_the_turn_runs(
    stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(AcmeStream, "quiet_s", 0.1)
    monkeypatch.setattr(AcmeStream, "quiet", lambda _, for_s: [asked.append(for_s)][1:])  # type: ignore[func-returns-value]
    first = stream(AFTER_INPUT, START, 0.5, HELLO, WORLD, END)
    with StreamServer(first, stream(0.5, HELLO, WORLD, END)) as server:
        assert stream_runner.play(server.url, run_to_the_end, retry=None) == TURN

    assert asked
    assert asked[0] >= 0.09
    openings = sum("GET" in target for target in server.targets)
    assert openings == 1 if stream_runner is ASYNC else openings > 1


# --- Refusals and cursors


@both_stream_runners
@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, InvalidRequest),
        (401, AuthenticationFailed),
        (403, PermissionDenied),
        (404, NotFound),
        (409, Conflict),
    ],
)
def test_a_refused_reopening_has_the_class_of_the_refusal_and_the_cursor(
    stream_runner: StreamRunner, status: int, error_class: type[PolysessionError]
) -> None:
    with StreamServer(stream(START, HELLO, end="drop"), http(status)) as server:
        error = stream_runner.failure(server.url, follow)

    assert type(error) is error_class
    assert (error.cursor, error.events_seen) == ("2", 2)


@both_stream_runners
@pytest.mark.parametrize("status", [400, 404])
def test_a_plan_may_recover_from_a_refused_reopening(
    stream_runner: StreamRunner, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks elsewhere, and asks for another connection; nothing from it ends the stream in the error."""
    refused: list[PolysessionError] = []

    def on_refusal(_: AcmeStream, error: PolysessionError) -> Items:
        refused.append(error)
        return (Reconcile(), Reopen())

    monkeypatch.setattr(AcmeStream, "on_refusal", on_refusal)
    first, rest = stream(AFTER_INPUT, START, HELLO, end="drop"), stream(WORLD, END)
    replies = (http(200, "{}"), http(200, '{"id": "s1", "title": "at work"}'))
    with StreamServer(first, http(status), rest, replies=replies) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN

    assert [error.status for error in refused] == [status]
    assert server.targets.count("GET /sessions/s1") == 1


@both_stream_runners
def test_a_plan_may_finish_at_a_refused_reopening(stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    over = TurnEnded(session_id="s1", outcome=Outcome.FAILED)
    monkeypatch.setattr(AcmeStream, "on_refusal", lambda *_: (over, Finished()))
    with StreamServer(stream(AFTER_INPUT, START, end="drop"), http(404)) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]


@both_stream_runners
def test_a_plan_sees_the_head_of_each_connection(stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, str, bool]] = []

    def opened(_: AcmeStream, head: Head, *, again: bool) -> Items:
        seen.append((head.status, head.headers["Content-Type"].partition(";")[0], again))
        return ()

    monkeypatch.setattr(AcmeStream, "opened", opened)
    with StreamServer(stream(AFTER_INPUT, START, HELLO, end="drop"), stream(WORLD, END)) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN

    assert seen == [(200, "text/event-stream", False), (200, "text/event-stream", True)]


@both_stream_runners
def test_a_deadline_has_the_cursor(stream_runner: StreamRunner) -> None:
    async def run(sessions: Any) -> None:
        async with sessions.run("s1", "hi", deadline_s=0.4) as turn:
            await turn.wait()

    with StreamServer(stream(AFTER_INPUT, START, HELLO)) as server:
        error = stream_runner.failure(server.url, run)

    assert isinstance(error, DeadlineExceeded)
    assert (error.cursor, error.events_seen) == ("2", 2)


@both_stream_runners
def test_an_event_that_is_too_large_has_a_cursor_and_a_way_out(
    stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse.SseDecoder.__init__, "__defaults__", (10_000,))
    with StreamServer(stream(START, HELLO, frame(3, "say", "x" * 20_000))) as server:
        error = stream_runner.failure(server.url, follow)

    assert isinstance(error, MalformedResponse)
    assert "sessions.messages" in error.message
    assert (error.cursor, error.events_seen) == ("2", 2)


# --- Waits


@both_stream_runners
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_a_lower_bound_within_the_policy(stream_runner: StreamRunner, status: int) -> None:
    refusals = [http(status, retry_after="3600"), http(status, retry_after="0")]
    with StreamServer(stream(START, end="drop"), *refusals, stream(frame(9, "gone"))) as server, lasting(0.4):
        stream_runner.play(server.url, follow, retry=RetryPolicy(first_wait_s=0.0, max_wait_s=0.4))


@both_stream_runners
def test_a_policys_deadline_ends_an_outage(stream_runner: StreamRunner) -> None:
    policy = RetryPolicy(attempts=1000, first_wait_s=0.05, max_wait_s=0.1, deadline_s=0.6)
    with StreamServer(stream(START, end="close"), stream(end="close")) as server, lasting(0.4):
        assert isinstance(stream_runner.failure(server.url, follow, retry=policy), StreamInterrupted)


@both_stream_runners
@pytest.mark.parametrize("retry", [None, QUICK], ids=["once", "quick"])
@pytest.mark.parametrize("script", [stream(START), Stream((START,), ping_s=0.05)], ids=["silence", "heartbeats"])
def test_both_clients_raise_the_same_at_a_deadline(
    stream_runner: StreamRunner, retry: RetryPolicy | None, script: Stream
) -> None:
    async def run(sessions: Any) -> None:
        async with sessions.run("s1", "hi", deadline_s=0.5) as turn:
            await turn.wait()

    with StreamServer(script) as server, lasting(0.45):
        assert type(stream_runner.failure(server.url, run, retry=retry)) is DeadlineExceeded


@both_stream_runners
@pytest.mark.parametrize("deadline_s", [float("inf"), 1e10])
def test_a_deadline_beyond_the_bound_is_none(stream_runner: StreamRunner, deadline_s: float) -> None:
    async def run(sessions: Any) -> list[str]:
        async with sessions.run("s1", "hi", deadline_s=deadline_s) as turn:
            return [text_of(event) async for event in turn]

    with StreamServer(ONE_TURN) as server:
        assert stream_runner.play(server.url, run) == TURN


# --- Reads that are interrupted


SLOW = stream(AFTER_INPUT, START, 0.15, HELLO, 0.15, WORLD, 0.15, END)


def test_a_cancelled_read_continues_on_the_same_connection() -> None:
    async def scenario(sessions: Any) -> tuple[list[str], int]:
        received: list[str] = []
        cancelled = 0
        async with sessions.run("s1", "hi") as turn:
            while not received or received[-1] != "turn.ended":
                try:
                    received.append(text_of(await asyncio.wait_for(anext(turn), 0.02)))
                except TimeoutError:
                    cancelled += 1
        return received, cancelled

    with StreamServer(SLOW) as server:
        received, cancelled = ASYNC.play(server.url, scenario)

    assert received == TURN
    assert cancelled > 5
    assert server.targets == ["GET /sessions/s1/stream", "POST /sessions/s1/messages"]


@pytest.mark.parametrize("retry_after", ["0.3", "0"])
def test_a_read_that_is_cancelled_in_a_reopening_continues_it(retry_after: str) -> None:
    async def scenario(sessions: Any) -> list[str]:
        received: list[str] = []
        async with sessions.run("s1", "hi") as turn:
            while not received or received[-1] != "turn.ended":
                with contextlib.suppress(TimeoutError):
                    received.append(text_of(await asyncio.wait_for(anext(turn), 0.02)))
        return received

    slow_head = Stream((HELLO, WORLD, END), head_after_s=0.3)
    refusal = http(503, retry_after=retry_after)
    with StreamServer(stream(AFTER_INPUT, START, end="drop"), refusal, slow_head) as server:
        assert ASYNC.play(server.url, scenario) == TURN

    assert sum("GET" in target for target in server.targets) == 3


def test_two_tasks_do_not_read_one_stream() -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            first = asyncio.create_task(anext(turn))
            await asyncio.sleep(0)
            with pytest.raises(UsageError, match="another task is reading"):
                await anext(turn)
            assert text_of(await first) == "turn.started"
            assert text_of(await anext(turn)) == "hello"

    with StreamServer(stream(AFTER_INPUT, 0.1, START, HELLO)) as server:
        ASYNC.play(server.url, scenario)


def test_an_interrupted_blocking_read_loses_nothing() -> None:
    received: list[str] = []
    interrupted = 0
    rest = stream(0.15, WORLD, 0.15, END)
    with (
        StreamServer(SLOW, rest) as server,
        interrupting(),
        Client("acme", base_url=server.url, token=TOKEN, retry=QUICK) as client,
        client.sessions.run("s1", "hi") as turn,
    ):
        signal.setitimer(signal.ITIMER_REAL, 0.22)
        while not received or received[-1] != "turn.ended":
            try:
                received += [text_of(event) for event in _one_by_one(turn)]
            except Interrupted:
                interrupted += 1

    assert interrupted == 1
    assert received.count("turn.started") == received.count("turn.ended") == 1


def _one_by_one(turn: Any) -> Iterator[Any]:
    event = next(turn, None)
    if event is not None:
        yield event


# --- Leaving


class Ends:
    def __init__(self) -> None:
        self.ends: list[tuple[Any, Any]] = []

    @hookimpl
    def polysession_turn_ended(self, turn: Any, result: Any, error: Any) -> None:  # noqa: ARG002
        self.ends.append((result, error))


def test_a_generator_around_a_turn_that_is_closed_early_leaves_it_without_an_error() -> None:
    ends = Ends()

    def texts(client: Client) -> Iterator[str]:
        with client.sessions.run("s1", "hi") as turn:
            for event in turn:
                yield text_of(event)

    with (
        StreamServer(ONE_TURN) as server,
        Client("acme", base_url=server.url, token=TOKEN, observers=[ends]) as client,
        contextlib.closing(texts(client)) as received,  # type: ignore[type-var]
    ):
        assert next(received) == "turn.started"
    assert ends.ends == [(None, None)]


def test_an_async_generator_around_a_turn_that_is_closed_early_leaves_it_without_an_error() -> None:
    ends = Ends()

    async def texts(client: AsyncClient) -> Any:
        async with client.sessions.run("s1", "hi") as turn:
            async for event in turn:
                yield text_of(event)

    async def run(url: str) -> None:
        async with (
            AsyncClient("acme", base_url=url, token=TOKEN, observers=[ends]) as client,
            contextlib.aclosing(texts(client)) as received,
        ):
            assert await anext(received) == "turn.started"

    with StreamServer(ONE_TURN) as server:
        asyncio.run(run(server.url))
    assert ends.ends == [(None, None)]


# --- Streams that may be silent for ever


@pytest.mark.parametrize(
    ("stream_runner", "options"),
    [(SYNC, {}), (ASYNC, {}), (ASYNC, {"http": "aiohttp"})],
    ids=["sync", "async", "aiohttp"],
)
def test_a_stream_without_a_limit_of_silence_is_kept_alive_by_tcp(
    stream_runner: StreamRunner, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AcmeStream, "silence_s", None)

    async def scenario(sessions: Any) -> bool:
        async with sessions.stream("s1") as events:
            await anext(events)
            response = events._response if stream_runner is not ASYNC else events._connection._response
            connection = response.extensions["network_stream"].get_extra_info("socket")
            return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    with StreamServer(stream(START)) as server:
        assert stream_runner.play(server.url, scenario, **options)
