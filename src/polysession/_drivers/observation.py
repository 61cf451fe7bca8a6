"""Reports calls, events and turns to the log and to observers. Without observers it costs two comparisons per call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from polysession._core.exchange import Exchange
from polysession._core.flow import Call, Response
from polysession._core.provider import Provider
from polysession._core.retry import Outcome
from polysession.errors import PolysessionError, UsageError
from polysession.plugins import PROJECT
from polysession.session import Session

if TYPE_CHECKING:
    import httpx

    from polysession._core.handles import AnySession
    from polysession.event import Event
    from polysession.observing import Observers, RequestSent, ResponseReceived, TurnContent, TurnWatched
    from polysession.result import TurnResult

_LOGGER = logging.getLogger(PROJECT)
_FAILURES: Final = 400
"""The lowest HTTP status of a failure."""


class Observation:
    """Reports the activity of one client.

    Args:
        provider: The provider.
        exchange: Builds the address of a call, and redacts secrets.
        observers: The caller's observers.

    Raises:
        UsageError: An item is not an observer, or is given twice.
    """

    def __init__(self, provider: Provider[Any], exchange: Exchange, observers: Sequence[object]) -> None:
        self._provider = provider.name
        self._base_url = provider.settings.base_url
        self._exchange = exchange
        if isinstance(observers, str) or not isinstance(observers, Sequence):
            raise UsageError(f"observers must be a list of observers, not {observers!r}")
        self._given = tuple(observers)
        self._has_request_hooks = bool(self._given) and self.observers.watch_requests

    @cached_property
    def observers(self) -> Observers:
        """The caller's observers."""
        from polysession.observing import Observers

        return Observers(self._given)

    def request(self, operation: str, call: Call, attempt: int = 1) -> ObservedRequest | None:
        """Report the start of an attempt; None if neither an observer nor the log needs it."""
        if not self._has_request_hooks and not _LOGGER.isEnabledFor(logging.INFO):
            return None
        from polysession.observing import RequestSent

        redact = self._exchange.redact
        url = redact(self._exchange.url(call))
        return ObservedRequest(
            self.observers, redact, RequestSent(self._provider, operation, call.method, url, attempt)
        )

    def turn(self, session: AnySession, content: TurnContent) -> ObservedTurn:
        """A turn that `run` follows."""
        from polysession.observing import TurnWatched

        if isinstance(session, str):
            turn = TurnWatched(self._provider, self._base_url, session, content=content)
        else:
            model = session.model.id if isinstance(session, Session) and session.model else None
            turn = TurnWatched(self._provider, self._base_url, session.id, session.agent_id, model, content)
        return ObservedTurn(self.observers, turn)

    @property
    def on_event(self) -> Callable[[Event], None] | None:
        """Return the function that reports each event; None if no observer needs events."""
        return None if self.observers.on_event is None else self.event

    def event(self, event: Event) -> None:
        """Report a delivered event."""
        from polysession.observing import notify

        notify(self.observers.on_event, provider=self._provider, event=event)

    def interrupted(self, operation: str, failure: PolysessionError | None, wait_s: float) -> None:
        """Log that a stream was interrupted and will be opened again."""
        how = self._exchange.redact(failure.message) if failure else "the backend closed the connection"
        id_ = failure and failure.request_id and self._exchange.redact(failure.request_id)
        _LOGGER.info(
            "%s: the stream was interrupted (%s), request id %s; reconnecting in %.2f s", operation, how, id_, wait_s
        )

    def stream_opened(self, operation: str, connection: int) -> None:
        """Report that a stream has a connection, the first or a later one."""
        self._notify_of_stream("stream_opened", operation=operation, connection=connection)

    def stream_closed(self, operation: str) -> None:
        """Report that a stream's connection is closed."""
        self._notify_of_stream("stream_closed", operation=operation)

    def _notify_of_stream(self, hook: str, **values: Any) -> None:
        if self._given:
            from polysession.observing import notify

            notify(getattr(self.observers, hook), provider=self._provider, **values)


class ObservedRequest:
    """One attempt of a call that is reported."""

    def __init__(self, observers: Observers, redact: Callable[[str], str], request: RequestSent) -> None:
        from polysession.observing import notify

        self._observers = observers
        self._redact = redact
        self._request = request
        level = logging.DEBUG if request.attempt == 1 else logging.INFO  # retries are logged at INFO
        _LOGGER.log(level, "%s: %s %s, attempt %d", request.operation, request.method, request.url, request.attempt)
        notify(observers.before_request, request=request)
        self._started_s = time.monotonic()

    def opened(self, response: httpx.Response) -> None:
        """Report that a stream is open."""
        self.finish(Response(response.status_code, response.headers, b""))

    def finish(self, outcome: Outcome) -> None:
        """Report the outcome of the attempt."""
        from polysession.observing import ResponseReceived

        elapsed_s = time.monotonic() - self._started_s
        if not isinstance(outcome, Response):
            self._show(ResponseReceived(None, elapsed_s, error=outcome))
            return
        request_id = outcome.request_id
        self._show(ResponseReceived(outcome.status, elapsed_s, request_id and self._redact(request_id)))

    def _show(self, response: ResponseReceived) -> None:
        from polysession.observing import notify

        what = response.status or type(response.error).__name__
        operation, id_ = self._request.operation, response.request_id
        level = logging.DEBUG if response.status is not None and response.status < _FAILURES else logging.INFO
        _LOGGER.log(level, "%s: %s after %.3f s, request id %s", operation, what, response.elapsed_s, id_)
        notify(self._observers.after_response, request=self._request, response=response)


class ObservedTurn:
    """One reported turn: its start is reported once, and its end once, however it ends."""

    def __init__(self, observers: Observers, turn: TurnWatched) -> None:
        self._observers = observers
        self._turn = turn
        self._is_open = False

    @property
    def session_id(self) -> str:
        """Id of its session."""
        return self._turn.session_id

    def start(self) -> None:
        """Report that the block of the turn was entered."""
        from polysession.observing import notify

        self._is_open = True
        notify(self._observers.turn_started, turn=self._turn)

    def end(self, result: TurnResult | None = None, error: BaseException | None = None) -> None:
        """Report that the turn ended; later ends of the same turn are not reported."""
        from polysession.observing import notify

        if self._is_open:
            self._is_open = False
            notify(self._observers.turn_ended, turn=self._turn, result=result, error=error)
