"""What both drivers tell: to the log, and to observers. Where nobody looks it costs two comparisons a call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

from polysession._core.exchange import Exchange
from polysession._core.flow import Call, Reply
from polysession._core.provider import Provider
from polysession._core.retry import Outcome
from polysession.errors import PolysessionError
from polysession.observing import (
    LOGGER,
    Observers,
    RequestSent,
    ResponseReceived,
    TurnContent,
    TurnWatched,
    notify,
)
from polysession.session import Session

if TYPE_CHECKING:
    from polysession._core.turn import TurnResult
    from polysession.event import Event


class Watched:
    """One attempt that somebody looks at."""

    def __init__(self, observers: Observers, harmless: Callable[[str], str], request: RequestSent) -> None:
        self._observers = observers
        self._harmless = harmless
        self._request = request
        level = logging.DEBUG if request.attempt == 1 else logging.INFO  # a retry is worth knowing of
        LOGGER.log(level, "%s: %s %s, attempt %d", request.operation, request.method, request.url, request.attempt)
        notify(observers.before_request, request=request)
        self._started_s = time.monotonic()

    def opened(self, response: httpx.Response) -> None:
        """A stream is open."""
        self.came_to(Reply(response.status_code, response.headers, b""))

    def came_to(self, outcome: Outcome) -> None:
        """The attempt is over."""
        elapsed_s = time.monotonic() - self._started_s
        if not isinstance(outcome, Reply):
            self._tell(ResponseReceived(None, elapsed_s, error=outcome))
            return
        request_id = outcome.headers.get("x-request-id")
        self._tell(ResponseReceived(outcome.status, elapsed_s, request_id and self._harmless(request_id)))

    def _tell(self, response: ResponseReceived) -> None:
        what = response.status or type(response.error).__name__
        operation, id_ = self._request.operation, response.request_id
        LOGGER.debug("%s: %s after %.3f s, request id %s", operation, what, response.elapsed_s, id_)
        notify(self._observers.after_response, request=self._request, response=response)


class Watch:
    """Looks on for one client.

    Args:
        provider: The provider.
        exchange: Knows the address of a call, and what is secret.
        observers: The caller's observers.
    """

    def __init__(self, provider: Provider[Any], exchange: Exchange, observers: Observers) -> None:
        self._provider = provider.name
        self._base_url = provider.settings.base_url
        self._exchange = exchange
        self.observers = observers

    def request(self, operation: str, call: Call, attempt: int = 1) -> Watched | None:
        """One attempt is about to be made; None if nobody looks."""
        if not self.observers.watch_requests and not LOGGER.isEnabledFor(logging.DEBUG):
            return None
        harmless = self._exchange.harmless
        url = harmless(self._exchange.url(call))
        return Watched(self.observers, harmless, RequestSent(self._provider, operation, call.method, url, attempt))

    def turn(self, session: Session | str, content: TurnContent) -> TurnWatch:
        """A turn that `run` is to follow."""
        if isinstance(session, Session):
            model = session.model.id if session.model else None
            turn = TurnWatched(self._provider, self._base_url, session.id, session.agent_id, model, content)
        else:
            turn = TurnWatched(self._provider, self._base_url, session, content=content)
        return TurnWatch(self.observers, turn)

    @property
    def on_event(self) -> Callable[[Event], None] | None:
        """What each event is shown to; None if nobody looks."""
        return None if self.observers.on_event is None else self.event

    def event(self, event: Event) -> None:
        """An event is delivered."""
        if self.observers.on_event is not None:
            notify(self.observers.on_event, provider=self._provider, event=event)

    def interrupted(self, operation: str, failure: PolysessionError | None, wait_s: float) -> None:
        """A stream broke, and is opened again."""
        how = self._exchange.harmless(failure.message) if failure else "the backend closed it"
        LOGGER.info("%s: the stream broke (%s); opening it again in %.2f s", operation, how, wait_s)


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
