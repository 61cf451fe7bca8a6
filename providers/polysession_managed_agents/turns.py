"""Plans of streams and turns, and the flows that send input and build the plans. Pure.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming,
https://docs.qoder.com/cloud-agents/api/sessions/events/overview and
https://docs.qoder.com/cloud-agents/api/sessions/events/send (read 2026-11)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import msgspec

from polysession.provider_api import (
    Answer,
    Block,
    Call,
    ConnectedStream,
    Event,
    Finished,
    Flow,
    Frame,
    Items,
    Reconcile,
    SessionRef,
    Step,
    TurnEnded,
    TurnInput,
    TurnPlan,
    UsageError,
    as_utc,
    decode_cursor,
    decoder,
    encode_cursor,
    read_response,
    split_turn_input,
)
from polysession_managed_agents.events import PREVIEWS, EventReader, TurnMark
from polysession_managed_agents.history import events_path, missing_ids, read_newest, search_pending, with_actions
from polysession_managed_agents.member import Member
from polysession_managed_agents.messages import (
    ANSWERED_IN,
    LAST_EVENTS,
    answer_events,
    answered_id,
    content_of,
    digest_of,
    message_event,
)
from polysession_managed_agents.wire import WireSent

_DELTAS: Final = ("agent.message", "agent.thinking")
_KEEP_ALIVE: Final = frozenset({"heartbeat", "ping"})
_END_OF_STREAM: Final = b"[DONE]"

_read_sent: Final = decoder(WireSent)


class ManagedStream(ConnectedStream):
    """Plan of a stream that starts at a position in a session's events.

    Args:
        ref: The session.
        reader: Reads the events after the position.
        after: Id of the last event before the position; None for the start of the session.

    Attributes:
        reader_type: The type of the reader.
    """

    reader_type: ClassVar[type[EventReader]]
    _mark: TurnMark | None = None

    def __init__(self, ref: SessionRef, reader: EventReader, after: str | None) -> None:
        self._ref = ref
        self._reader = reader
        self._held: list[Sequence[Event]] = []  # events that have to be completed before they are delivered
        self._move_to(after)

    @property
    def _member(self) -> Member:
        return self.reader_type.member

    def _opening(self, headers: Mapping[str, str]) -> Call:
        """Build the call that opens the stream, with previews of messages and thoughts."""
        path = f"{events_path(self._member, self._ref)}/stream"
        return self._member.get(path, {"event_deltas[]": _DELTAS}, {"accept": "text/event-stream", **headers})

    def read(self, frame: Frame) -> Items:
        """Return the events of one frame.

        In Qoder's API of May 2026, only the frame has the id and the type.
        """
        if frame.event in _KEEP_ALIVE or frame.data == _END_OF_STREAM:
            return ()
        events = self._reader.read(frame.data, kind=frame.event, event_id=frame.id or None)
        if not events or events[0].native_type in PREVIEWS:
            return events
        if type(events[-1]) is TurnEnded and self._is_unclear(events):
            self._held.append(events)
            return (Reconcile(),)
        return self._deliver(events)

    def _is_unclear(self, events: Sequence[Event]) -> bool:
        """Return whether these last events of a turn lack facts that the history has."""
        return any(missing_ids(event) for event in events)

    def _deliver(self, events: Sequence[Event]) -> Items:
        if not events or events[0].id is None:  # a preview has no id
            return events
        self._move_to(events[0].id)
        return (*events, Finished()) if events[0].native_type in LAST_EVENTS else events

    def _move_to(self, event_id: str | None) -> None:
        self._after = event_id
        self.cursor = encode_cursor(self._reader.position_after(event_id, self._mark))

    def reconcile(self) -> Flow[Items]:
        """Complete the held events from the history, and deliver them."""
        for index, events in enumerate(self._held):
            self._held[index] = yield from with_actions(self._member, self._ref, events)
        return self._release()

    def _release(self) -> Items:
        held, self._held = self._held, []
        return [item for events in held for item in self._deliver(events)]


class ManagedTurn(ManagedStream, TurnPlan):
    """Plan of a turn that a message starts, or that answers continue.

    Args:
        ref: The session.
        reader: Reads the events after the position.
        after: Id of the last event before the position; None for the start of the session.
        mark: The facts by which the turn is recognised.
        to_send: The call that sends the input; None for a turn that another process started.
    """

    _mark: TurnMark

    def __init__(
        self, ref: SessionRef, reader: EventReader, after: str | None, mark: TurnMark, to_send: Call | None = None
    ) -> None:
        self._mark = mark
        super().__init__(ref, reader, after)
        self._to_send = to_send
        self.is_resumed = to_send is None
        if to_send is None:
            reader.expect_turn()

    def send(self) -> Flow[None]:
        """Send the input, and store the ids and the time in the response."""
        if self._to_send is None:
            return
        reply = yield self._to_send
        sent, _ = read_response(_read_sent, reply)
        accepted = sent.data or []
        times = [_to_utc(event.processed_at or event.created_at) for event in accepted] or [_to_utc(sent.created_at)]
        self._reader.expect_turn()
        self._note(
            sent_ids=tuple(event.id for event in accepted if event.id),
            turn_id=sent.turn_id,
            accepted_at=max((moment for moment in times if moment is not None), default=None),
        )

    def _note(self, **facts: Any) -> None:
        self._mark = msgspec.structs.replace(self._mark, **facts)
        self._move_to(self._after)

    def read(self, frame: Frame) -> Items:
        """Return the events of one frame.

        The cursor records it if one of them proves that the turn is ours.
        """
        items = super().read(frame)
        if not self._mark.is_proven:
            for item in items:
                if not isinstance(item, Step):
                    self.is_ours(item)
        return items

    def is_ours(self, event: Event) -> bool:
        """Return whether the event belongs to the turn that this plan follows.

        The end of the session ends it, too.
        """
        if not self._mark.is_proven and (event.native_type in LAST_EVENTS or self._proves(event)):
            self._note(is_proven=True)
        return self._mark.is_proven

    @abstractmethod
    def _proves(self, event: Event) -> bool:
        """Return whether this event proves that the turn in progress is ours."""

    def _is_sent(self, kind: str | None, content: bytes) -> bool:
        """Return whether an event is our input.

        An answer is compared by its action. A message is compared by its content until its id is known.
        """
        if kind in ANSWERED_IN:
            return answered_id(content) in self._mark.answered_ids
        mark = self._mark
        is_compared = mark.digest is not None and not (mark.sent_ids or mark.turn_id)
        return is_compared and kind == "user.message" and digest_of(content_of(content)) == mark.digest


def _to_utc(moment: datetime | None) -> datetime | None:
    """Return the time in UTC; None without a time, or if it is outside the years 1 to 9999."""
    try:
        return moment and as_utc(moment)
    except ValueError:
        return None


def stream_events(plans: type[ManagedStream], ref: SessionRef, cursor: str | None) -> Flow[ManagedStream]:
    """Prepare a stream plan that starts after the cursor, or after the newest event.

    Raises:
        UsageError: The cursor was not made by this provider.
    """
    readers = plans.reader_type
    if cursor is None:
        reader = readers(ref.id)
        return plans(ref, reader, (yield from read_newest(ref, reader)))
    position = decode_cursor(readers.position_type, cursor, readers.member.title)
    plan = plans(ref, readers(ref.id, position), position.after)
    plan.is_resumed = True
    return plan


def start_turn(
    plans: type[ManagedTurn], ref: SessionRef, turn_input: TurnInput, idempotency_key: str | None
) -> Flow[ManagedTurn]:
    """Prepare a plan for the turn that this input starts or continues.

    It reads from the newest event on.

    Raises:
        Conflict: The input is answers, and there are no pending actions.
        NotFound: One of the answered actions is not pending.
        UsageError: The input has a field that the backend does not accept, or an answer does not fit its action.
    """
    reader = plans.reader_type(ref.id)
    member = reader.member
    blocks, answers = split_turn_input(turn_input)
    if not answers:
        message = message_event(member, blocks)
        to_send = _sending(member, ref, [message], idempotency_key)
        after = yield from read_newest(ref, reader)
        return plans(ref, reader, after, TurnMark(digest=digest_of(message["content"])), to_send)
    pending = yield from search_pending(member, ref)
    reader.remember(pending)
    events = answer_events(answers, pending)
    mark = TurnMark(answered_ids=tuple(event[ANSWERED_IN[event["type"]]] for event in events))
    return plans(ref, reader, pending.newest_id, mark, _sending(member, ref, events, idempotency_key))


def rejoin_turn(plans: type[ManagedTurn], ref: SessionRef, cursor: str) -> Flow[ManagedTurn]:
    """Prepare a plan that continues a turn after a cursor of its plan.

    Raises:
        UsageError: The cursor does not belong to a turn.
    """
    yield from ()  # a flow without a call
    readers = plans.reader_type
    position = decode_cursor(readers.position_type, cursor, readers.member.title)
    if position.turn is None:
        raise UsageError(f"{cursor!r} is the cursor of a stream; rejoin needs a cursor of a turn")
    return plans(ref, readers(ref.id, position), position.after, position.turn)


def send_message(
    member: Member, ref: SessionRef, content: tuple[Block, ...], idempotency_key: str | None
) -> Flow[None]:
    """Send a message."""
    reply = yield _sending(member, ref, [message_event(member, content)], idempotency_key)
    read_response(_read_sent, reply)


def answer_actions(member: Member, ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer pending actions.

    They are read first, because the backend may accept a late answer without an error.

    Raises:
        Conflict: There are no pending actions.
        NotFound: One of the actions is not pending.
    """
    pending = yield from search_pending(member, ref)
    reply = yield _sending(member, ref, answer_events(answers, pending), None)
    read_response(_read_sent, reply)


def _sending(member: Member, ref: SessionRef, events: list[dict[str, Any]], idempotency_key: str | None) -> Call:
    return member.post(events_path(member, ref), {"events": events}, idempotency_key)
