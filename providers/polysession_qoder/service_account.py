"""Exchanges the key of a service account for a token, which authorises calls for one hour.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/authentication and qca-sdk 0.11.0 (both read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from polysession.provider_api import Authorisation, Call, Flow, MalformedResponse, decoder, json_body, read_whole

_EXCHANGES: Final[Mapping[str, str]] = {
    "api.qoder.com": "https://openapi.qoder.sh",
    "api.qoder.com.cn": "https://openapi.qoder.com.cn",
}
"""The URL of the server that exchanges keys, for the host of each site."""

_WANTED: Final = {"grant_type": "client_credentials", "audience": "qoder", "scope": "qca.access", "ttl_seconds": 3600}


class WireToken(msgspec.Struct):
    """The response to an exchange.

    Attributes:
        access_token: The token.
        expires_in: Lifetime in seconds, 1 to 43,200, as a number or as text.
    """

    access_token: str
    expires_in: int | str


_read_token: Final = decoder(WireToken)


def exchange_of(base_url: str) -> str | None:
    """Return the URL of the exchange server of a site; None if it is not a site of Qoder."""
    return _EXCHANGES.get(urlsplit(base_url).hostname or "")


def exchange(key: str, openapi_url: str, now: datetime) -> Flow[Authorisation]:
    """Exchange the key of a service account for a token.

    Args:
        key: The key.
        openapi_url: URL of the server that exchanges keys.
        now: The current time, at which the token's lifetime starts.

    Raises:
        MalformedResponse: The response has no token, or no numeric `expires_in`.
    """
    headers = {"authorization": f"Bearer {key}"}
    body = json_body(_WANTED)
    reply = yield Call("POST", "/api/v1/serviceToken/exchange", headers, body, read_only=True, base_url=openapi_url)
    token = read_whole(_read_token, reply)
    try:
        expires_at = now + timedelta(seconds=int(token.expires_in))
    except (ValueError, OverflowError):
        raise MalformedResponse("the expires_in of the token exchange is not a number of seconds") from None
    return Authorisation({"authorization": f"Bearer {token.access_token}"}, expires_at)
