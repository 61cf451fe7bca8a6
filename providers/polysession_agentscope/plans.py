"""Plans of AgentScope's streams: a session's, and those of turns.

A room of its own, because `turns` is full of what is sent.

Backend: `GET /sessions/{id}/stream` and `POST /chat/` of `/openapi.json`, server 2.0.11 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from polysession.provider_api import (
    Call,
    Conflict,
    Event,
    Flow,
    Frame,
    NetworkTimeout,
    OldStreamPlan,
    OldTurnPlan,
    Outcome,
    PolysessionError,
    RecentIds,
    StreamGap,
    TurnEnded,
    TurnStarted,
    UsageError,
    json_body,
)
from polysession_agentscope.events import EventReader, read_head
from polysession_agentscope.history import PAGE, HistoryTail, StoredMessage, read_tail
from polysession_agentscope.replies import Phase, actions_in
from polysession_agentscope.sessions import RUNNING, SessionAddress, check_answer, read_settled_status
from polysession_agentscope.wire import WireEvent

RECENT: Final = 2
"""Messages that are read to see where a session stands: one of them is a reply, unless two turns left none."""

CONFLICT_WAITS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""The end of a turn is announced before it is stored; until then the session takes no message."""

SETTLING_S: Final = (0.05, 0.1, 0.2, 0.4)
"""A turn that comes to rest is announced before it is stored; until then the session is still running."""

_START: Final = "REPLY_START"
_BEGINNINGS: Final = frozenset({_START, "USER_CONFIRM_RESULT", "EXTERNAL_EXECUTION_RESULT"})
_ENDS: Final = frozenset({"REPLY_END", "REQUIRE_USER_CONFIRM", "REQUIRE_EXTERNAL_EXECUTION"})
_BESIDE: Final = "CUSTOM"
_REMEMBERED_IDS: Final = 5_000
"""The service replays at most 1,000 events."""

_FIRST_SILENCE_S: Final = 1.0
_LONGEST_SILENCE_S: Final = 8.0
"""Waits for an event of a turn before its status is read, doubled while nothing comes; the heartbeat comes after 30."""

_LOOKS: Final = 3
"""How many silences a turn that left no trace is looked for: an answer is taken up a moment after it was accepted."""

_ALL: Final = (
    *("turn.started", "action.required", "usage", "error", "raw"),
    *("message.started", "message.delta", "message.completed"),
    *("thinking.started", "thinking.delta", "thinking.completed"),
    *("tool_call.started", "tool_call.delta", "tool_call.completed"),
    *("tool_result.delta", "tool_result.completed"),
)

_NO_TRACE: Final = (
    "the turn left no trace: it was cancelled before it began, the service was started anew, or, on a server of 2.0.0,"
    " it failed"
)


class Bookmark(BaseModel):
    """Where a stream of a session stands: our cursor, as JSON.

    Attributes:
        after: The server's cursor at the start of the turn; None if it gave none.
        event: Id of the last event.
        reply: The reply that was spoken of last.
        before: The one before it. While a reply is made it is not stored: this one tells where in history it stands.
        phase: How far that reply had come.
        delivered: Its blocks that were delivered whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None
    event: str | None
    reply: str | None
    before: str | None
    phase: Phase
    delivered: tuple[str, ...]

    @classmethod
    def read(cls, cursor: str) -> Bookmark:
        """A bookmark from a caller's cursor.

        Raises:
            UsageError: It is none.
        """
        try:
            return cls.model_validate_json(cursor)
        except ValidationError:
            message = f"{cursor!r} is not a cursor of an AgentScope stream"
        raise UsageError(message)


class _ReplayedStream(OldStreamPlan):
    """A stream that the server replays from `after` on, the running turn from its start; each event has an id.

    The log is cut to its last event when a turn is stored. What a reopened stream begins with shows it: an event that
    is new, and does not begin anything.

    Attributes:
        reader: What is known of the session's replies.
    """

    def __init__(self, address: SessionAddress, after: str | None, reader: EventReader) -> None:
        super().__init__()
        self.reader = reader
        self._address = address
        self._after = after
        self._last_id: str | None = None
        self._seen = RecentIds(_REMEMBERED_IDS)
        self._is_joined = True
        self._marked: tuple[object, ...] = ()
        self._mark = ""

    @property
    def cursor(self) -> str:
        """Where the turn began, and what of it was told."""
        last, before = self.reader.newest_two
        address = (self._after, last.id, before.id, last.phase, len(last.delivered))
        if address != self._marked:
            mark = Bookmark(
                after=self._after,
                event=None,
                reply=last.id or None,
                before=before.id or None,
                phase=last.phase,
                delivered=tuple(sorted(last.delivered)),
            )
            self._marked, self._mark = address, mark.model_dump_json(exclude={"event"}).removesuffix("}")
        return f'{self._mark},"event":{to_json(self._last_id).decode()}}}'  # which changes with each event

    def open(self) -> Call:
        """Each time after the same event: what was told already is known by its id."""
        return Call("GET", self._address.path("/stream", after=self._after), {"accept": "text/event-stream"})

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (a silence is looked into as well)
        """Look at what is stored before reopening: a turn that has ended is not replayed."""
        self.probe_due = True
        self._is_joined = False

    def _deliver(self, head: WireEvent, content: bytes, problems: tuple[str, ...]) -> list[Event]:
        return list(self.reader.read_body(head, content, problems))

    def _is_new(self, head: WireEvent) -> bool:
        """Whether an event was not told yet; it is from now on. If it was, the stream is back where it broke."""
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
        self._is_joined = head.type in _BEGINNINGS
        return not self._is_joined


class SessionStream(_ReplayedStream):
    """Follows a session, turn after turn.

    Args:
        address: The session.
        after: The server's cursor to begin after.
        reader: What was told before.
        mark: The caller's cursor; None to begin with what happens next.
        backlog: What happened since `mark`.
    """

    def __init__(
        self,
        address: SessionAddress,
        after: str | None,
        reader: EventReader,
        mark: Bookmark | None = None,
        backlog: Iterable[Event] = (),
    ) -> None:
        super().__init__(address, after, reader)
        self._backlog = list(backlog)
        self.probe_due = bool(self._backlog)
        self._held: list[Frame] = []
        self._resumed_reply = mark.reply if mark else None
        self._skips_to = self._last_id = mark.event if mark else None

    def read(self, frame: Frame) -> list[Event]:
        """The events of one frame. After a gap they wait until a probe has told what is stored of the missing ones."""
        if self._held:
            self._held.append(frame)
            return []
        return self._read(frame)

    def probe(self) -> Flow[list[Event]]:
        """What was stored since: of turns that ended meanwhile no stream tells."""
        events, self._backlog = self._backlog, []
        if events:
            return events
        newest = yield from read_since(self._address, self.reader)
        held, self._held = self._held, []
        if not held:
            self._after = newest.cursor
            return events_since(newest, self.reader)
        head, _ = read_head(held[0].data)
        events = events_since(newest, self.reader, up_to=head.reply_id)
        if self.reader.phase_of(head.reply_id) not in {Phase.ENDED, Phase.WAITING}:
            events.append(all_lost(self._address.session_id, head.reply_id))
        self._is_joined = True
        return events + [event for frame in held for event in self._read(frame)]

    def _read(self, frame: Frame) -> list[Event]:
        head, problems = read_head(frame.data)
        if self._skips(head):
            self._is_new(head)
            self._deliver(head, frame.data, problems)
            return []
        if self._shows_gap(head) and self.reader.phase_of(head.reply_id) is not Phase.ENDED:
            self._held.append(frame)
            self.probe_due = True
            return []
        return self._deliver(head, frame.data, problems) if self._is_new(head) else []

    def _skips(self, head: WireEvent) -> bool:
        """Whether this is the replay of what another stream has told: a turn from its start to the last event told."""
        if self._skips_to is None:
            return False
        if not self._seen and (head.type != _START or head.reply_id != self._resumed_reply):
            self._skips_to = None
            return False
        if head.id == self._skips_to:
            self._skips_to = None
            return True
        return head.type not in _ENDS


class AgentScopeTurn(_ReplayedStream, OldTurnPlan):
    """Follows one turn, and looks at what is stored when nothing comes: some turns end without an event.

    Args:
        address: The session.
        newest: Where the session stands.
        reader: What was told before.
        wire_input: The input to send.
        reply_id: The reply that goes on; None if the input begins a new one.
    """

    def __init__(
        self,
        address: SessionAddress,
        tail: HistoryTail,
        reader: EventReader,
        wire_input: dict[str, Any],
        reply_id: str | None = None,
    ) -> None:
        super().__init__(address, tail.cursor, reader)
        self.silence_s = _FIRST_SILENCE_S
        self._input = wire_input
        self._reply_id = reply_id
        self._goes_on = reply_id is not None
        self._waited_for: Collection[str] = reader.reply(reply_id).calls.waiting.copy() if reply_id else ()
        self._start: bytes | None = None
        self._has_begun = False
        self._may_lack = False
        self._has_gap = False
        self._is_stored = False
        self._is_silent = False
        self._has_heard = False
        self._silences = 0

    def send(self) -> Flow[None]:
        """Send the input. A reply that ends meanwhile is not ours."""
        yield from post_input(self._address, self._input, self.reader)

    def begins(self, event: Event) -> bool:
        """Whether it is of our reply; what is not, is left out before."""
        return event.turn_id == self._reply_id

    def broke_off(self, failure: PolysessionError | None) -> None:
        """Look at what is stored before reopening. A silence is to be expected, and loses nothing."""
        super().broke_off(failure)
        self._is_silent = isinstance(failure, NetworkTimeout)
        if self._is_silent:
            self.reopen_after_s = 0.0
        else:
            self._may_lack = True

    def read(self, frame: Frame) -> list[Event]:
        """The events of one frame, if it is of our reply. After a gap only what is stored tells the whole."""
        head, problems = read_head(frame.data)
        if self._shows_gap(head):
            self._look_behind(head)
        if self._has_gap:
            return []
        is_new = self._is_new(head)
        if self._is_joined and not (is_new and self._is_under_way):
            self._may_lack = False
        if not is_new or not self._is_ours(head, frame.data):
            return []
        self._has_heard = True
        start, self._start = self._start, None
        before = [] if start is None else list(self.reader.read(start))
        return before + self._deliver(head, frame.data, problems)

    def probe(self) -> Flow[list[Event]]:
        """While the turn runs, nothing. Else what was missed of it, with its end."""
        word = yield from read_settled_status(self._address, SETTLING_S if self._is_stored else ())
        newest = None if word == RUNNING else (yield from read_tail(self._address, PAGE))
        # A probe that failed until here is made again, and knows the same as this one.
        is_silent, self._is_silent, self._is_stored = self._is_silent, False, False
        if is_silent:
            self.silence_s = _FIRST_SILENCE_S if self._has_heard else min(2 * self.silence_s, _LONGEST_SILENCE_S)
            self._has_heard = False
        if newest is None:
            return []
        events = self._missed(newest)
        self._silences += is_silent
        if self._silences == _LOOKS and not any(isinstance(event, TurnEnded) for event in events):
            events += no_trace(self._address.session_id, self._reply_id, has_begun=self._has_begun)
        return events

    @property
    def _is_under_way(self) -> bool:
        return self._has_begun or self._start is not None

    def _look_behind(self, head: WireEvent) -> None:
        """The log was cut before this event. If a turn comes to rest with it, it was stored, and may be ours."""
        self._has_gap = self._has_gap or self._is_under_way
        may_be_ours = self._has_gap or head.reply_id == self._reply_id or not self.reader.knows(head.reply_id)
        if may_be_ours and head.type in _ENDS:
            self._is_stored = self.probe_due = True

    def _is_ours(self, head: WireEvent, content: bytes) -> bool:
        """Whether an event is of our turn.

        A reply of our own begins with a start that is followed by more: an interrupt of an idle session logs a start
        alone.
        """
        if self._has_begun:
            return head.reply_id in {None, self._reply_id}
        if self._goes_on:
            self._has_begun = head.reply_id == self._reply_id and head.type in _BEGINNINGS
        elif head.type == _START and not self.reader.knows(head.reply_id):
            self._reply_id, self._start = head.reply_id, content
        else:
            self._has_begun = self._start is not None and head.reply_id == self._reply_id
        return self._has_begun

    def _missed(self, tail: HistoryTail) -> list[Event]:
        reply = own_reply(tail.replies, self._reply_id, self.reader, may_be_new=not self._goes_on)
        if reply is None or (not self._has_begun and self._waited_for and self._waits_still(reply)):
            return []
        self._reply_id = reply.id
        self._has_begun = True
        return self.reader.catch_up(reply, may_lack=self._may_lack or self._has_gap)

    def _waits_still(self, reply: StoredMessage) -> bool:
        return actions_in(reply).keys() == set(self._waited_for)


def input_call(address: SessionAddress, wire_input: dict[str, Any]) -> Call:
    """The call that sends an input."""
    body = {"agent_id": address.agent_id, "session_id": address.session_id, "input": wire_input}
    return Call("POST", "/chat/", body=json_body(body))


def post_input(address: SessionAddress, wire_input: dict[str, Any], reader: EventReader) -> Flow[None]:
    """Send an input; after a conflict again, for the short while that the turn before takes to be stored.

    Args:
        address: The session.
        wire_input: The input.
        reader: Told of the replies that are stored meanwhile.

    Raises:
        Conflict: A turn is running.
    """
    call = input_call(address, wire_input)
    for wait_s in CONFLICT_WAITS_S:
        try:
            check_answer((yield call))
        except Conflict:
            newest = yield from read_tail(address, RECENT, after_s=wait_s)
            mark_replies(newest, reader)
        else:
            return
    check_answer((yield call))


class AnsweredTurn(OldTurnPlan):
    """Follows one turn on a server of 2.0.0, where the answer to the input is the stream, and a break ends the turn."""

    silence_s = 600.0

    def __init__(
        self,
        address: SessionAddress,
        reader: EventReader,
        wire_input: dict[str, Any],
        reply_id: str | None = None,
    ) -> None:
        super().__init__()
        self._address = address
        self._reader = reader
        self._input = wire_input
        self._reply_id = reply_id
        self._goes_on = reply_id is not None
        self._opening: list[Event] = []
        if reply_id is not None:
            self._opening = [reader.resume(reply_id, answered_in(wire_input))]

    @property
    def cursor(self) -> None:
        """There is nothing to continue after."""
        return

    def open(self) -> Call:
        """Send the input: the answer is the stream."""
        call = input_call(self._address, self._input)
        return Call(call.method, call.path, {"accept": "text/event-stream"}, call.body)

    def send(self) -> Flow[None]:
        """Nothing: the input opened the stream."""
        yield from ()

    def begins(self, event: Event) -> bool:
        """Whether it is of our reply; there are no others."""
        return event.turn_id == self._reply_id

    def read(self, frame: Frame) -> list[Event]:
        """The events of one frame."""
        return self._begin(list(self._reader.read(frame.data)))

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (any end of it is the last)
        """Look at what is stored: the turn cannot be followed on."""
        self.probe_due = True

    def probe(self) -> Flow[list[Event]]:
        """What was missed of the turn, with its end: it cannot go on."""
        newest = yield from read_tail(self._address)
        reply = own_reply(newest.replies, self._reply_id, self._reader, may_be_new=not self._goes_on)
        events = self._begin([] if reply is None else self._reader.catch_up(reply, may_lack=True))
        if not any(isinstance(event, TurnEnded) for event in events):
            events += no_trace(self._address.session_id, self._reply_id, has_begun=self._reply_id is not None)
        return events

    def _begin(self, events: list[Event]) -> list[Event]:
        opening, self._opening = self._opening, []
        if self._reply_id is None and events:
            self._reply_id = events[0].turn_id
        return opening + events


def answered_in(wire_input: dict[str, Any]) -> list[str]:
    """The tool calls that an input answers."""
    decided = [result["tool_call"] for result in wire_input.get("confirm_results", ())]
    return [str(call.get("id")) for call in (*decided, *wire_input.get("execution_results", ()))]


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
    """The gap before an event of a reply of which nothing is stored."""
    return StreamGap(session_id=session_id, turn_id=reply_id, lost=_ALL, synthetic=True)


def own_reply(
    replies: Sequence[StoredMessage], reply_id: str | None, reader: EventReader, *, may_be_new: bool
) -> StoredMessage | None:
    """The stored reply of a turn: the one with its id, or else the first after the last known one.

    Only the newest replies are known before a turn begins: those before them are older, and never ours.
    """
    own = [reply for reply in replies if reply.id == reply_id]
    if may_be_new:
        known = [index for index, reply in enumerate(replies) if reader.knows(reply.id)]
        own += replies[known[-1] + 1 if known else 0 :]
    return own[0] if own else None


def no_trace(session_id: str, reply_id: str | None, *, has_begun: bool) -> list[Event]:
    """The end of a turn of which nothing is left."""
    ended = TurnEnded(
        session_id=session_id,
        turn_id=reply_id,
        outcome=Outcome.FAILED,
        native_reason="no trace",
        error=_NO_TRACE,
        synthetic=True,
    )
    return [ended] if has_begun else [started(session_id, reply_id), ended]


def started(session_id: str, reply_id: str | None) -> Event:
    """The start of a turn that was not told."""
    return TurnStarted(session_id=session_id, turn_id=reply_id, synthetic=True)
