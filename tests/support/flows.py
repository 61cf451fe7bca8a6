"""Steps through a flow by hand: no client, no network."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from polysession._core.flow import Call, Flow, Response
from polysession.errors import PolysessionError

T = TypeVar("T")


def ok(body: Any, status: int = 200) -> Response:
    """A reply of success with a JSON body."""
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def step(flow: Flow[T], *answers: Response | PolysessionError) -> tuple[list[Call], T]:
    """Drive a flow with prepared answers; the calls that it made, and its result.

    Raises:
        AssertionError: It made more calls, or fewer, than there are answers.
    """
    calls: list[Call] = []
    remaining = list(answers)
    try:
        call = next(flow)
        while True:
            calls.append(call)
            assert remaining, f"one call too many: {call}"
            answer = remaining.pop(0)
            call = flow.send(answer) if isinstance(answer, Response) else flow.throw(answer)
    except StopIteration as stop:
        assert not remaining, f"answers left over: {remaining}"
        result: T = stop.value
        return calls, result


def sent_bodies(calls: Iterable[Call]) -> list[Any]:
    """The JSON bodies of calls, None for those without."""
    return [None if call.body is None else json.loads(call.body) for call in calls]
