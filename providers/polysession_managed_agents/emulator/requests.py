"""Reads the query and the body of requests."""

from __future__ import annotations

import re

from polysession.emulation import ApiRequest
from polysession_managed_agents.emulator.validation import Json, invalid

_LISTS = frozenset({"statuses", "type", "types", "event_deltas"})
_NUMBERS = frozenset({"limit", "version", "agent_version"})
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_FLAGS = {"true": True, "false": False}


def read_query(request: ApiRequest) -> Json:
    """Return the query with its values converted to JSON types.

    Text that does not fit stays text for validation.
    """
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
    """Return the JSON object in the body; an empty one if there is no body."""
    if not request.content:
        return {}
    try:
        body = request.json()
    except ValueError as error:
        raise invalid("Request body must be valid JSON.") from error
    if not isinstance(body, dict):
        raise invalid("Request body must be a JSON object.")
    return body
