"""What both drivers share of the HTTP library: the TLS context and the time limits."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from functools import cache
from typing import Any

import httpx

from polysession.change import Unset
from polysession.errors import UsageError, WaitExceeded

CONNECT_LIMIT_S = 5.0
DEFAULT_TIMEOUT = httpx.Timeout(30.0, connect=CONNECT_LIMIT_S)
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
    if not isinstance(timeout_s, int | float) or not timeout_s > 0:
        raise UsageError(f"timeout is {timeout_s!r}; it must be a number of seconds above zero, or None for no limit")
    # A plain tuple (connect, read, write, pool), which any library with httpx's methods understands.
    return {"timeout": (min(timeout_s, CONNECT_LIMIT_S), timeout_s, timeout_s, timeout_s)}


def stream_options(silence_s: float) -> dict[str, Any]:
    """What to build the request of a stream with: `silence_s` seconds for each wait for bytes, less for connecting."""
    return {"timeout": (CONNECT_LIMIT_S, silence_s, CONNECT_LIMIT_S, CONNECT_LIMIT_S)}


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


class Deadline:
    """When a stream stops waiting.

    Args:
        seconds: Counted from `start`; None waits for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends_at_s: float | None = None

    def start(self) -> None:
        """Begin to count.

        Raises:
            UsageError: The seconds are no number above zero.
        """
        if self._seconds is None:
            return
        if not isinstance(self._seconds, int | float) or not self._seconds > 0:
            raise UsageError(
                f"deadline_s is {self._seconds!r}; it must be a number of seconds above zero, or None for no limit"
            )
        self._ends_at_s = time.monotonic() + self._seconds

    def left_s(self) -> float | None:
        """Seconds that are left, at least a thousandth; None if there is no limit."""
        return None if self._ends_at_s is None else max(0.001, self._ends_at_s - time.monotonic())

    def within_s(self, seconds: float) -> float:
        """These seconds, or those that are left if they are fewer."""
        left_s = self.left_s()
        return seconds if left_s is None else min(seconds, left_s)

    def check(self) -> None:
        """Raise if no time is left.

        Raises:
            WaitExceeded: It has passed.
        """
        if self._ends_at_s is not None and time.monotonic() >= self._ends_at_s:
            raise self.exceeded()

    def exceeded(self) -> WaitExceeded:
        """The error that says so."""
        return WaitExceeded(f"not ended after {self._seconds} seconds; the session may still be running")


def tls_context() -> ssl.SSLContext:
    """The process's one TLS context: building it takes longer than a whole call."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def direct_http_client() -> httpx.Client:
    """A blocking HTTP client that heeds no proxy of the environment: for servers on this machine."""
    return httpx.Client(trust_env=False, verify=tls_context(), timeout=DEFAULT_TIMEOUT)
