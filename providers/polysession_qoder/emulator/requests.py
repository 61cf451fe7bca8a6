"""Reading of requests in the Qoder emulator: credential, betas and body.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview and /authentication beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from polysession.emulation import ApiRequest, Refusal
from polysession_managed_agents.emulator import requests
from polysession_managed_agents.emulator.validation import Json, invalid

BODY_LIMIT_BYTES = 4 * 1024 * 1024


def check_token(headers: Mapping[str, str]) -> None:
    """Accept a bearer token that looks like one of the backend's: a personal access token, or a JWT."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    parts = token.split(".")
    is_jwt = len(parts) == len(("header", "payload", "signature")) and all(parts)
    if scheme.lower() != "bearer" or not (token.startswith("pt-") or is_jwt):
        raise Refusal(401, "Invalid API key or token.")


def betas(request: ApiRequest) -> frozenset[str]:
    """The beta features that the caller opts into: one header with commas, or several headers."""
    names = ",".join(request.headers.getlist("x-qoder-beta")).split(",")
    return frozenset(name.strip() for name in names)


def read_body(request: ApiRequest) -> Json:
    """The JSON object in the body. The backend cuts a longer body, so that the rest is not JSON."""
    if len(request.content) > BODY_LIMIT_BYTES:
        raise invalid("Request body must be valid JSON.")
    return requests.read_body(request)
