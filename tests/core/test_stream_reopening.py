from __future__ import annotations

from typing import Any

import pytest

from polysession._core.retry import RetryPolicy
from polysession.errors import (
    ConnectError,
    ConnectionLost,
    NetworkTimeout,
    NotFound,
    PolysessionError,
    ServerError,
    StreamInterrupted,
)
from polysession.testing.fault_server import Answer, http
from support.acme_streams import AcmeStream, frame
from support.stream_runners import (
    END,
    HELLO,
    QUICK,
    START,
    TURN,
    WORLD,
    StreamRunner,
    acme_streams,
    both_stream_runners,
    follow,
    no_leaks,
    run_to_the_end,
)
from support.stream_server import AFTER_INPUT, Stream, StreamServer, stream

__all__ = ["acme_streams", "no_leaks"]

pytestmark = pytest.mark.usefixtures("acme_streams", "no_leaks")


@both_stream_runners
@pytest.mark.parametrize("end", ["drop", "reset", "close"])
@pytest.mark.parametrize("torn", [b"", WORLD[:-1], WORLD[:5]], ids=["between frames", "at the last byte", "in a frame"])
def test_a_broken_stream_goes_on_where_it_was(stream_runner: StreamRunner, end: Any, torn: bytes) -> None:
    first = stream(AFTER_INPUT, START + HELLO, *filter(None, [torn]), 0.05, end=end)
    with StreamServer(first, stream(HELLO + WORLD, END)) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN

    assert [target for target in server.targets if "GET" in target] == [
        "GET /sessions/s1/stream",
        "GET /sessions/s1/stream?after=2",
    ]
    assert sum("POST" in target for target in server.targets) == 1


REFUSALS = [
    pytest.param(http(503), ServerError, id="503"),
    pytest.param(http(500), ServerError, id="500"),
    pytest.param(Answer(b""), ConnectionLost, id="no answer"),
    pytest.param(Answer(b"", reset=True), ConnectionLost, id="reset"),
]


@both_stream_runners
@pytest.mark.parametrize(("refusal", "cause"), REFUSALS)
def test_a_stream_that_cannot_be_reopened_is_interrupted_and_says_where(
    stream_runner: StreamRunner, refusal: Answer, cause: type[PolysessionError]
) -> None:
    with StreamServer(stream(AFTER_INPUT, START + HELLO, 0.05, end="drop"), refusal) as server:
        error = stream_runner.failure(server.url, run_to_the_end)

    assert isinstance(error, StreamInterrupted)
    assert (error.cursor, error.events_seen, error.operation) == ("2", 2, "sessions.run")
    assert isinstance(error.__cause__, cause)
    assert len(server.targets) == 2 + QUICK.attempts - 1


@both_stream_runners
def test_an_address_that_is_gone_interrupts_the_stream(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(START, end="drop"), connections=1) as server:
        error = stream_runner.failure(server.url, follow)

    assert isinstance(error, StreamInterrupted)
    assert isinstance(error.__cause__, ConnectError)


@both_stream_runners
def test_a_failed_reopening_is_tried_again(stream_runner: StreamRunner) -> None:
    broken = stream(AFTER_INPUT, START, 0.05, end="drop")
    with StreamServer(broken, http(503), Answer(b""), stream(HELLO, WORLD, END)) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN


@both_stream_runners
def test_a_stream_that_ends_again_and_again_without_an_event_is_interrupted(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(START, end="close"), stream(end="close")) as server:
        error = stream_runner.failure(server.url, follow)

    assert isinstance(error, StreamInterrupted)
    assert (error.cursor, error.events_seen, error.__cause__) == ("1", 1, None)
    assert len(server.targets) == QUICK.attempts


@both_stream_runners
def test_an_announced_closing_is_no_failure(stream_runner: StreamRunner) -> None:
    closings = [
        stream(frame(number, "say", "x"), frame(number + 1, "closing"), end="close") for number in range(1, 15, 2)
    ]
    with StreamServer(*closings, stream(frame(15, "say", "hello"), frame(16, "gone"), end="close")) as server:
        assert stream_runner.play(server.url, follow) == [*"xxxxxxx", "hello"]


@both_stream_runners
def test_announced_closings_without_an_event_count(stream_runner: StreamRunner) -> None:
    closings = [stream(frame(number, "closing"), end="close") for number in range(1, 9)]
    with StreamServer(*closings) as server:
        assert isinstance(stream_runner.failure(server.url, follow), StreamInterrupted)

    assert len(server.targets) == QUICK.attempts


@both_stream_runners
def test_a_connection_that_brought_a_heartbeat_is_no_failure(stream_runner: StreamRunner) -> None:
    beating = [stream(b": ping\n\n", end="close")] * 6
    with StreamServer(*beating, stream(HELLO, frame(9, "gone"))) as server:
        received = stream_runner.play(server.url, follow, retry=RetryPolicy(first_wait_s=0.0, max_wait_s=0.1))

    assert received == ["hello"]


@both_stream_runners
def test_a_refusal_that_will_stay_is_not_tried_again(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(START, end="drop"), http(404)) as server:
        assert type(stream_runner.failure(server.url, follow)) is NotFound

    assert len(server.targets) == 2


@both_stream_runners
def test_a_silence_beyond_the_limit_is_a_break(stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AcmeStream, "silence_s", 0.2)
    with StreamServer(stream(AFTER_INPUT, START), Stream((0.15, HELLO, 0.15, WORLD, 0.15, END))) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN
        assert server.saw_close(2)


@both_stream_runners
def test_silence_without_end_interrupts_the_stream(
    stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AcmeStream, "silence_s", 0.1)
    with StreamServer(stream()) as server:
        error = stream_runner.failure(server.url, follow, retry=RetryPolicy(attempts=2, first_wait_s=0.0))
        assert server.saw_close(2)

    assert isinstance(error.__cause__, NetworkTimeout)
    assert error.message.endswith("could not be resumed: no data arrived for 0.1 s")


@both_stream_runners
def test_a_probe_finds_the_end_that_no_stream_tells(stream_runner: StreamRunner) -> None:
    script = stream(AFTER_INPUT, START, frame(2, "quiet"), 0.05, end="close")
    with StreamServer(
        script, replies=(http(200, "{}"), http(503), http(200, '{"id": "s1", "title": "done"}'))
    ) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]

    assert server.targets[2:] == ["GET /sessions/s1"] * 2


@both_stream_runners
def test_a_probe_may_be_due_while_the_stream_is_open(stream_runner: StreamRunner) -> None:
    script = stream(AFTER_INPUT, START, frame(2, "trimmed"))
    with StreamServer(
        script, replies=(http(200, "{}"), http(503), http(200, '{"id": "s1", "title": "done"}'))
    ) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]
        assert server.saw_close()

    assert server.targets[2:] == ["GET /sessions/s1"] * 2


@both_stream_runners
def test_a_stream_is_read_on_after_a_probe_that_found_nothing(stream_runner: StreamRunner) -> None:
    script = stream(AFTER_INPUT, START, frame(2, "trimmed"), 0.05, frame(3, "end"))
    with StreamServer(script, replies=(http(200, "{}"), http(200, '{"id": "s1", "title": "at work"}'))) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]

    assert server.targets == ["GET /sessions/s1/stream", "POST /sessions/s1/messages", "GET /sessions/s1"]


@both_stream_runners
def test_a_probe_that_fails_too_often_interrupts_the_stream(stream_runner: StreamRunner) -> None:
    script = stream(AFTER_INPUT, START, frame(2, "quiet"), 0.05, end="close")
    with StreamServer(script, replies=(http(200, "{}"), http(503))) as server:
        error = stream_runner.failure(server.url, run_to_the_end, retry=RetryPolicy(attempts=2, first_wait_s=0.0))

    assert isinstance(error, StreamInterrupted)
    assert (error.cursor, error.events_seen) == ("2", 1)


@both_stream_runners
def test_a_probe_that_is_refused_is_told_as_it_is(stream_runner: StreamRunner) -> None:
    script = stream(AFTER_INPUT, START, frame(2, "quiet"), 0.05, end="close")
    with StreamServer(script, replies=(http(200, "{}"), http(404))) as server:
        assert type(stream_runner.failure(server.url, run_to_the_end)) is NotFound
