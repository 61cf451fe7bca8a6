from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from polysession._drivers.async_stream import READ_AHEAD
from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.errors import (
    Conflict,
    ConnectError,
    ConnectionLost,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PolysessionError,
    ServerError,
    UnexpectedRedirect,
    UsageError,
)
from polysession.event import Outcome
from polysession.testing.fault_server import Answer, closed_port, http
from support.acme import TOKEN
from support.acme_streams import AcmeStream, frame
from support.stream_runners import (
    ASYNC,
    END,
    HELLO,
    ONE_TURN,
    QUICK,
    START,
    TURN,
    WORLD,
    AwaitedSessions,
    StreamRunner,
    acme_streams,
    both_stream_runners,
    no_leaks,
    run_to_the_end,
    text_of,
)
from support.stream_server import AFTER_INPUT, Stream, StreamServer, stream

__all__ = ["acme_streams", "no_leaks"]

pytestmark = pytest.mark.usefixtures("acme_streams", "no_leaks")


@both_stream_runners
def test_a_turn_is_followed_from_its_input_to_its_end(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> tuple[list[str], Any, str | None]:
        async with sessions.run("s1", "hi") as turn:
            events = [text_of(event) async for event in turn]
        return events, turn.result, turn.cursor

    with StreamServer(ONE_TURN) as server:
        events, result, cursor = stream_runner.play(server.url, scenario)
        assert server.saw_close()

    assert events == TURN
    assert (result.outcome, cursor) == (Outcome.COMPLETED, "4")
    assert server.targets == ["GET /sessions/s1/stream", "POST /sessions/s1/messages"]
    head = server.requests[0].decode().lower()
    assert "accept: text/event-stream\r\n" in head
    assert f"authorization: bearer {TOKEN}\r\n" in head
    assert server.requests[1].endswith(b'{"parts":1}')


class EmptyChunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a stream, with an empty chunk after each of its own."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            yield from (chunk, b"")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk
            yield b""

    def close(self) -> None:
        self._body.close()

    async def aclose(self) -> None:
        await self._body.aclose()


class WithEmptyChunks(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.stream = EmptyChunks(response.stream)
        return response


class AsyncWithEmptyChunks(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.stream = EmptyChunks(response.stream)
        return response


async def to_the_end_in_time(sessions: Any) -> list[str]:
    async with sessions.run("s1", "hi", deadline_s=30.0) as turn:
        return [text_of(event) async for event in turn]


@both_stream_runners
def test_an_empty_chunk_of_a_transport_is_not_the_end(stream_runner: StreamRunner) -> None:
    http_client: Any = (
        httpx.AsyncClient(transport=AsyncWithEmptyChunks())
        if stream_runner.awaited
        else httpx.Client(transport=WithEmptyChunks())
    )
    with StreamServer(stream(AFTER_INPUT, START, HELLO, WORLD, END)) as server:
        assert stream_runner.play(server.url, to_the_end_in_time, http_client=http_client) == TURN
        assert server.targets.count("GET /sessions/s1/stream") == 1
    if not stream_runner.awaited:
        http_client.close()


@both_stream_runners
def test_wait_reads_to_the_end_once_and_may_be_asked_again(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            with pytest.raises(UsageError, match="the turn has not ended") as caught:
                _ = turn.result
            assert caught.value.operation == "sessions.run"
            first = await turn.wait()
            assert [event async for event in turn] == []
            assert await turn.wait() is first
        assert await turn.wait() is first
        assert turn.result is first

    with StreamServer(ONE_TURN) as server:
        stream_runner.play(server.url, scenario)


class CallerFailed(Exception):  # noqa: N818
    pass


@both_stream_runners
@pytest.mark.parametrize("leave", ["break", "raise", "close"])
def test_leaving_early_closes_the_connection(stream_runner: StreamRunner, leave: str) -> None:
    async def leave_early(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            async for event in turn:
                if text_of(event) == "hello":
                    break
            if leave == "raise":
                raise CallerFailed
            if leave == "close":
                await turn.aclose()
                with pytest.raises(UsageError, match="this stream is not open"):
                    await anext(turn)

    async def scenario(sessions: Any) -> None:
        with contextlib.suppress(CallerFailed):
            await leave_early(sessions)
            assert leave != "raise"
        assert server.saw_close()

    with StreamServer(ONE_TURN) as server:
        stream_runner.play(server.url, scenario)


@both_stream_runners
def test_the_rest_of_a_chunk_is_not_lost_to_the_next_reader(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> tuple[str | None, list[str]]:
        async with sessions.stream("s1") as events:
            await anext(events)
            await anext(events)
        async with sessions.stream("s1", cursor=events.cursor) as rest:
            return events.cursor, [text_of(await anext(rest)) for _ in range(2)]

    with StreamServer(stream(START + HELLO + WORLD + END)) as server:
        assert stream_runner.play(server.url, scenario) == ("2", ["world", "turn.ended"])
    assert server.targets[1] == "GET /sessions/s1/stream?after=2"


@both_stream_runners
def test_a_loop_goes_on_where_the_last_one_stopped(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> list[str]:
        async with sessions.run("s1", "hi") as turn:
            received = []
            async for event in turn:
                received.append(text_of(event))
                break
            received.append(text_of(await anext(turn)))
            received += [text_of(event) async for event in turn]
            return received + [text_of(event) async for event in turn]

    with StreamServer(ONE_TURN) as server:
        assert stream_runner.play(server.url, scenario) == TURN


@both_stream_runners
def test_who_closes_a_loop_does_not_see_the_events_end(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            loop = aiter(turn)
            await anext(loop)
            await loop.aclose()
            with pytest.raises(UsageError, match="this stream is not open"):
                await anext(turn)
            with pytest.raises(UsageError, match="this stream is not open"):
                [event async for event in turn]

    with StreamServer(ONE_TURN) as server:
        stream_runner.play(server.url, scenario)


@both_stream_runners
def test_a_loop_that_closes_its_stream_ends(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> list[str]:
        received = []
        async with sessions.run("s1", "hi") as turn:
            async for event in turn:
                received.append(text_of(event))
                await turn.aclose()
        return received

    with StreamServer(ONE_TURN) as server:
        assert stream_runner.play(server.url, scenario) == TURN[:1]
        assert server.saw_close()


@both_stream_runners
def test_an_interrupt_from_the_keyboard_closes_the_connection(stream_runner: StreamRunner) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    async def scenario(sessions: Any) -> None:
        async with sessions.run("s1", "hi") as turn:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            await turn.wait()

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with StreamServer(stream(START)) as server:
            with pytest.raises(KeyboardInterrupt):
                stream_runner.play(server.url, scenario)
            assert server.saw_close()
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("parts", [(START,), ()], ids=["while it reads", "before the first event"])
def test_a_cancelled_task_closes_the_connection(parts: tuple[bytes, ...]) -> None:
    async def scenario(sessions: Any) -> None:
        task = asyncio.create_task(run_to_the_end(sessions))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.saw_close()

    with StreamServer(stream(*parts)) as server:
        ASYNC.play(server.url, scenario)


def test_a_pause_of_the_caller_is_no_silence_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AcmeStream, "silence_s", 0.2)
    more = [frame(number, "say", "more") for number in range(2, 2 + 3 * READ_AHEAD)]

    async def scenario(sessions: Any) -> int:
        async with sessions.run("s1", "hi") as turn:
            await anext(turn)
            await asyncio.sleep(0.5)
            return len([event async for event in turn])

    with StreamServer(stream(AFTER_INPUT, START, *more, frame(99, "end"))) as server:
        assert ASYNC.play(server.url, scenario) == len(more) + 1
        assert sum("GET" in target for target in server.targets) == 1


def test_a_timeout_of_the_caller_comes_through() -> None:
    async def read(sessions: Any) -> None:
        async with asyncio.timeout(None) as limit, sessions.run("s1", "hi", deadline_s=30) as turn:
            await anext(turn)  # the stream is open
            limit.reschedule(0.0)
            await turn.wait()

    async def scenario(sessions: Any) -> None:
        with pytest.raises(TimeoutError):
            await read(sessions)

    with StreamServer(stream(START)) as server:
        ASYNC.play(server.url, scenario)
        assert server.saw_close()


@both_stream_runners
@pytest.mark.parametrize(
    ("answer", "error_class", "message"),
    [
        (http(404, '{"message": "no such session"}'), NotFound, "no such session"),
        (http(422), InvalidRequest, "without giving a reason"),
        (http(302, location="http://127.0.0.1:9/"), UnexpectedRedirect, "redirects to"),
        (http(503), ServerError, "failed"),
        (http(503, "<html><title>Down</title></html>", content_type="text/html"), ServerError, 'titled "Down"'),
        (
            http(200, "<html></html>", content_type="text/html"),
            MalformedResponse,
            "text/html instead of an event stream",
        ),
        (
            http(200, "{}", content_type="application/json"),
            MalformedResponse,
            "application/json instead of an event stream",
        ),
        (http(204), MalformedResponse, "nothing instead of an event stream"),
        (Stream((b"<html>",), content_type="text/html"), MalformedResponse, "text/html instead of an event stream"),
        (Answer(b"SSH-2.0\r\n"), ConnectionLost, "not valid HTTP"),
    ],
    ids=["404", "422", "302", "503", "503 page", "page", "JSON", "204", "endless page", "not HTTP"],
)
def test_a_stream_that_is_refused_sends_no_input(
    stream_runner: StreamRunner, answer: Stream | Answer, error_class: type[PolysessionError], message: str
) -> None:
    with StreamServer(answer) as server:
        error = stream_runner.failure(server.url, run_to_the_end)

    assert type(error) is error_class
    assert message in error.message
    assert (error.operation, error.outcome_unknown) == ("sessions.run", False)
    attempts = QUICK.attempts if error.retryable else 1
    assert server.targets == ["GET /sessions/s1/stream"] * attempts


@both_stream_runners
def test_a_stream_that_cannot_be_opened_at_first_is_tried_again(stream_runner: StreamRunner) -> None:
    script = stream(AFTER_INPUT, START, HELLO, WORLD, END)
    with StreamServer(http(503), http(429, retry_after="0"), script) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN

    assert [target for target in server.targets if "POST" in target] == ["POST /sessions/s1/messages"]


@both_stream_runners
def test_a_stream_to_nowhere_is_told(stream_runner: StreamRunner) -> None:
    error = stream_runner.failure(closed_port(), run_to_the_end)

    assert type(error) is ConnectError
    assert "May" not in str(error)
    assert not error.outcome_unknown
    assert error.attempts == QUICK.attempts


@both_stream_runners
@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream;charset=UTF-8"])
def test_the_content_type_is_read_as_http_says(stream_runner: StreamRunner, content_type: str) -> None:
    with StreamServer(Stream((AFTER_INPUT, START, END), content_type=content_type)) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]


@both_stream_runners
def test_an_input_that_is_refused_closes_the_stream(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        with pytest.raises(Conflict, match=r"acme sessions\.run: busy"):
            await run_to_the_end(sessions)
        assert server.saw_close()

    with StreamServer(ONE_TURN, replies=(http(409, '{"message": "busy"}'),)) as server:
        stream_runner.play(server.url, scenario)

    assert len(server.targets) == 2


@both_stream_runners
def test_a_frame_that_cannot_be_read_is_told_after_what_came_before(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.stream("s1") as events:
            assert text_of(await anext(events)) == "turn.started"
            with pytest.raises(MalformedResponse, match="a frame has no id") as caught:
                await anext(events)
            assert caught.value.operation == "sessions.stream"
            assert events.cursor == "1"
            with pytest.raises(UsageError, match="this stream is not open"):
                await anext(events)
            assert server.saw_close()

    with StreamServer(stream(START + b"data: {}\n\n")) as server:
        stream_runner.play(server.url, scenario)


@both_stream_runners
def test_a_compressed_stream_is_read(stream_runner: StreamRunner) -> None:
    made = gzip.compress(START + HELLO + WORLD + END)
    parts = [made[start : start + 7] for start in range(0, len(made), 7)]
    script = Stream((AFTER_INPUT, *parts), head=(("content-encoding", "gzip"),))

    with StreamServer(script) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN


@both_stream_runners
def test_a_compressed_stream_that_is_damaged_is_opened_again(stream_runner: StreamRunner) -> None:
    damaged = Stream((AFTER_INPUT, b"\x1f\x8bgarbage"), head=(("content-encoding", "gzip"),))
    cut = Stream((AFTER_INPUT, gzip.compress(START)[:-4]), "close", head=(("content-encoding", "gzip"),))

    with StreamServer(damaged, cut, ONE_TURN) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN


@both_stream_runners
def test_a_stream_that_is_compressed_in_an_unknown_way_is_refused_and_closed(stream_runner: StreamRunner) -> None:
    script = Stream((START,), head=(("content-encoding", "br"),))

    with StreamServer(script) as server:
        error = stream_runner.failure(server.url, run_to_the_end)
        assert server.saw_close()

    assert isinstance(error, MalformedResponse)
    assert "only gzip, deflate are supported" in error.message


@both_stream_runners
@pytest.mark.parametrize("failing", [False, True], ids=["after a good run", "after a failure"])
def test_a_stream_is_opened_once(stream_runner: StreamRunner, *, failing: bool) -> None:
    async def scenario(sessions: Any) -> None:
        events = sessions.stream("s1")
        with contextlib.suppress(NotFound):
            async with events:
                pass
        async with events:
            pass

    with StreamServer(http(404) if failing else stream()) as server:
        error = stream_runner.failure(server.url, scenario)

    assert type(error) is UsageError
    assert "already opened" in error.message
    assert len(server.targets) == 1


@both_stream_runners
def test_a_stream_is_opened_by_with(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        events = sessions.stream("s1")
        assert events.cursor is None
        await events.aclose()
        await anext(events)

    assert "this stream is not open" in stream_runner.failure("http://127.0.0.1:9", scenario).message


@both_stream_runners
def test_an_http_client_of_the_callers_own_is_used_and_stays_open(stream_runner: StreamRunner) -> None:
    async def scenario(own: Any, sessions: Any) -> None:
        assert await run_to_the_end(sessions) == TURN
        assert not own.is_closed

    async def with_client_of_its_own(_: Any) -> None:
        limits = httpx.Limits(max_connections=2)
        options: dict[str, Any] = {"base_url": server.url, "token": TOKEN}
        if stream_runner.awaited:
            async with httpx.AsyncClient(trust_env=False, limits=limits) as own:
                client = AsyncClient("acme", http_client=own, **options)
                for _ in range(3):
                    await scenario(own, client.sessions)
        else:
            with httpx.Client(trust_env=False, limits=limits) as own:
                for _ in range(3):
                    await scenario(own, AwaitedSessions(Client("acme", http_client=own, **options)))

    with StreamServer(ONE_TURN) as server:
        stream_runner.play(server.url, with_client_of_its_own)
        assert server.saw_close(3)


def test_many_turns_at_once_on_one_client() -> None:
    async def scenario(sessions: Any) -> list[list[str]]:
        return await asyncio.gather(*(run_to_the_end(sessions) for _ in range(120)))

    with StreamServer(stream(AFTER_INPUT, START, 0.5, HELLO, WORLD, END)) as server:
        assert ASYNC.play(server.url, scenario) == [TURN] * 120
        assert server.saw_close(120)


@both_stream_runners
def test_an_error_of_a_plan_closes_the_stream(stream_runner: StreamRunner) -> None:
    """It would otherwise continue after the events that were lost with it."""

    async def scenario(sessions: Any) -> list[str]:
        async with sessions.stream("s1") as events:
            with pytest.raises(json.JSONDecodeError):
                async for _ in events:
                    pass
            with pytest.raises(UsageError, match="this stream is not open"):
                await anext(events)
        return []

    with StreamServer(stream(START + b"id: 2\ndata: {\n\n" + HELLO)) as server:
        stream_runner.play(server.url, scenario)
