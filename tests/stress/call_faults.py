"""The servers behind the faults of a call."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import cache
from typing import Any, Final

import trustme

from polysession.testing.fault_server import Answer, FaultServer, closed_port, http, send_answer

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
SIZED: Final = HEAD + b"content-length: %d\r\n\r\n"
CHUNKED: Final = HEAD + b"transfer-encoding: chunked\r\n\r\n"
DROPS_HEAD: Final = SIZED % 1_000_000
DROPS: Final = DROPS_HEAD + b" " * 100_000
PAGE: Final = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Sign in</body></html>"
STALL_S: Final = 5.0
SHORT_S: Final = 0.15
MAX_BODY_BYTES: Final = 100_000
HOUR_S: Final = 3600

Scripted = Callable[[bytes], Answer]
"""Given a whole body, what is sent in its place."""


@dataclass(frozen=True)
class Served:
    """A server with a fault, and how a client is to be made for it."""

    url: str
    options: dict[str, Any]
    server: FaultServer | None = None

    @property
    def requests(self) -> int | None:
        """How many requests came; None if none can."""
        return None if self.server is None else len(self.server.requests)


class PlainServer(FaultServer):
    """Answers whatever comes, before it is whole."""

    def _answer(self, connection: socket.socket) -> None:
        connection.recv(1)
        send_answer(connection, self._answers[0])


def _of_half(body: bytes) -> bytes:
    return SIZED % len(body) + body[: len(body) // 2]


def _first_chunk(body: bytes) -> bytes:
    half = body[: len(body) // 2]
    return CHUNKED + b"%x\r\n%s\r\n" % (len(half), half)


def _retry_after(status: int, value: str) -> Scripted:
    return lambda _: http(status, "{}", retry_after=value)


def _in_an_hour() -> str:
    return formatdate(time.time() + HOUR_S, usegmt=True)


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(20_000_000))


def _pauses(status: int) -> dict[str, Scripted]:
    return {
        f"{status}": lambda _: http(status, "{}"),
        f"{status}, Retry-After: 0": _retry_after(status, "0"),
        f"{status}, Retry-After in the past": _retry_after(status, "Mon, 01 Jan 2024 00:00:00 GMT"),
        f"{status}, Retry-After: soon": _retry_after(status, "soon"),
        f"{status}, Retry-After: -5": _retry_after(status, "-5"),
        f"{status}, Retry-After of an hour": _retry_after(status, str(HOUR_S)),
        f"{status}, Retry-After of a date in an hour": lambda _: http(status, "{}", retry_after=_in_an_hour()),
        f"{status}, Retry-After of 30 digits": _retry_after(status, "9" * 30),
    }


SCRIPTED: Final[dict[str, Scripted]] = {
    "reset before the headers": lambda _: Answer(b"", reset=True),
    "closed before the headers": lambda _: Answer(b""),
    "reset in the headers": lambda _: Answer(HEAD[:40], reset=True),
    "closed in the headers": lambda _: Answer(HEAD[:40]),
    "reset after the headers": lambda body: Answer(SIZED % len(body), reset=True),
    "closed after the headers": lambda body: Answer(SIZED % len(body)),
    "reset in the body": lambda body: Answer(_of_half(body), reset=True),
    "closed in the body": lambda body: Answer(_of_half(body)),
    "reset at the border of a chunk": lambda body: Answer(_first_chunk(body), reset=True),
    "closed at the border of a chunk": lambda body: Answer(_first_chunk(body)),
    "half a UTF-8 character": lambda body: http(200, body[:-1] + b', "x": "\xf0\x9f'),
    "stall before the headers": lambda _: Answer(b"", hold_s=STALL_S),
    "stall in the headers": lambda _: Answer(HEAD[:40], hold_s=STALL_S),
    "stall after the headers": lambda body: Answer(SIZED % len(body), hold_s=STALL_S),
    "stall in the body": lambda body: Answer(_of_half(body), hold_s=STALL_S),
    "body in drops without end": lambda _: Answer(DROPS, piece_bytes=len(DROPS_HEAD), pause_s=SHORT_S / 8),
    "slow bytes that come in time": lambda body: Answer(
        http(200, body).data, piece_bytes=len(body) // 5, pause_s=SHORT_S / 8
    ),
    "not HTTP": lambda _: Answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "head without end": lambda _: Answer(HEAD + b"x: y\r\n" * 50_000),
    "empty success": lambda _: http(200),
    "HTML with success": lambda _: http(200, PAGE),
    "HTML with 502": lambda _: http(502, PAGE),
    "HTML with 404": lambda _: http(404, PAGE),
    "500 in plain text": lambda _: http(500, "Internal Server Error"),
    "JSON called text": lambda body: http(200, body, content_type="text/plain"),
    "JSON called HTML": lambda body: http(200, body, content_type="text/html; charset=latin-1"),
    **_pauses(429),
    **_pauses(503),
    "oversized body": lambda body: http(200, body[:-1] + b" " * MAX_BODY_BYTES + b"}"),
    "oversized body of an error": lambda _: Answer(b"HTTP/1.1 500 No\r\n\r\n" + b"no " * 200_000, hold_s=STALL_S),
    "gzip bomb": lambda _: http(200, _bomb(), content_encoding="gzip"),
    "gzip garbage": lambda _: http(200, b"\x1f\x8bgarbage", content_encoding="gzip"),
    "gzip twice": lambda body: http(200, gzip.compress(gzip.compress(body)), content_encoding="gzip, gzip"),
    "unknown compression": lambda body: http(200, body, content_encoding="br"),
    "deep nesting": lambda body: http(200, body[:-1] + b', "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
}

CERTIFICATES: Final = {
    "certificate that is sound": ("127.0.0.1", timedelta(days=1)),
    "certificate of an unknown authority": ("127.0.0.1", timedelta(days=1)),
    "certificate of another host": ("other.example", timedelta(days=1)),
    "certificate that has expired": ("127.0.0.1", timedelta(days=-1)),
}
"""For whom each is, and how long it lasts from now on."""

SLOW: Final = {
    "body in drops without end": SHORT_S / 2,
    "stall before the headers": SHORT_S,
    "stall in the headers": SHORT_S,
    "stall after the headers": SHORT_S,
    "stall in the body": SHORT_S,
    "slow bytes that come in time": STALL_S,
}
"""Faults that take time, with the seconds that the client allows for each wait."""


@contextmanager
def served(fault: str, bodies: list[bytes], *, sound: int = 0) -> Iterator[Served]:
    """A server with this fault.

    Args:
        fault: Name of the fault.
        bodies: What would be answered without it, one body for each call of the operation.
        sound: How many of the first calls are answered so all the same.
    """
    if fault == "connection refused":
        yield Served(closed_port(), {})
    elif fault == "no TLS behind https":
        with PlainServer(http(400, "This is not TLS.")) as server:
            yield Served(server.url.replace("http:", "https:"), {})
    elif fault in CERTIFICATES:
        with _behind_tls(fault, bodies) as server:
            yield Served(server.url, {}, server)
    elif fault.startswith("redirect"):
        with FaultServer(http(200, "{}")) as elsewhere:
            location = "/" if fault == "redirect to itself" else f"{elsewhere.url}/sessions"
            with FaultServer(http(302, "", location=location)) as server:
                yield Served(server.url, {}, server)
            assert elsewhere.connections == 0, "another server was asked"
    else:
        answers = [http(200, body) for body in bodies[:sound]]
        answers += [SCRIPTED[fault](body) for body in bodies[sound:]]
        with FaultServer(*answers) as server:
            yield Served(server.url, {"timeout": SLOW.get(fault, STALL_S)}, server)


@cache
def authority() -> trustme.CA:
    """The authority of our servers' certificates."""
    return trustme.CA()


def _behind_tls(fault: str, bodies: list[bytes]) -> FaultServer:
    """A server whose certificate is sound but for one thing."""
    name, lasts = CERTIFICATES[fault]
    signer = trustme.CA() if fault == "certificate of an unknown authority" else authority()
    now = datetime.now(UTC)
    certificate = signer.issue_cert(name, not_before=now - timedelta(days=2), not_after=now + lasts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return FaultServer(*(http(200, body) for body in bodies), tls=context)
