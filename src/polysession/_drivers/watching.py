"""What both drivers tell: to the log, and to observers. Where nobody looks it costs two comparisons a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from polysession._core.exchange import Exchange
from polysession._core.flow import Call
from polysession._core.provider import Provider
from polysession.errors import PolysessionError, UsageError
from polysession.plugins import PROJECT
from polysession.session import Session

if TYPE_CHECKING:
    from polysession._core.operations import AnySession
    from polysession._drivers.watched import TurnWatch, Watched
    from polysession.event import Event
    from polysession.observing import Observers, TurnContent

_LOGGER = logging.getLogger(PROJECT)


class Watch:
    """Looks on for one client.

    Args:
        provider: The provider.
        exchange: Knows the address of a call, and what is secret.
        observers: The caller's observers.

    Raises:
        UsageError: One of the observers is none.
    """

    def __init__(self, provider: Provider[Any], exchange: Exchange, observers: Sequence[object]) -> None:
        self._provider = provider.name
        self._base_url = provider.settings.base_url
        self._exchange = exchange
        if isinstance(observers, str) or not isinstance(observers, Sequence):
            raise UsageError(f"observers must be a list of observers, not {observers!r}")
        self._given = tuple(observers)
        self._watches_requests = bool(self._given) and self.observers.watch_requests

    @cached_property
    def observers(self) -> Observers:
        """The caller's observers."""
        from polysession.observing import Observers

        return Observers(self._given)

    def request(self, operation: str, call: Call, attempt: int = 1) -> Watched | None:
        """One attempt is about to be made; None if nobody looks."""
        if not self._watches_requests and not _LOGGER.isEnabledFor(logging.DEBUG):
            return None
        from polysession._drivers.watched import Watched
        from polysession.observing import RequestSent

        redact = self._exchange.redact
        url = redact(self._exchange.url(call))
        return Watched(self.observers, redact, RequestSent(self._provider, operation, call.method, url, attempt))

    def turn(self, session: AnySession, content: TurnContent) -> TurnWatch:
        """A turn that `run` is to follow."""
        from polysession._drivers.watched import TurnWatch
        from polysession.observing import TurnWatched

        if not isinstance(session, str):
            model = session.model.id if isinstance(session, Session) and session.model else None
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
            from polysession.observing import notify

            notify(self.observers.on_event, provider=self._provider, event=event)

    def interrupted(self, operation: str, failure: PolysessionError | None, wait_s: float) -> None:
        """A stream broke, and is opened again."""
        how = self._exchange.redact(failure.message) if failure else "the backend closed it"
        _LOGGER.info("%s: the stream broke (%s); opening it again in %.2f s", operation, how, wait_s)
