"""Replays a tape through the stream loop, in pieces of any size.

It uses no socket and no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from polysession._core.effects import Drain, Effect, Now, Open, Ready, Receive, Run
from polysession._core.flow import Call, Flow, Response
from polysession._core.plans import Head
from polysession._core.retry import RetryPolicy
from polysession._core.streams import StreamLoop
from polysession.event import Event
from polysession.testing import TapeFile
from polysession.testing.tape_file import Exchange, unpacked

T = TypeVar("T")


def pieces(chunks: Iterable[bytes], size: int | None) -> Iterator[bytes]:
    """Yield the bytes of chunks in pieces of `size` bytes; None keeps the recorded chunks."""
    if size is None:
        yield from chunks
        return
    whole = b"".join(chunks)
    yield from (whole[start : start + size] for start in range(0, len(whole), size))


def events_of(tape: TapeFile, begin: Callable[[], Flow[Any]], size: int | None) -> list[Event]:
    """Return the events of a tape's first stream, like a driver delivers them.

    Args:
        tape: The tape.
        begin: Function that returns the flow which prepares the plan of the stream.
        size: Bytes in each piece: see `pieces`.
    """
    exchanges = iter(tape.exchanges)
    chunks = pieces(tape.streams()[1], size)
    loop = StreamLoop(begin, RetryPolicy(), can_wake=True).run()
    events: list[Event] = []
    result: Any = None
    with suppress(StopIteration):
        while True:
            item = loop.send(result)
            if isinstance(item, Receive):
                result = next(chunks)
            elif isinstance(item, Effect):
                result = _perform(item, exchanges)
            elif not isinstance(item, Ready):
                events.append(item)
    return events


def _perform(effect: Effect, exchanges: Iterator[Exchange]) -> Any:
    match effect:
        case Run(start=start):
            return _run(start(), exchanges)
        case Open(call=call):
            _answer(call, exchanges)
            return Head(200, {})
        case Now():
            return 0.0
        case Drain():
            return None
    raise AssertionError(f"unexpected effect of a tape's first stream: {effect}")


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
    request, response = exchange.request, exchange.response
    assert response is not None
    assert (call.method, call.path) == (request.method, request.target)
    assert (call.body and json.loads(call.body)) == (request.body and json.loads(unpacked(request.body)))
    return Response(response.status, response.headers, unpacked(response.body))
