"""Turns on a server of 2.0.0, which has no stream of a session.

Backend: https://docs.agentscope.io/api-reference, "chat with an agent (streaming)" (read 2026-11)
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from polysession.provider_api import (
    Call,
    Event,
    Flow,
    Frame,
    OldTurnPlan,
    PolysessionError,
    Response,
    TurnEnded,
    read_as,
    read_json,
)
from polysession_agentscope.actions import answered_in
from polysession_agentscope.calls import Place, input_call
from polysession_agentscope.catching_up import no_trace, own_reply
from polysession_agentscope.event_normaliser import EventNormaliser
from polysession_agentscope.history import read_newest

_SUCCESS: Final = 200


class SeedTurn(OldTurnPlan):
    """Follows one turn on a server of 2.0.0, where the answer to the input is the stream, and a break ends the turn."""

    silence_s = 600.0

    def __init__(
        self,
        place: Place,
        normaliser: EventNormaliser,
        wire_input: dict[str, Any],
        reply_id: str | None = None,
    ) -> None:
        super().__init__()
        self._place = place
        self._normaliser = normaliser
        self._input = wire_input
        self._reply_id = reply_id
        self._goes_on = reply_id is not None
        self._opening: list[Event] = []
        if reply_id is not None:
            self._opening = [normaliser.go_on(reply_id, answered_in(wire_input))]

    @property
    def cursor(self) -> None:
        """There is nothing to continue after."""
        return

    def open(self) -> Call:
        """Send the input: the answer is the stream."""
        call = input_call(self._place, self._input)
        return Call(call.method, call.path, {"accept": "text/event-stream"}, call.body)

    def send(self) -> Flow[None]:
        """Nothing: the input opened the stream."""
        yield from ()

    def begins(self, event: Event) -> bool:
        """Whether it is of our reply; there are no others."""
        return event.turn_id == self._reply_id

    def read(self, frame: Frame) -> list[Event]:
        """The events of one frame."""
        reply = Response(_SUCCESS, {}, frame.data)
        return self._begin(read_as(self._normaliser.read, read_json(reply), reply))

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (any end of it is the last)
        """Look at what is stored: the turn cannot be followed on."""
        self.probe_due = True

    def probe(self) -> Flow[list[Event]]:
        """What was missed of the turn, with its end: it cannot go on."""
        newest = yield from read_newest(self._place)
        raw = own_reply(newest.messages, self._reply_id, self._normaliser, may_be_new=not self._goes_on)
        catch_up = partial(self._normaliser.catch_up, may_lack=True)
        events = self._begin([] if raw is None else read_as(catch_up, raw, newest.reply))
        if not any(isinstance(event, TurnEnded) for event in events):
            events += no_trace(self._place.session_id, self._reply_id, has_begun=self._reply_id is not None)
        return events

    def _begin(self, events: list[Event]) -> list[Event]:
        opening, self._opening = self._opening, []
        if self._reply_id is None and events:
            self._reply_id = events[0].turn_id
        return opening + events
