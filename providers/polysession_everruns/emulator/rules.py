"""What the emulated Everruns server refuses: malformed ids, names, tags, tools and change reasons.

Backend: https://github.com/everruns/sdk (openapi/openapi.json) and https://github.com/everruns/everruns (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from unicodedata import category
from urllib.parse import unquote


class RefusedError(Exception):
    """The server declines a request.

    Attributes:
        detail: Sentence for people.
        code: Machine-readable code; None where the backend documents none.
    """

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class InvalidInputError(RefusedError):
    """The request itself breaks a rule."""


class UnauthenticatedError(RefusedError):
    """There is no usable credential."""


class ForbiddenError(RefusedError):
    """The credential does not reach what was asked for."""


class UnknownEntityError(RefusedError):
    """The id is well formed, and nothing has it."""


class ConflictError(RefusedError):
    """The state of something else stands in the way."""


ID_PREFIXES: Final[Mapping[str, str]] = {
    "session": "session",
    "agent": "agent",
    "agent identity": "identity",
    "harness": "harness",
    "model": "model",
    "event": "event",
    "organization": "org",
    "participant": "part",
    "workspace": "wsp",
}

_ID_DIGITS = 32
_LOWERCASE_HEX = re.compile(r"[0-9a-f]*")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SLUG_LIMIT = 64
_REASON_LIMIT = 1000
_RESERVED_TAG_PREFIXES = (
    "__internal:",
    "app:",
    "app_channel:",
    "slack:app:",
    "slack:endpoint:",
    "fcp:endpoint:",
    "ag_ui:app:",
    "agent:",
    "endpoint:",
)


def check_id(kind: str, value: str) -> None:
    """Accept an id of that kind, a key of `ID_PREFIXES`.

    Raises:
        InvalidInputError: The prefix, the length or the digits are wrong, looked at in that order.
    """
    prefix, _, digits = value.partition("_")
    expected = ID_PREFIXES[kind]
    if prefix != expected:
        problem = f"invalid prefix: expected '{expected}', got '{prefix}'"
    elif len(digits) != _ID_DIGITS:
        problem = f"invalid length: expected {_ID_DIGITS}, got {len(digits)}"
    elif not _LOWERCASE_HEX.fullmatch(digits):
        problem = f"invalid hex in ID: {digits}"
    else:
        return
    raise InvalidInputError(f"Invalid {kind} ID: {problem}")


def is_slug(name: str) -> bool:
    """Whether agents and harnesses may have that name."""
    return len(name) <= _SLUG_LIMIT and _SLUG.fullmatch(name) is not None


def check_slug(kind: str, name: str) -> None:
    """Accept the name of an agent or a harness.

    Raises:
        InvalidInputError: It is not a slug, or too long.
    """
    if not is_slug(name):
        raise InvalidInputError(
            f"{kind} name must be at most {_SLUG_LIMIT} lowercase letters, digits and single inner hyphens: {name!r}"
        )


def check_tags(tags: Iterable[str]) -> None:
    """Accept the tags of a session.

    Raises:
        InvalidInputError: One begins with a prefix that the server keeps to itself.
    """
    for tag in tags:
        for prefix in _RESERVED_TAG_PREFIXES:
            if tag.startswith(prefix):
                raise InvalidInputError(f"Tags with the prefix '{prefix}' are reserved for internal subsystems")


def client_side_tools(tools: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The tools that the server keeps: client-side ones; it drops every other kind without a word.

    Raises:
        InvalidInputError: The name of one begins with `mcp_`.
    """
    kept = [tool for tool in tools if tool.get("type") == "client_side"]
    for tool in kept:
        if str(tool.get("name", "")).startswith("mcp_"):
            raise InvalidInputError("Tool names must not begin with 'mcp_'")
    return kept


def check_change_reason(header: str) -> None:
    """Accept the value of `Everruns-Change-Reason`: percent-encoded UTF-8 of 1 to 1000 characters.

    Raises:
        InvalidInputError: It does not decode, is blank or too long, or has control characters besides newline and tab.
    """
    try:
        reason = unquote(header, errors="strict").strip()
    except UnicodeDecodeError as error:
        raise _bad_reason("is not UTF-8") from error
    if not reason:
        raise _bad_reason("must not be empty")
    if len(reason) > _REASON_LIMIT:
        raise _bad_reason(f"is longer than {_REASON_LIMIT} characters")
    if any(category(character) == "Cc" and character not in "\n\t" for character in reason):
        raise _bad_reason("must not contain control characters")


def _bad_reason(problem: str) -> InvalidInputError:
    return InvalidInputError(f"Change reason {problem}", code="invalid_change_reason")
