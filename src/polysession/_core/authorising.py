"""Authorisation that a provider fetches: kept while it is valid, and forgotten when the backend refuses it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from polysession._core.flow import Call, Flow, Response
from polysession.errors import AuthenticationFailed, MalformedResponse, StatusError
from polysession.settings import check_header_value

if TYPE_CHECKING:
    from polysession._core.provider import Provider

_REFUSED: Final = 401
_LONGEST_MARGIN_S: Final = 60.0
_MARGIN: Final = 0.1
"""The last part of an authorisation's lifetime: it is not used then, so that no call arrives after it expired."""


@dataclass(frozen=True, slots=True)
class Authorisation:
    """Headers that identify a client for some time.

    Attributes:
        headers: Added to the headers of every call; none where the constant headers are enough. No message shows their
            values.
        expires_at: When the headers expire, aware UTC; None for never. For headers that fit one call only, such as its
            signature, this is the `now` that `authorise` received.
    """

    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    expires_at: datetime | None = None


NO_AUTHORISATION: Final = Authorisation()


class Authoriser:
    """Keeps the authorisation of one client, and of the clients made from it by `with_options`.

    Drivers run `fetch`, one at a time.

    Args:
        provider: The provider, which fetches the authorisation.

    Attributes:
        recent: The last two authorisations: a backend may quote the one before.
    """

    def __init__(self, provider: Provider[Any]) -> None:
        self._provider = provider
        self._is_kept = False
        self._fresh_until_s = -math.inf
        self.recent: tuple[Authorisation, ...] = ()

    def current(self, now_s: float) -> Authorisation | None:
        """Return the authorisation that is valid at this time of the monotonic clock; None if one has to be fetched."""
        return self.recent[-1] if now_s < self._fresh_until_s else None

    def fetch(self, call: Call, now: datetime) -> Flow[Authorisation]:
        """Ask the provider for a new authorisation.

        Raises:
            AuthenticationFailed: The authorisation was refused, for any reason. All reasons raise this class, so that
                the flow of an operation does not mistake it for a refusal of its own call.
            MalformedResponse: The response cannot be read. The error does not quote it, because it may hold a token.
        """
        try:
            fetched = yield from self._provider.authorise(call, now)
        except MalformedResponse as error:
            status, request_id = error.status, error.request_id
        except StatusError as error:
            if error.retryable or isinstance(error, AuthenticationFailed):
                raise
            raise AuthenticationFailed(
                f"authorisation was refused: {error.message}",
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from error
        else:
            _check(fetched)
            return fetched
        # Outside the handler: the traceback of the first error holds the body.
        raise MalformedResponse(
            "the response to the authorisation request cannot be read", status=status, request_id=request_id
        )

    def keep(self, fetched: Authorisation, now: datetime, now_s: float) -> None:
        """Keep a fetched authorisation.

        Args:
            fetched: The authorisation.
            now: The time at which the fetch began.
            now_s: The same time by the monotonic clock.
        """
        self.recent = (*self.recent[-1:], fetched)
        if fetched.expires_at is None:
            self._fresh_until_s = math.inf
            return
        lifetime_s = (fetched.expires_at - now).total_seconds()
        self._fresh_until_s = now_s + lifetime_s - min(_LONGEST_MARGIN_S, _MARGIN * lifetime_s)

    def is_refused(self, used: Authorisation, outcome: object) -> bool:
        """Return whether a call was refused because of its authorisation. If so, that one is not used again."""
        if not used.headers or not isinstance(outcome, Response) or outcome.status != _REFUSED:
            return False
        if self.recent[-1] is used:  # otherwise another call has already fetched a new one
            self._fresh_until_s = -math.inf
        return True


def _check(fetched: Authorisation) -> None:
    for name, value in fetched.headers.items():
        try:
            check_header_value(value)
        except ValueError as error:
            raise MalformedResponse(f"the header {name!r} for authorisation cannot be sent: it {error}") from None
