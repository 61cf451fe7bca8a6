"""Live streams of AgentScope: a session's, and those of turns.

Backend: `GET /sessions/{id}/stream` and `POST /chat/` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
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
    PolysessionError,
    RecentIds,
    Response,
    TurnEnded,
    UsageError,
    read_as,
    read_json,
    read_json_or_nothing,
    undecoded,
)
from polysession_agentscope.actions import pending_in
from polysession_agentscope.calls import Place, input_call, read_status
from polysession_agentscope.catching_up import (
    PAGE,
    all_lost,
    know_replies,
    missed_since,
    no_trace,
    own_reply,
    read_since,
)
from polysession_agentscope.event_normaliser import EventNormaliser
from polysession_agentscope.history import Newest, read_newest
from polysession_agentscope.replies import Phase
from polysession_agentscope.wire_events import WireEventHead, read_piece

RECENT: Final = 2
"""Messages that are read to see where a session stands: one of them is a reply, unless two turns left none."""

CONFLICT_WAITS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""The end of a turn is announced before it is stored; until then the session takes no message."""

_START: Final = "REPLY_START"
_BEGINNINGS: Final = frozenset({_START, "USER_CONFIRM_RESULT", "EXTERNAL_EXECUTION_RESULT"})
_ENDS: Final = frozenset({"REPLY_END", "REQUIRE_USER_CONFIRM", "REQUIRE_EXTERNAL_EXECUTION"})
_BESIDE: Final = "CUSTOM"
_RUNNING: Final = "running"
_SUCCESS: Final = 200
_REMEMBERED_IDS: Final = 5_000
"""The service replays at most 1,000 events."""

_FIRST_SILENCE_S: Final = 1.0
_LONGEST_SILENCE_S: Final = 8.0
"""Waits for an event of a turn before its status is read, doubled while nothing comes; the heartbeat comes after 30."""

_SETTLING_S: Final = (0.05, 0.1, 0.2, 0.4)
"""A turn that comes to rest is announced before it is stored; until then the session is still running."""

_LOOKS: Final = 3
"""How many silences a turn that left no trace is looked for: an answer is taken up a moment after it was accepted."""


class Bookmark(BaseModel):
    """Where a stream of a session stands: our cursor, as JSON.

    Attributes:
        after: The server's cursor at the start of the turn; None if it gave none.
        event: Id of the last event.
        reply: The reply that was spoken of last.
        before: The one before it. While a reply is made it is not stored: this one tells where in history it stands.
        phase: How far that reply had come.
        told: Its blocks that were told whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None
    event: str | None
    reply: str | None
    before: str | None
    phase: Phase
    told: tuple[str, ...]

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
        normaliser: What is known of the session's replies.
    """

    def __init__(self, place: Place, after: str | None, normaliser: EventNormaliser) -> None:
        super().__init__()
        self.normaliser = normaliser
        self._place = place
        self._after = after
        self._last_id: str | None = None
        self._seen = RecentIds(_REMEMBERED_IDS)
        self._is_joined = True
        self._marked: tuple[object, ...] = ()
        self._mark = ""

    @property
    def cursor(self) -> str:
        """Where the turn began, and what of it was told."""
        last, before = self.normaliser.newest_two
        place = (self._after, last.id, before.id, last.phase, len(last.told))
        if place != self._marked:
            mark = Bookmark(
                after=self._after,
                event=None,
                reply=last.id or None,
                before=before.id or None,
                phase=last.phase,
                told=tuple(sorted(last.told)),
            )
            self._marked, self._mark = place, mark.model_dump_json(exclude={"event"}).removesuffix("}")
        return f'{self._mark},"event":{to_json(self._last_id).decode()}}}'  # which changes with each event

    def open(self) -> Call:
        """Each time after the same event: what was told already is known by its id."""
        return Call("GET", self._place.path("/stream", after=self._after), {"accept": "text/event-stream"})

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (a silence is looked into as well)
        """Look at what is stored before reopening: a turn that has ended is not replayed."""
        self.probe_due = True
        self._is_joined = False

    def _take(self, frame: Frame) -> tuple[dict[str, Any], WireEventHead, Response]:
        reply = Response(_SUCCESS, {}, frame.data)
        piece = read_piece(frame.data)  # as most events are
        if piece is not None:
            return undecoded(frame.data), piece, reply
        raw = read_json(reply)
        return raw, read_as(WireEventHead.model_validate, raw, reply), reply

    def _told(self, head: WireEventHead, raw: dict[str, Any], reply: Response) -> list[Event]:
        return read_as(partial(self.normaliser.read_body, head), raw, reply)

    def _is_new(self, head: WireEventHead) -> bool:
        """Whether an event was not told yet; it is from now on. If it was, the stream is back where it broke."""
        self._last_id = head.id
        if head.id is None:
            return True
        is_new = self._seen.add(head.id)
        self._is_joined = self._is_joined or not is_new
        return is_new

    def _shows_gap(self, head: WireEventHead) -> bool:
        """Whether this new event follows others that are not replayed any more."""
        if self._is_joined or head.type == _BESIDE or head.id in self._seen:
            return False
        self._is_joined = head.type in _BEGINNINGS
        return not self._is_joined


class SessionStream(_ReplayedStream):
    """Follows a session, turn after turn.

    Args:
        place: The session.
        after: The server's cursor to begin after.
        normaliser: What was told before.
        mark: The caller's cursor; None to begin with what happens next.
        backlog: What happened since `mark`.
    """

    def __init__(
        self,
        place: Place,
        after: str | None,
        normaliser: EventNormaliser,
        mark: Bookmark | None = None,
        backlog: Iterable[Event] = (),
    ) -> None:
        super().__init__(place, after, normaliser)
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
        newest = yield from read_since(self._place, self.normaliser)
        held, self._held = self._held, []
        if not held:
            self._after = newest.cursor
            return missed_since(newest, self.normaliser)
        _, head, _ = self._take(held[0])
        events = missed_since(newest, self.normaliser, up_to=head.reply_id)
        if not self.normaliser.is_at_rest(head.reply_id):
            events.append(all_lost(self._place.session_id, head.reply_id))
        self._is_joined = True
        return events + [event for frame in held for event in self._read(frame)]

    def _read(self, frame: Frame) -> list[Event]:
        raw, head, reply = self._take(frame)
        if self._skips(head):
            self._is_new(head)
            self._told(head, raw, reply)
            return []
        if self._shows_gap(head) and not self.normaliser.is_over(head.reply_id):
            self._held.append(frame)
            self.probe_due = True
            return []
        return self._told(head, raw, reply) if self._is_new(head) else []

    def _skips(self, head: WireEventHead) -> bool:
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
        place: The session.
        newest: Where the session stands.
        normaliser: What was told before.
        wire_input: The input to send.
        reply_id: The reply that goes on; None if the input begins a new one.
    """

    def __init__(
        self,
        place: Place,
        newest: Newest,
        normaliser: EventNormaliser,
        wire_input: dict[str, Any],
        reply_id: str | None = None,
    ) -> None:
        super().__init__(place, newest.cursor, normaliser)
        self.silence_s = _FIRST_SILENCE_S
        self._input = wire_input
        self._reply_id = reply_id
        self._goes_on = reply_id is not None
        self._waited_for: Collection[str] = normaliser.reply(reply_id).calls.waiting.copy() if reply_id else ()
        self._start: dict[str, Any] | None = None
        self._has_begun = False
        self._may_lack = False
        self._has_gap = False
        self._is_stored = False
        self._is_silent = False
        self._has_heard = False
        self._silences = 0

    def send(self) -> Flow[None]:
        """Send the input. A reply that ends meanwhile is not ours."""
        yield from post_input(self._place, self._input, self.normaliser)

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
        raw, head, reply = self._take(frame)
        if self._shows_gap(head):
            self._look_behind(head)
        if self._has_gap:
            return []
        is_new = self._is_new(head)
        if self._is_joined and not (is_new and self._is_under_way):
            self._may_lack = False
        if not is_new or not self._is_ours(head, raw):
            return []
        self._has_heard = True
        start, self._start = self._start, None
        before = [] if start is None else read_as(self.normaliser.read, start, reply)
        return before + self._told(head, raw, reply)

    def probe(self) -> Flow[list[Event]]:
        """While the turn runs, nothing. Else what was missed of it, with its end."""
        is_running = yield from self._is_running(_SETTLING_S if self._is_stored else ())
        newest = None if is_running else (yield from read_newest(self._place, PAGE))
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
            events += no_trace(self._place.session_id, self._reply_id, has_begun=self._has_begun)
        return events

    @property
    def _is_under_way(self) -> bool:
        return self._has_begun or self._start is not None

    def _look_behind(self, head: WireEventHead) -> None:
        """The log was cut before this event. If a turn comes to rest with it, it was stored, and may be ours."""
        self._has_gap = self._has_gap or self._is_under_way
        may_be_ours = self._has_gap or head.reply_id == self._reply_id or not self.normaliser.knows(head.reply_id)
        if may_be_ours and head.type in _ENDS:
            self._is_stored = self.probe_due = True

    def _is_running(self, settling_s: Iterable[float]) -> Flow[bool]:
        """Whether the session is at work, and does not come to rest within these waits either."""
        word = yield from read_status(self._place)
        for wait_s in settling_s:
            if word != _RUNNING:
                break
            word = yield from read_status(self._place, after_s=wait_s)
        return word == _RUNNING

    def _is_ours(self, head: WireEventHead, raw: dict[str, Any]) -> bool:
        """Whether an event is of our turn.

        A reply of our own begins with a start that is followed by more: an interrupt of an idle session logs a start
        alone.
        """
        if self._has_begun:
            return head.reply_id in {None, self._reply_id}
        if self._goes_on:
            self._has_begun = head.reply_id == self._reply_id and head.type in _BEGINNINGS
        elif head.type == _START and not self.normaliser.knows(head.reply_id):
            self._reply_id, self._start = head.reply_id, raw
        else:
            self._has_begun = self._start is not None and head.reply_id == self._reply_id
        return self._has_begun

    def _missed(self, newest: Newest) -> list[Event]:
        raw = own_reply(newest.messages, self._reply_id, self.normaliser, may_be_new=not self._goes_on)
        if raw is None or (not self._has_begun and self._waited_for and self._waits_still(raw, newest.reply)):
            return []
        self._reply_id = raw["id"]
        self._has_begun = True
        return read_as(partial(self.normaliser.catch_up, may_lack=self._may_lack or self._has_gap), raw, newest.reply)

    def _waits_still(self, raw: dict[str, Any], reply: Response) -> bool:
        return read_as(pending_in, raw, reply).keys() == set(self._waited_for)


def post_input(place: Place, wire_input: dict[str, Any], normaliser: EventNormaliser) -> Flow[None]:
    """Send an input; after a conflict again, for the short while that the turn before takes to be stored.

    Args:
        place: The session.
        wire_input: The input.
        normaliser: Told of the replies that are stored meanwhile.

    Raises:
        Conflict: A turn is running.
    """
    call = input_call(place, wire_input)
    for wait_s in CONFLICT_WAITS_S:
        try:
            read_json_or_nothing((yield call))
        except Conflict:
            newest = yield from read_newest(place, RECENT, after_s=wait_s)
            know_replies(newest, normaliser)
        else:
            return
    read_json_or_nothing((yield call))
