"""An emulator of the helpdesk: its routes over tickets in memory.

It writes the JSON by hand, and shares no code with the provider: a mistake in `wire.py` would hide in both.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from polysession.emulation import (
    HEARTBEAT,
    Act,
    Answer,
    ApiRequest,
    ClientTool,
    Emulator,
    EventLog,
    EventStream,
    Fail,
    Generation,
    InitialResources,
    Refusal,
    Route,
    Say,
    ToolUse,
    TurnClock,
    TurnTask,
    UseTools,
    build_app,
    pause,
    sse_frame,
)

KEY: Final = "key-of-the-emulator"
_HEARTBEAT_S: Final = 10.0
_LARGEST_PAGE: Final = 100
_CODES: Final = {400: "invalid", 401: "unauthorised", 404: "not_found", 405: "invalid", 409: "busy"}

Json = dict[str, Any]


@dataclass
class Ticket:
    """A ticket.

    Attributes:
        call: Id of the last tool call.
        waiting: The tool that the caller has to run; None if the assistant does not wait.
        rest: What is left of the script until that tool has answered.
    """

    id: str
    title: str | None
    labels: dict[str, str]
    created_at: str
    updated_at: str
    log: EventLog[Json] = field(default_factory=EventLog)
    task: TurnTask = field(default_factory=TurnTask)
    clock: TurnClock = field(default_factory=TurnClock)
    call: str = ""
    waiting: ToolUse | None = None
    rest: tuple[Act, ...] = ()

    @property
    def status(self) -> str:
        """The status, in the helpdesk's word."""
        if self.waiting is not None:
            return "waiting"
        return "working" if self.task.running or self.clock.running else "open"

    def as_json(self) -> Json:
        """The JSON of the ticket."""
        tool = self.waiting and {"call": self.call, "tool": self.waiting.name, "arguments": self.waiting.arguments}
        return {
            "id": self.id,
            "title": self.title,
            "labels": self.labels,
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "last_event": len(self.log.entries),
            "waiting_for": tool,
        }

    def add(self, kind: str, **values: Any) -> int:
        """Add an event; gives its number."""
        number = len(self.log.entries) + 1
        self.log.append({"seq": number, "type": kind, "at": _now(), **values})
        return number


class HelpdeskEmulator(Emulator):
    """The helpdesk over state in memory. It has one generation."""

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self._tickets: dict[str, Ticket] = {}
        self._numbers = itertools.count(1)
        self.initial = InitialResources()
        self.settings = {"key": KEY}
        one = "/tickets/{id}"
        self.routes = [
            Route("POST", "/tickets", self._create, 201),
            Route("GET", "/tickets", self._list),
            Route("GET", one, lambda request: self._ticket(request).as_json()),
            Route("PATCH", one, self._update),
            Route("DELETE", one, self._delete, 204),
            Route("POST", f"{one}/messages", self._receive_message, 202),
            Route("POST", f"{one}/tool_results", self._receive_result, 202),
            Route("POST", f"{one}/cancel", self._cancel),
            Route("GET", f"{one}/events", self._events),
        ]
        self.app = build_app(self.routes, admit=_check_key, error=_error)

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Keep a ticket busy for a while."""
        self._tickets[session_id].clock.start(duration_s)

    def open_streams(self, session_id: str) -> int:
        """How many streams of a ticket are open."""
        return self._tickets[session_id].log.followers

    def _ticket(self, request: ApiRequest) -> Ticket:
        ticket_id = request.parameters["id"]
        if ticket_id not in self._tickets:
            raise Refusal(404, f"There is no ticket {ticket_id}.")
        return self._tickets[ticket_id]

    def _create(self, request: ApiRequest) -> Json:
        body = _body(request, {"title", "labels"})
        ticket = Ticket(f"T-{next(self._numbers)}", body.get("title"), body.get("labels", {}), _now(), _now())
        self._tickets[ticket.id] = ticket
        return ticket.as_json()

    def _list(self, request: ApiRequest) -> Json:
        start, limit = _integer(request, "cursor", 0), _limit(request)
        newest_first = list(reversed(self._tickets.values()))
        page = [ticket.as_json() for ticket in newest_first[start : start + limit]]
        end = start + len(page)
        return {"tickets": page, "next": str(end) if end < len(newest_first) else None}

    def _update(self, request: ApiRequest) -> Json:
        ticket, body = self._ticket(request), _body(request, {"title", "labels"})
        ticket.title = body.get("title", ticket.title)
        labels = {} if body.get("labels", {}) is None else {**ticket.labels, **body.get("labels", {})}
        ticket.labels = {name: value for name, value in labels.items() if value is not None}
        ticket.updated_at = _now()
        return ticket.as_json()

    async def _delete(self, request: ApiRequest) -> None:
        ticket = self._ticket(request)
        await ticket.task.cancel()
        ticket.log.close()
        del self._tickets[ticket.id]

    async def _cancel(self, request: ApiRequest) -> Json:
        ticket = self._ticket(request)
        waited, ticket.waiting = ticket.waiting is not None, None
        stopped = await ticket.task.cancel()
        if stopped:
            ticket.add("turn_ended", reason="cancelled")
        return {"cancelled": ticket.clock.stop() or stopped or waited}

    def _receive_message(self, request: ApiRequest) -> Json:
        ticket, text = self._ticket(request), _body(request, {"text"}).get("text")
        if not isinstance(text, str) or not text:
            raise Refusal(400, "A message needs text.")
        if ticket.status != "open":
            raise Refusal(409, f"Ticket {ticket.id} is {ticket.status}.")
        first = ticket.add("message", role="user", text=text)
        ticket.add("turn_started")
        ticket.task.start(self._work(ticket, self.scripts.take(ticket.id, text)))
        return {"seq": first}

    def _receive_result(self, request: ApiRequest) -> Json:
        ticket, body = self._ticket(request), _body(request, {"call", "text", "failed"})
        if ticket.waiting is None:
            raise Refusal(409, f"Ticket {ticket.id} waits for no tool.")
        if body.get("call") != ticket.call:
            raise Refusal(404, f"Ticket {ticket.id} does not wait for {body.get('call')!r}.")
        ticket.waiting = None
        first = ticket.add("turn_started")
        ticket.add("tool_result", call=ticket.call, text=body.get("text", ""), failed=body.get("failed") is True)
        ticket.task.start(self._work(ticket, ticket.rest))
        return {"seq": first}

    def _events(self, request: ApiRequest) -> Json | EventStream:
        ticket, after = self._ticket(request), _integer(request, "after", 0)
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventStream(_frames(ticket, after))
        left, limit = ticket.log.entries[after:], _limit(request)
        return {"events": left[:limit], "more": len(left) > limit}

    async def _work(self, ticket: Ticket, script: Sequence[Act]) -> None:
        """Do what the script says, until it ends or a tool of the caller is needed."""
        for number, act in enumerate(script):
            match act:
                case Say(text, pause_s):
                    for delta in act.deltas:
                        ticket.add("delta", text=delta)
                        await pause(pause_s)
                    ticket.add("message", role="assistant", text=text)
                case UseTools(uses):
                    if self._use(ticket, uses, script[number + 1 :]):
                        return
                case Fail(message):
                    ticket.add("turn_ended", reason="failed", text=message)
                    return
                case _:
                    pass  # the helpdesk does not show what its assistant thinks
        ticket.add("turn_ended", reason="done")

    def _use(self, ticket: Ticket, uses: Sequence[ToolUse], rest: Sequence[Act]) -> bool:
        """Use tools one after the other, up to the first that the caller runs; true if there is one."""
        for place, use in enumerate(uses):
            ticket.call = f"call-{next(self._numbers)}"
            kind = "tool_request" if isinstance(use, ClientTool) else "tool_call"
            ticket.add(kind, call=ticket.call, tool=use.name, arguments=dict(use.arguments))
            if isinstance(use, ClientTool):
                ticket.rest = (UseTools(*uses[place + 1 :]), *rest)
                ticket.add("turn_ended", reason="waiting")
                ticket.waiting = use
                return True
            ticket.add("tool_result", call=ticket.call, text=use.result)
        return False


async def _frames(ticket: Ticket, after: int) -> AsyncGenerator[bytes, None]:
    async for event in ticket.log.follow(after, heartbeat_s=_HEARTBEAT_S):
        yield HEARTBEAT if event is None else sse_frame({"data": event})


def _check_key(headers: Mapping[str, str]) -> None:
    if headers.get("authorization") != f"Bearer {KEY}":
        raise Refusal(401, "The API key is not valid.")


def _body(request: ApiRequest, known: set[str]) -> Json:
    try:
        body = request.json()
    except ValueError as error:
        raise Refusal(400, "The body is not JSON.") from error
    if not isinstance(body, dict) or body.keys() - known:
        raise Refusal(400, f"The body must be an object with {', '.join(sorted(known))}.")
    return body


def _integer(request: ApiRequest, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, f"{name} must be a number.")
    return int(text)


def _limit(request: ApiRequest) -> int:
    limit = _integer(request, "limit", 20)
    if not 1 <= limit <= _LARGEST_PAGE:
        raise Refusal(400, f"limit must be 1 to {_LARGEST_PAGE}.")
    return limit


def _error(refusal: Refusal, _request_id: str) -> Answer:
    error = {"code": _CODES.get(refusal.status, "other"), "message": refusal.message}
    return Answer({"error": error}, refusal.status)


def _now() -> str:
    return datetime.now(UTC).isoformat()
