"""What both drivers share of the HTTP library: the TLS context and the time limits."""

from __future__ import annotations

import os
import ssl
from functools import cache

import httpx

CONNECT_LIMIT_S = 5.0
DEFAULT_TIMEOUT = httpx.Timeout(30.0, connect=CONNECT_LIMIT_S)


def timeout_of(seconds: float | None) -> httpx.Timeout:
    """Limits for one attempt: `seconds` for each wait on the network, less for connecting; None waits for ever."""
    if seconds is None:
        return httpx.Timeout(None)
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_LIMIT_S))


def tls_context() -> ssl.SSLContext:
    """The process's one TLS context: building it takes longer than a whole call."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()
