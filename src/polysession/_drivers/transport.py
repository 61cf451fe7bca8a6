"""What both drivers share of the HTTP library: the TLS context, and the limits of time and size."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, cast

import httpx

from polysession._core.body import Decompressor
from polysession._core.flow import Call, Response
from polysession._core.plans import Head
from polysession.change import Unset
from polysession.errors import DeadlineExceeded, MalformedResponse, NetworkTimeout, PolysessionError, UsageError

CONNECT_LIMIT_S = 5.0
DEFAULT_TIMEOUT = httpx.Timeout(30.0, connect=CONNECT_LIMIT_S)
MAX_ERROR_BYTES = 256 * 1024
"""Of an error's body no more is read: it is only told."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say how long their body is even if they have none."""
_WAITS = ("connect", "read", "write", "pool")
BODY_WAITS = 10
"""A body that comes in drops may take this many times as long as one wait on the network."""
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Each live stream holds a connection, and its turn's input needs another: a bound could let all of them wait."""


def request_options(timeout_s: float | Unset | None) -> dict[str, Any]:
    """What to build each request with: limits for one attempt, or nothing where the HTTP client's own hold.

    Args:
        timeout_s: Seconds for each wait on the network, less for connecting; None waits for ever.

    Raises:
        UsageError: The seconds are no number above zero.
    """
    if isinstance(timeout_s, Unset):
        return {}
    if timeout_s is None:
        return {"timeout": None}
    timeout_s = cast("float", checked_seconds(timeout_s, "timeout"))
    # A plain tuple (connect, read, write, pool), which any library with httpx's methods understands.
    return {"timeout": (min(timeout_s, CONNECT_LIMIT_S), timeout_s, timeout_s, timeout_s)}


def build_request(
    http: httpx.Client | httpx.AsyncClient,
    call: Call,
    url: str,
    headers: Mapping[str, str],
    options: Mapping[str, Any],
    *,
    is_ours: bool,
) -> httpx.Request:
    """The request of a call.

    A caller's HTTP client builds it, so that its own headers and whatever else it has apply. One of ours has nothing to
    add but cookies, and to go through it costs as much again as the request itself.
    """
    if not is_ours or http.cookies:
        return http.build_request(call.method, url, headers=headers, content=call.body, **options)
    address = _address(url)
    fields = {"host": address.netloc.decode("ascii"), **headers}
    body = call.body or b""
    if body or call.method in _WITH_BODY:
        fields["content-length"] = str(len(body))
    timeout = httpx.Timeout(options["timeout"]) if options else DEFAULT_TIMEOUT
    # With its body as a stream a request is taken as it is; else httpx looks for what it could add to the headers.
    stream, extensions = httpx.ByteStream(body), {"timeout": timeout.as_dict()}
    return httpx.Request(call.method, address, headers=fields, stream=stream, extensions=extensions)


@lru_cache(maxsize=256)
def _address(url: str) -> httpx.URL:
    """An address, taken apart: that costs as much as the rest of a request, and many are used again."""
    return httpx.URL(url)


def checked_seconds(seconds: float | None, name: str) -> float | None:
    """A number of seconds that a caller gave; None for no limit.

    Raises:
        UsageError: It is no number above zero.
    """
    if seconds is None:
        return None
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError(f"{name} is {seconds!r}; it must be a number of seconds above zero, or None for no limit")
    return seconds


def limit_silence(response: httpx.Response, silence_s: float | None) -> None:
    """Replace the timeout for the head of a response by the one for silence. httpx reads it again for the body."""
    waits_s = response.request.extensions.get("timeout") or {}
    response.request.extensions["timeout"] = {**waits_s, "read": silence_s}


def to_head(response: httpx.Response) -> Head:
    """The head of a response; without its encoding if the body is decompressed already."""
    headers = response.headers.copy()
    if is_read(response):
        headers.pop("content-encoding", None)
    return Head(response.status_code, headers)


def is_stream(response: httpx.Response) -> bool:
    """Whether the backend opened a stream of events."""
    return response.is_success and response.headers.get("content-type", "").lower().startswith("text/event-stream")


def break_off(response: httpx.Response) -> None:
    """Make a thread that waits for bytes of this response go on at once. May be called from any other thread."""
    network_stream = response.extensions.get("network_stream")
    if network_stream is None or response.http_version == "HTTP/2":  # which shares the connection with others
        return
    with contextlib.suppress(OSError):  # closed meanwhile
        # Not the method of a TLS socket, which would pull the TLS state away under the other thread.
        socket.socket.shutdown(network_stream.get_extra_info("socket"), socket.SHUT_RDWR)


def is_read(response: httpx.Response) -> bool:
    """Whether the body is in memory already, decompressed: a transport that makes up its answers does that."""
    return getattr(response, "is_stream_consumed", False)


def iter_raw(response: httpx.Response, *, is_ours: bool) -> Iterable[bytes]:
    """The body as it comes. An HTTP client of ours gives it without the count that httpx keeps on the way."""
    return cast("httpx.SyncByteStream", response.stream) if is_ours else response.iter_raw()


def aiter_raw(response: httpx.Response, *, is_ours: bool) -> AsyncIterable[bytes]:
    """The same for the async driver."""
    return cast("httpx.AsyncByteStream", response.stream) if is_ours else response.aiter_raw()


class BodyReader:
    """Takes in the body of one answer, within bounds of size and time.

    Args:
        response: The answer, whose body was not read yet.
        max_bytes: Largest body of a success.

    Raises:
        MalformedResponse: It is compressed in a way that was not asked for.
    """

    def __init__(self, response: httpx.Response, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes if response.is_success else min(max_bytes, MAX_ERROR_BYTES)
        self._decompressor = Decompressor(response.headers.get("content-encoding", ""))
        self._pieces: list[bytes] = []
        self._size = 0
        wait_s = (response.request.extensions.get("timeout") or {}).get("read")
        self._ends_at_s = None if wait_s is None else time.monotonic() + BODY_WAITS * wait_s

    def take(self, chunk: bytes) -> bool:
        """Take in what came; tells whether more is wanted.

        Raises:
            MalformedResponse: The body of a success is too large.
            ConnectionLost: It cannot be decompressed.
            NetworkTimeout: It comes too slowly.
        """
        for piece in self._decompressor.pieces(chunk):
            self._size += len(piece)
            self._pieces.append(piece)
            if self._size > self._max_bytes:
                if self._response.is_success:
                    raise self._too_large()
                return False
        if self._ends_at_s is not None and time.monotonic() > self._ends_at_s:
            slow = NetworkTimeout(f"no whole answer in time: after {self._size} bytes it was still coming, too slowly")
            slow.outcome_unknown = True
            raise slow
        return True

    def reply(self) -> Response:
        """The answer, with as much of its body as was taken in."""
        content = b"".join(self._pieces)[: self._max_bytes]
        return Response(self._response.status_code, self._response.headers, content)

    def _too_large(self) -> MalformedResponse:
        error = MalformedResponse(
            f"the answer is larger than {self._max_bytes} bytes; ask for smaller pages, or raise max_body_bytes",
            status=self._response.status_code,
            request_id=self._response.headers.get("x-request-id"),
        )
        error.outcome_unknown = True
        return error


class Deadline:
    """When to stop waiting.

    Args:
        seconds: Counted from now; None waits for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends_at_s = None if seconds is None else time.monotonic() + seconds

    @classmethod
    def until(cls, ends_at_s: float | None) -> Deadline:
        """The deadline that ends at this time of the monotonic clock; None waits for ever."""
        return cls(None if ends_at_s is None else max(ends_at_s - time.monotonic(), 0.0))

    def left_s(self) -> float | None:
        """Seconds that are left, at least a thousandth; None if there is no limit."""
        return None if self._ends_at_s is None else max(0.001, self._ends_at_s - time.monotonic())

    def within_s(self, seconds: float) -> float:
        """These seconds, or those that are left if they are fewer."""
        left_s = self.left_s()
        return seconds if left_s is None else min(seconds, left_s)

    def bound(self, request: httpx.Request) -> None:
        """Let no wait of a request last longer than what is left."""
        left_s = self.left_s()
        if left_s is not None:
            waits_s = request.extensions.get("timeout") or {}
            request.extensions["timeout"] = {name: self.within_s(waits_s.get(name) or left_s) for name in _WAITS}

    def check(self, failure: PolysessionError | None = None) -> None:
        """Raise if no time is left.

        Args:
            failure: What happened meanwhile: what was too slow for the deadline is not the backend's failure.

        Raises:
            DeadlineExceeded: It has passed.
        """
        if self._ends_at_s is not None and time.monotonic() >= self._ends_at_s:
            error = self.exceeded()
            error.outcome_unknown = failure is not None and failure.outcome_unknown
            raise error from failure

    def exceeded(self) -> DeadlineExceeded:
        """The error that says so."""
        return DeadlineExceeded(f"not ended after {self._seconds} seconds; the session may still be running")


NO_DEADLINE = Deadline(None)


def tls_context() -> ssl.SSLContext:
    """The process's one TLS context: building it takes longer than a whole call."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def direct_http_client() -> httpx.Client:
    """A blocking HTTP client that heeds no proxy of the environment: for servers on this machine."""
    return httpx.Client(trust_env=False, verify=tls_context(), timeout=DEFAULT_TIMEOUT)


def observed_http_client(observe: Callable[[httpx.Response], None], *, timeout_s: float, direct: bool) -> httpx.Client:
    """A blocking HTTP client that shows each response, before its body is read.

    Args:
        observe: Called with each response.
        timeout_s: Seconds for each wait on the network.
        direct: Heed no proxy of the environment.
    """
    return httpx.Client(
        trust_env=not direct, verify=tls_context(), timeout=timeout_s, event_hooks={"response": [observe]}
    )
