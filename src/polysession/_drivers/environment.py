"""Proxies and certificates from environment variables."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from polysession.errors import UsageError

_VARIABLES: Final = {"http": "HTTP_PROXY", "https": "HTTPS_PROXY", "all": "ALL_PROXY"}
_SCHEMES: Final = frozenset({"http", "https"})
_SOCKS: Final = frozenset({"socks5", "socks5h"})


class Proxy(NamedTuple):
    """A proxy from an environment variable.

    Attributes:
        variable: The environment variable that names the proxy.
        url: Its address, which may hold a password.
    """

    variable: str
    url: str


def proxy_of(url: str) -> Proxy | None:
    """Return the proxy that the environment names for an address; None if it names none."""
    parts, proxies = urlsplit(url), getproxies()
    if proxy_bypass(parts.hostname or ""):
        return None
    for kind in (parts.scheme, "all"):
        if proxies.get(kind):
            address = proxies[kind]
            return Proxy(_spelling(_VARIABLES[kind]), address if "://" in address else f"http://{address}")
    return None


def has_proxies() -> bool:
    """Return whether the environment names a proxy for some addresses."""
    return not _VARIABLES.keys().isdisjoint(getproxies())


@contextmanager
def named_faults() -> Iterator[None]:
    """Replace an error of building an HTTP client by one that names the environment variable at fault.

    Raises:
        UsageError: There is one.
    """
    try:
        yield
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        variable, reason = _culprit(error)
    else:
        return
    raise UsageError(f"the environment variable {variable} cannot be used: {reason}")


def check_without_socks() -> None:
    """Refuse a SOCKS proxy, which would be treated as an HTTP proxy.

    Raises:
        UsageError: The environment names one.
    """
    for kind, address in getproxies().items():
        if kind in _VARIABLES and address.startswith("socks"):
            variable = _spelling(_VARIABLES[kind])
            raise UsageError(
                f'the environment variable {variable} names a SOCKS proxy, which http="aiohttp" cannot use'
            )


def tls_context() -> ssl.SSLContext:
    """Return the process's only TLS context: building one takes longer than a whole call.

    Raises:
        UsageError: The environment names certificates that cannot be read.
    """
    cert_file, cert_dir = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        return _tls_context(cert_file, cert_dir)
    except OSError as error:
        reason = f"{type(error).__name__}: {error}"
    variable, path = ("SSL_CERT_FILE", cert_file) if cert_file else ("SSL_CERT_DIR", cert_dir)
    raise UsageError(
        f"the environment variable {variable} names {path!r}, but no certificates can be read there ({reason})"
    )


@cache
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _culprit(error: Exception) -> tuple[str, str]:
    """Return the variable at fault and the reason, but never its value, which may hold a password."""
    for kind, address in getproxies().items():
        scheme = address.partition("://")[0] if "://" in address else "http"
        if kind not in _VARIABLES or scheme in _SCHEMES:
            continue
        if scheme not in _SOCKS:
            return _spelling(
                _VARIABLES[kind]
            ), f"the address of a proxy must begin with http://, https:// or socks5://, not {scheme}://"
        if isinstance(error, ImportError):
            return _spelling(_VARIABLES[kind]), "a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'"
    return _spelling("NO_PROXY"), f"{error}"


def _spelling(variable: str) -> str:
    """Return the name in upper or lower case, as in the environment."""
    return variable.lower() if variable.lower() in os.environ else variable
