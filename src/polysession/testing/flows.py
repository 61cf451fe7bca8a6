"""Runs a flow step by step, without client and server."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from polysession._core.flow import Call, Flow, Response
from polysession.errors import PolysessionError

T = TypeVar("T")


def ok(body: Any, status: int = 200) -> Response:
    """Return a successful response with a JSON body."""
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def step(flow: Flow[T], *answers: Response | PolysessionError) -> tuple[list[Call], T]:
    """Run a flow with prepared responses; return the calls of the flow and its result.

    Args:
        flow: The flow, such as `provider.get_session(SessionRef("s1"))`.
        answers: A response or an error for each call, in order. An error is raised inside the flow.

    Raises:
        AssertionError: The flow made more or fewer calls than there are answers.
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
