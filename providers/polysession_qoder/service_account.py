"""Service accounts: a key is exchanged for a token of an hour, which authorises the calls.

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
"""The server that exchanges keys, for the host of each site."""
_WANTED: Final = {"grant_type": "client_credentials", "audience": "qoder", "scope": "qca.access", "ttl_seconds": 3600}


class WireToken(msgspec.Struct):
    """The answer to an exchange.

    Attributes:
        access_token: The token.
        expires_in: Seconds from now, 1 to 43,200; may come as text.
    """

    access_token: str
    expires_in: int | str


_read_token: Final = decoder(WireToken)


def exchange_of(base_url: str) -> str | None:
    """The server that exchanges keys for a site; None if the address is no site of Qoder's."""
    return _EXCHANGES.get(urlsplit(base_url).hostname or "")


def exchange(key: str, openapi_url: str, now: datetime) -> Flow[Authorisation]:
    """Exchange the key of a service account for a token.

    Args:
        key: The key.
        openapi_url: The server that exchanges keys.
        now: The time, from which the token's seconds count.
    """
    headers = {"authorization": f"Bearer {key}"}
    body = json_body(_WANTED)
    reply = yield Call("POST", "/api/v1/serviceToken/exchange", headers, body, read_only=True, base_url=openapi_url)
    token = read_whole(_read_token, reply)
    try:
        expires_at = now + timedelta(seconds=int(token.expires_in))
    except (ValueError, OverflowError):
        raise MalformedResponse("the answer to the token exchange has no expires_in that is a number") from None
    return Authorisation({"authorization": f"Bearer {token.access_token}"}, expires_at)
