"""Reads requests in the Anthropic emulator: credential, versions, query and body.

Backend: https://platform.claude.com/docs/en/manage-claude/authentication, /docs/en/api/versioning and
/docs/en/managed-agents/events-and-streaming (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, TypeAlias

from polysession.emulation import ApiRequest, Headers, Refusal, Route
from polysession_managed_agents.emulator import requests
from polysession_managed_agents.emulator.validation import Json, invalid

BETA: Final = "managed-agents-2026-04-01"
VERSIONS: Final = frozenset({"2026-10-21", "2023-06-01"})
BODY_LIMIT_BYTES: Final = 32 * 1024 * 1024

Handler: TypeAlias = Callable[[ApiRequest], Any]

_KEY_PREFIX: Final = "sk-ant-"


def check_headers(headers: Headers) -> None:
    """Refuse a request without an API key in one of the headers, or without an API version."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token if scheme.lower() == "bearer" else ""
    if not any(key.startswith(_KEY_PREFIX) for key in (bearer, headers.get("x-api-key", ""))):
        raise Refusal(401, "The API key is missing or invalid.")
    if headers.get("anthropic-version") not in VERSIONS:
        raise invalid(f"The header 'anthropic-version' must be one of {', '.join(sorted(VERSIONS))}.")


def in_beta(routes: Iterable[Route], *, without: int) -> Iterable[Route]:
    """Return routes of the beta.

    They refuse a request without the beta header with the status `without`.
    """
    return (replace(route, handler=_with_beta(route.handler, without)) for route in routes)


def _with_beta(respond: Handler, without: int) -> Handler:

    def respond_in_beta(request: ApiRequest) -> Any:
        names = ",".join(request.headers.getlist("anthropic-beta")).split(",")
        if BETA not in {name.strip() for name in names}:
            raise Refusal(without, f"This endpoint needs the header 'anthropic-beta: {BETA}'.")
        return respond(request)

    return respond_in_beta


def read_query(request: ApiRequest) -> Json:
    """Return the query. `beta=true`, which older clients send, is ignored."""
    query = requests.read_query(request)
    query.pop("beta", None)
    return query


def read_body(request: ApiRequest) -> Json:
    """Return the JSON object in the body; an empty one if there is no body."""
    if len(request.content) > BODY_LIMIT_BYTES:
        raise Refusal(413, "The request is larger than 32 MB.")
    return requests.read_body(request)
