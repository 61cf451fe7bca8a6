"""Runs flows over a blocking HTTP client. Its twin is `async_driver`; what they share is in `_core`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import httpx

from polysession._core.exchange import Exchange
from polysession._core.flow import Call, Flow, Reply
from polysession._core.provider import Provider
from polysession._core.retry import Outcome, RetryPolicy, tenacity_settings
from polysession._drivers.transport import DEFAULT_TIMEOUT, request_options, tls_context
from polysession.change import Unset
from polysession.errors import PolysessionError

T = TypeVar("T")


class SyncDriver:
    """Performs the calls of one client's flows."""

    def __init__(
        self,
        provider: Provider[Any],
        *,
        http_client: httpx.Client | None,
        timeout: float | Unset | None,
        retry: RetryPolicy,
    ) -> None:
        self._exchange = Exchange(provider)
        self._retry = retry
        self._owns_http = http_client is None
        self._http = httpx.Client(verify=tls_context(), timeout=DEFAULT_TIMEOUT) if http_client is None else http_client
        self._options = request_options(timeout)

    def run(self, operation: str, flow: Flow[T]) -> T:
        """Run a flow to its result.

        Raises:
            PolysessionError: Whatever the flow raises or lets through, with provider and operation filled in.
        """
        call: Call | None = None
        reply: Reply | None = None
        advance: Callable[[], Call] = partial(next, flow)
        try:
            while True:
                try:
                    call = advance()
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                try:
                    reply = self._perform(call)
                except PolysessionError as error:
                    advance = partial(flow.throw, error)
                else:
                    advance = partial(flow.send, reply)
        except PolysessionError as error:
            self._exchange.locate(error, operation, call, reply)
            raise
        finally:
            flow.close()

    def close(self) -> None:
        """Close the HTTP client, unless the caller brought it."""
        if self._owns_http:
            self._http.close()

    def _perform(self, call: Call) -> Reply:
        if call.after_s:
            time.sleep(call.after_s)
        key = str(uuid.uuid4()) if call.idempotency_header else None
        headers = self._exchange.headers(call, key)
        url = self._exchange.url(call)
        request = self._http.build_request(call.method, url, headers=headers, content=call.body, **self._options)
        started_s = time.monotonic()
        outcomes = [self._attempt(request)]
        if self._retry.wants_retry(call, outcomes[0]):
            self._attempt_again(request, outcomes, time.monotonic() - started_s)
        return self._exchange.settle(call, outcomes, _now())

    def _attempt(self, request: httpx.Request) -> Outcome:
        try:
            response = self._http.send(request, follow_redirects=False)
        except Exception as error:
            failure = self._exchange.failure(error)
            if failure is None:
                raise
            return failure
        return Reply(response.status_code, response.headers, response.content)

    def _attempt_again(self, request: httpx.Request, outcomes: list[Outcome], elapsed_s: float) -> None:
        from tenacity import Retrying  # noqa: PLC0415  (only a failure needs it)

        def attempt() -> Outcome:
            if loop.statistics["attempt_number"] > 1:  # the first has been made, and is why we are here
                outcomes.append(self._attempt(request))
            return outcomes[-1]

        loop = Retrying(**tenacity_settings(self._retry, elapsed_s, _now))
        loop(attempt)


def _now() -> datetime:
    return datetime.now(UTC)
