"""Plans of a toy backend, for tests that step the stream loop by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable

from polysession._core.flow import Call, Flow
from polysession._core.plans import BodyEnd, ConnectedStream, Finished, Items, Reconcile, Reopen, TurnPlan
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession.errors import (
    ConnectionLost,
    MalformedResponse,
)
from polysession.event import Event, MessageDelta, Outcome, TurnEnded, TurnStarted

PATIENT = RetryPolicy(attempts=5, first_wait_s=0.5, max_wait_s=3.0, deadline_s=60.0)


LOST = ConnectionLost("reset")


class Plan(ConnectedStream):
    """A stream whose frames are lists of texts.

    Its cursor is the number of the last frame.
    """

    def __init__(self, cursor: str = "0") -> None:
        self.cursor = cursor
        self.frames_read = 0
        self.ends: list[BodyEnd] = []

    def open(self) -> Call:
        return Call("GET", f"/stream?after={self.cursor}")

    def read(self, frame: Frame) -> Items:
        if frame.data == b"bad":
            raise MalformedResponse("a bad frame")
        self.frames_read += 1
        self.cursor = frame.id or self.cursor
        events = [event_of(text) for text in json.loads(frame.data)]
        return [*events, *STEPS[frame.event]] if frame.event else events

    def ended(self, end: BodyEnd) -> Items:
        self.ends.append(end)
        return ()


STEPS: dict[str, Items] = {
    "gone": [Finished()],
    "closing": [Reopen(0.1)],
    "again": [Reopen(at_once=True)],
    "look": [Reconcile()],
    "look later": [Reconcile(5.0)],
}


class Run(Plan, TurnPlan):
    """A turn. The text `mine`, and events of the turn `mine`, belong to it."""

    def send(self) -> Flow[None]:
        yield Call("POST", "/messages")

    def is_ours(self, event: Event) -> bool:
        return event.turn_id == "mine" or (isinstance(event, MessageDelta) and event.text == "mine")


def event_of(text: str) -> Event:
    """Return an event: `<` starts a turn, `>` ends one, and other text is a delta.

    A turn id may follow, as in `<mine`.
    """
    if text.startswith("<"):
        return TurnStarted(session_id="s1", turn_id=text[1:] or None)
    if text.startswith(">"):
        return TurnEnded(session_id="s1", turn_id=text[1:] or None, outcome=Outcome.COMPLETED)
    return MessageDelta(session_id="s1", text=text)


def text_of(event: Event) -> str:
    if isinstance(event, TurnStarted | TurnEnded):
        return ("<" if isinstance(event, TurnStarted) else ">") + (event.turn_id or "")
    return event.text if isinstance(event, MessageDelta) else event.type


def texts(events: Iterable[Event]) -> list[str]:
    return [text_of(event) for event in events]


def frame(number: int, *texts: str, event: str = "") -> bytes:
    return f"event: {event}\nid: {number}\ndata: {json.dumps(texts)}\n\n".encode()


# --- Reconciling


class Reconciling(Plan):
    """A stream whose reconciliations return the given items, one after the other."""

    def __init__(self, *found: Items) -> None:
        super().__init__()
        self.found = list(found)

    def reconcile(self) -> Flow[Items]:
        yield Call("GET", "/elsewhere")
        self.cursor = "9"
        return self.found.pop(0)
