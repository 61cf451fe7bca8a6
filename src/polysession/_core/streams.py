"""The loop that follows a live stream, as one generator of effects. It does no I/O and reads no clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, get_args

from polysession._core.body import Decompressor
from polysession._core.cursors import DeliveredEvents, cursor_after, plan_cursor
from polysession._core.effects import (
    NOW,
    PREPARED,
    READY,
    RECEIVE,
    Drain,
    Effect,
    Interruption,
    Loop,
    Open,
    Receive,
    Run,
    Wait,
)
from polysession._core.flow import Flow
from polysession._core.gap import GapWatch
from polysession._core.outage import RetryState
from polysession._core.plans import (
    AnsweredTurn,
    BodyEnd,
    ConnectedStream,
    Finished,
    Head,
    Items,
    PolledStream,
    Reconcile,
    Reopen,
    Step,
    StreamPlan,
    TurnPlan,
)
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame, SseDecoder
from polysession._core.turn import TurnTracker
from polysession.errors import (
    BrokenProvider,
    ConnectionLost,
    DeadlineExceeded,
    NetworkTimeout,
    PolysessionError,
    StatusError,
    StreamInterrupted,
)
from polysession.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    TurnEnded,
    TurnStarted,
)

DRAIN_BYTES: Final = 1024 * 1024
"""Maximum number of bytes that are read after the end of a turn."""
_NEVER: Final = math.inf
_PLAIN: Final = frozenset(get_args(Event)) - {
    TurnStarted,
    TurnEnded,
    MessageCompleted,
    ThinkingStarted,
    ThinkingDelta,
    ThinkingCompleted,
}
"""Types of events that neither begin nor complete a tracked item."""
_TOLERANCE_S: Final = 0.01
"""Timers may fire a little early."""
_LONGEST_QUIET_S: Final = 30.0
"""Maximum wait between two calls of `quiet`."""


class StreamLoop:
    """Follows one stream over as many connections or polls as it needs.

    Args:
        prepare: Returns the flow that prepares the plan.
        retry: How often, and for how long, the stream is opened again.
        deadline_s: Seconds for the whole stream; None for no limit.
        can_wake: Whether the driver can end a `Receive` without losing the connection.
        attended: Whether leaving the stream ends the turn, so that a connection is given up only if it is lost.
        announces: Whether `PREPARED` is delivered before the input is sent.
        cursor: The caller's cursor; None for a stream that begins now.

    Attributes:
        cursor: Continues after the last delivered event; None before the plan exists.
        events_seen: Number of delivered events.
    """

    def __init__(
        self,
        prepare: Callable[[], Flow[StreamPlan]],
        retry: RetryPolicy,
        *,
        deadline_s: float | None = None,
        can_wake: bool,
        attended: bool = False,
        announces: bool = False,
        cursor: str | None = None,
    ) -> None:
        self.cursor: str | None = None
        self.events_seen = 0
        self._prepare = prepare
        self._retry = RetryState(retry)
        self._deadline_s = deadline_s
        self._until_s = _NEVER
        self._can_wake = can_wake
        self._wakes = can_wake or not attended
        self._announces = announces
        self._plan: ConnectedStream | PolledStream
        self._tracker: TurnTracker | None = None
        self._gaps = GapWatch(())
        self._position: str | None = None  # the plan's cursor while events wait for proof that they are ours
        self._continues_at = cursor
        self._delivered = DeliveredEvents(cursor)
        self._finished = False
        self._is_direct = False
        self._was_opened = False
        self._announced: Reopen | None = None
        self._closes = False
        self._heartbeat = False
        self._seen_before_failure = 0
        self._is_open = False
        self._decoder = SseDecoder()
        self._decompressor = Decompressor("")
        self._feed = self._decoder.feed
        self._woke = False
        self._receive = RECEIVE
        self._due_s = _NEVER
        self._quiet_since_s = 0.0
        self._quiet_due_s = _NEVER
        self._reconcile_due_s = _NEVER

    @property
    def until_s(self) -> float:
        """Time of the deadline by the monotonic clock; infinite without a deadline."""
        return self._until_s

    def run(self) -> Loop:  # noqa: C901  (one generator: each nested one has a cost for each event)
        """Run the loop: pass each result to `send`, and each `PolysessionError` to `throw`.

        Raises:
            DeadlineExceeded: The deadline has passed.
            StreamInterrupted: The stream broke and could not be opened again.
            PolysessionError: The stream was refused, or a frame could not be read. Each error has `cursor` and
                `events_seen`.
        """
        try:
            yield from self._start()
            plan = self._plan
            if isinstance(plan, PolledStream):
                yield from self._poll(plan)
                return
            texts = self._gaps.texts
            while not self._finished:
                chunk: bytes | None = b""
                failure: PolysessionError | None = None
                seen = self.events_seen
                try:
                    chunk = yield self._receive
                    for frame in self._feed(chunk or b""):
                        items = plan.read(frame)
                        event: Any = items[0] if len(items) == 1 else None
                        kind = type(event)
                        if kind in _PLAIN and self._is_direct:
                            # Hot path: nine of ten frames hold one such event, in the middle of our turn.
                            if kind is MessageDelta and texts is not None:
                                texts.append(event.text)
                            self.cursor = plan.cursor
                            self.events_seen += 1
                            yield event
                            continue
                        self._heartbeat = self._heartbeat or not items
                        yield from self._take(items)
                        if self._finished or self._closes:
                            break
                except (ConnectionLost, NetworkTimeout) as error:
                    chunk, failure = b"", error
                if self._due_s is not _NEVER:
                    yield from self._look_at_clock(failure, has_events=self.events_seen != seen)
                if (chunk == b"" or self._closes) and not self._finished:
                    yield from self._reconnect(plan, failure)
        except PolysessionError as error:
            error.cursor, error.events_seen = self.cursor, self.events_seen
            raise

    def _start(self) -> Loop:
        if self._deadline_s is not None:
            self._until_s = (yield NOW) + self._deadline_s
            self._schedule()
        plan: StreamPlan = yield from self._run(self._prepare)
        if not isinstance(plan, ConnectedStream | PolledStream):
            raise BrokenProvider(
                f"its stream plan is a {type(plan).__name__}; expected a ConnectedStream or a PolledStream"
            )
        self._plan = plan
        self._position = plan.cursor
        self.cursor = self._continues_at if self._delivered.marks else plan.cursor
        self._gaps = GapWatch(plan.not_replayed, may_lack=plan.is_resumed)
        if isinstance(plan, TurnPlan):
            self._tracker = TurnTracker(plan.is_ours)
        elif isinstance(plan, AnsweredTurn):
            self._tracker = TurnTracker()
        if self._announces:
            yield PREPARED
        items: Items = ()
        if isinstance(plan, ConnectedStream):
            items = yield from self._open(plan)
        if isinstance(plan, TurnPlan):
            yield from self._run(plan.send)
        yield READY
        if plan.quiet_s is not None:
            self._note_event((yield NOW))
        yield from self._take(items)

    def _poll(self, plan: PolledStream) -> Loop:
        """Read the history repeatedly, with longer waits while no event comes."""
        wait_s, longest_s = plan.every_s
        while True:
            seen = self.events_seen
            items = yield from self._persist(lambda: self._run(plan.poll), plan.on_refusal)
            self._was_opened = True
            yield from self._take(items)
            if self.events_seen != seen:
                wait_s = plan.every_s[0]
            yield from self._look_at_clock(None, has_events=self.events_seen != seen)
            if self._is_finished():
                return
            left_s = yield from self._left_s()
            bound_s = min(wait_s, _NEVER if left_s is None else left_s)
            yield Wait(bound_s, bound_s)
            wait_s = min(2 * wait_s, longest_s)

    def _is_finished(self) -> bool:
        return self._finished

    def _decompressed(self, chunk: bytes) -> Iterator[Frame]:
        for piece in self._decompressor.pieces(chunk):
            yield from self._decoder.feed(piece)

    def _take(self, items: Items) -> Loop:
        """Deliver events and take steps, in order. The plan's cursor is valid only after the last event."""
        tracker = self._tracker
        between = plan_cursor(self._position if tracker is not None and tracker.waiting else self.cursor)
        events_left = sum(not isinstance(item, Step) for item in items)
        for item in items:
            if self._is_finished():
                return
            if isinstance(item, Step):
                yield from self._step(item)
                continue
            events_left -= 1
            cursor = between = cursor_after(between, item) if events_left else self._plan.cursor
            for event, continues_at in [(item, cursor)] if tracker is None else tracker.take(item, cursor):
                yield from self._deliver(event, continues_at)
        self._settle()

    def _deliver(self, event: Event, cursor: str | None) -> Loop:
        gap = self._gaps.gap_before(event)
        if gap is not None and not self._delivered.include(gap):
            self.cursor = cursor_after(self.cursor, gap)
            self.events_seen += 1
            yield gap
        if self._tracker is not None and self._tracker.ended is event:
            yield from self._finish()
        is_new = not self._delivered.include(event)
        self.cursor = cursor
        if is_new:
            self.events_seen += 1
            yield event

    def _settle(self) -> None:
        """Move the cursor to the plan's cursor, unless events wait for proof that they belong to our turn."""
        tracker = self._tracker
        if tracker is not None and tracker.waiting:
            self._position = self._plan.cursor
        elif not self._delivered.marks:
            self.cursor = self._plan.cursor
        self._is_direct = not self._delivered.marks and (tracker is None or tracker.in_turn)

    def _step(self, step: Step) -> Loop:
        if isinstance(step, Finished):
            yield from self._finish()
        if isinstance(step, Reopen):
            self._announced = step
            self._closes = step.at_once
        if isinstance(step, Reconcile) and step.after_s:
            self._reconcile_due_s = min(self._reconcile_due_s, (yield NOW) + step.after_s)
            self._schedule()
        elif isinstance(step, Reconcile):
            items = yield from self._persist(lambda: self._run(self._plan.reconcile))
            yield from self._take(items)

    def _finish(self) -> Loop:
        self._finished = True
        drain_s = self._plan.drain_s if self._is_open and isinstance(self._plan, ConnectedStream) else 0.0
        if drain_s:
            left_s = yield from self._left_s()
            yield Drain(drain_s if left_s is None else min(drain_s, left_s), DRAIN_BYTES)

    # --- Time

    def _note_event(self, now_s: float) -> None:
        """Note that an event came, for `quiet`. A driver that can wake may keep its earlier time: it wakes in vain."""
        if self._plan.quiet_s is not None:
            self._quiet_since_s, self._quiet_due_s = now_s, now_s + self._plan.quiet_s
            if self._quiet_due_s < self._due_s or not self._can_wake:
                self._schedule()

    def _look_at_clock(self, failure: PolysessionError | None, *, has_events: bool) -> Loop:
        now_s = yield NOW
        if has_events:
            self._note_event(now_s)
        if now_s >= self._due_s - _TOLERANCE_S and not self._finished:
            yield from self._on_time(now_s, failure)

    def _schedule(self) -> None:
        self._due_s = min(self._until_s, self._quiet_due_s, self._reconcile_due_s)
        wake_s = self._due_s if self._wakes else self._until_s
        self._receive = RECEIVE if wake_s is _NEVER else Receive(wake_s)

    def _on_time(self, now_s: float, failure: PolysessionError | None) -> Loop:
        """Do what is due now: give up, call `quiet`, or reconcile."""
        if now_s >= self._until_s - _TOLERANCE_S:
            raise self._deadline_exceeded(failure)
        self._woke = isinstance(failure, NetworkTimeout) and self._receive.wake_s is not None
        if now_s >= self._quiet_due_s - _TOLERANCE_S:
            for_s = now_s - self._quiet_since_s
            self._quiet_due_s = now_s + min(for_s, max(_LONGEST_QUIET_S, self._plan.quiet_s or 0.0))
            yield from self._take(self._plan.quiet(for_s))
        if now_s >= self._reconcile_due_s - _TOLERANCE_S and not self._is_finished():
            self._reconcile_due_s = _NEVER
            yield from self._step(Reconcile())
        self._schedule()

    def _left_s(self, failure: PolysessionError | None = None) -> Generator[Effect, Any, float | None]:
        """Return the seconds until the deadline; None without a deadline.

        Raises:
            DeadlineExceeded: The deadline has passed; `failure` is the error before that, if any.
        """
        if self._until_s is _NEVER:
            return None
        left_s: float = self._until_s - (yield NOW)
        if left_s <= _TOLERANCE_S:
            raise self._deadline_exceeded(failure)
        return left_s

    def _deadline_exceeded(self, failure: PolysessionError | None) -> DeadlineExceeded:
        error = DeadlineExceeded(f"the deadline of {self._deadline_s} seconds passed; the session may still be running")
        error.outcome_unknown = failure is not None and failure.outcome_unknown
        error.__cause__ = failure.__cause__ if isinstance(failure, DeadlineExceeded) else failure
        return error

    # --- Connections

    def _open(self, plan: ConnectedStream) -> Generator[Any, Any, Items]:
        """Open a connection, after several attempts if needed; gives the plan's items for its head."""
        again = self._was_opened
        head: Head | None = yield from self._persist(lambda: self._open_once(plan), plan.on_refusal)
        if head is None:
            return ()
        self._retry.opened((yield NOW))
        encoding = head.headers.get("content-encoding", "")
        self._decompressor = Decompressor(encoding)
        retry_ms, self._decoder = self._decoder.retry_ms, SseDecoder()
        self._decoder.retry_ms = retry_ms
        self._feed = self._decompressed if encoding else self._decoder.feed
        self._announced, self._closes = None, False
        self._heartbeat = False
        self._is_open = self._was_opened = True
        return plan.opened(head, again=again)

    def _open_once(self, plan: ConnectedStream) -> Generator[Effect, Any, Head]:
        yield from self._left_s()
        call = plan.rejoin() if isinstance(plan, AnsweredTurn) and self._was_opened else plan.open()
        if call is None:
            raise self._interrupted(None)
        head: Head = yield Open(call, plan.silence_s, None if self._until_s is _NEVER else self._until_s)
        return head

    def _reconnect(self, plan: ConnectedStream, failure: PolysessionError | None) -> Loop:
        failure = failure or self._cut_compression()
        self._is_open = False
        self._gaps.connection_ended()
        heartbeat = self._heartbeat or self._decoder.has_comments
        yield from self._take(plan.ended(BodyEnd(failure, inside_frame=self._decoder.is_inside_frame)))
        if self._is_finished():
            return
        if isinstance(plan, AnsweredTurn) and plan.rejoin() is None:
            raise self._interrupted(failure)
        woke, self._woke = self._woke, False
        if not woke:
            yield from self._back_off(failure, heartbeat=heartbeat)
        yield from self._take((yield from self._open(plan)))

    def _cut_compression(self) -> ConnectionLost | None:
        """Return the failure of a connection that ended cleanly although its compressed bytes are incomplete."""
        try:
            self._decompressor.finish()
        except ConnectionLost as error:
            return error
        return None

    # --- Failures

    def _run(self, start: Callable[[], Flow[Any]]) -> Generator[Effect, Any, Any]:
        limit_s = yield from self._left_s()
        try:
            return (yield Run(start, limit_s))
        except PolysessionError as error:
            failure = error
        yield from self._left_s(failure)  # a response that was too slow for the deadline is no failure of the backend
        raise failure

    def _persist(
        self,
        attempt: Callable[[], Generator[Effect, Any, Any]],
        on_refusal: Callable[[PolysessionError], Items] | None = None,
    ) -> Generator[Any, Any, Any]:
        """Repeat an attempt until it succeeds, is refused, or the retry policy is exhausted.

        Gives None if `on_refusal` finished the stream.
        """
        while True:
            try:
                return (yield from attempt())
            except (DeadlineExceeded, StreamInterrupted):
                raise
            except PolysessionError as error:
                failure = error
            yield from self._left_s(failure)
            if failure.outcome_unknown or not failure.retryable:
                items = on_refusal(failure) if on_refusal is not None and self._was_opened else ()
                if not items:
                    raise failure
                yield from self._take(items)
                if self._is_finished():
                    return None
            yield from self._back_off(failure)

    def _back_off(self, failure: PolysessionError | None, *, heartbeat: bool = False) -> Loop:
        """Wait before the next attempt.

        Raises:
            PolysessionError: There were too many attempts.
        """
        progress, self._seen_before_failure = self.events_seen > self._seen_before_failure, self.events_seen
        announced, self._announced = self._announced, None
        wish_s = (self._decoder.retry_ms or 0) / 1000
        if isinstance(failure, StatusError) and failure.retry_after_s is not None:
            wish_s = failure.retry_after_s
        elif announced is not None:
            wish_s = announced.after_s
        bounds = self._retry.wait_after(
            (yield NOW), progress=progress, heartbeat=heartbeat, wish_s=wish_s, announced=announced is not None
        )
        if bounds is None:
            raise self._interrupted(failure)
        left_s = yield from self._left_s(failure)
        least_s, most_s = bounds if left_s is None else (min(bounds[0], left_s), min(bounds[1], left_s))
        yield Wait(least_s, most_s, Interruption(failure))

    def _interrupted(self, failure: PolysessionError | None) -> PolysessionError:
        """Return the error of a stream that cannot continue: its cause if specific, otherwise `StreamInterrupted`."""
        if failure is not None and not self._was_opened:
            failure.attempts = max(failure.attempts, self._retry.failures)
            return failure
        if failure is not None and not failure.retryable:
            return failure
        how = "the backend closed the connection" if failure is None else failure.message
        error = StreamInterrupted(f"the stream was interrupted and could not be resumed: {how}")
        error.__cause__ = failure
        return error
