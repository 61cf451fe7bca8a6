"""Plays a tape to the pure stream reader, cut as one likes: no socket, no clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from polysession._core.flow import Call, Flow, Response
from polysession._core.retry import RetryPolicy
from polysession._core.stream import StreamPlan, StreamReader, TurnPlan
from polysession.event import Event
from tools.recordings.tapes import Exchange, Tape

T = TypeVar("T")


def pieces(chunks: Iterable[bytes], size: int | None) -> Iterator[bytes]:
    """The bytes of chunks in pieces of that size; as they were recorded if it is None."""
    if size is None:
        yield from chunks
        return
    whole = b"".join(chunks)
    yield from (whole[start : start + size] for start in range(0, len(whole), size))


def events_of(tape: Tape, begin: Callable[[], Flow[StreamPlan]], size: int | None) -> list[Event]:
    """The events of a tape's first stream, as a driver would deliver them.

    Args:
        tape: The tape.
        begin: What the client did first: the flow that gives the plan of its stream.
        size: See `pieces`.
    """
    exchanges = iter(tape.exchanges)
    plan = _run(begin(), exchanges)
    reader = StreamReader(plan, RetryPolicy())
    _answer(plan.open(), exchanges)
    reader.opened()
    if isinstance(plan, TurnPlan):
        _run(plan.send(), exchanges)
    chunks = tape.streams()[0]
    return [event for piece in pieces(chunks, size) for event in reader.feed(piece)]


def _run(flow: Flow[T], exchanges: Iterator[Exchange]) -> T:
    try:
        call = next(flow)
        while True:
            call = flow.send(_answer(call, exchanges))
    except StopIteration as stop:
        result: T = stop.value
        return result


def _answer(call: Call, exchanges: Iterator[Exchange]) -> Response:
    exchange = next(exchanges)
    sent: Any = None if call.body is None else json.loads(call.body)
    asked = (call.method, call.path, sent)
    assert asked == (exchange.request.method, exchange.request.path, exchange.request.body)
    return Response(exchange.response.status, exchange.response.headers, json.dumps(exchange.response.body).encode())
