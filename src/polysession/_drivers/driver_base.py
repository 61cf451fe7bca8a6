"""The base of the sync and the async driver: options, requests and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from polysession._core import effect_source
from polysession._core.authorising import Authorisation
from polysession._core.body import MAX_BODY_BYTES, check_max_body_bytes
from polysession._core.exchange import Exchange
from polysession._core.flow import Call
from polysession._core.provider import Provider
from polysession._core.retry import RetryPolicy, checked_policy
from polysession._drivers.connections import DEFAULT_CONNECTIONS, Connections
from polysession._drivers.environment import proxy_of
from polysession._drivers.http_client import AsyncClientHolder, ClientHolder
from polysession._drivers.observation import Observation
from polysession._drivers.transport import Deadline, build_request, request_options
from polysession.change import Unset
from polysession.errors import PolysessionError, TransportError
from polysession.feature import TurnLife


class DriverBase:
    """The options of one client, and what its requests need.

    Args:
        provider: The provider.
        holder: Holds the HTTP client.
        timeout: Seconds for each wait on the network; None waits for ever, `UNSET` leaves it to the HTTP client.
        retry: Which failures are retried; None for none.
        observers: See every request.
        max_body_bytes: Largest body that is read.
        connections: Options of our own HTTP client.

    Raises:
        UsageError: An option cannot be used.
    """

    def __init__(
        self,
        provider: Provider[Any],
        holder: ClientHolder | AsyncClientHolder,
        *,
        timeout: float | Unset | None,
        retry: RetryPolicy | None,
        observers: Sequence[object],
        max_body_bytes: int = MAX_BODY_BYTES,
        connections: Connections = DEFAULT_CONNECTIONS,
    ) -> None:
        self._options = request_options(timeout)
        self._max_body_bytes = check_max_body_bytes(max_body_bytes)
        self.retry: RetryPolicy = checked_policy(retry)
        self.turn_life: TurnLife = provider.turn_life
        self._is_ours = holder.is_ours
        proxy = proxy_of(provider.settings.base_url) if self._is_ours else None
        self._exchange = Exchange(provider, proxy=proxy and proxy.variable, user_agent=connections.user_agent)
        self.observation: Observation = Observation(provider, self._exchange, observers)

    def with_options(
        self, *, timeout: float | Unset | None, retry: RetryPolicy | Unset | None, headers: Mapping[str, str]
    ) -> Self:
        """Return a driver with other options that uses the same connections.

        Raises:
            UsageError: An option cannot be used.
        """
        other = copy(self)
        if not isinstance(timeout, Unset):
            other._options = request_options(timeout)  # noqa: SLF001  (a copy of this one)
        if not isinstance(retry, Unset):
            other.retry = checked_policy(retry)
        other._exchange = self._exchange.with_headers(headers)  # noqa: SLF001  (a copy of this one)
        return other

    def failure(self, error: BaseException) -> TransportError | None:
        """Return our error for an error of the HTTP library; None for any other error."""
        return self._exchange.failure(error)

    def add_context(self, error: PolysessionError, operation: str) -> None:
        """Add provider and operation to an error of a stream."""
        self._exchange.add_context(error, operation, None, None)

    def _headers(self, call: Call, authorisation: Authorisation) -> Mapping[str, str]:
        key = effect_source.new_key() if call.idempotency_header else None
        return self._exchange.headers(call, key, authorisation)

    def _request(self, http: Any, call: Call, headers: Mapping[str, str], deadline: Deadline) -> httpx.Request:
        url = self._exchange.url(call)
        request = build_request(http, call, url, headers, self._options, is_ours=self._is_ours)
        deadline.bound(request)
        return request


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)
