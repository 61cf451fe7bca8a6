"""The plans of turns: beside the session's stream, and on 2.0.0 in the response to the input.

A room of its own beside `turns`, which would be too long to read with it.

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
"""The end of a turn is sent before it is stored; until then the session is running."""

_IDENTIFY_S: Final = (0.1, 2.0)
"""Seconds until history is read again to see whose reply has begun: the first wait, doubled up to the longest."""

_FAILURE_S: Final = 0.2
"""Seconds until a turn that failed at once is looked for: it is stored without its message, or is another client's."""

_ASKED_S: Final = 0.3
"""Seconds until it is looked whether a turn that asks for something does anything else."""

_LOOKS: Final = 3
"""Silences after which a turn without a trace has failed: an answer is processed a moment after it was accepted."""


@dataclass(slots=True)
class _Candidate:
    """A reply that began and may be ours.

    Attributes:
        frames: Its events.
        has_more: Whether it has an event beside its start.
        has_ended: Whether it has its end.
    """

    frames: list[Frame]
    has_more: bool = False
    has_ended: bool = False


def _read(frame: Frame) -> tuple[WireEvent, bytes, tuple[str, ...]]:
    head, problems = read_head(frame.data)
    return head, frame.data, problems


class AgentScopeTurn(ReplayedStream, TurnPlan):
    """Follows one turn, and looks at what is stored when nothing comes: some turns end without an event.

    The stream does not show whose input a reply answers, and another client's whole turn may lie between the opening
    and our input. A session runs one turn at a time, and stores the message before the reply begins: the reply to a
    message of ours is the one that follows it in history, or the one that runs while nothing follows it yet.

    Args:
        address: The session.
        tail: Where the session stands.
        reader: What was delivered before.
        wire_input: The input to send: a message with an id of its own, or an answer.
        reply_id: The reply that an answer continues; None for a message.
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
        self._look_due = False
        self._is_stored = False
        self._is_silent = False
        self._is_foreign_answer = False
        self._looks = 0

    def send(self) -> Flow[None]:
        """Send the input. A reply that ends meanwhile is not ours."""
        yield from post_input(self._address, self._input, self._reader)

    def is_ours(self, event: Event) -> bool:
        """Whether it is of our reply; other replies are left out before."""
        return event.turn_id == self._reply_id

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002  (the loop asks less often by itself)
        """See whether the turn still runs."""
        self._look_due = self._is_silent = True
        return (Reconcile(),)

    def ended(self, end: BodyEnd) -> Items:
        """Look at what is stored before reopening, unless a silence was looked into just now."""
        items = super().ended(end)
        if items:
            self._look_due = self._may_lack = True
        return items

    def read(self, frame: Frame) -> Items:
        """The events of one frame, if it is of our reply. After a gap only what is stored shows the whole."""
        head, problems = read_head(frame.data)
        if self._shows_gap(head):
            self._look_behind(head)
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
        self._looks = 0
        events = self._deliver(head, frame.data, problems)
        if events and isinstance(events[-1], ActionRequired):  # another call may run beside, or wait in turn
            self._look_due = True
            return (*events, Reconcile(_ASKED_S))
        return events

    def reconcile(self) -> Flow[Items]:
        """Recognise our reply. If the turn does not run any more, what was missed of it, with its end.

        Raises:
            NotFound: The session was deleted.
        """
        word = RUNNING
        if self._look_due:
            word = yield from read_settled_status(self._address, SETTLING_S if self._is_stored else ())
        is_running = word == RUNNING
        if is_running and (self._has_begun or self._continues):
            tail = None
        else:
            tail = yield from read_tail(self._address, PAGE, self._reaches_our_input)
        # Only here, because a flow that failed half-way runs again.
        self._looks += self._is_silent and not is_running
        self._look_due = self._is_silent = self._is_stored = False
        if tail is None:
            return ()
        items = self._identify(tail, is_running=is_running)
        return items if is_running else [*items, *self._missed(tail)]

    def _begin(self, head: WireEvent, frame: Frame, problems: tuple[str, ...]) -> Items:
        """Read an event that may be of our turn or of another.

        A reply of ours begins with a start that is followed by more: an interrupt of an idle session logs a start
        alone.
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
            self._look_due = True
            return (Reconcile(_FAILURE_S),)
        return (Reconcile(),) if is_second else ()

    def _begin_answered(self, head: WireEvent, frame: Frame, problems: tuple[str, ...]) -> Items:
        """The echo of an answer has the id that was sent. Servers older than the echo start the reply again at once.

        What another client's answer does to the reply is read, and not delivered.
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

    def _look_behind(self, head: WireEvent) -> None:
        """The log was cut before this event. If a turn ends with it, it was stored, and may be ours."""
        self._has_gap = self._has_gap or self._has_begun or bool(self._candidates)
        may_be_ours = self._has_gap or head.reply_id == self._reply_id or not self._reader.knows(head.reply_id)
        if may_be_ours and head.type in ENDS:
            self._is_stored = self._look_due = True

    def _reaches_our_input(self, messages: Sequence[StoredMessage]) -> bool:
        """A reply that began counts as not stored only when all history since the opening of the stream was read."""
        ids = {message.id for message in messages}
        if self._last_before in ids or self._reply_id in ids:
            return True
        return self._input["id"] in ids and self._candidates.keys() <= ids

    def _identify(self, tail: HistoryTail, *, is_running: bool) -> Items:
        """Recognise our reply, and deliver what was held of it."""
        if self._has_begun or self._continues:
            return ()
        begun = [each for each, candidate in self._candidates.items() if candidate.has_more]
        own = own_reply_id(tail, self._input["id"], begun, is_running=is_running)
        if own is None:
            self._foreign |= {reply.id for reply in tail.replies if not is_empty_failure(reply)}
            for each in self._foreign & self._candidates.keys():
                del self._candidates[each]
            return self._identify_later() if is_running else ()
        self._reply_id, self._has_begun = own, True
        held = self._candidates[own].frames if own in self._candidates else []
        self._candidates.clear()
        return [event for frame in held for event in self._deliver(*_read(frame))]

    def _identify_later(self) -> Items:
        """Our message is not stored yet, or the reply that began was another client's. A failed one may be ours."""
        begun = [candidate for candidate in self._candidates.values() if candidate.has_more]
        if not begun:
            return ()
        self._look_due = any(candidate.has_ended for candidate in begun)
        wait_s, self._identify_s = self._identify_s, min(2 * self._identify_s, _IDENTIFY_S[1])
        return (Reconcile(wait_s),)

    def _missed(self, tail: HistoryTail) -> list[Event]:
        """The rest of a turn that does not run any more."""
        events: list[Event] = []
        reply = next((reply for reply in tail.replies if reply.id == self._reply_id), None)
        if reply is not None and not (self._continues and not self._has_begun and self._waits_still(reply)):
            self._has_begun = True
            events += self._reader.catch_up(reply, may_lack=self._may_lack or self._has_gap)
            self._save_bookmark()
        if self._looks >= _LOOKS and not any(isinstance(event, TurnEnded) for event in events):
            if not self._has_begun:
                events.append(turn_started(self._address.session_id, self._reply_id))
            events.append(no_trace(self._address.session_id, self._reply_id))
        return events

    def _waits_still(self, reply: StoredMessage) -> bool:
        return actions_in(reply).keys() == self._waited_for


class LegacyTurn(AnsweredTurn):
    """Follows one turn on a server of 2.0.0, where the response to the input is the stream.

    That server stores what the agent remembers only after its response was read to the end.
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
        """Send the input: the response is the stream."""
        call = input_call(self._address, self._input)
        return Call(call.method, call.path, {"accept": "text/event-stream"}, call.body)

    def read(self, frame: Frame) -> Items:
        """The events of one frame."""
        return self._after_opening(self._reader.read(frame.data))

    def ended(self, end: BodyEnd) -> Items:  # noqa: ARG002  (however it ended)
        """Look at what is stored: the turn cannot be followed any further."""
        return (Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read the rest of the turn, with its end."""
        tail = yield from read_tail(self._address)
        own = self._reply_id or own_reply_id(tail, self._input["id"], (), is_running=False)
        reply = next((reply for reply in tail.replies if reply.id == own), None)
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
    """The tool calls that an input answers."""
    decided = [result["tool_call"] for result in wire_input.get("confirm_results", ())]
    return [str(call.get("id")) for call in (*decided, *wire_input.get("execution_results", ()))]


def own_reply_id(tail: HistoryTail, message_id: str, candidates: Iterable[str], *, is_running: bool) -> str | None:
    """The reply to a message of ours; None if it is not known yet, or does not exist.

    Runs of a session do not overlap, and each stores its message before its reply begins. So it is the reply that
    follows the message, before another message of a user; or, if none follows, a candidate that is not stored.

    A failure without content is passed over while the session runs, and where another reply follows: any user of the
    service can cause one in anybody's session. A turn whose setup fails stores such a failure alone.

    Args:
        tail: The end of the session's history.
        message_id: The id of our message.
        candidates: Replies that began on the stream.
        is_running: Whether the session runs, as far as it was looked at.
    """
    ids = [message.id for message in tail.messages]
    stored = frozenset(ids)
    if message_id not in stored:
        failed = [each.id for each in tail.replies if each.id in set(candidates) and is_empty_failure(each)]
        return None if is_running or not failed else failed[-1]
    later = tail.messages[ids.index(message_id) + 1 :]
    own = later[: next((at for at, each in enumerate(later) if not each.is_reply), len(later))]
    whole = [each.id for each in own if not is_empty_failure(each)]
    if whole or (own and not is_running):
        return (whole or [own[0].id])[0]
    running = [each for each in candidates if each not in stored]
    return running[-1] if running and len(own) == len(later) else None


def is_empty_failure(reply: StoredMessage) -> bool:
    """Whether a reply failed before the agent wrote anything."""
    return reply.wire.error is not None and not reply.blocks
