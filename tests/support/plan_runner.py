"""Follows a stream plan with the real loop over scripted connections and responses.

There is no clock and no network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from polysession import RetryPolicy
from polysession._core.effects import Effect, Now, Open, Ready, Receive, Run
from polysession._core.flow import Call, Flow, Response
from polysession._core.plans import Head, StreamPlan
from polysession._core.streams import StreamLoop
from polysession.errors import ConnectionLost, PolysessionError
from polysession.event import Event

Chunk = bytes | PolysessionError


@dataclass
class Followed:
    """The result of following a plan.

    Attributes:
        events: The events that were delivered.
        cursors: The loop's cursor after each of them.
        calls: The calls of flows, and the calls that opened a connection.
        error: The error that the stream raised; None if it raised none, or if the script ended.
        finished: Whether the stream ended before the script.
    """

    events: list[Event] = field(default_factory=list)
    cursors: list[str | None] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    error: PolysessionError | None = None
    finished: bool = False


class _ScriptEndedError(Exception):
    """The script has no more connections."""


def follow(
    prepare: Callable[[], Flow[StreamPlan]],
    replies: Sequence[Response | PolysessionError] = (),
    connections: Iterable[Sequence[Chunk] | PolysessionError] = (),
    *,
    leave_after: int | None = None,
    cursor: str | None = None,
) -> Followed:
    """Follow a plan to its end, or to the end of the script.

    Args:
        prepare: Function that returns the flow which prepares the plan.
        replies: Responses to the calls of flows, in order.
        connections: The chunks of each connection. After its last chunk a connection is lost. An error in place of a
            connection refuses it.
        leave_after: Number of events after which the caller closes the stream.
        cursor: The caller's cursor, from which the loop reads which events were delivered. The plan gets its own part.
    """
    followed = Followed()
    retry = RetryPolicy(attempts=10, first_wait_s=0.0, max_wait_s=0.0)
    loop = StreamLoop(prepare, retry, can_wake=True, cursor=cursor)
    performer = _Performer(
        followed, list(replies), [one if isinstance(one, PolysessionError) else list(one) for one in connections]
    )
    steps = loop.run()
    result: Any = None
    try:
        while True:
            step = steps.throw(result) if isinstance(result, PolysessionError) else steps.send(result)
            result = None
            if isinstance(step, Ready):
                continue
            if not isinstance(step, Effect):
                followed.events.append(step)
                followed.cursors.append(loop.cursor)
                if len(followed.events) == leave_after:
                    return followed
                continue
            try:
                result = performer.perform(step)
            except PolysessionError as error:
                result = error
    except StopIteration:
        followed.finished = True
    except _ScriptEndedError:
        steps.close()
    except PolysessionError as error:
        followed.error = error
    return followed


class _Performer:
    def __init__(
        self,
        followed: Followed,
        replies: list[Response | PolysessionError],
        connections: list[list[Chunk] | PolysessionError],
    ) -> None:
        self._followed = followed
        self._replies = replies
        self._connections = connections
        self._chunks: list[Chunk] = []

    def perform(self, effect: Any) -> Any:
        if isinstance(effect, Run):
            return self._run(effect.start())
        if isinstance(effect, Open):
            if not self._connections:
                raise _ScriptEndedError
            self._followed.calls.append(effect.call)
            connection = self._connections.pop(0)
            if isinstance(connection, PolysessionError):
                raise connection
            self._chunks = connection
            return Head(200, {})
        if isinstance(effect, Receive):
            return self._receive()
        return 0.0 if isinstance(effect, Now) else None

    def _receive(self) -> bytes:
        if not self._chunks:
            if not self._connections:
                raise _ScriptEndedError
            raise ConnectionLost("the script's connection ended")
        chunk = self._chunks.pop(0)
        if isinstance(chunk, PolysessionError):
            raise chunk
        return chunk

    def _run(self, flow: Flow[Any]) -> Any:
        try:
            call = next(flow)
            while True:
                self._followed.calls.append(call)
                assert self._replies, f"one call too many: {call}"
                reply = self._replies.pop(0)
                call = flow.throw(reply) if isinstance(reply, PolysessionError) else flow.send(reply)
        except StopIteration as stop:
            return stop.value
