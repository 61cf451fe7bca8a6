"""Performs the effects of the stream loop by hand, without client, network and clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from polysession._core.effects import Drain, Effect, Now, Open, Ready, Receive, Run, Wait
from polysession._core.flow import Call, Flow, Response
from polysession._core.plans import Head, StreamPlan
from polysession._core.retry import RetryPolicy
from polysession._core.streams import StreamLoop
from polysession.errors import PolysessionError
from polysession.event import Event

STAYS_OPEN: Final = "stays open"
"""Last chunk of a connection that stays open without further data. The loop then wakes up for its timers."""

Chunk = bytes | PolysessionError | str
Connection = Sequence[Chunk] | Callable[[Call], Sequence[Chunk]]
"""The chunks of a connection, or a function that returns them for the call that opens it."""


class _ScriptEnded(Exception):  # noqa: N818  (not an error)
    """The script has ended."""


@dataclass
class Followed:
    """The course of a stream.

    Attributes:
        events: The events that were delivered.
        calls: The calls of flows: preparation, input and reconciliation.
        openings: The calls that opened the stream.
        waits: The lower and upper bound of each wait, in seconds.
        error: The error that the stream raised; None if it raised none or did not end.
        is_finished: Whether the stream ended without an error.
        cursor: The cursor after the last event.
    """

    events: list[Event] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    openings: list[Call] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    error: PolysessionError | None = None
    is_finished: bool = False
    cursor: str | None = None


def follow(
    prepare: Callable[[], Flow[StreamPlan]],
    answers: Iterable[Response | PolysessionError],
    *connections: Connection,
    retry: RetryPolicy | None = None,
) -> Followed:
    """Follow a stream to its end, or to the end of the script.

    Args:
        prepare: Function that returns the flow which prepares the plan.
        answers: Responses to the calls of flows, in order.
        connections: The chunks of each connection. After its last chunk a connection ends cleanly, unless that is an
            error or `STAYS_OPEN`. An error as the first chunk refuses the opening.
        retry: Policy for reopening the stream.
    """
    followed = Followed()
    loop = StreamLoop(prepare, retry or RetryPolicy(), can_wake=True)
    driver = _Driver(followed, list(answers), list(connections))
    course = loop.run()
    result: Any = None
    failure: PolysessionError | None = None
    try:
        while True:
            item = course.send(result) if failure is None else course.throw(failure)
            result = failure = None
            if isinstance(item, Effect):
                try:
                    result = driver.perform(item)
                except PolysessionError as error:
                    failure = error
            elif not isinstance(item, Ready):
                followed.events.append(item)
    except StopIteration:
        followed.is_finished = True
    except _ScriptEnded:
        pass
    except PolysessionError as error:
        followed.error = error
    followed.cursor = loop.cursor
    return followed


class _Driver:
    def __init__(
        self,
        followed: Followed,
        answers: list[Response | PolysessionError],
        connections: list[Connection],
    ) -> None:
        self._followed = followed
        self._answers = answers
        self._connections = connections
        self._chunks: list[Chunk] = []
        self._now_s = 0.0

    def perform(self, effect: Effect) -> Any:
        match effect:
            case Now():
                return self._now_s
            case Open(call=call):
                return self._open(call)
            case Receive(wake_s=wake_s):
                return self._receive(wake_s)
            case Run(start=start):
                return self._run(start())
            case Wait(least_s=least_s, most_s=most_s):
                self._followed.waits.append((least_s, most_s))
                self._now_s += least_s
            case Drain():
                pass
        return None

    def _open(self, call: Call) -> Head:
        if not self._connections:
            raise _ScriptEnded
        self._followed.openings.append(call)
        connection = self._connections.pop(0)
        self._chunks = list(connection(call) if callable(connection) else connection)
        refusal = self._chunks[0] if self._chunks else b""
        if isinstance(refusal, PolysessionError):
            raise refusal
        return Head(200, {})

    def _receive(self, wake_s: float | None) -> bytes | None:
        chunk = self._chunks.pop(0) if self._chunks else b""
        if isinstance(chunk, PolysessionError):
            raise chunk
        if isinstance(chunk, bytes):
            return chunk
        if wake_s is None:
            raise _ScriptEnded
        self._chunks.insert(0, chunk)
        self._now_s = max(self._now_s, wake_s)
        return None

    def _run(self, flow: Flow[Any]) -> Any:
        try:
            call = next(flow)
            while True:
                if not self._answers:
                    raise _ScriptEnded
                self._followed.calls.append(call)
                answer = self._answers.pop(0)
                call = flow.send(answer) if isinstance(answer, Response) else flow.throw(answer)
        except StopIteration as stop:
            return stop.value
