from __future__ import annotations

from typing import Any

import pytest

from polysession._core.retry import RetryPolicy
from polysession.errors import DeadlineExceeded, UsageError
from polysession.event import Outcome
from polysession.testing.fault_server import Answer, http
from support.acme_streams import frame
from support.stream_runners import (
    ONE_TURN,
    START,
    StreamRunner,
    acme_streams,
    both_stream_runners,
    lasting,
    no_leaks,
    text_of,
)
from support.stream_server import AFTER_INPUT, Stream, StreamServer, stream

__all__ = ["acme_streams", "no_leaks"]

pytestmark = pytest.mark.usefixtures("acme_streams", "no_leaks")


DEADLINE_S = 0.6
SLOW = {
    "silence": stream(START),
    "comments": Stream((START,), ping_s=0.05),
    "comments, then silence": stream(START, 0.5, b": ping\n\n"),
    "events without an end": stream(START, *[part for n in range(2, 40) for part in (frame(n, "say", "x"), 0.05)]),
    "a silent reopening": stream(START, 0.1, end="drop"),
}


@both_stream_runners
@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_a_deadline_ends_the_wait_in_time(stream_runner: StreamRunner, script: Stream) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.run("s1", "hi", deadline_s=DEADLINE_S) as turn:
            await turn.wait()

    with StreamServer(script, stream()) as server, lasting(DEADLINE_S - 0.05):
        error = stream_runner.failure(server.url, scenario)

    assert type(error) is DeadlineExceeded
    assert str(error) == "acme sessions.run: the deadline of 0.6 seconds passed; the session may still be running"


@both_stream_runners
def test_a_deadline_holds_while_the_stream_is_opened(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.stream("s1", deadline_s=DEADLINE_S):
            pass

    with StreamServer(Stream((), head_after_s=1.0)) as server, lasting(DEADLINE_S - 0.05):
        assert type(stream_runner.failure(server.url, scenario)) is DeadlineExceeded


async def run_within(sessions: Any, deadline_s: float) -> list[str]:
    async with sessions.run("s1", "hi", deadline_s=deadline_s) as turn:
        return [text_of(event) async for event in turn]


@both_stream_runners
@pytest.mark.parametrize(
    "script", [Answer(b"", hold_s=5), Answer(b"HTTP/1.1 200 OK\r\n", hold_s=5)], ids=["at all", "whole"]
)
def test_a_deadline_holds_while_the_input_is_not_answered(stream_runner: StreamRunner, script: Answer) -> None:
    with StreamServer(ONE_TURN, replies=(script,)) as server, lasting(0.3):
        error = stream_runner.failure(server.url, lambda sessions: run_within(sessions, 0.3))

    assert isinstance(error, DeadlineExceeded)
    assert error.outcome_unknown
    assert "may have executed the request" in str(error)


@both_stream_runners
def test_a_deadline_leaves_no_time_for_a_long_wait_of_the_backend(stream_runner: StreamRunner) -> None:
    script = stream(AFTER_INPUT, START, frame(2, "quiet"), end="close")
    server = StreamServer(script, replies=(http(200, "{}"), http(429, retry_after="30")))
    with server, lasting(0.5):
        error = stream_runner.failure(server.url, lambda sessions: run_within(sessions, 0.5))

    assert isinstance(error, DeadlineExceeded)


@both_stream_runners
def test_a_deadline_cuts_the_wait_before_a_reopening_short(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.stream("s1", deadline_s=DEADLINE_S) as events:
            async for _ in events:
                pass

    with StreamServer(stream(START, end="drop")) as server, lasting(DEADLINE_S - 0.05):
        error = stream_runner.failure(server.url, scenario, retry=RetryPolicy(first_wait_s=30.0, max_wait_s=30.0))

    assert type(error) is DeadlineExceeded


@both_stream_runners
def test_after_the_deadline_the_events_do_not_merely_end(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.run("s1", "hi", deadline_s=0.2) as turn:
            with pytest.raises(DeadlineExceeded):
                await turn.wait()
            with pytest.raises(UsageError, match="this stream is not open"):
                await turn.wait()

    with StreamServer(stream(START)) as server:
        stream_runner.play(server.url, scenario)


@both_stream_runners
def test_a_deadline_in_the_future_changes_nothing(stream_runner: StreamRunner) -> None:
    async def scenario(sessions: Any) -> Any:
        async with sessions.run("s1", "hi", deadline_s=30) as turn:
            return await turn.wait()

    with StreamServer(ONE_TURN) as server:
        assert stream_runner.play(server.url, scenario).outcome is Outcome.COMPLETED


@both_stream_runners
@pytest.mark.parametrize("deadline_s", [0, -1, float("nan"), "5"])
def test_an_impossible_deadline_sends_nothing(stream_runner: StreamRunner, deadline_s: Any) -> None:
    async def scenario(sessions: Any) -> None:
        async with sessions.run("s1", "hi", deadline_s=deadline_s):
            pass

    with StreamServer(ONE_TURN) as server:
        error = stream_runner.failure(server.url, scenario)

    assert type(error) is UsageError
    assert error.message.startswith("deadline_s must be a number of seconds above zero")
    assert error.message.endswith(f"not {deadline_s!r}")
    assert server.targets == []
