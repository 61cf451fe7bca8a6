"""How a stream of notes is opened, read and resumed, and how a turn of ours is told from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polysession.provider_api import (
    Call,
    Event,
    Flow,
    Frame,
    OldStreamPlan,
    OldTurnPlan,
    Response,
    SessionRef,
    json_body,
    path_segment,
    read_as,
    read_json,
    read_wire,
    with_query,
)
from polysession_porter.normaliser import to_events
from polysession_porter.wire import Answered, Heard


def errand_path(ref: SessionRef) -> str:
    """Where an errand is."""
    return f"/errands/{path_segment(ref.id, 'session id')}"


class PorterStream(OldStreamPlan):
    """Follows an errand after a note.

    Porter numbers its notes from 1 and keeps them all, so that the number of the last note is all there is to remember:
    a stream that broke goes on after it, and a note that comes twice is known by it.

    Args:
        ref: The errand.
        last: Number of the last note that is known.
    """

    def __init__(self, ref: SessionRef, last: int) -> None:
        super().__init__()
        self._ref = ref
        self._last = last

    @property
    def cursor(self) -> str | None:
        """The number of the last note."""
        return str(self._last)

    def open(self) -> Call:
        """Ask for what comes after it."""
        path = with_query(f"{errand_path(self._ref)}/notes", {"after": self._last})
        return Call("GET", path, headers={"accept": "text/event-stream"})

    def read(self, frame: Frame) -> list[Event]:
        """The events of one note, if it is new."""
        reply = Response(200, {}, frame.data)
        raw = read_json(reply)
        events = read_as(lambda note: to_events(self._ref.id, note), raw, reply)
        number = int(raw["n"])
        if number <= self._last:
            return []
        self._last = number
        return events


class PorterTurn(PorterStream, OldTurnPlan):
    """Follows the turn that starts when something is posted.

    Args:
        ref: The errand.
        last: Number of the last note before it.
        path: Where to post, after the path of the errand.
        body: What to post.
    """

    def __init__(self, ref: SessionRef, last: int, path: str, body: Mapping[str, Any]) -> None:
        super().__init__(ref, last)
        self._post = Call("POST", f"{errand_path(ref)}{path}", body=json_body(body))
        self._first: int | None = None

    def send(self) -> Flow[None]:
        """Post it. Porter answers with the number of the first note that comes of it."""
        reply = yield self._post
        answer = read_wire(Answered, reply)
        self._first = read_as(Heard.model_validate, answer.result, reply).first

    def begins(self, event: Event) -> bool:
        """Whether it is that first note, or comes after it."""
        return self._first is not None and event.sequence is not None and event.sequence >= self._first
