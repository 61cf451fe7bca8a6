"""The plans of turns, on the session's stream or, on 2.0.0, in the response to the input.

A separate module, because `turns` would be too long with it.

Backend: `GET /sessions/{id}/stream` and `POST /chat/` of `/openapi.json`, server 2.0.11 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from polysession.provider_api import (
    ActionRequired,
    AnsweredTurn,
    BodyEnd,
    Call,
    Event,
    Flow,
    Frame,
    Items,
    Reconcile,
    TurnEnded,
    TurnPlan,
)
from polysession_agentscope.events import EventReader, read_head
from polysession_agentscope.history import PAGE, HistoryTail, StoredMessage, read_tail
from polysession_agentscope.plans import (
    ANSWERED,
    BEGINNINGS,
    ENDS,
    START,
    ReplayedStream,
    input_call,
    no_trace,
    post_input,
    turn_started,
)
from polysession_agentscope.replies import actions_in
from polysession_agentscope.sessions import RUNNING, SessionAddress, read_settled_status
from polysession_agentscope.wire import WireEvent

SETTLING_S: Final = (0.05, 0.1, 0.2, 0.4)
"""Seconds before each new read of the status. The server sends the end of a turn before it stores the turn, and reports
`running` in between."""

_IDENTIFY_S: Final = (0.1, 2.0)
"""Seconds before each further read of the history to identify our reply: the first value, doubled up to the second."""

_FAILURE_S: Final = 0.2
"""Seconds before the check of a turn that failed at once. The service stores it without its message; it may also be
another client's turn."""

_ASKED_S: Final = 0.3
"""Seconds before the check whether a turn with pending actions does any other work."""

_MAX_IDLE_SILENCES: Final = 3
"""Silences of an idle session after which an unstored turn counts as failed. The service processes an answer shortly
after it accepts it."""


@dataclass(slots=True)
class _Candidate:
    """A reply that started and may belong to our turn.

    Attributes:
        frames: Its events.
        has_more: Whether an event followed its start.
        has_ended: Whether its end was received.
    """

    frames: list[Frame]
    has_more: bool = False
    has_ended: bool = False


def _read(frame: Frame) -> tuple[WireEvent, bytes, tuple[str, ...]]:
    head, problems = read_head(frame.data)
    return head, frame.data, problems


class AgentScopeTurn(ReplayedStream, TurnPlan):
    """Follows one turn.

    After a silence it reads the stored messages, because some turns end without an event.

    The stream does not show which input a reply belongs to, and another client's turn may run between the opening of
    the stream and our input. A session runs one turn at a time and stores the message before the reply begins. So the
    reply to our message follows it in the history; if no reply is stored yet, it is the one that runs.

    Args:
        address: The session.
        tail: The end of the session's history before the turn.
        reader: Reader with the state of the delivered events.
        wire_input: The input to send: a message with an id from us, or an answer.
        reply_id: Id of the reply that an answer continues; None for a message.
    """

    quiet_s = 2.0

    def __init__(
        self,
        address: SessionAddress,
        tail: HistoryTail,
        reader: EventReader,
        wire_input: Mapping[str, Any],
        reply_id: str | None = None,
    ) -> None:
        super().__init__(address, tail.cursor, reader)
        self._input = wire_input
        self._reply_id = reply_id
        self._continues = reply_id is not None
        self._waited_for = frozenset(reader.reply(reply_id).calls.waiting) if reply_id else frozenset()
        self._last_before = next((message.id for message in reversed(tail.messages)), None)
        self._candidates: dict[str, _Candidate] = {}
        self._foreign: set[str] = set()
        self._identify_s = _IDENTIFY_S[0]
        self._has_begun = False
        self._may_lack = False
        self._has_gap = False
        self._check_due = False
        self._is_stored = False
        self._is_silent = False
        self._is_foreign_answer = False
        self._idle_silences = 0

    def send(self) -> Flow[None]:
        """Send the input. A reply that ends before the server accepts it is not ours."""
        yield from post_input(self._address, self._input, self._reader)

    def is_ours(self, event: Event) -> bool:
        """Whether the event belongs to our reply."""
        return event.turn_id == self._reply_id

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002  (the loop lengthens the interval)
        """Check whether the turn still runs."""
        self._check_due = self._is_silent = True
        return (Reconcile(),)

    def ended(self, end: BodyEnd) -> Items:
        """Read the stored messages before reopening.

        After a timeout `quiet` has just read them.
        """
        items = super().ended(end)
        if items:
            self._check_due = self._may_lack = True
        return items

    def read(self, frame: Frame) -> Items:
        """Return the events of one frame of our reply.

        After a gap only the stored messages are complete.
        """
        head, problems = read_head(frame.data)
        if self._shows_gap(head):
            self._note_gap(head)
        if self._has_gap:
            return (Reconcile(),) if self._is_stored else ()
        is_new = self._is_new(head)
        if self._is_joined and not (is_new and (self._has_begun or self._candidates)):
            self._may_lack = False
        if not is_new:
            return (Reconcile(),) if self._is_stored else ()
        if not self._has_begun:
            items = self._begin(head, frame, problems)
            return (*items, Reconcile()) if self._is_stored else items
        if head.reply_id != self._reply_id and head.reply_id is not None:
            return ()
        self._idle_silences = 0
        events = self._deliver(head, frame.data, problems)
        if events and isinstance(events[-1], ActionRequired):  # other calls may still run or be queued
            self._check_due = True
            return (*events, Reconcile(_ASKED_S))
        return events

    def reconcile(self) -> Flow[Items]:
        """Recognise our reply. If the turn runs no longer, deliver its missed events and its end.

        Raises:
            NotFound: The session was deleted.
        """
        word = RUNNING
        if self._check_due:
            word = yield from read_settled_status(self._address, (0.0, *(SETTLING_S if self._is_stored else ())))
        is_running = word == RUNNING
        if is_running and (self._has_begun or self._continues):
            tail = None
        else:
            tail = yield from read_tail(self._address, PAGE, self._reaches_our_input)
        # State changes only after the last call, because a flow that fails is run again.
        self._idle_silences += self._is_silent and not is_running
        self._check_due = self._is_silent = self._is_stored = False
        if tail is None:
            return ()
        items = self._identify(tail, is_running=is_running)
        return items if is_running else [*items, *self._missed(tail)]

    def _begin(self, head: WireEvent, frame: Frame, problems: tuple[str, ...]) -> Items:
        """Read an event that may belong to our turn or to another.

        Our reply starts with REPLY_START and another event. An interrupt of an idle session logs REPLY_START alone.
        """
        if self._continues:
            return self._begin_answered(head, frame, problems)
        reply_id = head.reply_id
        if reply_id and head.type == START and not self._reader.knows(reply_id) and reply_id not in self._foreign:
            self._candidates[reply_id] = _Candidate([frame])
            return ()
        for each in self._candidates.values():
            if reply_id is None:
                each.frames.append(frame)
        candidate = self._candidates.get(reply_id or "")
        if candidate is None:
            return ()
        candidate.frames.append(frame)
        is_second, candidate.has_more = not candidate.has_more, True
        if head.type == "REPLY_END":
            candidate.has_ended = True
            self._check_due = True
            return (Reconcile(_FAILURE_S),)
        return (Reconcile(),) if is_second else ()

    def _begin_answered(self, head: WireEvent, frame: Frame, problems: tuple[str, ...]) -> Items:
        """Read an event of the reply that our answer continues.

        The echo of our answer has the id that we sent; older servers send no echo and start the reply again at once.
        Events that follow another client's answer are read but not delivered.
        """
        if head.reply_id != self._reply_id:
            return ()
        if head.type in ANSWERED:
            self._is_foreign_answer = head.id != self._input["id"]
        self._has_begun = head.type in BEGINNINGS and not self._is_foreign_answer
        if not (self._has_begun or self._is_foreign_answer):
            return ()
        events = self._deliver(head, frame.data, problems)
        return events if self._has_begun else ()

    def _note_gap(self, head: WireEvent) -> None:
        """Note that the log was cut before this event.

        If it ends a turn, that turn is stored and may be ours.
        """
        self._has_gap = self._has_gap or self._has_begun or bool(self._candidates)
        may_be_ours = self._has_gap or head.reply_id == self._reply_id or not self._reader.knows(head.reply_id)
        if may_be_ours and head.type in ENDS:
            self._is_stored = self._check_due = True

    def _reaches_our_input(self, messages: Sequence[StoredMessage]) -> bool:
        """Whether the messages go back far enough to show that a started reply is not stored."""
        ids = {message.id for message in messages}
        if self._last_before in ids or self._reply_id in ids:
            return True
        return self._input["id"] in ids and self._candidates.keys() <= ids

    def _identify(self, tail: HistoryTail, *, is_running: bool) -> Items:
        """Recognise our reply, and deliver its held events."""
        if self._has_begun or self._continues:
            return ()
        started = [each for each, candidate in self._candidates.items() if candidate.has_more]
        reply_id = own_reply_id(tail, self._input["id"], started, is_running=is_running)
        if reply_id is None:
            self._foreign |= {reply.id for reply in tail.replies if not is_empty_failure(reply)}
            for each in self._foreign & self._candidates.keys():
                del self._candidates[each]
            return self._identify_later() if is_running else ()
        self._reply_id, self._has_begun = reply_id, True
        held = self._candidates[reply_id].frames if reply_id in self._candidates else []
        self._candidates.clear()
        return [event for frame in held for event in self._deliver(*_read(frame))]

    def _identify_later(self) -> Items:
        """Schedule another check.

        Our message is not stored yet, or the started reply belongs to another client.

        A started reply that has failed may be ours.
        """
        started = [candidate for candidate in self._candidates.values() if candidate.has_more]
        if not started:
            return ()
        self._check_due = any(candidate.has_ended for candidate in started)
        wait_s, self._identify_s = self._identify_s, min(2 * self._identify_s, _IDENTIFY_S[1])
        return (Reconcile(wait_s),)

    def _missed(self, tail: HistoryTail) -> list[Event]:
        """Return the missed events of a turn that runs no longer."""
        events: list[Event] = []
        reply = next((reply for reply in tail.replies if reply.id == self._reply_id), None)
        if reply is not None and not (self._continues and not self._has_begun and self._still_waits(reply)):
            self._has_begun = True
            events += self._reader.catch_up(reply, may_lack=self._may_lack or self._has_gap)
            self._save_bookmark()
        if self._idle_silences >= _MAX_IDLE_SILENCES and not any(isinstance(event, TurnEnded) for event in events):
            if not self._has_begun:
                events.append(turn_started(self._address.session_id, self._reply_id))
            events.append(no_trace(self._address.session_id, self._reply_id))
        return events

    def _still_waits(self, reply: StoredMessage) -> bool:
        return actions_in(reply).keys() == self._waited_for


class LegacyTurn(AnsweredTurn):
    """Follows one turn on server 2.0.0, where the response to the input is the stream.

    That server stores the agent's memory only when its response has been read to the end.
    """

    silence_s = 600.0
    drain_s = 30.0

    def __init__(
        self,
        address: SessionAddress,
        reader: EventReader,
        wire_input: Mapping[str, Any],
        reply_id: str | None = None,
    ) -> None:
        self._address = address
        self._reader = reader
        self._input = wire_input
        self._reply_id = reply_id
        self._opening = [] if reply_id is None else [reader.resume(reply_id, answered_in(wire_input))]

    def start(self) -> Call:
        """Return the call that sends the input. Its response is the stream."""
        call = input_call(self._address, self._input)
        return Call(call.method, call.path, {"accept": "text/event-stream"}, call.body)

    def read(self, frame: Frame) -> Items:
        """Return the events of one frame."""
        return self._after_opening(self._reader.read(frame.data))

    def ended(self, end: BodyEnd) -> Items:  # noqa: ARG002  (every end is handled alike)
        """Read the stored messages: the turn cannot be followed any further."""
        return (Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read the rest of the turn and its end."""
        tail = yield from read_tail(self._address)
        reply_id = self._reply_id or own_reply_id(tail, self._input["id"], (), is_running=False)
        reply = next((reply for reply in tail.replies if reply.id == reply_id), None)
        events = self._after_opening([] if reply is None else self._reader.catch_up(reply, may_lack=True))
        if any(isinstance(event, TurnEnded) for event in events):
            return events
        started = [] if events or self._reply_id else [turn_started(self._address.session_id, None)]
        return [*events, *started, no_trace(self._address.session_id, self._reply_id)]

    def _after_opening(self, events: Sequence[Event]) -> Sequence[Event]:
        opening, self._opening = self._opening, []
        if self._reply_id is None and events:
            self._reply_id = events[0].turn_id
        return [*opening, *events] if opening else events


def answered_in(wire_input: Mapping[str, Any]) -> list[str]:
    """Return the ids of the tool calls that an input answers."""
    decided = [result["tool_call"] for result in wire_input.get("confirm_results", ())]
    return [str(call.get("id")) for call in (*decided, *wire_input.get("execution_results", ()))]


def own_reply_id(tail: HistoryTail, message_id: str, candidates: Iterable[str], *, is_running: bool) -> str | None:
    """Return the id of the reply to our message; None if it is not known yet or does not exist.

    Turns of a session do not overlap, and the message of a turn is stored before its reply begins. So the reply follows
    the message, before the next message of a user; if none follows, it is a candidate that is not stored.

    An empty failure is ignored while the session runs, and if another reply follows: any user of the service can cause
    one in another user's session. If the setup of a turn fails, the service stores only such a failure.

    Args:
        tail: The end of the session's history.
        message_id: Id of our message.
        candidates: Ids of the replies that started on the stream.
        is_running: Whether the session may run a turn: its status is `running`, or was not read.
    """
    ids = [message.id for message in tail.messages]
    stored = frozenset(ids)
    if message_id not in stored:
        failed = [each.id for each in tail.replies if each.id in set(candidates) and is_empty_failure(each)]
        return None if is_running or not failed else failed[-1]
    later = tail.messages[ids.index(message_id) + 1 :]
    replies = later[: next((at for at, each in enumerate(later) if not each.is_reply), len(later))]
    whole = [each.id for each in replies if not is_empty_failure(each)]
    if whole or (replies and not is_running):
        return (whole or [replies[0].id])[0]
    running = [each for each in candidates if each not in stored]
    return running[-1] if running and len(replies) == len(later) else None


def is_empty_failure(reply: StoredMessage) -> bool:
    """Whether a reply failed before the agent wrote anything."""
    return reply.wire.error is not None and not reply.blocks
