"""Effects: the requests of a stream's loop to its driver. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from polysession._core.flow import Call, Flow
from polysession.errors import PolysessionError
from polysession.event import Event


class Effect:
    """A request of the loop to its driver. The driver sends the result back, or throws the error into the loop."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Open(Effect):
    """Open a connection in place of the previous one; gives its `Head`.

    Attributes:
        call: The request. The client's timeout applies until the headers of its response arrive.
        silence_s: Seconds without a byte after which `Receive` fails with `NetworkTimeout`; None for no limit.
        until_s: Time at which the attempt fails at the latest; None for no limit.
    """

    call: Call
    silence_s: float | None
    until_s: float | None


@dataclass(frozen=True, slots=True)
class Receive(Effect):
    """Receive bytes of the open connection, as they come; gives `b""` at its clean end.

    Attributes:
        wake_s: Time at which to give None if no bytes came, and to leave the connection open. A driver that cannot do
            this (`StreamLoop.can_wake`) closes the connection and fails with `NetworkTimeout`. None for no such time.
    """

    wake_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drain(Effect):
    """Read the open connection to its end and drop the bytes; an error is ignored.

    Attributes:
        limit_s: Seconds after which it is given up.
        most_bytes: Bytes after which it is given up.
    """

    limit_s: float
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Run(Effect):
    """Run a flow; gives its result.

    Attributes:
        start: Makes the flow.
        limit_s: Seconds for all its calls; None for no limit.
    """

    start: Callable[[], Flow[Any]]
    limit_s: float | None


@dataclass(frozen=True, slots=True)
class Wait(Effect):
    """Sleep for a random time between two bounds, so that many clients do not reconnect at once.

    Attributes:
        least_s: Lower bound in seconds.
        most_s: Upper bound in seconds.
        after: The end of the connection, or the refusal, that caused the wait; None for the wait between two polls.
    """

    least_s: float
    most_s: float
    after: Interruption | None = None


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why a stream has to be opened again.

    Attributes:
        failure: The error; None for a clean end.
    """

    failure: PolysessionError | None


@dataclass(frozen=True, slots=True)
class Now(Effect):
    """Read the monotonic clock; gives seconds."""


class Ready:
    """Delivered first: the stream is open and the input was sent, so the `with` block may start."""

    __slots__ = ()


class Prepared(Ready):
    """Delivered on request before the input of a turn is sent: the cursor already names the turn."""

    __slots__ = ()


RECEIVE: Final = Receive()
NOW: Final = Now()
READY: Final = Ready()
PREPARED: Final = Prepared()
Loop: TypeAlias = Generator[Effect | Ready | Event, Any, None]
"""Yields effects to perform and, between them, items to deliver."""
