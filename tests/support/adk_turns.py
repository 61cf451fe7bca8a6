"""Turns of ADK that tests step by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from polysession._core.flow import Call, Response
from polysession._core.operations import Operations
from polysession._core.plans import BodyEnd, Step
from polysession._core.sse import Frame
from polysession.errors import ConnectionLost
from polysession.event import Event, TurnEnded
from polysession_adk import AdkProvider, AdkSettings
from polysession_adk.turns import AdkTurn
from support.adk_events import (
    answer,
    call,
    stored,
    text,
)
from support.flows import ok, step

PROVIDER = AdkProvider(AdkSettings(base_url="http://127.0.0.1:8000", app="assistant", user_id="alice"))


OPERATIONS = Operations(PROVIDER)


PATH = "/apps/assistant/users/alice/sessions/s1"


CLEAN = BodyEnd(None, inside_frame=False)


BROKEN = BodyEnd(ConnectionLost("it broke"), inside_frame=False)


SAID = answer(text("You said: hello"))


CLIENT_TOOL = answer(call("c1", "ask_caller", question="6 x 7?"), longRunningToolIds=["c1"])


def turn(content: Any = "hello", *history: bytes, **options: Any) -> AdkTurn:
    """Return the plan of a turn. For answers it first reads the history."""
    answers = [ok(stored(*history))] if history else []
    _, plan = step(OPERATIONS.start_turn("s1", content, **options), *answers)
    assert isinstance(plan, AdkTurn)
    return plan


def body(sent: Call) -> Any:
    return json.loads(sent.body or b"")


def summaries(items: Sequence[Event | Step]) -> list[str]:
    return [
        f"turn.ended {each.outcome.value}"
        if isinstance(each, TurnEnded)
        else type(each).__name__
        if isinstance(each, Step)
        else each.type
        for each in items
    ]


def frame(content: bytes) -> Frame:
    return Frame("", content, None)


def marked(plan: AdkTurn, content: bytes) -> bytes:
    """Return an event as the server stores it, with the marker of the turn."""
    return json.dumps({**json.loads(content), "customMetadata": body(plan.start())["customMetadata"]}).encode()


def frames_response(*frames: bytes) -> Response:
    content = b"".join(b"data: " + each + b"\n\n" for each in frames)
    return Response(200, {"content-type": "text/event-stream; charset=utf-8"}, content)
