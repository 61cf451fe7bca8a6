"""A provider's side of a live stream: opening it, reading its frames, choosing the next step. Pure.

There are four kinds of turn. Each has a base class here:

- `TurnPlan`: the stream is separate from the input. It is opened, then the input is sent.
- `AnsweredTurn`: the response to the input is the stream.
- `PolledStream` and `PolledTurn`: there is no stream, only a history that is read repeatedly.
- An attended turn is one of these at a backend where leaving the stream ends the turn: `Provider.turn_life` says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from polysession._core.flow import Call, Flow
from polysession._core.sse import Frame
from polysession.errors import PolysessionError
from polysession.event import Event


class Step:
    """A request of a plan to the loop, returned among its events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reopen(Step):
    """Open the stream again without counting a failure: the server announced its end, or left out frames.

    Attributes:
        after_s: Seconds to wait before the stream is opened again. A lower bound, within the limits of the caller's
            retry policy.
        at_once: Whether to close the connection now and drop its other frames. Otherwise the loop waits for its end.
    """

    after_s: float = 0.0
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Reconcile(Step):
    """Read facts that the stream does not contain: run `StreamPlan.reconcile` and deliver its items next.

    Attributes:
        after_s: Seconds to wait first, while the open connection is still read. 0 reconciles at once. If several
            requests wait, the earliest one counts for all.
    """

    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished(Step):
    """Nothing can follow: the stream ends without an error."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of the response that carries the stream.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive.
    """

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """How a connection ended.

    Attributes:
        failure: None for a clean end; `NetworkTimeout` for a silent connection; `ConnectionLost` for a broken one.
        inside_frame: Whether the connection ended in the middle of a frame, whose bytes are lost.
    """

    failure: PolysessionError | None
    inside_frame: bool


Items: TypeAlias = Sequence[Event | Step]
"""Events to deliver and steps to take, in order. It may be a single step, or empty."""


class StreamPlan(ABC):  # noqa: B024  (its two kinds have the abstract methods)
    """A provider's side of one stream. It keeps the state of its reading, and leaves time and retries to the loop.

    A plan is a `ConnectedStream` or a `PolledStream`.

    Attributes:
        cursor: Opaque base64url text from which another stream, in any process, continues after the last event that was
            read. A session without events also has a cursor, which means "from the start". The core reads `cursor`
            after the last event of each frame, poll or reconciliation, so store the text, and build it only when it
            changes. A caller who leaves before that last event gets the cursor from before the frame, poll or
            reconciliation, with marks of the events that came: the core skips these events when they are read again.
        quiet_s: Seconds without an event, with or without heartbeats, after which the loop calls `quiet`; None for
            never. While no event comes, the loop calls it again each time the silence has doubled, at least every 30
            seconds.
        not_replayed: Types of events that the backend sends only live, and not again to a reopened stream.
        is_resumed: Whether the stream continues after a caller's cursor, so that events of the types in `not_replayed`
            may be missing before its first event.
    """

    cursor: str = ""
    quiet_s: float | None = None
    not_replayed: tuple[str, ...] = ()
    is_resumed: bool = False

    def quiet(self, for_s: float) -> Items:
        """React to `quiet_s` seconds without an event; `for_s` is the length of the silence in seconds.

        The stream stays open in an async client. A sync client opens it again, without counting a failure: it calls
        `ended` with `NetworkTimeout` afterwards, unless the stream is finished. For an attended turn it does not; there
        `quiet` waits for a heartbeat.
        """
        return ()

    def on_refusal(self, error: PolysessionError) -> Items:
        """React when the backend refused to reopen the stream, or a poll. Without items the stream ends in an error."""
        return ()

    def reconcile(self) -> Flow[Items]:
        """Read facts that the stream does not contain, after a `Reconcile` step. It runs again if it fails half-way."""
        yield from ()  # a flow without a call
        return ()


class ConnectedStream(StreamPlan):
    """A stream that is the body of a response.

    Attributes:
        silence_s: Seconds without a byte after which the connection counts as lost; choose more than the backend's
            heartbeat interval. None for no limit: then only TCP keep-alive notices a dead peer.
        drain_s: Seconds for which the rest of the body is read at the end of the turn or stream, before it is closed.
            Some servers finish their work only when their response is read to the end. 0 closes it at once.
    """

    silence_s: float | None = 45.0
    drain_s: float = 0.0

    @abstractmethod
    def open(self) -> Call:
        """Build the request that opens the stream, or reopens it after `cursor`. The request changes nothing."""

    @abstractmethod
    def read(self, frame: Frame) -> Items:
        """Read one frame. Return each event once, even if the backend or a proxy repeats the frame.

        Recognise a repeated frame by its number or id. Where frames have neither, compare its bytes with the previous
        frame.
        """

    def opened(self, head: Head, *, again: bool) -> Items:
        """React to a response that opened the stream; `again` is false for the first one.

        The core has already checked that the response is a stream of events: for any other, such as an HTML page, it
        raises `MalformedResponse`. This method may raise an error for a stream that is not the expected one.
        """
        return ()

    def ended(self, end: BodyEnd) -> Items:
        """React to the end of a connection. The loop then opens the stream again, unless it is finished."""
        return ()


class TurnPlan(StreamPlan):
    """A stream that follows one turn of our own, which starts when its input is sent.

    A subclass has a second base: the provider's `ConnectedStream` or `PolledStream`.
    """

    @abstractmethod
    def send(self) -> Flow[None]:
        """Send the input. Runs once, after the stream was opened, because most streams contain only new events."""

    @abstractmethod
    def is_ours(self, event: Event) -> bool:
        """Return whether this event proves that our input started the turn in progress.

        Recognise the turn by the input: by an id in the response to `send`, or by a message id or marker that we sent.
        An echo of the text is only a confirmation.
        """


class AnsweredTurn(ConnectedStream):
    """A turn whose stream is the response to its input."""

    @abstractmethod
    def start(self) -> Call:
        """Build the request that sends the input. It is never repeated if it may have reached the backend."""

    def rejoin(self) -> Call | None:
        """Build the request that follows the turn after its response was cut; None if the backend has none."""
        return None

    def open(self) -> Call:
        """Return `start`, the request that opens the stream; the loop calls `rejoin` for later requests."""
        return self.start()

    @abstractmethod
    def ended(self, end: BodyEnd) -> Items:
        """Close the turn at the end of the body.

        A body that was cut is never a success. A body that ended cleanly before the turn was complete is not a success
        either, because a proxy may end it between two frames.
        """


class PolledStream(StreamPlan):
    """A session whose events are read from its history repeatedly, because the backend has no stream.

    Attributes:
        every_s: Seconds between two polls: the first wait, and the longest wait. The wait grows while no event comes.
    """

    every_s: tuple[float, float] = (2.0, 15.0)

    @abstractmethod
    def poll(self) -> Flow[Items]:
        """Read the new part of the history. Return each event once. It runs again if it fails half-way."""


class PolledTurn(PolledStream, TurnPlan):
    """A turn that is followed by polling: its input is sent, then the history is read."""
