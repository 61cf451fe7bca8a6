"""What somebody looks at: an attempt at a call, and a turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import httpx

from polysession._core.flow import Response
from polysession._core.retry import Outcome
from polysession.observing import LOGGER, Observers, RequestSent, ResponseReceived, TurnWatched, notify
from polysession.result import TurnResult


class Watched:
    """One attempt that somebody looks at."""

    def __init__(self, observers: Observers, redact: Callable[[str], str], request: RequestSent) -> None:
        self._observers = observers
        self._harmless = redact
        self._request = request
        level = logging.DEBUG if request.attempt == 1 else logging.INFO  # a retry is worth knowing of
        LOGGER.log(level, "%s: %s %s, attempt %d", request.operation, request.method, request.url, request.attempt)
        notify(observers.before_request, request=request)
        self._started_s = time.monotonic()

    def opened(self, response: httpx.Response) -> None:
        """A stream is open."""
        self.finish(Response(response.status_code, response.headers, b""))

    def finish(self, outcome: Outcome) -> None:
        """The attempt is over."""
        elapsed_s = time.monotonic() - self._started_s
        if not isinstance(outcome, Response):
            self._tell(ResponseReceived(None, elapsed_s, error=outcome))
            return
        request_id = outcome.headers.get("x-request-id")
        self._tell(ResponseReceived(outcome.status, elapsed_s, request_id and self._harmless(request_id)))

    def _tell(self, response: ResponseReceived) -> None:
        what = response.status or type(response.error).__name__
        operation, id_ = self._request.operation, response.request_id
        LOGGER.debug("%s: %s after %.3f s, request id %s", operation, what, response.elapsed_s, id_)
        notify(self._observers.after_response, request=self._request, response=response)


class TurnWatch:
    """Tells of one turn: its start once, and its end once, whatever ends it first."""

    def __init__(self, observers: Observers, turn: TurnWatched) -> None:
        self._observers = observers
        self._turn = turn
        self._is_open = False

    def start(self) -> None:
        """Its block was entered."""
        self._is_open = True
        notify(self._observers.turn_started, turn=self._turn)

    def end(self, result: TurnResult | None = None, error: BaseException | None = None) -> None:
        """It ended; what comes after the first end is not told."""
        if self._is_open:
            self._is_open = False
            notify(self._observers.turn_ended, turn=self._turn, result=result, error=error)
