"""Runs flows over a sync HTTP client. The async version is `async_driver`; shared code is in `_core`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar

import httpx

from polysession._core import effect_source
from polysession._core.authorising import NO_AUTHORISATION, Authorisation
from polysession._core.flow import Call, Flow, Response
from polysession._core.provider import Provider
from polysession._core.retry import Outcome, tenacity_settings
from polysession._drivers.connections import DEFAULT_CONNECTIONS, Connections
from polysession._drivers.driver_base import DriverBase, utc_now
from polysession._drivers.http_client import ClientHolder, HttpClient
from polysession._drivers.open_turns import BlockingOpenTurns
from polysession._drivers.refreshing import RefreshLock
from polysession._drivers.transport import (
    NO_DEADLINE,
    BodyReader,
    Deadline,
    is_read,
    is_stream,
)
from polysession.errors import PolysessionError

T = TypeVar("T")
Attempt: TypeAlias = Callable[..., Outcome]


class SyncDriver(DriverBase):
    """Performs the calls of one client's flows.

    Args:
        provider: The provider.
        http_client: The caller's HTTP client; None for our own.
        connections: Options of our own HTTP client.
        max_turns: Maximum number of turns that are open at once; None for no limit.
        options: See `DriverBase`.
    """

    def __init__(
        self,
        provider: Provider[Any],
        *,
        http_client: HttpClient | None,
        connections: Connections = DEFAULT_CONNECTIONS,
        max_turns: int | None = None,
        **options: Any,
    ) -> None:
        self._holder = ClientHolder(http_client, connections)
        super().__init__(provider, self._holder, connections=connections, **options)
        self.open_turns: BlockingOpenTurns = BlockingOpenTurns(max_turns)
        self._refreshing = RefreshLock()

    def run(self, operation: str, flow: Flow[T], deadline: Deadline = NO_DEADLINE, *, authorised: bool = True) -> T:
        """Run a flow to its result.

        Args:
            operation: The operation that the caller started.
            flow: The flow.
            deadline: When to stop.
            authorised: Whether the calls of the flow carry the authorisation that the provider fetches.

        Raises:
            DeadlineExceeded: The deadline has passed.
            PolysessionError: Any error that leaves the flow, with provider and operation filled in.
        """
        call: Call | None = None
        response: Response | None = None
        advance: Callable[[], Call] = partial(next, flow)
        try:
            while True:
                try:
                    call = advance()
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                deadline.check()
                try:
                    response = self._perform(operation, call, deadline, authorised=authorised)
                except PolysessionError as error:
                    deadline.check(error)
                    advance = partial(flow.throw, error)
                else:
                    advance = partial(flow.send, response)
        except PolysessionError as error:
            self._exchange.add_context(error, operation, call, response)
            raise
        finally:
            flow.close()

    def close(self) -> None:
        """Close the HTTP client, unless it is the caller's."""
        http = self._holder.close()
        if http is not None:
            http.close()

    def connect(self, operation: str, call: Call, deadline: Deadline) -> httpx.Response:
        """Open a stream of events.

        Args:
            operation: The operation that the caller started.
            call: The call that opens it.
            deadline: When to stop.

        Raises:
            TransportError: No connection could be made.
            StatusError: The backend refused.
            MalformedResponse: The response is a success but not a stream.
        """
        authorisation = self._authorise(operation, call, deadline)
        opened = self._open(operation, call, authorisation, deadline)
        if self._exchange.authoriser.is_refused(authorisation, opened):
            authorisation = self._authorise(operation, call, deadline)
            opened = self._open(operation, call, authorisation, deadline)
        if not isinstance(opened, Response | PolysessionError):
            return opened
        reply = self._exchange.raise_for_outcome(call, [opened], utc_now())
        raise self._exchange.no_stream(call, reply)

    def _authorise(self, operation: str, call: Call, deadline: Deadline) -> Authorisation:
        """Return the authorisation of a call: the stored one, or a new one. One refresh runs at a time."""
        authoriser = self._exchange.authoriser
        kept = authoriser.current(time.monotonic())
        if kept is not None:
            return kept
        with self._refreshing.hold(deadline):
            now, now_s = utc_now(), time.monotonic()
            kept = authoriser.current(now_s)
            if kept is None:
                kept = self.run(operation, authoriser.fetch(call, now), deadline, authorised=False)
                authoriser.keep(kept, now, now_s)
            return kept

    def _open(
        self, operation: str, call: Call, authorisation: Authorisation, deadline: Deadline
    ) -> httpx.Response | Outcome:
        http = self._holder.get()
        request = self._request(http, call, self._headers(call, authorisation), deadline)
        observed = self.observation.request(operation, call)
        try:
            response: httpx.Response = http.send(request, stream=True, follow_redirects=False)
            if is_stream(response):
                if observed is not None:
                    observed.opened(response)
                return response
            if response.is_success:  # the body may never end
                response.close()
                outcome: Outcome = Response(response.status_code, response.headers, b"")
            else:
                outcome = self._take_in(response)
        except Exception as error:
            failed = self._exchange.outcome(error)
            if failed is None:
                raise
            outcome = failed
        if observed is not None:
            observed.finish(outcome)
        return outcome

    def _perform(self, operation: str, call: Call, deadline: Deadline, *, authorised: bool) -> Response:
        if call.after_s:
            time.sleep(deadline.within_s(effect_source.wait_s(call.after_s)))
        authorisation = self._authorise(operation, call, deadline) if authorised else NO_AUTHORISATION
        outcomes: list[Outcome] = []
        self._try(operation, call, authorisation, deadline, outcomes)
        if self._exchange.authoriser.is_refused(authorisation, outcomes[-1]):
            authorisation = self._authorise(operation, call, deadline)
            self._try(operation, call, authorisation, deadline, outcomes)
        return self._exchange.raise_for_outcome(call, outcomes, utc_now())

    def _try(
        self, operation: str, call: Call, authorisation: Authorisation, deadline: Deadline, outcomes: list[Outcome]
    ) -> None:
        """Make a call, and repeat it if its failure is retryable; add the outcome of each attempt."""
        attempt = partial(self._attempt, operation, call, self._headers(call, authorisation), deadline)
        started_s = time.monotonic()
        outcomes.append(attempt(number=len(outcomes) + 1))
        if self.retry.wants_retry(call, outcomes[-1]):
            left_s = self.retry.deadline_s - (time.monotonic() - started_s)
            self._attempt_again(call, attempt, outcomes, deadline.within_s(left_s))

    def _attempt(
        self, operation: str, call: Call, headers: Mapping[str, str], deadline: Deadline, number: int
    ) -> Outcome:
        http = self._holder.get()
        request = self._request(http, call, headers, deadline)
        observed = self.observation.request(operation, call, number)
        try:
            response = http.send(request, stream=True, follow_redirects=False)
            outcome: Outcome = self._take_in(response)
        except Exception as error:
            failed = self._exchange.outcome(error)
            if failed is None:
                raise
            outcome = failed
        if observed is not None:
            observed.finish(outcome)
        return outcome

    def _take_in(self, response: httpx.Response) -> Response:
        """Read the complete response; its connection is free again, or closed."""
        if is_read(response):
            return Response(response.status_code, response.headers, response.content)
        try:
            body = BodyReader(response, self._max_body_bytes)
            for chunk in response.iter_raw():
                if not body.take(chunk):
                    break
            return body.reply()
        finally:
            response.close()

    def _attempt_again(self, call: Call, attempt: Attempt, outcomes: list[Outcome], left_s: float) -> None:
        from tenacity import Retrying  # noqa: PLC0415  (only a failure needs it)

        def attempt_or_first() -> Outcome:
            if loop.statistics["attempt_number"] > 1:  # the first attempt was made before this loop
                outcomes.append(attempt(number=len(outcomes) + 1))
            return outcomes[-1]

        loop = Retrying(**tenacity_settings(self.retry, call, left_s, utc_now))
        loop(attempt_or_first)
