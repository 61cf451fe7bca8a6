"""What both drivers share of the HTTP library: the TLS context and the time limits."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any

import httpx

from polysession.change import Unset
from polysession.errors import UsageError

CONNECT_LIMIT_S = 5.0
DEFAULT_TIMEOUT = httpx.Timeout(30.0, connect=CONNECT_LIMIT_S)


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


def tls_context() -> ssl.SSLContext:
    """The process's one TLS context: building it takes longer than a whole call."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def direct_http_client() -> httpx.Client:
    """A blocking HTTP client that heeds no proxy of the environment: for servers on this machine."""
    return httpx.Client(trust_env=False, verify=tls_context(), timeout=DEFAULT_TIMEOUT)
