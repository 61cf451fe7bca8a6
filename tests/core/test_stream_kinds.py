"""The kinds of turn other than the stream beside the input, through both clients over loopback servers."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from polysession._core.retry import RetryPolicy
from polysession.client import Client
from polysession.errors import ConnectError, ConnectionLost, DeadlineExceeded, NotFound, ServerError, StreamInterrupted
from polysession.event import Outcome
from polysession.testing.fault_server import Answer, closed_port, http
from support.acme import TOKEN
from support.acme_answered import AcmeAnsweredTurn
from support.acme_polled import AcmePolledStream
from support.installed import Site
from support.stream_runners import (
    END,
    HELLO,
    QUICK,
    START,
    TURN,
    WORLD,
    Interrupted,
    StreamRunner,
    both_stream_runners,
    follow,
    interrupting,
    lasting,
    no_leaks,
    run_to_the_end,
    text_of,
)
from support.stream_server import StreamServer, stream

__all__ = ["no_leaks"]

pytestmark = pytest.mark.usefixtures("no_leaks")


async def result_of(sessions: Any, session: str = "s1", **options: Any) -> Any:
    async with sessions.run(session, "hi", **options) as turn:
        return await turn.wait()


# --- The answer to the input is the stream


@pytest.fixture
def answered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("acme-answered", "acme = support.acme_answered")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_an_answered_turn_is_followed_to_its_end(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(START, HELLO, WORLD, END, end="close")) as server:
        assert stream_runner.play(server.url, run_to_the_end) == TURN

    assert server.targets == ["POST /sessions/s1/stream"]


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_the_body_of_an_answered_turn_is_read_to_its_end(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(START, END, 0.2, b": stored\n\n", 0.2, b": done\n\n", end="close")) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]
        assert server.sent_whole() == 1


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_reading_a_body_to_its_end_is_bounded_in_time(
    stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AcmeAnsweredTurn, "drain_s", 0.3)
    with StreamServer(stream(START, END)) as server, lasting(0.28):
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]
        assert server.saw_close()


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_reading_a_body_to_its_end_is_bounded_in_bytes(stream_runner: StreamRunner) -> None:
    endless = stream(START, END, *[b":" + b"x" * 65_536 + b"\n\n"] * 100)
    with StreamServer(endless) as server, lasting(0):
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]
        assert server.saw_close()


@both_stream_runners
@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("cut", [b"", WORLD[:-1], WORLD[:9]], ids=["whole frames", "a blank line less", "in a frame"])
def test_a_clean_end_closes_the_turn_and_one_inside_a_frame_is_no_success(
    stream_runner: StreamRunner, cut: bytes
) -> None:
    with StreamServer(stream(START + HELLO + cut, end="close")) as server:
        result = stream_runner.play(server.url, result_of)

    assert result.outcome is (Outcome.FAILED if cut else Outcome.COMPLETED)
    assert len(server.targets) == 1


@both_stream_runners
@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("end", ["drop", "reset"])
def test_a_break_ends_the_turn_and_the_input_is_not_sent_again(stream_runner: StreamRunner, end: Any) -> None:
    with StreamServer(stream(START, HELLO, 0.05, end=end)) as server:
        assert stream_runner.play(server.url, result_of).outcome is Outcome.FAILED

    assert server.targets == ["POST /sessions/s1/stream"]


@pytest.mark.usefixtures("answered")
def test_a_blocking_read_that_is_interrupted_does_not_end_the_turn_as_a_success() -> None:
    """An iterator of an HTTP library pretends a clean end if it is read again after it raised."""
    with (
        StreamServer(stream(START, 0.6, HELLO, END, end="close")) as server,
        interrupting(),
        Client("acme", base_url=server.url, token=TOKEN, retry=QUICK) as client,
        client.sessions.run("s1", "hi") as turn,
    ):
        assert next(turn).type == "turn.started"
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted):
            next(turn)
        assert turn.wait().outcome is Outcome.FAILED

    assert server.targets == ["POST /sessions/s1/stream"]


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_a_turn_that_can_be_rejoined_is(stream_runner: StreamRunner) -> None:
    async def run(sessions: Any) -> list[str]:
        async with sessions.run("r1", "hi") as turn:
            return [text_of(event) async for event in turn]

    with StreamServer(stream(START, HELLO, 0.05, end="drop"), stream(WORLD, END, end="close")) as server:
        assert stream_runner.play(server.url, run) == TURN

    assert server.targets == ["POST /sessions/r1/stream", "GET /sessions/r1/stream?after=2"]


@both_stream_runners
@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("refusal", [http(503), Answer(b""), Answer(b"", reset=True)], ids=["503", "closed", "reset"])
def test_an_input_that_may_have_arrived_is_not_sent_again(stream_runner: StreamRunner, refusal: Answer) -> None:
    with StreamServer(refusal, stream(START, END, end="close")) as server:
        error = stream_runner.failure(server.url, run_to_the_end)

    assert isinstance(error, ServerError | ConnectionLost)
    assert error.outcome_unknown
    assert len(server.targets) == 1


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_an_input_that_did_not_arrive_is_sent_again(stream_runner: StreamRunner) -> None:
    with StreamServer(http(429, retry_after="0"), stream(START, END, end="close")) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]

    assert server.targets == ["POST /sessions/s1/stream"] * 2
    error = stream_runner.failure(closed_port(), run_to_the_end)
    assert isinstance(error, ConnectError)
    assert not error.outcome_unknown


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_a_silence_does_not_reopen_an_attended_turn(
    stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AcmeAnsweredTurn, "quiet_s", 0.1)
    with StreamServer(stream(START, 0.5, END, end="close")) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "turn.ended"]

    assert len(server.targets) == 1


@both_stream_runners
@pytest.mark.usefixtures("answered")
def test_a_deadline_ends_an_answered_turn(stream_runner: StreamRunner) -> None:
    async def run(sessions: Any) -> None:
        await result_of(sessions, deadline_s=0.4)

    with StreamServer(stream(START)) as server, lasting(0.35):
        error = stream_runner.failure(server.url, run)
        assert server.saw_close()

    assert isinstance(error, DeadlineExceeded)
    assert error.events_seen == 1


# --- No stream, only history


@pytest.fixture
def polled(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("acme-polled", "acme = support.acme_polled")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def listed(*kinds: str, start: int = 1) -> Answer:
    return http(
        200, json.dumps({"data": [{"id": n, "type": kind, "text": "x"} for n, kind in enumerate(kinds, start)]})
    )


@both_stream_runners
@pytest.mark.usefixtures("polled")
def test_a_polled_turn_is_followed_to_its_end(stream_runner: StreamRunner) -> None:
    replies = (http(200, "{}"), listed(), listed("start", "say"), listed("start", "say", "say", "end"))
    with StreamServer(stream(), replies=replies) as server:
        assert stream_runner.play(server.url, run_to_the_end) == ["turn.started", "x", "x", "turn.ended"]

    assert server.targets == [
        "POST /sessions/s1/messages",
        "GET /sessions/s1/events",
        "GET /sessions/s1/events",
        "GET /sessions/s1/events?after=2",
    ]


@both_stream_runners
@pytest.mark.usefixtures("polled")
def test_a_polled_stream_ends_when_the_plan_is_finished(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(), replies=(listed("say"), listed("say", "gone"))) as server:
        assert stream_runner.play(server.url, follow) == ["x"]


@both_stream_runners
@pytest.mark.usefixtures("polled")
def test_polls_grow_rarer_while_nothing_comes(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(), replies=(*[listed()] * 6, listed("gone"))) as server, lasting(0.75):
        stream_runner.play(server.url, follow)  # 0.05, 0.1, 0.2, 0.2, 0.2, 0.2


@both_stream_runners
@pytest.mark.usefixtures("polled")
def test_a_poll_that_fails_is_made_again(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(), replies=(listed("say"), http(500), listed("say", "gone"))) as server:
        assert stream_runner.play(server.url, follow) == ["x"]


@both_stream_runners
@pytest.mark.usefixtures("polled")
def test_polls_that_fail_too_often_interrupt_the_stream(stream_runner: StreamRunner) -> None:
    policy = RetryPolicy(attempts=2, first_wait_s=0.0)
    with StreamServer(stream(), replies=(listed("say"), http(503))) as server:
        error = stream_runner.failure(server.url, follow, retry=policy)

    assert isinstance(error, StreamInterrupted)
    assert (error.cursor, error.events_seen) == ("1", 1)


@both_stream_runners
@pytest.mark.usefixtures("polled")
def test_a_poll_of_a_deleted_session_is_not_found(stream_runner: StreamRunner) -> None:
    with StreamServer(stream(), replies=(listed("say"), http(404))) as server:
        error = stream_runner.failure(server.url, follow)

    assert isinstance(error, NotFound)
    assert (error.cursor, error.events_seen) == ("1", 1)


@both_stream_runners
@pytest.mark.usefixtures("polled")
def test_a_deadline_ends_a_polled_stream(stream_runner: StreamRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AcmePolledStream, "every_s", (30.0, 30.0))

    async def run(sessions: Any) -> None:
        async with sessions.stream("s1", deadline_s=0.4) as events:
            async for _ in events:
                pass

    with StreamServer(stream(), replies=(listed("say"),)) as server, lasting(0.35):
        assert isinstance(stream_runner.failure(server.url, run), DeadlineExceeded)
