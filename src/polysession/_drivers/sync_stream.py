"""Live streams over a blocking HTTP client. The twin is `async_stream`; what they share is in `_core.stream`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from polysession._core.flow import Flow
from polysession._core.stream import StreamPlan, StreamReader, TurnPlan
from polysession._core.turn import TurnResult, TurnSummary
from polysession._drivers.sync_driver import SyncDriver
from polysession._drivers.transport import Deadline, break_off, drawn_s, is_read
from polysession._drivers.watched import TurnWatch
from polysession.errors import PolysessionError, UsageError
from polysession.event import Event

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class EventStream:
    """Events of a session as they happen. Open it with `with`; leaving the block closes the connection.

    A connection that breaks is opened again, and the stream goes on where it was: each event comes once, in order.
    """

    def __init__(
        self, driver: SyncDriver, operation: str, plan_flow: Flow[Any], *, deadline_s: float | None = None
    ) -> None:
        self._driver = driver
        self._operation = operation
        self._plan_flow = plan_flow
        self._deadline = Deadline(deadline_s)
        self._alarm: threading.Timer | None = None
        self._was_entered = False
        self._reader: StreamReader | None = None
        self._response: httpx.Response | None = None
        self._batches: Generator[Iterator[Event]] | None = None
        self._events: Generator[Event] | None = None
        self._look_on = driver.watch.on_event

    @property
    def cursor(self) -> str | None:
        """Text that continues this stream, in this process or another: `sessions.stream(session, cursor=...)`."""
        return None if self._reader is None else self._reader.cursor

    def __enter__(self) -> Self:
        """Connect; a turn's input is sent when the stream is open.

        Raises:
            PolysessionError: It could not be opened, or the input not sent.
        """
        if self._was_entered:
            raise self._misused("this stream was opened before; ask for another one")
        self._was_entered = True
        try:
            self._start()
        except BaseException as error:
            self._release()
            if isinstance(error, PolysessionError):
                self._driver.add_context(error, self._operation)
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    def close(self) -> None:
        """Close the connection, and end a loop over the events. The session goes on; `sessions.cancel` stops its turn.

        To be called by who reads the events, not from beside while an event is awaited.
        """
        self._release()

    def _release(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        events, self._events, batches, self._batches = self._events, None, self._batches, None
        try:
            for open_one in (events, batches):
                if open_one is not None:
                    open_one.close()
        finally:
            self._hang_up()

    def __iter__(self) -> Iterator[Event]:
        """The events, as `next` gives them: each comes once, however often a loop over them is begun."""
        return self if self._events is None else self._events

    def __next__(self) -> Event:
        """The next event, when it happens.

        Raises:
            StreamInterrupted: The connection broke and could not be resumed; it holds the cursor.
            DeadlineExceeded: The deadline has passed.
        """
        if self._events is None:
            raise self._misused("this stream is not open: use with ... as events, and read inside the block")
        return next(self._events)

    def _tell(self, batches: Generator[Iterator[Event]]) -> Generator[Event]:
        """The events one by one: no call of ours comes between a loop and its next event."""
        try:
            while (batch := self._advance(batches)) is not None:
                for event in batch:
                    if self._look_on is not None:
                        self._look_on(event)
                    yield event
        except GeneratorExit:
            self._events = None  # closed by us, or by who got it from a loop: nobody is to see the events end with it
            raise
        except BaseException as error:
            if isinstance(error, PolysessionError):
                self._driver.add_context(error, self._operation)
                self._fail(error)
            self._events = None
            self._release()  # and so a caller who goes on reading is told, in place of seeing the events end
            raise

    def _fail(self, error: PolysessionError) -> None:
        """The stream ends in this error."""

    def _start(self) -> None:
        self._deadline.start()
        plan: StreamPlan = self._driver.run(self._operation, self._plan_flow, self._deadline)
        self._reader = StreamReader(plan, self._driver.retry)
        self._persist(self._reader, partial(self._connect, self._reader))
        if isinstance(plan, TurnPlan):
            self._driver.run(self._operation, plan.send(), self._deadline)
        self._set_alarm()
        self._batches = self._read(self._reader)
        self._events = self._tell(self._batches)

    def _set_alarm(self) -> None:
        """Let the deadline end a wait for bytes: a blocking read cannot be given a new limit once it has begun."""
        left_s = self._deadline.left_s()
        if left_s is not None:
            self._alarm = threading.Timer(left_s, self._break_off)
            self._alarm.daemon = True
            self._alarm.start()

    def _break_off(self) -> None:
        response = self._response
        if response is not None:
            break_off(response)

    def _advance(self, batches: Generator[Iterator[Event]]) -> Iterator[Event] | None:
        return next(batches, None)

    def _read(self, reader: StreamReader) -> Generator[Iterator[Event]]:
        is_open, failure = True, None
        while not reader.is_finished():
            if reader.is_probe_due():
                yield self._probe(reader)
            elif not is_open:
                self._wait(reader, failure)
                self._persist(reader, partial(self._connect, reader))
                is_open, failure = True, None
            else:
                try:
                    for chunk in self._chunks():
                        for piece in reader.pieces(chunk):
                            yield reader.feed(piece)
                        if reader.is_probe_due():
                            yield self._probe(reader)
                        if reader.is_finished():
                            return
                        self._deadline.check()
                except Exception as error:  # noqa: BLE001  (what is none of the HTTP library's is raised again)
                    failure = self._failure(error)
                self._hang_up()
                reader.broke_off(failure)
                is_open = False

    def _failure(self, error: Exception) -> PolysessionError:
        """The error of ours for one of the HTTP library's; any other is raised."""
        failure = self._driver.failure(error)
        if failure is None:
            raise error
        return failure

    def _probe(self, reader: StreamReader) -> Iterator[Event]:
        """The events of a probe."""
        return reader.take(self._persist(reader, partial(self._look, reader)))

    def _look(self, reader: StreamReader) -> Sequence[Event]:
        return self._driver.run(self._operation, reader.probe(), self._deadline)

    def _persist(self, reader: StreamReader, attempt: Callable[[], T]) -> T:
        """Try it until it succeeds, has failed too often, or is not to be repeated."""
        while True:
            self._deadline.check()
            try:
                return attempt()
            except PolysessionError as error:
                if error.outcome_unknown or not error.retryable:
                    raise
                self._wait(reader, error)

    def _wait(self, reader: StreamReader, failure: PolysessionError | None) -> None:
        wait_s = self._deadline.within_s(drawn_s(*reader.interrupted(failure)))
        self._driver.watch.interrupted(self._operation, failure, wait_s)
        time.sleep(wait_s)

    def _connect(self, reader: StreamReader) -> None:
        silence_s = self._deadline.within_s(reader.plan.silence_s)
        try:
            response = self._driver.connect(self._operation, reader.plan.open(), silence_s)
        except PolysessionError as error:
            self._deadline.check(error)
            raise
        self._response = response
        reader.opened("" if is_read(response) else response.headers.get("content-encoding", ""))

    def _hang_up(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _open_response(self) -> httpx.Response:
        if self._response is None:
            raise self._misused("this stream was closed while it was read")
        return self._response

    def _chunks(self) -> Iterator[bytes]:
        """What comes, as it comes: compressed if it is."""
        response = self._open_response()
        return response.iter_bytes() if is_read(response) else response.iter_raw()

    def _misused(self, how: str) -> UsageError:
        error = UsageError(how)
        self._driver.add_context(error, self._operation)
        return error


class Turn(EventStream):
    """One turn: its input is sent when the block is entered, and the events end when it does."""

    def __init__(
        self,
        driver: SyncDriver,
        operation: str,
        plan_flow: Flow[TurnPlan],
        watch: TurnWatch,
        *,
        deadline_s: float | None = None,
    ) -> None:
        super().__init__(driver, operation, plan_flow, deadline_s=deadline_s)
        self._summary = TurnSummary()
        self._watch = watch
        self._show, self._look_on = self._look_on, self._follow

    def __enter__(self) -> Self:
        """Connect, and send the input; see `EventStream`."""
        self._watch.start()
        try:
            return super().__enter__()
        except BaseException as error:
            self._watch.end(error=error)
            raise

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watch.end(self._summary.result, exc)
        super().__exit__(exc_type, exc, traceback)

    def close(self) -> None:
        """Close the connection; see `EventStream`."""
        self._watch.end(self._summary.result)
        super().close()

    def _follow(self, event: Event) -> None:
        if self._show is not None:
            self._show(event)
        result = self._summary.take(event)
        if result is not None:
            self._watch.end(result)

    def _fail(self, error: PolysessionError) -> None:
        self._watch.end(error=error)

    @property
    def result(self) -> TurnResult:
        """What came of it, once its events have been read to the end.

        Raises:
            UsageError: It has not ended yet.
        """
        if self._summary.result is None:
            raise self._misused("the turn has not ended: read its events first, or call wait()")
        return self._summary.result

    def wait(self) -> TurnResult:
        """Read the events to the end, for what came of it."""
        if self._summary.result is None:
            for _ in self:
                pass
        return self.result
