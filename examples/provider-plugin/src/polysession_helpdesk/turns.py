"""How the stream of a ticket is opened, read and resumed, and how our own turn is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from polysession.provider_api import (
    Call,
    ConnectedStream,
    Event,
    Flow,
    Frame,
    Items,
    SessionRef,
    TextBlock,
    TurnInput,
    TurnPlan,
    UsageError,
    decode_cursor,
    decoder,
    encode_cursor,
    json_body,
    read_whole,
    split_turn_input,
    with_query,
)
from polysession_helpdesk.events import to_events
from polysession_helpdesk.sessions import NAME, ticket_path
from polysession_helpdesk.wire import Accepted

_read_accepted = decoder(Accepted)


class Position(msgspec.Struct):
    """A position in the events of a ticket: the number of the last event before it."""

    after: int


class HelpdeskStream(ConnectedStream):
    """Follows a ticket. The helpdesk numbers its events from 1 and keeps them, so a number is all that is needed.

    Args:
        ref: The ticket.
        after: Number of the last event that is known.
    """

    silence_s = 30.0  # the helpdesk sends a comment every 10 seconds

    def __init__(self, ref: SessionRef, after: int) -> None:
        self._ref = ref
        self._after = after
        self.cursor = encode_cursor(Position(after))

    def open(self) -> Call:
        """Ask for the events after the last known one."""
        path = with_query(f"{ticket_path(self._ref)}/events", {"after": self._after})
        return Call("GET", path, headers={"accept": "text/event-stream"})

    def read(self, frame: Frame) -> Items:
        """Read one event. One that is replayed is known by its number."""
        number, events = to_events(self._ref.id, frame.data)
        if number is None:
            return events
        if number <= self._after:
            return ()
        self._after, self.cursor = number, encode_cursor(Position(number))
        return events


class HelpdeskTurn(HelpdeskStream, TurnPlan):
    """Follows the turn that an input starts.

    Args:
        ref: The ticket.
        after: Number of the last event before the turn.
        turn_input: A message, or the output of a tool.
    """

    def __init__(self, ref: SessionRef, after: int, turn_input: TurnInput) -> None:
        super().__init__(ref, after)
        self._input = turn_input
        self._first: int | None = None

    def send(self) -> Flow[None]:
        """Send the input. The answer says with which event our turn begins."""
        self._first = yield from send_input(self._ref, self._input)

    def is_ours(self, event: Event) -> bool:
        """Whether the event is that first one, or follows it."""
        return self._first is not None and event.sequence is not None and event.sequence >= self._first


def send_input(ref: SessionRef, turn_input: TurnInput) -> Flow[int]:
    """Send a message, or the output of a tool; gives the number of the first event that results from it."""
    content, answers = split_turn_input(turn_input)
    path, body = ("/tool_results", _output(answers)) if answers else ("/messages", {"text": _text(content)})
    response = yield Call("POST", ticket_path(ref) + path, body=json_body(body))
    return read_whole(_read_accepted, response).seq


def after_of(cursor: str) -> int:
    """The number of the event that a cursor of a stream stands behind."""
    return decode_cursor(Position, cursor, NAME).after


def _text(content: tuple[Any, ...]) -> str:
    """The text of a message. The core has refused other blocks, because none is declared."""
    return "\n".join(block.text for block in content if isinstance(block, TextBlock))


def _output(answers: tuple[Any, ...]) -> Mapping[str, Any]:
    """The body with the output of a tool.

    Raises:
        UsageError: There are several outputs.
    """
    if len(answers) > 1:
        raise UsageError(f"the helpdesk waits for one tool at a time, and takes one output, not {len(answers)}")
    return {"call": answers[0].action_id, "text": answers[0].content, "failed": answers[0].is_error}
