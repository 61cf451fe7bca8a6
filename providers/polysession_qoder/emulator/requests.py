"""Reads requests in the Qoder emulator: credential, betas and body.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview and /authentication beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from polysession.emulation import ApiRequest
from polysession_managed_agents.emulator import requests
from polysession_managed_agents.emulator.validation import Json, invalid

BODY_LIMIT_BYTES = 4 * 1024 * 1024


def bearer_token(headers: Mapping[str, str]) -> str:
    """Return the bearer token of a request; empty if it has none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def betas(request: ApiRequest) -> frozenset[str]:
    """Return the betas that the request names, in one header with commas or in several headers."""
    names = ",".join(request.headers.getlist("x-qoder-beta")).split(",")
    return frozenset(name.strip() for name in names)


def read_body(request: ApiRequest) -> Json:
    """Return the JSON object in the body.

    The backend truncates a body over 4 MB, so that it is not valid JSON.
    """
    if len(request.content) > BODY_LIMIT_BYTES:
        raise invalid("Request body must be valid JSON.")
    return requests.read_body(request)
