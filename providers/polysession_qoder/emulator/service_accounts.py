"""Service accounts of the Qoder emulator: keys are exchanged for tokens, which expire.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/authentication and qca-sdk 0.11.0 (both read 2026-11). The
error body of a refused exchange is not documented; the emulator uses the common error body.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from polysession.emulation import ApiRequest, Refusal
from polysession_managed_agents.emulator.validation import Json, invalid, need, only, take
from polysession_qoder.emulator.requests import bearer_token, read_body
from polysession_qoder.emulator.shapes import timestamp

EXCHANGE_PATH = "/api/v1/serviceToken/exchange"
LONGEST_LIFETIME_S = 43_200
_DEFAULT_LIFETIME_S = 3600
_CONSTANTS: Mapping[str, str] = {"grant_type": "client_credentials", "audience": "qoder"}


class ServiceAccounts:
    """The keys of the service accounts, and the tokens that were issued for them.

    Attributes:
        keys: The accepted keys. Tests may add and remove keys.
        lifetime_s: Maximum lifetime of new tokens in seconds, 1 to 43,200.
    """

    def __init__(self) -> None:
        self.keys: set[str] = {"sa-emulator"}
        self.lifetime_s: int = LONGEST_LIFETIME_S
        self._valid_until_s: dict[str, float] = {}

    @property
    def issued(self) -> int:
        """The number of tokens that were issued."""
        return len(self._valid_until_s)

    def revoke_tokens(self) -> None:
        """Let all tokens that were issued so far expire."""
        self._valid_until_s.update(dict.fromkeys(self._valid_until_s, 0.0))

    def exchange(self, request: ApiRequest) -> Json:
        """Return a new token for a valid key."""
        if bearer_token(request.headers) not in self.keys:
            raise Refusal(401, "Invalid service account key.")
        lifetime_s = min(_read_lifetime_s(read_body(request)), self.lifetime_s)
        expires_at = datetime.now(UTC) + timedelta(seconds=lifetime_s)
        token = _jwt({"aud": "qoder", "scope": "qca.access", "exp": int(expires_at.timestamp()), "jti": uuid4().hex})
        self._valid_until_s[token] = time.monotonic() + lifetime_s
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": lifetime_s,
            "expires_at": timestamp(expires_at),
        }

    def check(self, headers: Mapping[str, str]) -> None:
        """Refuse a request without a valid token. Every token with the prefix `pt-` is valid."""
        token = bearer_token(headers)
        if not token.startswith("pt-") and self._valid_until_s.get(token, 0.0) <= time.monotonic():
            raise Refusal(401, "Invalid API key or token.")


def _read_lifetime_s(body: Json) -> int:
    only(body, frozenset({*_CONSTANTS, "scope", "ttl_seconds"}))
    for name, value in _CONSTANTS.items():
        if need(body, name, str) != value:
            raise invalid(f"Field '{name}' must be '{value}'.", name)
    if "qca.access" not in need(body, "scope", str).split():
        raise invalid("Field 'scope' must contain 'qca.access'.", "scope")
    lifetime_s = take(body, "ttl_seconds", int)
    if lifetime_s is None:
        return _DEFAULT_LIFETIME_S
    if not 1 <= lifetime_s <= LONGEST_LIFETIME_S:
        raise invalid(f"Field 'ttl_seconds' must be from 1 to {LONGEST_LIFETIME_S}.", "ttl_seconds")
    return lifetime_s


def _jwt(claims: Json) -> str:
    """Return a token in the format of a JWT, with an invalid signature.

    No client checks the signature.
    """
    parts = (json.dumps({"alg": "HS256", "typ": "JWT"}).encode(), json.dumps(claims).encode(), b"emulated")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
