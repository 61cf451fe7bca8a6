"""A malicious backend cannot break the log, or the records of observers: each entry is one line."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from polysession import AsyncClient, Client, PolysessionError, RetryPolicy, Session
from polysession._drivers.async_stream import AsyncEventStream
from polysession._drivers.sync_stream import EventStream
from polysession.observing import RequestSent, ResponseReceived, hookimpl
from polysession.testing.fault_server import HEAD_END, Answer, FaultServer, http
from stress.quiet_backend import QuietBackend
from stress.targets import TARGETS, Target

HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07 \x9b2J\x7f\u202egpj.exe\u2066 \u2028line\x00\r\n2026-11-25 ERROR all is lost\n\tend"
)
IN_A_HEAD = HOSTILE.translate(dict.fromkeys(map(ord, "\r\n\0")))
C1_IN_A_HEAD = "\x9b2J \u202egpj.exe\u2066 \u2028line \x85 next"
"""As much of it as the parsers of HTTP let through."""


def head(status: str, *lines: str, body: str = "{}") -> Answer:
    content = body.encode()
    text = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"content-length: {len(content)}", "connection: close"])
    return Answer(text.encode() + HEAD_END + content)


def events(*frames: str, end: str = "0\r\n\r\n") -> Answer:
    chunks = [f"{len(frame.encode()):x}\r\n{frame}\r\n" for frame in frames]
    top = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close"
    return Answer(top.encode() + HEAD_END + "".join([*chunks, end]).encode())


def frame(kind: str, id_: str) -> str:
    data = json.dumps({"type": kind, "id": id_, "session_id": HOSTILE, "reply_id": HOSTILE, "message": HOSTILE})
    names = "".join(f"{name}: {value}\n" for name, value in (("event", kind), ("id", id_)) if "\n" not in value)
    return f"{names}data: {data}\n\n"


SAID = {"message": HOSTILE, "type": HOSTILE, "code": HOSTILE}
ERROR = json.dumps({"error": SAID, "detail": HOSTILE, "title": HOSTILE, "code": HOSTILE, "request_id": HOSTILE})
ANSWERS: dict[str, Answer] = {
    "status text": head(f"500 {IN_A_HEAD}"),
    "status text that HTTP allows": head(f"500 {C1_IN_A_HEAD}"),
    "request id": head("200 OK", f"x-request-id: {IN_A_HEAD}"),
    "request id that HTTP allows": head("200 OK", f"x-request-id: {C1_IN_A_HEAD}"),
    "request id of a refusal": head("404 No", f"x-request-id: {C1_IN_A_HEAD}"),
    "location": head("302 Found", f"location: http://evil.example/{C1_IN_A_HEAD}"),
    "retry-after": head("429 Slow", f"retry-after: {C1_IN_A_HEAD}"),
    "content type": head("200 OK", f"content-type: text/{C1_IN_A_HEAD}"),
    "compression": head("200 OK", f"content-encoding: {C1_IN_A_HEAD}"),
    "no header": head("200 OK", IN_A_HEAD),
    "no HTTP": Answer(HOSTILE.encode() + HEAD_END),
    "error in JSON": http(400, ERROR),
    "error of the backend in JSON": http(503, ERROR),
    "error in text": http(500, HOSTILE),
    "error in a page": http(502, f"<html><title>{HOSTILE}</title>"),
    "success in text": http(200, HOSTILE),
    "success of another shape": http(200, json.dumps({"id": {HOSTILE: 1}, "data": [HOSTILE], HOSTILE: HOSTILE})),
    "event type": events(frame(HOSTILE, "evt_1"), frame(C1_IN_A_HEAD, "evt_2")),
    "event id": events(frame("session.status_running", C1_IN_A_HEAD), frame("agent.message", IN_A_HEAD)),
    "event id of two lines": events(frame("session.status_running", "evt_1\r\nhost: evil.example"), end=""),
    "frame that is no JSON": events(f"data: {IN_A_HEAD}\n\n"),
    "stream that breaks": events(frame("x", "evt_1"), end=f"{IN_A_HEAD}\r\n"),
    "stream of another kind": head("200 OK", f"content-type: {C1_IN_A_HEAD}", f"x-request-id: {C1_IN_A_HEAD}"),
}
IDS = ["../evil", HOSTILE, C1_IN_A_HEAD, "a\r\nHost: evil", "\u202esess"]


class Notes:
    """Keeps what an observer receives."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @hookimpl
    def polysession_before_request(self, request: RequestSent) -> None:
        self.texts += [request.provider, request.operation, request.method, request.url]

    @hookimpl
    def polysession_after_response(self, request: RequestSent, response: ResponseReceived) -> None:
        self.texts += [request.url, response.request_id or ""]
        if response.error is not None:
            self.texts += texts_of(response.error)


def texts_of(error: PolysessionError) -> list[str]:
    return [str(error), error.message, error.code or "", error.request_id or "", *getattr(error, "__notes__", [])]


USES: dict[str, Callable[[Any, Any], Any]] = {
    "get": lambda sessions, session: sessions.get(session),
    "update": lambda sessions, session: sessions.update(session, title="x"),
    "messages": lambda sessions, session: sessions.messages(session).page(),
    "stream": lambda sessions, session: sessions.stream(session, deadline_s=1),
}


def use_all(target: Target, driver: str, url: str, session: Session) -> tuple[list[str], set[str | None]]:
    """Use a client in each way: the texts that its observer and its errors hold, and which operations failed."""
    notes, errors = Notes(), list[PolysessionError]()
    options: dict[str, Any] = target.settings | {"base_url": url, "observers": [notes], "timeout": 5}
    options["retry"] = RetryPolicy(attempts=2, first_wait_s=0)

    def use_sync() -> None:
        with Client(target.provider, **options) as client:
            for use in USES.values():
                try:
                    result: Any = use(client.sessions, session)
                    if isinstance(result, EventStream):
                        with result as stream:
                            list(stream)
                except PolysessionError as error:
                    errors.append(error)

    async def use_async() -> None:
        async with AsyncClient(target.provider, **options) as client:
            for use in USES.values():
                try:
                    result: Any = use(client.sessions, session)
                    if not isinstance(result, AsyncEventStream):
                        await result
                        continue
                    async with result as stream:
                        [event async for event in stream]
                except PolysessionError as error:
                    errors.append(error)

    use_sync() if driver == "sync" else asyncio.run(use_async())
    return [*notes.texts, *(text for error in errors for text in texts_of(error))], {
        error.operation for error in errors
    }


def check_lines(texts: list[str]) -> None:
    assert texts
    assert [text for text in texts if not text.isprintable()] == []


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("place", ANSWERS)
def test_what_a_server_says_is_told_in_lines(
    place: str, target: Target, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "polysession")
    with FaultServer(ANSWERS[place]) as server:
        texts, failed = use_all(target, driver, server.url, target.session)

    assert failed
    check_lines(texts)
    check_lines(lines_of(caplog))


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("target", [pytest.param(each, id=name) for name, each in TARGETS.items() if each.has_stream])
@pytest.mark.parametrize("place", ANSWERS)
def test_what_a_stream_says_is_told_in_lines(
    place: str, target: Target, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "polysession")
    with QuietBackend(target, lambda _: ANSWERS[place]) as server:
        texts, failed = use_all(target, driver, server.url, target.session)

    assert server.streams
    assert "sessions.stream" in failed
    check_lines(texts)
    check_lines(lines_of(caplog))


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "polysession"]


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("session_id", IDS)
def test_a_session_id_is_told_in_a_line(
    session_id: str, target: Target, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "polysession")
    session = Session(provider=target.provider, id=session_id, agent_id=session_id)
    with FaultServer(http(404, ERROR)) as server:
        texts, _ = use_all(target, driver, server.url, session)

    check_lines(texts)
    check_lines([*lines_of(caplog), "an id that is refused is not sent"])
