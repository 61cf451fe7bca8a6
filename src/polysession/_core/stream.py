"""One live stream, without its I/O: frames to events, and what to do when the connection ends.

The driver opens `plan.open()`, pushes bytes into a `StreamReader`, and asks it what to do when the bytes stop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from polysession._core.body import Decompressor
from polysession._core.flow import Call, Flow
from polysession._core.gap import GapWatch
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame, SseDecoder
from polysession.errors import PolysessionError, RateLimited, StreamInterrupted
from polysession.event import Event, MessageDelta, TurnEnded, TurnStarted

_SEQUENCES: Final = (tuple, list)
_MAX_DOUBLINGS: Final = 30  # keeps the power of a patient caller's many attempts within a float


class StreamPlan(ABC):
    """A provider's side of one live stream: how it is opened, what its frames mean, and where it would go on.

    Attributes:
        silence_s: Seconds without a byte after which the connection is taken for dead. Above the backend's heartbeat.
        reopen_after_s: Set by `read` when the server announces that it will close, and by `broke_off` when that was to
            be expected: seconds to wait before reopening. That one time it does not count as a failure.
        probe_due: Set by the plan when only a probe can tell what comes next. The driver then makes one before it reads
            on or reopens.
        is_resumed: Set by who made the plan if it goes on after a caller's cursor, where another stream had come to.
        finished: Set by `read` when nothing can follow, such as after the session was deleted.
        not_replayed: Types of events that are told only while they happen, and not again to who reopens the stream.
    """

    silence_s: float = 45.0
    not_replayed: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.reopen_after_s: float | None = None
        self.probe_due = False
        self.is_resumed = False
        self.finished = False

    @property
    @abstractmethod
    def cursor(self) -> str | None:
        """Text from which another stream, in any process, continues after the last event; None before the first."""

    @abstractmethod
    def open(self) -> Call:
        """The call that opens the stream, or reopens it after the last event. It is repeated: it changes nothing."""

    @abstractmethod
    def read(self, frame: Frame) -> Iterable[Event]:
        """The events of one frame: each event once, also when the backend replays it after a reopening.

        Raises:
            MalformedResponse: The frame cannot be read.
        """

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: B027  (most plans need not know)
        """The connection is gone, and will be opened again.

        Args:
            failure: What went wrong: `NetworkTimeout` is a silence. None for a clean end.
        """

    def probe(self) -> Flow[Sequence[Event]]:
        """Look elsewhere for what the stream does not tell; its events come next. Asked for by `probe_due`."""
        yield from ()  # a flow without a call
        return ()


class TurnPlan(StreamPlan):
    """A stream that is opened to follow one turn of our own, which begins when its input is sent."""

    @abstractmethod
    def send(self) -> Flow[None]:
        """Send the input. Runs once, after the stream was opened, because most backends tell only what is new."""

    @abstractmethod
    def begins(self, event: Event) -> bool:
        """Whether this event proves that our turn is what is going on now."""


class TurnTracker:
    """Lets through the events of our own turn only, from its start to its end.

    Attributes:
        ended: The end of our turn; None until it came.
    """

    def __init__(self, plan: TurnPlan) -> None:
        self._plan = plan
        self._held: list[Event] = []
        self._ours = False
        self.ended: TurnEnded | None = None

    @property
    def holds_back(self) -> bool:
        """Whether there are events that may turn out to be the beginning of our turn."""
        return bool(self._held)

    def is_inside(self, event: Event) -> bool:
        """Whether it is in the middle of our turn, so that it can be delivered as it is."""
        return self._ours and not isinstance(event, TurnEnded)

    def take(self, events: Iterable[Event]) -> Sequence[Event]:
        """Those of the events that are to be delivered now."""
        delivered: list[Event] = []
        for event in events:
            if self.ended is not None:
                break
            if self.is_inside(event):
                delivered.append(event)
            else:
                delivered += self._take(event)
        return delivered

    def _take(self, event: Event) -> list[Event]:
        """Held back is everything since the last start or end of a turn, until an event proves that it is ours."""
        if not self._ours and isinstance(event, TurnStarted):
            self._held.clear()
        self._held.append(event)
        self._ours = self._ours or self._plan.begins(event)
        ends = isinstance(event, TurnEnded)
        if not self._ours and not ends:
            return []
        held, self._held = self._held, []
        if not self._ours:
            return []  # the end of a turn that was not ours
        if isinstance(event, TurnEnded):
            self.ended = event
        return held


class Wait(NamedTuple):
    """A wait of a length to be drawn evenly from a range, so that those who were cut off together do not come at once.

    Attributes:
        least_s: Seconds at least.
        most_s: Seconds at most.
    """

    least_s: float
    most_s: float


class StreamReader:
    """Bytes to events, over as many connections as it takes.

    Attributes:
        plan: The provider's side.
        events_seen: How many events were delivered.
    """

    def __init__(self, plan: StreamPlan, retry: RetryPolicy) -> None:
        self.plan = plan
        self.events_seen = 0
        self._is_at_mark = False
        self._mark = plan.cursor
        self._tracker = TurnTracker(plan) if isinstance(plan, TurnPlan) else None
        self._watch = GapWatch(plan.not_replayed, may_lack=plan.is_resumed)
        self._retry = retry
        self._decoder = SseDecoder()
        self._decompressor = Decompressor("")
        self._failures = 0
        self._seen_before_failure = 0
        self._was_opened = False

    @property
    def cursor(self) -> str | None:
        """Continues after the last event that was delivered: who stops in the middle of a frame is to get its rest."""
        return self._mark if self._is_at_mark else self.plan.cursor

    def is_finished(self) -> bool:
        """Whether nothing more will come."""
        return self.plan.finished or (self._tracker is not None and self._tracker.ended is not None)

    def opened(self, encoding: str = "") -> None:
        """A connection was made: what was left of the one before is forgotten, but for its `retry`.

        Args:
            encoding: How its bytes are compressed; empty for not at all.

        Raises:
            MalformedResponse: They are compressed in a way that was not asked for.
        """
        self._decompressor = Decompressor(encoding)
        retry_ms, self._decoder = self._decoder.retry_ms, SseDecoder()
        self._decoder.retry_ms = retry_ms
        self.plan.reopen_after_s = None
        self._was_opened = True

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk stands for, if the connection's bytes are compressed.

        Raises:
            ConnectionLost: It cannot be decompressed.
        """
        return self._decompressor.pieces(chunk)

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that these bytes complete. A frame is read when its events are asked for.

        Raises:
            MalformedResponse: A frame cannot be read, or is too large. The events before it have been delivered.
        """
        plan, tracker, watch = self.plan, self._tracker, self._watch
        texts = watch.texts
        if self.is_finished():
            return
        for frame in self._decoder.feed(piece):
            before = plan.cursor
            events = plan.read(frame)
            event = events[0] if isinstance(events, _SEQUENCES) and len(events) == 1 else None  # as most frames have
            if event is None or (tracker is not None and not tracker.is_inside(event)):
                self._set_mark(before)
                yield from self.take(events)
            elif type(event) is MessageDelta:  # nine of ten: no call for these
                if texts is not None:
                    texts.append(event.text)
                self.events_seen += 1
                yield event
            elif (gap := watch.gap_before(event)) is None:
                self.events_seen += 1
                yield event
            else:
                self._set_mark(before)
                yield from self._one_by_one((gap, event))
            if plan.finished or (tracker is not None and tracker.ended is not None):
                return

    def is_probe_due(self) -> bool:
        """Whether only a probe can tell what comes next."""
        return self.plan.probe_due

    def probe(self) -> Flow[Sequence[Event]]:
        """The plan's probe, which is not due any more. What it finds is to be given to `take`."""
        self.plan.probe_due = False
        self._set_mark(self.plan.cursor)
        return self.plan.probe()

    def take(self, events: Iterable[Event]) -> Iterator[Event]:
        """Those of the events of a probe, or of a frame, that are to be delivered."""
        tracker = self._tracker
        if tracker is not None:
            events = tracker.take(events)
            self._is_at_mark = tracker.holds_back
        found: list[Event] = []
        for event in events:
            gap = self._watch.gap_before(event)
            found += (event,) if gap is None else (gap, event)
        return self._one_by_one(found)

    def _set_mark(self, cursor: str | None) -> None:
        """Note what continues before the events that come next, unless some are held back from before."""
        if not self._is_at_mark:
            self._mark = cursor

    def _one_by_one(self, events: Sequence[Event]) -> Iterator[Event]:
        for event in events[:-1]:
            self._is_at_mark = True
            self.events_seen += 1
            yield event
        self._is_at_mark = self._tracker is not None and self._tracker.holds_back
        for event in events[-1:]:
            self.events_seen += 1
            yield event

    def broke_off(self, failure: PolysessionError | None) -> None:
        """The connection broke, or ended without a failure."""
        self._watch.connection_ended()
        self.plan.broke_off(failure)

    def interrupted(self, failure: PolysessionError | None) -> Wait:
        """How long to wait before the next try, after the stream broke or ended, or could not be opened.

        Args:
            failure: What went wrong; None for a clean end.

        Raises:
            StreamInterrupted: It went wrong too often without an event in between; it holds the cursor.
            PolysessionError: It is `failure`: the stream could not even be opened a first time.
        """
        if self.events_seen > self._seen_before_failure:
            self._failures, self._seen_before_failure = 0, self.events_seen
        free_wait_s, self.plan.reopen_after_s = self.plan.reopen_after_s, None
        if free_wait_s is not None:
            return Wait(free_wait_s, free_wait_s)
        self._failures += 1
        asked_s = failure.retry_after_s if isinstance(failure, RateLimited) else None
        if self._failures >= self._retry.attempts or (asked_s or 0.0) > self._retry.deadline_s:
            if failure is not None and not self._was_opened:
                raise failure
            raise self._given_up(failure) from failure
        return self._backoff() if asked_s is None else Wait(asked_s, asked_s)

    def _backoff(self) -> Wait:
        """Up to the caller's first wait, doubled for each failure after the first; never before the server's own."""
        hint_ms = self._decoder.retry_ms
        least_s = 0.0 if hint_ms is None else hint_ms / 1000
        first_s = self._retry.first_wait_s if hint_ms is None else least_s
        most_s = float(min(self._retry.max_wait_s, first_s * 2.0 ** min(self._failures - 1, _MAX_DOUBLINGS)))
        return Wait(min(least_s, most_s), most_s)

    def _given_up(self, failure: PolysessionError | None) -> StreamInterrupted:
        how = failure.message if failure else "the backend closed it"
        error = StreamInterrupted(f"the stream was interrupted, and could not be resumed: {how}")
        error.cursor = self.cursor
        error.events_seen = self.events_seen
        return error
