"""The base of the sync and the async stream: the loop, its errors, and its observers."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from polysession._core.effects import Ready
from polysession._core.flow import Flow
from polysession._core.streams import StreamLoop
from polysession._core.turn import ActionAnswers, TurnControl, TurnSummary
from polysession._drivers.transport import checked_seconds
from polysession.action import Answer, PendingAction
from polysession.errors import PolysessionError, UsageError
from polysession.event import Event, Outcome, TurnEnded
from polysession.feature import TurnLife
from polysession.result import TurnResult

if TYPE_CHECKING:
    from polysession._drivers.async_driver import AsyncDriver
    from polysession._drivers.observation import ObservedTurn
    from polysession._drivers.sync_driver import SyncDriver

CANCEL_LIMIT_S: Final = 5.0
"""Seconds for cancelling a turn that the caller leaves early."""
NOT_OPEN = "this stream is not open: read it inside its `with` or `async with` block"


class StreamBase:
    """A stream before it is opened.

    Args:
        driver: Performs the calls.
        operation: The operation that the caller started.
        plan_flow: Prepares the plan.
        deadline_s: Seconds from the opening after which to stop waiting; None for no limit.
        cursor: The caller's cursor; None for a stream that begins now.

    Raises:
        UsageError: `deadline_s` is not a number above zero.
    """

    _can_wake: ClassVar[bool]
    _announces = False

    def __init__(
        self,
        driver: SyncDriver | AsyncDriver,
        operation: str,
        plan_flow: Flow[Any],
        *,
        deadline_s: float | None = None,
        cursor: str | None = None,
    ) -> None:
        self._context = driver.add_context
        self._retry = driver.retry
        self._is_attended = driver.turn_life is TurnLife.ATTENDED
        self._operation = operation
        self._connections = 0
        self._was_entered = False
        try:
            deadline_s = checked_seconds(deadline_s, "deadline_s")
        except UsageError as error:
            driver.add_context(error, operation)
            raise
        self._deadline_s = deadline_s
        self._loop = self._new_loop(plan_flow, deadline_s, cursor)
        self._observe: Callable[[Event], None] | None = driver.observation.on_event

    def _new_loop(self, plan_flow: Flow[Any], deadline_s: float | None, cursor: str | None = None) -> StreamLoop:
        return StreamLoop(
            lambda: plan_flow,
            self._retry,
            deadline_s=deadline_s,
            can_wake=self._can_wake,
            attended=self._is_attended,
            announces=self._announces,
            cursor=cursor,
        )

    @property
    def cursor(self) -> str | None:
        """Text that continues this stream, in this process or another: `sessions.stream(session, cursor=...)`."""
        return self._loop.cursor

    def _enter(self) -> None:
        if self._was_entered:
            raise self._misused("this stream was already opened; create a new one")
        self._was_entered = True

    def _fail(self, error: BaseException) -> None:
        """Note that this error ends the stream."""
        if isinstance(error, PolysessionError):
            self._context(error, self._operation)

    def _misused(self, how: str) -> UsageError:
        error = UsageError(how)
        self._context(error, self._operation)
        return error


class TurnBase(StreamBase):
    """A turn before it is opened: a stream, and its result.

    Args:
        driver: Performs the calls.
        operation: The operation that the caller started.
        plan_flow: Prepares the plan.
        watch: Receives the start and the end of the turn.
        deadline_s: Seconds from the opening after which to stop waiting; None for no limit.
        cursor: The caller's cursor; None for a stream that begins now.
        control: How to handle pending actions, and an early exit from the turn.
    """

    def __init__(
        self,
        driver: SyncDriver | AsyncDriver,
        operation: str,
        plan_flow: Flow[Any],
        watch: ObservedTurn,
        *,
        deadline_s: float | None = None,
        cursor: str | None = None,
        control: TurnControl = TurnControl(),  # noqa: B008  (frozen)
    ) -> None:
        self._announces = control.on_cursor is not None
        super().__init__(driver, operation, plan_flow, deadline_s=deadline_s, cursor=cursor)
        self._control = control
        self._answers = ActionAnswers()
        self._is_later_part = False
        self._left_s = math.inf
        self._is_left = False
        self._summary = TurnSummary()
        self._watch = watch
        self._show, self._observe = self._observe, self._follow

    @property
    def session_id(self) -> str:
        """Id of the session."""
        return self._watch.session_id

    def __del__(self) -> None:
        """Warn about a turn that was prepared but never entered: its input was not sent."""
        if not getattr(self, "_was_entered", True) and hasattr(self, "_watch"):
            warnings.warn(
                f"{self._operation} was never entered, so nothing was sent: use it in a `with` or `async with` block",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )

    def _asks_about(self, event: Event | Ready) -> list[PendingAction] | None:
        """Return the actions to ask about at the end of a part; None for any other event."""
        if self._control.on_action is None or not isinstance(event, TurnEnded):
            return None
        if event.outcome is not Outcome.REQUIRES_ACTION:
            return None
        self._left_s = self._loop.until_s - time.monotonic()  # the deadline pauses while the caller decides
        return self._answers.to_ask(self._summary.actions)

    def _next_part(
        self, event: TurnEnded, answered: Sequence[tuple[PendingAction, Answer | None]]
    ) -> tuple[TurnEnded, StreamLoop | None]:
        """Return the event that ends a part, and the loop of the next part; None if nothing is answered."""
        answers = self._answers.to_send(self._summary.actions, answered)
        if not answers or self._control.start is None:
            return event, None
        self._control.check(answers)
        loop = self._new_loop(self._control.start(answers), None if self._left_s == math.inf else self._left_s)
        loop.cursor, loop.events_seen = self._loop.cursor, self._loop.events_seen
        return event.model_copy(update={"continues": True}), loop

    def _cancellation(self) -> Flow[Any] | None:
        """Return, once, the flow that cancels the turn if the caller leaves it before its end."""
        if self._is_left or self._summary.result is not None or self._control.cancel is None:
            return None
        self._is_left = True
        return self._control.cancel()

    def _follow(self, event: Event) -> None:
        if self._show is not None:
            self._show(event)
        result = self._summary.take(event)
        if result is not None:
            self._watch.end(result)

    def _fail(self, error: BaseException) -> None:
        super()._fail(error)
        if isinstance(error, PolysessionError):
            self._watch.end(error=error)

    def _leave(self, exc: BaseException | None) -> None:
        """Note that the block was left. A generator that is closed early leaves it without an error."""
        self._watch.end(self._summary.result, None if isinstance(exc, GeneratorExit) else exc)

    @property
    def result(self) -> TurnResult:
        """The result of the turn, available after its last event was read.

        Raises:
            UsageError: The turn has not ended yet.
        """
        if self._summary.result is None:
            raise self._misused("the turn has not ended: read its events first, or call wait()")
        return self._summary.result
