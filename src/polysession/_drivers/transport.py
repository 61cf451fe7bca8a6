"""The parts of the HTTP library that both drivers share: the TLS context, and the limits of time and size."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import httpx

from polysession._core.body import Decompressor
from polysession._core.flow import Call, Response, request_id_of
from polysession._drivers.default_client import CONNECT_LIMIT_S, DEFAULT_TIMEOUT
from polysession._drivers.environment import tls_context
from polysession.change import Unset
from polysession.errors import DeadlineExceeded, MalformedResponse, NetworkTimeout, PolysessionError, UsageError

if TYPE_CHECKING:
    from polysession._core.plans import Head

MAX_ERROR_BYTES = 256 * 1024
"""Maximum number of bytes that are read of an error's body, which is only shown."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence before the first probe, seconds between probes, and unanswered probes until it is lost."""
SHUT_DOWN = "polysession.shut_down"
"""Extension of a response: an event that is set when `shut_down` ends it. HTTP clients that record or replay use it."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests have a length, even without a body."""
_WAITS = ("connect", "read", "write", "pool")
BODY_WAITS = 10
"""A body in many small chunks may take this many times as long as one wait on the network."""
LONGEST_S = 1_000_000.0
"""Eleven days; more than this means no limit, because the underlying timers have their own maximum."""


def request_options(timeout_s: float | Unset | None) -> dict[str, Any]:
    """Return the options of each request: limits for one attempt, or nothing if the HTTP client's own limits apply.

    Args:
        timeout_s: Seconds for each wait on the network, less for connecting; None waits for ever.

    Raises:
        UsageError: The value is not a number above zero.
    """
    if isinstance(timeout_s, Unset):
        return {}
    seconds = checked_seconds(timeout_s, "timeout")
    if seconds is None:
        return {"timeout": None}
    # A plain tuple (connect, read, write, pool), which any library with httpx's methods understands.
    return {"timeout": (min(seconds, CONNECT_LIMIT_S), seconds, seconds, seconds)}


def build_request(
    http: Any, call: Call, url: str, headers: Mapping[str, str], options: Mapping[str, Any], *, is_ours: bool
) -> httpx.Request:
    """Build the request of a call.

    A caller's HTTP client builds it, with its own headers and parameters. Ours add only the cookies of the server.

    Raises:
        UsageError: The caller's HTTP client would send it to another address.
    """
    if not isinstance(call.timeout_s, Unset):
        options = request_options(call.timeout_s)
    if not is_ours:
        given: httpx.Request = http.build_request(call.method, url, headers=headers, content=call.body, **options)
        _keep_address(given, url)
        return given
    timeout = httpx.Timeout(options["timeout"]) if options else DEFAULT_TIMEOUT
    request = _complete_request(call, httpx.URL(url), headers, timeout)
    if http.cookies:
        http.cookies.set_cookie_header(request)
    return request


def _complete_request(call: Call, url: httpx.URL, headers: Mapping[str, str], timeout: httpx.Timeout) -> httpx.Request:
    """Build a request with its host and length. With `content`, httpx looks for missing headers and adds these two."""
    body = call.body or b""
    framing = {"host": url.netloc.decode("ascii")}
    if body or call.method in _WITH_BODY:
        framing["content-length"] = str(len(body))
    request = httpx.Request(
        call.method,
        url,
        headers={**framing, **headers},
        stream=httpx.ByteStream(body),
        extensions={"timeout": timeout.as_dict()},
    )
    request.read()
    return request


def _keep_address(request: httpx.Request, url: str) -> None:
    """Restore the query that the `params` of the caller's HTTP client replaced, and keep these parameters too."""
    meant = type(request.url)(url)
    if request.url == meant:
        return
    if set(meant.params.multi_items()) - set(request.url.params.multi_items()):
        request.url = meant.copy_with(query=None).copy_merge_params(request.url.params.merge(meant.params))
    if request.url.copy_with(query=None) != meant.copy_with(query=None):
        raise UsageError(
            f"the http_client changes the URL of a request from {str(meant)!r} to {str(request.url)!r}. Remove its"
            " base_url; set the provider's base_url instead"
        )


def checked_seconds(seconds: float | None, name: str) -> float | None:
    """Return a caller's number of seconds; None for no limit, or for more than eleven days.

    Raises:
        UsageError: The value is not a number above zero.
    """
    if seconds is None:
        return None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds > 0:
        raise UsageError(f"{name} must be a number of seconds above zero, or None for no limit, not {seconds!r}")
    return None if seconds > LONGEST_S else seconds


def limit_silence(response: httpx.Response, silence_s: float | None, *, by_httpx: bool) -> None:
    """Replace the timeout of the headers by the limit for silence. httpx reads the timeout again for the body.

    Args:
        response: The response, with its body unread.
        silence_s: Seconds without a byte; None for no limit.
        by_httpx: Whether httpx watches the limit. If not, the caller does, and httpx waits without a limit.
    """
    waits_s = response.request.extensions.get("timeout") or {}
    response.request.extensions["timeout"] = {**waits_s, "read": silence_s if by_httpx else None}
    if silence_s is None:
        keep_alive(response)


def silence_failure(silence_s: float | None) -> NetworkTimeout:
    """Return the error of a connection on which no byte came for too long."""
    failure = NetworkTimeout("no data arrived in time" if silence_s is None else f"no data arrived for {silence_s:g} s")
    failure.outcome_unknown = True
    return failure


def to_head(response: httpx.Response) -> Head:
    """Return the head of a response; without its encoding if the body is already decompressed."""
    from polysession._core.plans import Head  # noqa: PLC0415  (single calls need no streams and events)

    headers = response.headers.copy()
    if is_read(response):
        headers.pop("content-encoding", None)
    return Head(response.status_code, headers)


def is_stream(response: httpx.Response) -> bool:
    """Return whether the backend opened a stream of events."""
    return response.is_success and response.headers.get("content-type", "").lower().startswith("text/event-stream")


def shut_down(response: httpx.Response) -> None:
    """Wake a thread that waits for bytes of this response. May be called from any other thread."""
    if SHUT_DOWN in response.extensions:
        response.extensions[SHUT_DOWN].set()
    connection = _socket_of(response)
    if connection is None or response.http_version == "HTTP/2":  # HTTP/2: other responses use the same connection
        return
    with contextlib.suppress(OSError):  # already closed
        # Not the method of the TLS socket, which would remove the TLS state that the other thread is using.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def keep_alive(response: httpx.Response) -> None:
    """Turn on TCP keep-alive, so that the operating system notices when the peer of this response is gone."""
    connection = _socket_of(response)
    if connection is None:
        return
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):  # not available on every system
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _socket_of(response: httpx.Response) -> Any:
    """Return the socket of a response; None if it has none."""
    network_stream = response.extensions.get("network_stream")
    return None if network_stream is None else network_stream.get_extra_info("socket")


def is_read(response: httpx.Response) -> bool:
    """Return whether the body is already decompressed in memory, as with a mock transport."""
    return getattr(response, "is_stream_consumed", False)


class BodyReader:
    """Reads the body of one response, within limits of size and time.

    Args:
        response: The response, with a body that was not read yet.
        max_bytes: Maximum size of the body of a success.

    Raises:
        MalformedResponse: The body has an encoding that was not requested.
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
        """Add the next chunk; return whether more chunks are needed.

        Raises:
            MalformedResponse: The body of a success is too large.
            ConnectionLost: The body cannot be decompressed.
            NetworkTimeout: The body comes too slowly.
        """
        for piece in self._decompressor.pieces(chunk):
            self._size += len(piece)
            self._pieces.append(piece)
            if self._size > self._max_bytes:
                if self._response.is_success:
                    raise self._too_large()
                return False
        if self._ends_at_s is not None and time.monotonic() > self._ends_at_s:
            slow = NetworkTimeout(f"no complete response in time: only {self._size} bytes arrived")
            slow.outcome_unknown = True
            raise slow
        return True

    def reply(self) -> Response:
        """Return the response, with the part of its body that was read.

        Raises:
            ConnectionLost: The body is compressed, and its end is missing.
        """
        if self._size <= self._max_bytes:
            self._decompressor.finish()
        content = b"".join(self._pieces)[: self._max_bytes]
        return Response(self._response.status_code, self._response.headers, content)

    def _too_large(self) -> MalformedResponse:
        error = MalformedResponse(
            f"the response is larger than {self._max_bytes} bytes; use a smaller page_size, or raise max_body_bytes",
            status=self._response.status_code,
            request_id=request_id_of(self._response.headers),
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
        """Return the deadline at this time of the monotonic clock; None waits for ever."""
        return cls(None if ends_at_s is None else max(ends_at_s - time.monotonic(), 0.0))

    def left_s(self) -> float | None:
        """Return the remaining seconds, at least a thousandth; None if there is no limit."""
        return None if self._ends_at_s is None else max(0.001, self._ends_at_s - time.monotonic())

    def within_s(self, seconds: float) -> float:
        """Return these seconds, or the remaining seconds if they are fewer."""
        left_s = self.left_s()
        return seconds if left_s is None else min(seconds, left_s)

    def bound(self, request: httpx.Request) -> None:
        """Limit each wait of a request to the remaining time."""
        left_s = self.left_s()
        if left_s is not None:
            waits_s = request.extensions.get("timeout") or {}
            request.extensions["timeout"] = {name: self.within_s(waits_s.get(name) or left_s) for name in _WAITS}

    def check(self, failure: PolysessionError | None = None) -> None:
        """Raise if no time is left.

        Args:
            failure: An error that happened meanwhile; it becomes the cause. A call that was too slow for the deadline
                is not the backend's failure.

        Raises:
            DeadlineExceeded: The deadline has passed.
        """
        if self._ends_at_s is not None and time.monotonic() >= self._ends_at_s:
            error = self.exceeded()
            error.outcome_unknown = failure is not None and failure.outcome_unknown
            raise error from failure

    def exceeded(self) -> DeadlineExceeded:
        """Return the error of a passed deadline."""
        return DeadlineExceeded(f"the deadline of {self._seconds} seconds passed; the session may still be running")


NO_DEADLINE = Deadline(None)


def direct_http_client() -> httpx.Client:
    """Return a sync HTTP client for servers on this machine: it uses no proxy of the environment."""
    return httpx.Client(trust_env=False, verify=tls_context(), timeout=DEFAULT_TIMEOUT)


def observed_http_client(observe: Callable[[httpx.Response], None], *, timeout_s: float, direct: bool) -> httpx.Client:
    """Return a sync HTTP client that reports each response before its body is read.

    Args:
        observe: Called with each response.
        timeout_s: Seconds for each wait on the network.
        direct: Whether to ignore proxies of the environment.
    """
    return httpx.Client(
        trust_env=not direct, verify=tls_context(), timeout=timeout_s, event_hooks={"response": [observe]}
    )
