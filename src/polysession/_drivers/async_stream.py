"""Live streams over an async HTTP client: performs the effects of `_core.streams` and makes no decisions."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

import anyio

from polysession._core import effect_source
from polysession._core.effects import Drain, Effect, Now, Open, Prepared, Ready, Receive, Run, Wait
from polysession._core.plans import Head
from polysession._drivers.stream_base import CANCEL_LIMIT_S, NOT_OPEN, StreamBase, TurnBase
from polysession._drivers.transport import Deadline, is_read, limit_silence, silence_failure, to_head
from polysession.action import Answer, PendingAction
from polysession.errors import PolysessionError
from polysession.event import Event, TurnEnded
from polysession.feature import Feature
from polysession.result import TurnResult

if TYPE_CHECKING:
    import httpx

    from polysession._drivers.async_driver import AsyncDriver

READ_AHEAD: Final = 16
"""Maximum number of received chunks that wait for the caller."""


class AsyncEventStream(StreamBase):
    """Live events of a session. Use it in an `async with` block; leaving the block closes the connection.

    A broken connection is reopened, and the stream resumes: each event is delivered once, in order. A cancelled read
        loses no events: a separate task waits for the network, and the next read continues.
    """

    _can_wake: ClassVar[bool] = True

    def __init__(self, driver: AsyncDriver, *arguments: Any, **options: Any) -> None:
        super().__init__(driver, *arguments, **options)
        self._driver = driver
        self._steps = self._loop.run()
        self._effect: Effect | None = None  # of a cancelled read; the next read waits for it
        self._task: asyncio.Task[Any] | None = None  # performs the effect
        self._connection: Any = None  # a `_Connection` whenever the loop receives
        self._is_open = self._has_ended = self._is_reading = False

    async def __aenter__(self) -> Self:
        """Open the stream; the input of a turn is sent afterwards.

        Raises:
            PolysessionError: The stream could not be opened, or the input could not be sent.
        """
        self._enter()
        await self._open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._release()

    async def aclose(self) -> None:
        """Close the connection and end a loop over the events. The turn continues; `sessions.cancel` stops it.

        Call it from the task that reads the events.
        """
        await self._release()

    def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over the events. Each event is delivered once, even if you start several loops."""
        return _EventLoop(self) if self._is_open else self

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        """Wait for the next event and return it.

        Raises:
            StreamInterrupted: The connection broke and could not be resumed; the error has the cursor.
            DeadlineExceeded: The deadline has passed.
        """
        if not self._is_open and not self._has_ended:
            raise self._misused(NOT_OPEN)
        return self._read()

    async def _open(self) -> None:
        self._is_open = True
        try:
            await self._advance()
        except BaseException:
            await self._release()
            raise

    async def _read(self) -> Event:
        if not self._is_open:
            raise StopAsyncIteration
        if self._is_reading:
            raise self._misused("another task is reading this stream; read it in one task only")
        self._is_reading = True
        try:
            event: Event = await self._advance()
        finally:
            self._is_reading = False
        if self._observe is not None:
            self._observe(event)
        return event

    async def _advance(self) -> Any:
        """Perform effects until the loop delivers something."""
        steps = self._steps
        try:
            item = self._effect or next(steps)
            self._effect = None
            while isinstance(item, Effect):
                failure: PolysessionError | None = None
                result: Any = None
                try:
                    if type(item) is Receive:
                        result = await self._connection.receive(item.wake_s)
                    elif type(item) is Now:
                        result = time.monotonic()
                    else:
                        result = await self._perform_apart(item)
                except BaseException as error:
                    failure = error if isinstance(error, PolysessionError) else self._driver.failure(error)
                    if failure is None:
                        self._effect = item
                        raise
                item = steps.send(result) if failure is None else steps.throw(failure)
        except StopIteration:
            self._has_ended = True
            await self._release()
            raise StopAsyncIteration from None
        except BaseException as error:
            if self._effect is None:  # this error ended the loop
                self._fail(error)
                await self._release()
            raise
        return item

    async def _perform_apart(self, effect: Effect) -> Any:
        """Perform an effect in a separate task, which continues if the read is cancelled."""
        if self._task is None:
            self._task = asyncio.create_task(self._perform(effect))
        await asyncio.wait([self._task])
        task, self._task = self._task, None
        return task.result()

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Open():
                return await self._connect(effect)
            case Run():
                return await self._driver.run(self._operation, effect.start(), Deadline(effect.limit_s))
            case Wait():
                drawn_s = random.uniform(effect.least_s, effect.most_s)  # noqa: S311  (spreads load, keeps no secret)
                wait_s = effect_source.wait_s(drawn_s)
                if effect.after is not None:
                    self._driver.observation.interrupted(self._operation, effect.after.failure, wait_s)
                return await asyncio.sleep(wait_s)
            case Drain():
                return await self._drain(effect)

    async def _connect(self, effect: Open) -> Head:
        await self._hang_up()
        deadline = Deadline.until(effect.until_s)
        response = await self._driver.connect(self._operation, effect.call, deadline)
        limit_silence(response, effect.silence_s, by_httpx=False)  # httpx would set a timer for each read
        self._connection = _Connection(response, effect.silence_s)
        self._connections += 1
        self._driver.observation.stream_opened(self._operation, self._connections)
        return to_head(response)

    async def _drain(self, effect: Drain) -> None:
        size_bytes = 0
        with contextlib.suppress(Exception):
            async with asyncio.timeout(effect.limit_s):
                while chunk := await self._connection.receive(None):
                    size_bytes += len(chunk)
                    if size_bytes > effect.most_bytes:
                        return

    async def _release(self) -> None:
        self._is_open = False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._hang_up()
        self._steps.close()

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.aclose()
            finally:
                self._driver.observation.stream_closed(self._operation)


class AsyncTurn(TurnBase, AsyncEventStream):
    """A turn. Entering the block sends the input, and the events end with the turn."""

    async def __aenter__(self) -> Self:
        """Connect and send the input; see `AsyncEventStream`. With `max_turns` it first waits for a free place."""
        self._enter()
        await self._driver.open_turns.enter(self, self._deadline_s)
        self._watch.start()
        try:
            await self._open()
        except BaseException as error:
            self._watch.end(error=error)
            self._driver.open_turns.leave(self)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(exc)
        try:
            await super().__aexit__(exc_type, exc, traceback)
        finally:
            await self._finish()

    async def aclose(self) -> None:
        """Close the connection; see `AsyncEventStream`."""
        self._leave(None)
        try:
            await super().aclose()
        finally:
            await self._finish()

    async def _advance(self) -> Any:
        item = await super()._advance()
        if isinstance(item, Prepared):
            await self._give_cursor()
            item = await super()._advance()
        if isinstance(item, Ready):
            return await super()._advance() if self._is_later_part else item
        actions = self._asks_about(item)
        return item if actions is None else await self._answer(item, actions)

    async def _give_cursor(self) -> None:
        on_cursor = cast("Callable[[str | None], Any]", self._control.on_cursor)
        given = on_cursor(self.cursor)
        if inspect.isawaitable(given):
            await given

    async def _answer(self, event: TurnEnded, actions: list[PendingAction]) -> TurnEnded:
        """Ask for answers to pending actions, and prepare the part of the turn that the answers start."""
        await self._hang_up()
        on_action = cast("Callable[[PendingAction], Any]", self._control.on_action)
        try:
            answered: list[tuple[PendingAction, Answer | None]] = []
            for action in actions:
                given = on_action(action)
                answered.append((action, await given if inspect.isawaitable(given) else given))
            event, loop = self._next_part(event, answered)
        except BaseException:
            self._follow(event)  # the turn ends here and waits for an answer
            raise
        if loop is not None:
            self._steps.close()
            self._loop, self._steps, self._is_later_part = loop, loop.run(), True
        return event

    async def _finish(self) -> None:
        try:
            await self._cancel()
        finally:
            self._driver.open_turns.leave(self)

    async def _cancel(self) -> None:
        flow = self._cancellation()
        if flow is None:
            return
        task = asyncio.create_task(self._driver.run(Feature.SESSIONS_CANCEL, flow, Deadline(CANCEL_LIMIT_S)))
        interrupted: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError as error:  # the task was cancelled twice
                    interrupted = error
        with contextlib.suppress(PolysessionError):  # observers see it
            task.result()
        if interrupted is not None:
            raise interrupted

    async def wait(self) -> TurnResult:
        """Consume the remaining events and return the result of the turn."""
        if self._summary.result is None:
            async for _ in self:
                pass
        return self.result


class _EventLoop:
    """A loop over a stream. It ends when the stream is closed; then `anext` on the stream itself raises an error."""

    def __init__(self, stream: AsyncEventStream) -> None:
        self._stream = stream
        self.aclose = stream.aclose

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        return self._stream._read()  # noqa: SLF001  (one class in two)


class _Connection:
    """An open response that a task reads, so that a wait for bytes can be cancelled or ended early without loss.

    Args:
        response: The response, with its body unread.
        silence_s: Seconds without a byte after which it fails with `NetworkTimeout`; None for no limit.
    """

    def __init__(self, response: httpx.Response, silence_s: float | None) -> None:
        self._response = response
        self._silence_s = silence_s
        self._heard_s = time.monotonic()
        self._received: deque[bytes | Exception] = deque()
        self._create_future = asyncio.get_running_loop().create_future
        self._waiter: asyncio.Future[None] | None = None
        self._drained = asyncio.Event()
        self._wake_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_woken = False
        self._task = asyncio.create_task(self._read())
        self._silence_timer: asyncio.TimerHandle | None = None
        self._watch_silence()

    async def receive(self, wake_s: float | None) -> bytes | None:
        """Return the next bytes; `b""` at the end, None if no bytes came until `wake_s`."""
        if wake_s != self._wake_s:
            self._set_timer(wake_s)
        while not self._received:
            if self._is_woken:
                return None
            self._waiter = self._create_future()
            await self._waiter
        item = self._received[0]
        if isinstance(item, Exception):
            raise item
        if item:  # keep the end for later calls
            if len(self._received) == READ_AHEAD:
                self._drained.set()
            self._received.popleft()
        return item

    async def aclose(self) -> None:
        """Stop reading, and close the connection."""
        self._set_timer(None)
        if self._silence_timer is not None:
            self._silence_timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._response.aclose()

    async def _read(self) -> None:
        response = self._response
        try:
            unread = cast("AsyncIterable[bytes]", response.stream)
            async for chunk in response.aiter_bytes() if is_read(response) else unread:
                self._heard_s = time.monotonic()
                if chunk:  # a transport may give empty chunks, and `b""` is the end
                    self._put(chunk)
                if len(self._received) >= READ_AHEAD:
                    self._drained.clear()
                    await self._drained.wait()
                    self._heard_s = time.monotonic()
            self._put(b"")
        except Exception as error:  # noqa: BLE001  (the reader raises it)
            self._put(error)

    def _put(self, item: bytes | Exception) -> None:
        self._received.append(item)
        self._notify()

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _watch_silence(self) -> None:
        """Fail after a silence. One timer serves the whole connection: it notices by itself that bytes came."""
        if self._silence_s is None:
            return
        is_reading = len(self._received) < READ_AHEAD
        left_s = self._heard_s + self._silence_s - time.monotonic() if is_reading else self._silence_s
        if left_s > 0:
            self._silence_timer = asyncio.get_running_loop().call_later(left_s, self._watch_silence)
        else:
            self._task.cancel()
            self._put(silence_failure(self._silence_s))

    def _set_timer(self, wake_s: float | None) -> None:
        is_later = self._wake_s is not None and wake_s is not None and wake_s > self._wake_s
        self._wake_s, self._is_woken = wake_s, False
        if self._timer is not None and not is_later:  # otherwise the timer itself notices that it fired too early
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._start_timer()

    def _start_timer(self) -> None:
        if self._wake_s is not None:
            left_s = max(self._wake_s - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(left_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._wake_s is not None and time.monotonic() < self._wake_s:
            self._start_timer()
        else:
            self._is_woken = True
            self._notify()
