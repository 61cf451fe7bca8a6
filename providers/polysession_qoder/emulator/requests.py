"""Reading of requests in the Qoder emulator: credential, query and body.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview and /authentication beside it (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from polysession.emulation import ApiRequest, Refusal
from polysession_qoder.emulator.validation import Json, invalid

BODY_LIMIT_BYTES = 4 * 1024 * 1024

_LISTS = frozenset({"statuses", "type", "types", "event_deltas"})
_NUMBERS = frozenset({"limit", "version", "agent_version"})
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_FLAGS = {"true": True, "false": False}


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


def read_query(request: ApiRequest) -> Json:
    """The query, its values as the JSON types that they stand for; text that does not fit is left to validation."""
    query: Json = {}
    for name, text in request.query.multi_items():
        plain_name = name.removesuffix("[]")
        if plain_name in _LISTS:
            query.setdefault(plain_name, []).extend(text.split(","))
        elif name in _NUMBERS and _NUMBER.fullmatch(text):
            query[name] = int(text)
        else:
            query[name] = _FLAGS.get(text, text) if name == "include_archived" else text
    return query


def read_body(request: ApiRequest) -> Json:
    """The JSON object in the body; empty if there is no body."""
    if not request.content:
        return {}
    if len(request.content) > BODY_LIMIT_BYTES:
        # The backend cuts a longer body, so that the rest is not JSON.
        raise invalid("Request body must be valid JSON.")
    try:
        body = request.json()
    except ValueError as error:
        raise invalid("Request body must be valid JSON.") from error
    if not isinstance(body, dict):
        raise invalid("Request body must be a JSON object.")
    return body
