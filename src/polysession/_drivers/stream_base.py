"""What the blocking and the async stream share: the loop, its errors, and who observes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from polysession._core.flow import Flow
from polysession._core.old_plans import adapted
from polysession._core.streams import StreamLoop
from polysession._core.turn import TurnResult, TurnSummary
from polysession._drivers.transport import checked_seconds
from polysession.errors import PolysessionError, UsageError
from polysession.event import Event
from polysession.feature import TurnLife

if TYPE_CHECKING:
    from polysession._drivers.async_driver import AsyncDriver
    from polysession._drivers.sync_driver import SyncDriver
    from polysession._drivers.watched import TurnWatch

NOT_OPEN = "this stream is not open: read it inside its `with` or `async with` block"


class StreamBase:
    """A stream before it is opened.

    Args:
        driver: Performs the calls.
        operation: What the caller asked for.
        plan_flow: Prepares the plan.
        deadline_s: Seconds from the opening after which to stop waiting; None for no limit.

    Raises:
        UsageError: `deadline_s` is no number above zero.
    """

    _can_wake: ClassVar[bool]

    def __init__(
        self,
        driver: SyncDriver | AsyncDriver,
        operation: str,
        plan_flow: Flow[Any],
        *,
        deadline_s: float | None = None,
    ) -> None:
        self._context = driver.add_context
        self._operation = operation
        try:
            deadline_s = checked_seconds(deadline_s, "deadline_s")
        except UsageError as error:
            driver.add_context(error, operation)
            raise
        self._loop = StreamLoop(
            lambda: adapted(plan_flow),
            driver.retry,
            deadline_s=deadline_s,
            can_wake=self._can_wake,
            attended=driver.turn_life is TurnLife.ATTENDED,
        )
        self._was_entered = False
        self._observe: Callable[[Event], None] | None = driver.watch.on_event

    @property
    def cursor(self) -> str | None:
        """Text that continues this stream, in this process or another: `sessions.stream(session, cursor=...)`."""
        return self._loop.cursor

    def _enter(self) -> None:
        if self._was_entered:
            raise self._misused("this stream was opened before; ask for another one")
        self._was_entered = True

    def _fail(self, error: BaseException) -> None:
        """Note that the stream ends in this error."""
        if isinstance(error, PolysessionError):
            self._context(error, self._operation)

    def _misused(self, how: str) -> UsageError:
        error = UsageError(how)
        self._context(error, self._operation)
        return error


class TurnBase(StreamBase):
    """A turn before it is opened: a stream, and what comes of it. `watch` is shown its start and end."""

    def __init__(
        self,
        driver: SyncDriver | AsyncDriver,
        operation: str,
        plan_flow: Flow[Any],
        watch: TurnWatch,
        *,
        deadline_s: float | None = None,
    ) -> None:
        super().__init__(driver, operation, plan_flow, deadline_s=deadline_s)
        self._summary = TurnSummary()
        self._watch = watch
        self._show, self._observe = self._observe, self._follow

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
        """Note that the block was left: a generator that is closed early leaves it without an error."""
        self._watch.end(self._summary.result, None if isinstance(exc, GeneratorExit) else exc)

    @property
    def result(self) -> TurnResult:
        """What came of it, once its events have been read to the end.

        Raises:
            UsageError: It has not ended yet.
        """
        if self._summary.result is None:
            raise self._misused("the turn has not ended: read its events first, or call wait()")
        return self._summary.result
