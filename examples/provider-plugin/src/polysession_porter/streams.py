"""How a stream of notes is opened, read and resumed, and how a turn of ours is told from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polysession.provider_api import (
    Call,
    Event,
    Flow,
    Frame,
    MalformedResponse,
    SessionRef,
    StreamPlan,
    TurnPlan,
    decoder,
    json_body,
    path_segment,
    raw_event,
    read_whole,
    with_query,
)
from polysession_porter.normaliser import read_note, to_events
from polysession_porter.wire import Answered, Heard

read_answer = decoder(Answered)
read_heard = decoder(Heard)


def errand_path(ref: SessionRef) -> str:
    """Where an errand is."""
    return f"/errands/{path_segment(ref.id, 'session id')}"


class PorterStream(StreamPlan):
    """Follows an errand after a note.

    Porter numbers its notes from 1 and keeps them all, so that the number of the last note is all there is to remember:
    a stream that broke goes on after it, and a note that comes twice is known by it.

    Args:
        ref: The errand.
        last: Number of the last note that is known.
    """

    def __init__(self, ref: SessionRef, last: int) -> None:
        self._ref = ref
        self._last = last
        self.cursor = str(last)

    def open(self) -> Call:
        """Ask for what comes after it."""
        path = with_query(f"{errand_path(self._ref)}/notes", {"after": self._last})
        return Call("GET", path, headers={"accept": "text/event-stream"})

    def read(self, frame: Frame) -> list[Event]:
        """The events of one note, if it is new."""
        try:
            number = read_note(frame.data)[0].n
            events = to_events(self._ref.id, frame.data)
        except MalformedResponse as error:  # an odd note does not end the stream
            return [raw_event(self._ref.id, frame.data, problems=(error.message,))]
        if number <= self._last:
            return []
        self._last, self.cursor = number, str(number)
        return events


class PorterTurn(PorterStream, TurnPlan):
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
        answer = read_whole(read_answer, reply)
        self._first = read_heard(bytes(answer.result))[0].first

    def is_ours(self, event: Event) -> bool:
        """Whether it is that first note, or comes after it."""
        return self._first is not None and event.sequence is not None and event.sequence >= self._first
