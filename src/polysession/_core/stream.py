"""One live stream, without its I/O: frames to events, and what to do when the connection ends.

The driver opens `plan.open()`, pushes bytes into a `StreamReader`, and asks it what to do when the bytes stop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from polysession._core.body import Decompressor
from polysession._core.flow import Call, Flow
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame, SseDecoder
from polysession.errors import PolysessionError, RateLimited, StreamInterrupted
from polysession.event import Event, TurnEnded, TurnStarted

_MAX_DOUBLINGS: Final = 30  # keeps the power of a patient caller's many attempts within a float


class StreamPlan(ABC):
    """A provider's side of one live stream: how it is opened, what its frames mean, and where it would go on.

    Attributes:
        silence_s: Seconds without a byte after which the connection is taken for dead. Above the backend's heartbeat.
        reopen_after_s: Set by `read` when the server announces that it will close, and by `probe` when a silence was to
            be expected: seconds to wait before reopening. That one time it does not count as a failure.
        finished: Set by `read` when nothing can follow, such as after the session was deleted.
    """

    silence_s: float = 45.0

    def __init__(self) -> None:
        self.reopen_after_s: float | None = None
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

    def probe(self) -> Flow[Sequence[Event]]:
        """Look before reopening whether something was missed that no stream will tell; its events come next."""
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

    def take(self, events: Iterable[Event]) -> list[Event]:
        """Those of the events that are to be delivered now."""
        delivered: list[Event] = []
        for event in events:
            if self.ended is not None:
                break
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


class StreamReader:
    """Bytes to events, over as many connections as it takes.

    Attributes:
        plan: The provider's side.
        cursor: Continues after the last event that was delivered. Behind `plan.cursor` while a frame's events are.
        events_seen: How many events were delivered.
    """

    def __init__(self, plan: StreamPlan, retry: RetryPolicy) -> None:
        self.plan = plan
        self.cursor = plan.cursor
        self.events_seen = 0
        self._tracker = TurnTracker(plan) if isinstance(plan, TurnPlan) else None
        self._retry = retry
        self._decoder = SseDecoder()
        self._decompressor = Decompressor("")
        self._failures = 0

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

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete. A frame is read when its events are asked for.

        Raises:
            ConnectionLost: The bytes cannot be decompressed.
            MalformedResponse: A frame cannot be read, or is too large. The events before it have been delivered.
        """
        for piece in self._decompressor.pieces(chunk):
            for frame in self._decoder.feed(piece):
                yield from self.take(self.plan.read(frame))
                if self.is_finished():
                    return

    def take(self, events: Iterable[Event]) -> Iterator[Event]:
        """Those of the events, of one frame or of a probe, that are to be delivered."""
        delivered = list(events) if self._tracker is None else self._tracker.take(events)
        if delivered:
            self._failures = 0
        for event in delivered[:-1]:
            self.events_seen += 1
            yield event
        if self._tracker is None or not self._tracker.holds_back:
            self.cursor = self.plan.cursor  # not before: who stops in the middle of a frame is to get its rest again
        for event in delivered[-1:]:
            self.events_seen += 1
            yield event

    def interrupted(self, failure: PolysessionError | None) -> float:
        """Seconds to wait before the next try, after the stream broke or ended, or could not be reopened.

        Args:
            failure: What went wrong; None for a clean end.

        Raises:
            StreamInterrupted: It went wrong too often without an event in between; it holds the cursor.
        """
        free_wait_s, self.plan.reopen_after_s = self.plan.reopen_after_s, None
        if free_wait_s is not None:
            return free_wait_s
        self._failures += 1
        asked_s = failure.retry_after_s if isinstance(failure, RateLimited) else None
        if self._failures >= self._retry.attempts or (asked_s or 0.0) > self._retry.deadline_s:
            raise self._given_up(failure) from failure
        return self._backoff_s() if asked_s is None else asked_s

    def _backoff_s(self) -> float:
        """The wait that the server suggests, or the caller's first one, doubled for each failure after the first."""
        hint_ms = self._decoder.retry_ms
        first_s = self._retry.first_wait_s if hint_ms is None else hint_ms / 1000
        return float(min(self._retry.max_wait_s, first_s * 2.0 ** min(self._failures - 1, _MAX_DOUBLINGS)))

    def _given_up(self, failure: PolysessionError | None) -> StreamInterrupted:
        how = failure.message if failure else "the backend closed it"
        error = StreamInterrupted(f"the stream was interrupted, and could not be resumed: {how}")
        error.cursor = self.cursor
        error.events_seen = self.events_seen
        return error
