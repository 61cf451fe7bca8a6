"""Validates requests in the Everruns emulator: headers, ids, names, tags and tools.

Backend: https://github.com/everruns/sdk (openapi/openapi.json) and https://github.com/everruns/everruns (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from unicodedata import category
from urllib.parse import unquote

from polysession.emulation import Refusal


def invalid(detail: str, *, code: str | None = None) -> Refusal:
    """Build a refusal with 400. `code` is the documented error code, if there is one."""
    return Refusal(400, detail, code=code)


def unknown(detail: str, *, code: str | None = None) -> Refusal:
    """Build a refusal with 404."""
    return Refusal(404, detail, code=code)


def conflict(detail: str, *, code: str | None = None) -> Refusal:
    """Build a refusal with 409, because of the state of the resource."""
    return Refusal(409, detail, code=code)


ORGANIZATION_ID: Final = "org_00000000000000000000000000000001"

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

_SCHEMES = frozenset({"bearer", "apikey"})
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
    """Check an id of a kind, which is a key of `ID_PREFIXES`.

    Raises:
        Refusal: The prefix, the length or the digits are wrong, checked in that order (400).
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
    raise invalid(f"Invalid {kind} ID: {problem}")


def is_slug(name: str) -> bool:
    """Return whether a name is valid for agents and harnesses."""
    return len(name) <= _SLUG_LIMIT and _SLUG.fullmatch(name) is not None


def check_slug(kind: str, name: str) -> None:
    """Check the name of an agent or a harness.

    Raises:
        Refusal: The name is not a slug, or too long (400).
    """
    if not is_slug(name):
        raise invalid(
            f"{kind} name must be at most {_SLUG_LIMIT} lowercase letters, digits and single inner hyphens: {name!r}"
        )


def check_tags(tags: Iterable[str]) -> None:
    """Check the tags of a session.

    Raises:
        Refusal: A tag has a reserved prefix (400).
    """
    for tag in tags:
        for prefix in _RESERVED_TAG_PREFIXES:
            if tag.startswith(prefix):
                raise invalid(f"Tags with the prefix '{prefix}' are reserved for internal subsystems")


def client_side_tools(tools: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the client-side tools.

    As the server does, it drops all other kinds without an error.

    Raises:
        Refusal: The name of a tool begins with `mcp_` (400).
    """
    kept = [tool for tool in tools if tool.get("type") == "client_side"]
    for tool in kept:
        if str(tool.get("name", "")).startswith("mcp_"):
            raise invalid("Tool names must not begin with 'mcp_'")
    return kept


def check_change_reason(header: str) -> None:
    """Check an `Everruns-Change-Reason`: percent-encoded UTF-8 of 1 to 1000 characters.

    Raises:
        Refusal: The value does not decode, is blank or too long, or has control characters other than newline and tab
            (400).
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


def _bad_reason(problem: str) -> Refusal:
    return invalid(f"Change reason {problem}", code="invalid_change_reason")


def check_headers(headers: Mapping[str, str]) -> None:
    """Check the headers of a request. Their names are in lower case.

    Raises:
        Refusal: There is no user token (401). The organization id or the change reason is invalid (400). The token
            cannot access the organization (403).
    """
    if not _is_user_token(_token(headers.get("authorization", ""))):
        raise Refusal(401, "Authentication required")
    _check_organization(headers.get("x-org-id"))
    reason = headers.get("everruns-change-reason")
    if reason is not None:
        check_change_reason(reason)


def _token(authorization: str) -> str:
    """Return the credential after `Bearer` or `ApiKey`.

    The official clients send it without a scheme.
    """
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() if scheme.lower() in _SCHEMES else authorization


def _is_user_token(token: str) -> bool:
    # The key of an agent is valid only for the API of that agent.
    return token.startswith("evr_") and not token.startswith("evr_ak_")


def _check_organization(organization_id: str | None) -> None:
    if organization_id is None:
        return
    check_id("organization", organization_id)
    if organization_id != ORGANIZATION_ID:
        # 403, not 404: the documented 404 is for a resource of another organization; 403 is for a refusal by a policy,
        # such as that of a token without membership.
        raise Refusal(403, "The token cannot access this organization")
