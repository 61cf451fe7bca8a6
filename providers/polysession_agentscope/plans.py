"""The plan of a session's stream, its cursors, and parts shared with the plans of turns.

A separate module, because `turns` would be too long with it.

Backend: `GET /sessions/{id}/stream` and `POST /chat/` of `/openapi.json`, server 2.0.11 (read 2026-11)
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from polysession.provider_api import (
    BodyEnd,
    Call,
    Conflict,
    ConnectedStream,
    Event,
    Flow,
    Frame,
    Head,
    Items,
    NetworkTimeout,
    Outcome,
    RecentIds,
    Reconcile,
    StreamGap,
    TurnEnded,
    TurnStarted,
    UsageError,
    json_body,
)
from polysession_agentscope.events import TABLE, EventReader, read_head
from polysession_agentscope.history import PAGE, HistoryTail, read_tail
from polysession_agentscope.replies import Phase, ReplyState
from polysession_agentscope.sessions import (
    RUNNING,
    SessionAddress,
    check_answer,
    read_status,
)
from polysession_agentscope.wire import WireEvent

RECENT: Final = 2
"""Messages to read for the state of a session. One of them is a reply, unless two turns stored none."""

CONFLICT_WAITS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each retry of an input. The server sends the end of a turn before it stores the turn, and rejects
inputs in between."""

START: Final = "REPLY_START"
ANSWERED: Final = frozenset({"USER_CONFIRM_RESULT", "EXTERNAL_EXECUTION_RESULT"})
BEGINNINGS: Final = ANSWERED | {START}
ENDS: Final = frozenset({"REPLY_END", "REQUIRE_USER_CONFIRM", "REQUIRE_EXTERNAL_EXECUTION"})
_CUSTOM: Final = "CUSTOM"
_DELTAS: Final = frozenset(name for name, row in TABLE.items() if any(kind.endswith("delta") for kind in row.becomes))
_REMEMBERED_IDS: Final = 5_000
"""Event ids that are kept to recognise repeated events. The service replays at most 1,000 events."""

_RESUMED_CHECK_S: Final = 2.0
_LOST_CHECK_S: Final = 1.0
"""Seconds before the first and the second check of a resumed turn, which a restart of the service may have ended."""

_ALL: Final = (
    *("turn.started", "action.required", "usage", "error", "raw"),
    *("message.started", "message.delta", "message.completed"),
    *("thinking.started", "thinking.delta", "thinking.completed"),
    *("tool_call.started", "tool_call.delta", "tool_call.completed"),
    *("tool_result.delta", "tool_result.completed"),
)
_NO_TRACE: Final = (
    "the service stored nothing of the turn: it was cancelled before it began, the service was restarted, or, on server"
    " 2.0.0, it failed"
)


class Bookmark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Position of a stream of a session. A cursor is a bookmark and the id of the last event.

    Attributes:
        after: The server's cursor at the start of the turn; None if the server sent none.
        reply: Id of the reply with the most recent event.
        before: Id of the reply before it, which gives the place in the history while `reply` is not stored yet.
        phase: Phase of `reply`.
        delivered: Keys of the blocks of `reply` that were delivered whole.
    """

    after: str | None = None
    reply: str | None = None
    before: str | None = None
    phase: Phase = Phase.NEW
    delivered: tuple[str, ...] = ()

    def encode(self) -> str:
        """Return base64url text whose length is a multiple of 4.

        The text of an event's id can follow it.
        """
        text = msgspec.json.encode(self)
        return base64.urlsafe_b64encode(text.ljust(-(-len(text) // 3) * 3)).decode()


def encode_id(event_id: str | None) -> str:
    """Return the part of a cursor that holds the id of the last event."""
    return base64.urlsafe_b64encode((event_id or "").encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[Bookmark, str | None]:
    """Return the bookmark in a caller's cursor, and the id of the last event.

    Raises:
        UsageError: It is not a cursor of an AgentScope stream.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        _, end = json.JSONDecoder().raw_decode(text)
        return msgspec.json.decode(text[:end], type=Bookmark), text[end:].strip() or None
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        pass  # the error is raised outside the handler: its cause would add nothing
    raise UsageError(f"{cursor!r} is not a cursor of an AgentScope stream; pass the cursor of a stream or turn")


class ReplayedStream(ConnectedStream):
    """A stream that the server replays after `after`, and the running turn from its start.

    Events have ids.

    When a turn is stored, the service cuts the log to the last event. A reopened stream then begins with a new event
    from the middle of a turn.

    Args:
        address: The session.
        after: The server's cursor after which the stream begins.
        reader: Reader with the state of the delivered events.
        last_id: Id of the last delivered event.
    """

    def __init__(
        self, address: SessionAddress, after: str | None, reader: EventReader, last_id: str | None = None
    ) -> None:
        self._address = address
        self._after = after
        self._reader = reader
        self._last_id = last_id
        self._seen = RecentIds(_REMEMBERED_IDS)
        self._is_joined = True
        self._bookmark = ""
        self._bookmarked: tuple[Any, ...] = ()  # the facts in the bookmark
        self._save_bookmark()

    def open(self) -> Call:
        """Open the stream after the same event each time.

        Repeated events are recognised by their ids.
        """
        return Call("GET", self._address.path("/stream", after=self._after), {"accept": "text/event-stream"})

    def ended(self, end: BodyEnd) -> Items:
        """Read the stored messages before reopening.

        The service does not replay a turn that has ended.

        After a timeout `quiet` has just done that.
        """
        self._is_joined = False
        return () if isinstance(end.failure, NetworkTimeout) else (Reconcile(),)

    def _deliver(self, head: WireEvent, content: bytes, problems: tuple[str, ...]) -> Sequence[Event]:
        events = self._reader.read_body(head, content, problems)
        if head.type in _DELTAS and head.reply_id:  # deltas do not change the bookmark
            self.cursor = self._bookmark + encode_id(self._last_id)
        else:
            self._save_bookmark()
        return events

    def _save_bookmark(self) -> None:
        last, before = self._reader.newest_two
        facts = (self._after, last.id or None, before.id or None, last.phase)
        shown = (*facts, len(last.delivered))  # blocks are only added to `delivered`
        if shown != self._bookmarked:
            self._bookmarked = shown
            self._bookmark = Bookmark(*facts, tuple(sorted(last.delivered))).encode()
        self.cursor = self._bookmark + encode_id(self._last_id)

    def _is_new(self, head: WireEvent) -> bool:
        """Record an event, and return whether it is new.

        A repeated event shows that the stream has no gap.
        """
        self._last_id = head.id
        if head.id is None:
            return True
        is_new = self._seen.add(head.id)
        self._is_joined = self._is_joined or not is_new
        return is_new

    def _shows_gap(self, head: WireEvent) -> bool:
        """Whether events before this new one are missing.

        The service replays them no longer.
        """
        if self._is_joined or head.type == _CUSTOM or head.id in self._seen:
            return False
        self._is_joined = head.type in BEGINNINGS
        return not self._is_joined


class SessionStream(ReplayedStream):
    """Follows a session over any number of turns.

    Args:
        address: The session.
        after: The server's cursor after which the stream begins.
        reader: Reader with the state of the delivered events.
        last_id: Id of the last event before the caller's cursor.
        resumed_reply: Id of the reply of that event.
        backlog: Events since the caller's cursor.
        cursor: The caller's cursor, valid until the backlog is delivered. None for a stream of new events only.
    """

    quiet_s = 10.0

    def __init__(
        self,
        address: SessionAddress,
        after: str | None,
        reader: EventReader,
        *,
        last_id: str | None = None,
        resumed_reply: str | None = None,
        backlog: Sequence[Event] = (),
        cursor: str | None = None,
    ) -> None:
        super().__init__(address, after, reader, last_id)
        self.cursor = cursor or self.cursor
        self._backlog = backlog
        self._resumed_reply = resumed_reply
        self._skips_to = last_id
        self._held: list[Frame] = []
        self._may_be_lost = False

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (the head has no information)
        """Deliver the events since the caller's cursor.

        An open turn is checked: a restart may have ended it.
        """
        backlog, self._backlog = self._backlog, ()
        self._save_bookmark()
        is_open = not again and self._reader.newest_two[0].phase is Phase.OPEN
        return (*backlog, Reconcile(_RESUMED_CHECK_S)) if is_open else backlog

    def read(self, frame: Frame) -> Items:
        """Return the events of one frame.

        After a gap, frames are held until the missing events are read.
        """
        if self._held:
            self._held.append(frame)
            return ()
        return self._read(frame)

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002  (the loop lengthens the interval)
        """Check whether the session exists and whether its turn runs: the stream reports neither."""
        return (Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read the messages stored since.

        The stream does not replay turns that ended in the meantime.

        Raises:
            NotFound: The session was deleted.
        """
        reply = self._reader.newest_two[0]
        word = (yield from read_status(self._address)) if reply.phase is Phase.OPEN else RUNNING
        tail = yield from read_since(self._address, self._reader)
        held, self._held = self._held, []
        if held:
            return self._after_gap(tail, held)
        self._after = tail.cursor
        items: list[Any] = events_since(tail, self._reader)
        if reply.phase is Phase.OPEN and word != RUNNING:
            items.append(self._end_lost_turn(reply))
        self._save_bookmark()
        return items

    def _end_lost_turn(self, reply: ReplyState) -> Event | Reconcile:
        """End a turn that neither runs nor is stored, because the service was restarted.

        A second check confirms it.
        """
        self._may_be_lost = not self._may_be_lost
        if self._may_be_lost:
            return Reconcile(_LOST_CHECK_S)
        reply.close(Phase.ENDED)
        return no_trace(self._address.session_id, reply.id)

    def _after_gap(self, tail: HistoryTail, held: Sequence[Frame]) -> Items:
        """Return the missing events from the stored messages, then those of the held frames."""
        head, _ = read_head(held[0].data)
        items: list[Any] = events_since(tail, self._reader, up_to=head.reply_id)
        if self._reader.phase_of(head.reply_id) not in {Phase.ENDED, Phase.WAITING}:
            items.append(all_lost(self._address.session_id, head.reply_id))
        self._is_joined = True
        self._save_bookmark()
        return items + [item for frame in held for item in self._read(frame)]

    def _read(self, frame: Frame) -> Items:
        head, problems = read_head(frame.data)
        if self._skips_to is not None and self._skips(head):
            self._is_new(head)
            self._deliver(head, frame.data, problems)
            return ()
        if self._shows_gap(head) and self._reader.phase_of(head.reply_id) is not Phase.ENDED:
            self._held.append(frame)
            return (Reconcile(),)
        return self._deliver(head, frame.data, problems) if self._is_new(head) else ()

    def _skips(self, head: WireEvent) -> bool:
        """Whether an earlier stream delivered this event: the turn is replayed from its start."""
        if head.id == self._skips_to:
            self._skips_to = None
            return True
        if not self._seen and (head.type != START or head.reply_id != self._resumed_reply):
            self._skips_to = None
            return False
        return head.type not in ENDS


def input_call(address: SessionAddress, wire_input: Mapping[str, Any]) -> Call:
    """Return the call that sends an input."""
    body = {"agent_id": address.agent_id, "session_id": address.session_id, "input": wire_input}
    return Call("POST", "/chat/", body=json_body(body))


def post_input(address: SessionAddress, wire_input: Mapping[str, Any], reader: EventReader) -> Flow[None]:
    """Send an input.

    A conflict is retried for a short time, because the server may still be storing the previous turn.

    Args:
        address: The session.
        wire_input: The input.
        reader: Reader in which the replies stored in the meantime are marked as delivered.

    Raises:
        Conflict: A turn is running.
    """
    call = input_call(address, wire_input)
    for wait_s in CONFLICT_WAITS_S:
        try:
            check_answer((yield call))
        except Conflict:
            tail = yield from read_tail(address, RECENT, after_s=wait_s)
            mark_replies(tail, reader)
        else:
            return
    check_answer((yield call))


def mark_replies(tail: HistoryTail, reader: EventReader) -> None:
    """Mark the stored replies as delivered."""
    for reply in tail.replies:
        reader.mark_delivered(reply)


def read_since(address: SessionAddress, reader: EventReader) -> Flow[HistoryTail]:
    """Read the newest messages back to a reply that the reader knows."""
    return (yield from read_tail(address, PAGE, lambda stored: any(reader.knows(message.id) for message in stored)))


def events_since(tail: HistoryTail, reader: EventReader, *, up_to: str | None = None) -> list[Event]:
    """Return the undelivered events of the stored replies, from the last known reply on.

    Args:
        tail: The end of the session's history.
        reader: Reader with the state of the delivered events.
        up_to: Id of the last reply to read; the stream delivers the later ones. None for all.
    """
    replies = tail.replies
    known = [index for index, reply in enumerate(replies) if reader.knows(reply.id)]
    events: list[Event] = []
    for reply in replies[known[-1] if known else 0 :]:
        events += reader.catch_up(reply, may_lack=True)
        if up_to is not None and reply.id == up_to:
            break
    return events


def all_lost(session_id: str, reply_id: str | None) -> Event:
    """Return the gap before an event of a reply that is not stored."""
    return StreamGap(session_id=session_id, turn_id=reply_id, lost=_ALL, synthetic=True)


def no_trace(session_id: str, reply_id: str | None) -> Event:
    """Return the end of a turn that is not stored."""
    return TurnEnded(
        session_id=session_id,
        turn_id=reply_id,
        outcome=Outcome.FAILED,
        native_reason="no trace",
        error=_NO_TRACE,
        synthetic=True,
    )


def turn_started(session_id: str, reply_id: str | None) -> Event:
    """Return the start of a turn that the stream did not report."""
    return TurnStarted(session_id=session_id, turn_id=reply_id, synthetic=True)
