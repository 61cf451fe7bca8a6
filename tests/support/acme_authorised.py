"""The invented provider that exchanges its token for a short-lived one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from polysession.provider_api import Authorisation, Call, Flow, Provider, hookimpl, read_json
from support.acme_streams import AcmeStreams

EXCHANGE_URL = "https://tokens.example"


class AcmeAuthorised(AcmeStreams):
    """Its constant headers contain no token."""

    def headers(self) -> Mapping[str, str]:
        return {"acme-version": "2"}

    def authorise(self, call: Call, now: datetime) -> Flow[Authorisation]:  # noqa: ARG002  (one token for all calls)
        key = {"authorization": f"Bearer {self.settings.token.get_secret_value()}"}
        body = read_json((yield Call("POST", "/exchange", key, read_only=True, base_url=EXCHANGE_URL)))
        seconds = body["expires_in"]
        expires_at = None if seconds is None else now + timedelta(seconds=seconds)
        return Authorisation({"authorization": f"Bearer {body['token']}"}, expires_at)


@hookimpl
def polysession_provider() -> type[Provider[Any]]:
    return AcmeAuthorised
