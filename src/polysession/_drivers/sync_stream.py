"""Live streams over a sync HTTP client: performs the effects of `_core.streams` and makes no decisions."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from polysession._core import effect_source
from polysession._core.effects import RECEIVE, Drain, Effect, Now, Open, Prepared, Ready, Receive, Run, Wait
from polysession._core.plans import Head
from polysession._drivers.stream_base import CANCEL_LIMIT_S, NOT_OPEN, StreamBase, TurnBase
from polysession._drivers.transport import Deadline, is_read, limit_silence, shut_down, silence_failure, to_head
from polysession.action import Answer, PendingAction
from polysession.errors import ConnectionLost, NetworkTimeout, PolysessionError
from polysession.event import Event, TurnEnded
from polysession.feature import Feature
from polysession.result import TurnResult

if TYPE_CHECKING:
    import httpx

    from polysession._drivers.sync_driver import SyncDriver


class EventStream(StreamBase):
    """Live events of a session. Use it in a `with` block; leaving the block closes the connection.

    A broken connection is reopened, and the stream resumes: each event is delivered once, in order. An interrupted
        read, for example by `KeyboardInterrupt`, loses no events: the next read continues.
    """

    _can_wake: ClassVar[bool] = False

    def __init__(self, driver: SyncDriver, *arguments: Any, **options: Any) -> None:
        super().__init__(driver, *arguments, **options)
        self._driver = driver
        self._steps = self._loop.run()
        self._effect: Effect | None = None  # of an interrupted read; the next read repeats it
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = _interrupted()
        self._watchdog: Watchdog | None = None
        self._silence_s: float | None = None
        self._is_open = self._has_ended = False

    def __enter__(self) -> Self:
        """Open the stream; the input of a turn is sent afterwards.

        Raises:
            PolysessionError: The stream could not be opened, or the input could not be sent.
        """
        self._enter()
        self._open()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    def close(self) -> None:
        """Close the connection and end a loop over the events. The turn continues; `sessions.cancel` stops it.

        Call it from the thread that reads the events.
        """
        self._release()

    def __iter__(self) -> Iterator[Event]:
        """Iterate over the events. Each event is delivered once, even if you start several loops."""
        return _EventLoop(self) if self._is_open else self

    def __next__(self) -> Event:
        """Wait for the next event and return it.

        Raises:
            StreamInterrupted: The connection broke and could not be resumed; the error has the cursor.
            DeadlineExceeded: The deadline has passed.
        """
        if not self._is_open and not self._has_ended:
            raise self._misused(NOT_OPEN)
        return self._read()

    def _open(self) -> None:
        self._is_open = True
        try:
            self._advance()
        except BaseException:
            self._release()
            raise

    def _read(self) -> Event:
        if not self._is_open:
            raise StopIteration
        event: Event = self._advance()
        if self._observe is not None:
            self._observe(event)
        return event

    def _advance(self) -> Any:
        """Perform effects until the loop delivers an event, or `Ready`."""
        steps = self._steps
        try:
            item = self._effect or next(steps)
            self._effect = None
            while isinstance(item, Effect):
                failure = None
                try:
                    result = next(self._chunks, b"") if item is RECEIVE else self._perform(item)
                except BaseException as error:
                    failure = error if isinstance(error, PolysessionError) else self._driver.failure(error)
                    if type(item) is Receive:
                        if isinstance(failure, NetworkTimeout) and failure is not error:
                            failure = silence_failure(self._silence_s)
                        self._hang_up()  # never read an iterator of an HTTP library again after it raised
                    if failure is None:
                        self._effect = item
                        raise
                item = steps.send(result) if failure is None else steps.throw(failure)
        except StopIteration:
            self._has_ended = True
            self._release()
            raise
        except BaseException as error:
            if self._effect is None:  # this error ended the loop
                self._fail(error)
                self._release()
            raise
        return item

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Receive():
                return self._receive(effect)
            case Now():
                return time.monotonic()
            case Open():
                return self._connect(effect)
            case Run():
                return self._driver.run(self._operation, effect.start(), Deadline(effect.limit_s))
            case Wait():
                drawn_s = random.uniform(effect.least_s, effect.most_s)  # noqa: S311  (spreads load, keeps no secret)
                wait_s = effect_source.wait_s(drawn_s)
                if effect.after is not None:
                    self._driver.observation.interrupted(self._operation, effect.after.failure, wait_s)
                return time.sleep(wait_s)
            case Drain():
                return self._drain(effect)

    def _receive(self, effect: Receive) -> bytes:
        if effect.wake_s is None or self._watchdog is None:
            return next(self._chunks, b"")
        self._watchdog.set(effect.wake_s)
        try:
            chunk = next(self._chunks, b"")
        except Exception:
            if not self._watchdog.has_fired:
                raise
            chunk = b""
        if not chunk and self._watchdog.has_fired:
            raise NetworkTimeout("no data arrived, so the connection was closed")
        return chunk

    def _connect(self, effect: Open) -> Head:
        self._hang_up()
        self._response = response = self._driver.connect(self._operation, effect.call, Deadline.until(effect.until_s))
        self._silence_s = effect.silence_s
        limit_silence(response, effect.silence_s, by_httpx=True)
        chunks = response.iter_bytes() if is_read(response) else cast("Iterable[bytes]", response.stream)
        self._chunks = filter(None, chunks)  # a transport may give empty chunks, and `b""` is the end
        self._watchdog = Watchdog(response)
        self._connections += 1
        self._driver.observation.stream_opened(self._operation, self._connections)
        return to_head(response)

    def _drain(self, effect: Drain) -> None:
        size_bytes = 0
        if self._watchdog is not None:
            self._watchdog.set(time.monotonic() + effect.limit_s)
        with contextlib.suppress(Exception):
            for chunk in self._chunks:
                size_bytes += len(chunk)
                if size_bytes > effect.most_bytes:
                    return

    def _release(self) -> None:
        self._is_open = False
        self._hang_up()
        self._steps.close()

    def _hang_up(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            watchdog.cancel()
        response, self._response, self._chunks = self._response, None, _interrupted()
        if response is not None:
            try:
                response.close()
            finally:
                self._driver.observation.stream_closed(self._operation)


class Turn(TurnBase, EventStream):
    """A turn. Entering the block sends the input, and the events end with the turn."""

    def __enter__(self) -> Self:
        """Connect and send the input; see `EventStream`. With `max_turns` it first waits for a free place."""
        self._enter()
        self._driver.open_turns.enter(self, self._deadline_s)
        self._watch.start()
        try:
            self._open()
        except BaseException as error:
            self._watch.end(error=error)
            self._driver.open_turns.leave(self)
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(exc)
        super().__exit__(exc_type, exc, traceback)
        self._finish()

    def close(self) -> None:
        """Close the connection; see `EventStream`."""
        self._leave(None)
        super().close()
        self._finish()

    def _advance(self) -> Any:
        item = super()._advance()
        if isinstance(item, Prepared):
            self._give_cursor()
            item = super()._advance()
        if isinstance(item, Ready):
            return super()._advance() if self._is_later_part else item
        actions = self._asks_about(item)
        return item if actions is None else self._answer(item, actions)

    def _give_cursor(self) -> None:
        on_cursor = cast("Callable[[str | None], Any]", self._control.on_cursor)
        on_cursor(self.cursor)

    def _answer(self, event: TurnEnded, actions: list[PendingAction]) -> TurnEnded:
        """Ask for answers to pending actions, and prepare the part of the turn that the answers start."""
        self._hang_up()
        on_action = cast("Callable[[PendingAction], Answer | None]", self._control.on_action)
        try:
            event, loop = self._next_part(event, [(action, on_action(action)) for action in actions])
        except BaseException:
            self._follow(event)  # the turn ends here and waits for an answer
            raise
        if loop is not None:
            self._steps.close()
            self._loop, self._steps, self._is_later_part = loop, loop.run(), True
        return event

    def _finish(self) -> None:
        try:
            self._cancel()
        finally:
            self._driver.open_turns.leave(self)

    def _cancel(self) -> None:
        flow = self._cancellation()
        if flow is not None:
            with contextlib.suppress(PolysessionError):  # observers see it
                self._driver.run(Feature.SESSIONS_CANCEL, flow, Deadline(CANCEL_LIMIT_S))

    def wait(self) -> TurnResult:
        """Consume the remaining events and return the result of the turn."""
        if self._summary.result is None:
            for _ in self:
                pass
        return self.result


class _EventLoop:
    """A loop over a stream. It ends when the stream is closed; then `next` on the stream itself raises an error."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self.close = stream.close

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return self._stream._read()  # noqa: SLF001  (one class in two)


class Watchdog:
    """Ends a blocking read at a given time: another thread shuts down the socket of the connection.

    The read timeout of httpx cannot do this: with HTTP/1.1 it is read once for a whole body. The thread exists only if
    a time is set.

    Attributes:
        has_fired: Whether it has ended the read.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.has_fired = False
        self._response: httpx.Response | None = response
        self._at_s = math.inf
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def set(self, at_s: float) -> None:
        """Set the time at which it fires, in place of the previous one."""
        if at_s == self._at_s:
            return
        with self._lock:
            is_later, self._at_s = at_s > self._at_s, at_s
            if self._timer is None or not is_later:  # otherwise the timer itself notices that it fired too early
                self._start()

    def cancel(self) -> None:
        """Stop watching the connection."""
        with self._lock:
            self._response = None
            if self._timer is not None:
                self._timer.cancel()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(max(self._at_s - time.monotonic(), 0.0), self._fire)
        self._timer.daemon = True
        self._timer.start()

    def _fire(self) -> None:
        with self._lock:
            if self._response is None:
                return
            if time.monotonic() < self._at_s:
                self._start()
                return
            self.has_fired = True
            shut_down(self._response)


def _interrupted() -> Iterator[bytes]:
    """Return the bytes of a connection that was closed during a read."""
    yield from ()
    raise ConnectionLost("the connection was closed, because a read was interrupted")
