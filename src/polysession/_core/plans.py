"""A provider's side of a live stream: how it is opened, what its frames mean, what to do next. Pure.

There are four kinds of turn. Each has a base class here:

- `TurnPlan`: the stream lies beside the input. It is opened, then the input is sent.
- `AnsweredTurn`: the response to the input is the stream.
- `PolledStream` and `PolledTurn`: there is no stream, only a history that is read again and again.
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
    """A request of a plan to the loop, beside the events that it returns."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reopen(Step):
    """Open the stream again, which is no failure: the server announced that it will close, or left frames out.

    Attributes:
        after_s: Seconds to wait before the stream is opened again. A lower bound, within the limits of the caller's
            retry policy.
        at_once: Close the connection now, and drop what else it brought. Otherwise its end is waited for.
    """

    after_s: float = 0.0
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Reconcile(Step):
    """Look elsewhere for what the stream does not tell: run `StreamPlan.reconcile`, whose items come next.

    Attributes:
        after_s: Seconds to wait first, while the open connection is read on. 0 reconciles at once. Of several that
            wait, the earliest counts for all.
    """

    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished(Step):
    """Nothing can follow: the stream ends without an error."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of the response that carries the stream.

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
        failure: None for a clean end; `NetworkTimeout` for a silence; `ConnectionLost` for a break.
        inside_frame: Whether a frame had begun and was not complete: its bytes are lost.
    """

    failure: PolysessionError | None
    inside_frame: bool


Items: TypeAlias = Sequence[Event | Step]
"""Events to deliver and steps to take, in this order. A step alone, or nothing, is fine."""


class StreamPlan(ABC):  # noqa: B024  (its two kinds have the abstract methods)
    """A provider's side of one stream. It keeps what it has read, and decides nothing about time or retries.

    A plan is a `ConnectedStream` or a `PolledStream`.

    Attributes:
        cursor: Opaque base64url text from which another stream, in any process, continues after the last event that
            was read. A session without events has one, too, which means "from the start". It is read after the last
            event of each frame, poll or reconciliation, so keep the text, and build it only when it changes. A caller
            who leaves before that last event gets the cursor before all of them, with marks of those that came: the
            core leaves them out when they are read again.
        quiet_s: Seconds without an event, heartbeats or not, after which `quiet` is asked; None never asks. While still
            nothing comes it is asked again each time that the silence has doubled, at least every 30 seconds.
        not_replayed: Types of events that are sent only while they happen, and not again to a reopened stream.
        is_resumed: Whether it continues after a caller's cursor, so that events of the types in `not_replayed` may be
            missing before its first one.
    """

    cursor: str = ""
    quiet_s: float | None = None
    not_replayed: tuple[str, ...] = ()
    is_resumed: bool = False

    def quiet(self, for_s: float) -> Items:
        """React to `quiet_s` seconds without an event; `for_s` is how long it has been.

        The stream stays open, except that a blocking client opens it again, without counting that as a failure: it
        calls `ended` with `NetworkTimeout` after this, unless the stream is finished. It does not do so for an attended
        turn, where `quiet` waits for a heartbeat.
        """
        return ()

    def on_refusal(self, error: PolysessionError) -> Items:
        """React to a reopening, or a poll, that the backend refused. Without items the stream ends in an error."""
        return ()

    def reconcile(self) -> Flow[Items]:
        """Read what the stream does not tell, asked for by `Reconcile`. It runs again if it fails half-way."""
        yield from ()  # a flow without a call
        return ()


class ConnectedStream(StreamPlan):
    """A stream that is the body of a response.

    Attributes:
        silence_s: Seconds without a byte after which the connection counts as lost: above the backend's heartbeat.
            None for no limit: TCP keep-alive has to notice a dead peer then.
        drain_s: Seconds for which the body is read on, at the end of the turn or stream, before it is closed: for a
            server that finishes its work only when its answer is read to the end. 0 closes it at once.
    """

    silence_s: float | None = 45.0
    drain_s: float = 0.0

    @abstractmethod
    def open(self) -> Call:
        """Build the request that opens the stream, or reopens it after `cursor`. It changes nothing."""

    @abstractmethod
    def read(self, frame: Frame) -> Items:
        """Read one frame: each event once, also when the backend or a proxy repeats the frame.

        Recognise a repeated frame by its number or id. Where frames have none, compare its bytes with the frame before.
        """

    def opened(self, head: Head, *, again: bool) -> Items:
        """React to a response that opened the stream; `again` unless it is the first.

        The core has checked that it is a stream of events: `MalformedResponse` refuses any other, such as an HTML page.
        This method may raise for a stream that is not the expected one.
        """
        return ()

    def ended(self, end: BodyEnd) -> Items:
        """React to the end of a connection. Unless the stream is finished it is opened again."""
        return ()


class TurnPlan(StreamPlan):
    """A stream that follows one turn of ours, which starts when its input is sent.

    Its other base is the provider's `ConnectedStream`, or `PolledStream`.
    """

    @abstractmethod
    def send(self) -> Flow[None]:
        """Send the input. Runs once, after the stream was opened, because most streams tell only what is new."""

    @abstractmethod
    def is_ours(self, event: Event) -> bool:
        """Whether this event proves that the turn in progress is the one that our input started.

        It is recognised by what we sent: an id in the answer to the send, or a message id or marker of our own. An
        echo only confirms.
        """


class AnsweredTurn(ConnectedStream):
    """A turn whose stream is the response to its input."""

    @abstractmethod
    def start(self) -> Call:
        """Build the request that sends the input. It is never repeated once it may have arrived."""

    def rejoin(self) -> Call | None:
        """Build the request that follows the turn after its response was cut; None if there is no such thing."""
        return None

    def open(self) -> Call:
        """The request that opens the stream: `start`; the loop asks `rejoin` for the next ones."""
        return self.start()

    @abstractmethod
    def ended(self, end: BodyEnd) -> Items:
        """Close the turn at the end of the body.

        A body that was cut is never a success, and neither is a body that ended cleanly before the whole turn was
        delivered: a proxy may end it between two frames.
        """


class PolledStream(StreamPlan):
    """A session whose events are read from its history again and again, because the backend has no stream.

    Attributes:
        every_s: Seconds between two polls: the first wait, and the longest, to which it grows while nothing comes.
    """

    every_s: tuple[float, float] = (2.0, 15.0)

    @abstractmethod
    def poll(self) -> Flow[Items]:
        """Read what is new in the history: each event once. It runs again if it fails half-way."""


class PolledTurn(PolledStream, TurnPlan):
    """A turn that is followed by polling: its input is sent, then the history is read."""
