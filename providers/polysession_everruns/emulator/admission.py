"""Whom an emulated Everruns server lets in: credential, organization and change reason of a request.

Backend: https://github.com/everruns/everruns and https://github.com/everruns/sdk (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from polysession_everruns.emulator.rules import (
    ForbiddenError,
    UnauthenticatedError,
    check_change_reason,
    check_id,
)
from polysession_everruns.emulator.state import ORGANIZATION_ID

_SCHEMES = frozenset({"bearer", "apikey"})


def check_admission(headers: Mapping[str, str]) -> None:
    """Accept the headers of a request; names are looked up in lower case.

    Raises:
        UnauthenticatedError: There is no token of a user.
        InvalidInputError: The organization id is malformed, or the change reason is bad.
        ForbiddenError: The token does not reach the organization.
    """
    if not _is_user_token(_token(headers.get("authorization", ""))):
        raise UnauthenticatedError("Authentication required")
    _check_organization(headers.get("x-org-id"))
    reason = headers.get("everruns-change-reason")
    if reason is not None:
        check_change_reason(reason)


def _token(authorization: str) -> str:
    """The credential behind `Bearer` or `ApiKey`, or bare as the official clients send it."""
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() if scheme.lower() in _SCHEMES else authorization


def _is_user_token(token: str) -> bool:
    # The key of an agent opens only that agent's own API, not this one.
    return token.startswith("evr_") and not token.startswith("evr_ak_")


def _check_organization(organization_id: str | None) -> None:
    if organization_id is None:
        return
    check_id("organization", organization_id)
    if organization_id != ORGANIZATION_ID:
        # 403, not 404: the documented 404 is for an entity that another organization has, and 403 for a policy that
        # refuses the caller, which is what a token without membership meets.
        raise ForbiddenError("The token does not reach this organization")
