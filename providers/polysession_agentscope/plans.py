"""The plan of a session's stream, its cursors, and what the plans of turns share with it.

A room of its own beside `turns`, which would be too long to read with it.

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
"""Messages that are read to see where a session stands: one of them is a reply, unless two turns left none."""

CONFLICT_WAITS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""The end of a turn is sent before it is stored; until then the session takes no message."""

START: Final = "REPLY_START"
ANSWERED: Final = frozenset({"USER_CONFIRM_RESULT", "EXTERNAL_EXECUTION_RESULT"})
BEGINNINGS: Final = ANSWERED | {START}
ENDS: Final = frozenset({"REPLY_END", "REQUIRE_USER_CONFIRM", "REQUIRE_EXTERNAL_EXECUTION"})
_BESIDE: Final = "CUSTOM"
_DELTAS: Final = frozenset(name for name, row in TABLE.items() if any(kind.endswith("delta") for kind in row.becomes))
_REMEMBERED_IDS: Final = 5_000
"""The service replays at most 1,000 events."""

_RESUMED_LOOK_S: Final = 2.0
_DYING_LOOK_S: Final = 1.0
"""Seconds until the two looks at a turn that a cursor names and that may have died with the service."""

_ALL: Final = (
    *("turn.started", "action.required", "usage", "error", "raw"),
    *("message.started", "message.delta", "message.completed"),
    *("thinking.started", "thinking.delta", "thinking.completed"),
    *("tool_call.started", "tool_call.delta", "tool_call.completed"),
    *("tool_result.delta", "tool_result.completed"),
)
_NO_TRACE: Final = (
    "the turn left no trace: it was cancelled before it began, the service was restarted, or, on a server of 2.0.0,"
    " it failed"
)


class Bookmark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a stream of a session stands: what a cursor holds, beside the id of the last event.

    Attributes:
        after: The server's cursor at the start of the turn; None if it gave none.
        reply: The reply that had an event last.
        before: The one before it. While a reply is made it is not stored: this one shows where in history it stands.
        phase: How far that reply had come.
        delivered: Keys of its blocks that were delivered whole.
    """

    after: str | None = None
    reply: str | None = None
    before: str | None = None
    phase: Phase = Phase.NEW
    delivered: tuple[str, ...] = ()

    def encode(self) -> str:
        """Base64url text, to which that of an event's id can be appended: its length is a multiple of 4."""
        text = msgspec.json.encode(self)
        return base64.urlsafe_b64encode(text.ljust(-(-len(text) // 3) * 3)).decode()


def encode_id(event_id: str | None) -> str:
    """The part of a cursor that names the last event."""
    return base64.urlsafe_b64encode((event_id or "").encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[Bookmark, str | None]:
    """The bookmark in a caller's cursor, and the id of the last event.

    Raises:
        UsageError: It is not a cursor of an AgentScope stream.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        _, end = json.JSONDecoder().raw_decode(text)
        return msgspec.json.decode(text[:end], type=Bookmark), text[end:].strip() or None
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        pass  # outside the handler: the cause would say nothing more
    raise UsageError(f"{cursor!r} is not a cursor of an AgentScope stream")


class ReplayedStream(ConnectedStream):
    """A stream that the server replays from `after` on, the running turn from its start; each event has an id.

    The log is cut to its last event when a turn is stored. A reopened stream shows it: it begins with a new event that
    does not begin anything.

    Args:
        address: The session.
        after: The server's cursor to begin after.
        reader: What was delivered before.
        last_id: The last event that was delivered before.
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
        self._save_bookmark()

    def open(self) -> Call:
        """Each time after the same event: what was delivered already is recognised by its id."""
        return Call("GET", self._address.path("/stream", after=self._after), {"accept": "text/event-stream"})

    def ended(self, end: BodyEnd) -> Items:
        """Look at what is stored before reopening: a turn that has ended is not replayed.

        A sync client reopens after a silence that `quiet` has looked into.
        """
        self._is_joined = False
        return () if isinstance(end.failure, NetworkTimeout) else (Reconcile(),)

    def _deliver(self, head: WireEvent, content: bytes, problems: tuple[str, ...]) -> Sequence[Event]:
        events = self._reader.read_body(head, content, problems)
        if head.type not in _DELTAS or not head.reply_id:  # most events do not move the bookmark
            self._save_bookmark()
        self.cursor = self._bookmark + encode_id(self._last_id)
        return events

    def _save_bookmark(self) -> None:
        last, before = self._reader.newest_two
        bookmark = Bookmark(self._after, last.id or None, before.id or None, last.phase, tuple(sorted(last.delivered)))
        self._bookmark = bookmark.encode()
        self.cursor = self._bookmark + encode_id(self._last_id)

    def _is_new(self, head: WireEvent) -> bool:
        """Whether an event was not received yet; it is from now on. If it was, the stream is back where it broke."""
        self._last_id = head.id
        if head.id is None:
            return True
        is_new = self._seen.add(head.id)
        self._is_joined = self._is_joined or not is_new
        return is_new

    def _shows_gap(self, head: WireEvent) -> bool:
        """Whether this new event follows others that are not replayed any more."""
        if self._is_joined or head.type == _BESIDE or head.id in self._seen:
            return False
        self._is_joined = head.type in BEGINNINGS
        return not self._is_joined


class SessionStream(ReplayedStream):
    """Follows a session, turn after turn.

    Args:
        address: The session.
        after: The server's cursor to begin after.
        reader: What was delivered before.
        last_id: The last event before the caller's cursor.
        resumed_reply: The reply of that event.
        backlog: What happened since.
        cursor: The caller's cursor, which holds until that is delivered; None for a stream that begins now.
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
        self._is_dying = False

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (it says nothing)
        """Deliver what happened since the caller's cursor. A turn in its middle may have died with the service."""
        backlog, self._backlog = self._backlog, ()
        self._save_bookmark()
        is_open = not again and self._reader.newest_two[0].phase is Phase.OPEN
        return (*backlog, Reconcile(_RESUMED_LOOK_S)) if is_open else backlog

    def read(self, frame: Frame) -> Items:
        """The events of one frame. After a gap they wait until history has shown the missing ones."""
        if self._held:
            self._held.append(frame)
            return ()
        return self._read(frame)

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002  (the loop asks less often by itself)
        """See whether the session still exists, and whether its turn still runs: the stream reports neither."""
        return (Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read what was stored since: the stream does not show turns that ended meanwhile.

        Raises:
            NotFound: The session was deleted.
        """
        reply = self._reader.newest_two[0]
        word = (yield from read_status(self._address)) if reply.phase is Phase.OPEN else RUNNING
        tail = yield from read_since(self._address, self._reader)
        held, self._held = self._held, []
        if held:
            return self._behind_gap(tail, held)
        self._after = tail.cursor
        items: list[Any] = events_since(tail, self._reader)
        if reply.phase is Phase.OPEN and word != RUNNING:
            items.append(self._bury(reply))
        self._save_bookmark()
        return items

    def _bury(self, reply: ReplyState) -> Event | Reconcile:
        """The end of a turn that does not run and was not stored: it died with the service. It is looked at twice."""
        self._is_dying = not self._is_dying
        if self._is_dying:
            return Reconcile(_DYING_LOOK_S)
        reply.close(Phase.ENDED)
        return no_trace(self._address.session_id, reply.id)

    def _behind_gap(self, tail: HistoryTail, held: Sequence[Frame]) -> Items:
        """The stored events before a gap, then those that waited behind it."""
        head, _ = read_head(held[0].data)
        items: list[Any] = events_since(tail, self._reader, up_to=head.reply_id)
        if self._reader.phase_of(head.reply_id) not in {Phase.ENDED, Phase.WAITING}:
            items.append(all_lost(self._address.session_id, head.reply_id))
        self._is_joined = True
        self._save_bookmark()
        return items + [item for frame in held for item in self._read(frame)]

    def _read(self, frame: Frame) -> Items:
        head, problems = read_head(frame.data)
        if self._skips(head):
            self._is_new(head)
            self._deliver(head, frame.data, problems)
            return ()
        if self._shows_gap(head) and self._reader.phase_of(head.reply_id) is not Phase.ENDED:
            self._held.append(frame)
            return (Reconcile(),)
        return self._deliver(head, frame.data, problems) if self._is_new(head) else ()

    def _skips(self, head: WireEvent) -> bool:
        """Whether this repeats what another stream has delivered: a turn from its start to the last event."""
        if self._skips_to is None:
            return False
        if head.id == self._skips_to:
            self._skips_to = None
            return True
        if not self._seen and (head.type != START or head.reply_id != self._resumed_reply):
            self._skips_to = None
            return False
        return head.type not in ENDS


def input_call(address: SessionAddress, wire_input: Mapping[str, Any]) -> Call:
    """The call that sends an input."""
    body = {"agent_id": address.agent_id, "session_id": address.session_id, "input": wire_input}
    return Call("POST", "/chat/", body=json_body(body))


def post_input(address: SessionAddress, wire_input: Mapping[str, Any], reader: EventReader) -> Flow[None]:
    """Send an input; after a conflict again, for the short while that the turn before takes to be stored.

    Args:
        address: The session.
        wire_input: The input.
        reader: Learns of the replies that are stored meanwhile.

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
    """Take the stored replies for delivered."""
    for reply in tail.replies:
        reader.mark_delivered(reply)


def read_since(address: SessionAddress, reader: EventReader) -> Flow[HistoryTail]:
    """Read messages back to a known reply."""
    return (yield from read_tail(address, PAGE, lambda stored: any(reader.knows(message.id) for message in stored)))


def events_since(tail: HistoryTail, reader: EventReader, *, up_to: str | None = None) -> list[Event]:
    """The events of the stored replies from the last known one on.

    Args:
        tail: The end of the session's history.
        reader: What was delivered.
        up_to: The last reply to read: what follows it is still to be streamed. None for all.
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
    """The gap before an event of a reply that left nothing in the store."""
    return StreamGap(session_id=session_id, turn_id=reply_id, lost=_ALL, synthetic=True)


def no_trace(session_id: str, reply_id: str | None) -> Event:
    """The end of a turn that left nothing."""
    return TurnEnded(
        session_id=session_id,
        turn_id=reply_id,
        outcome=Outcome.FAILED,
        native_reason="no trace",
        error=_NO_TRACE,
        synthetic=True,
    )


def turn_started(session_id: str, reply_id: str | None) -> Event:
    """The start of a turn that the stream did not show."""
    return TurnStarted(session_id=session_id, turn_id=reply_id, synthetic=True)
