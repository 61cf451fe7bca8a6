"""AgentScope's streams and turns, stepped by hand.

A listener feeds frames to a plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from polysession._core.flow import Flow, Response
from polysession._core.operations import Operations
from polysession._core.plans import AnsweredTurn, BodyEnd, ConnectedStream, Finished, Head, Items, Reconcile, TurnPlan
from polysession._core.sse import SseDecoder
from polysession._core.turn import TurnTracker
from polysession.errors import ConnectionLost, NetworkTimeout, PolysessionError
from polysession.session import Session
from polysession_agentscope import AgentScopeProvider, AgentScopeSettings
from support.agentscope_events import call_block, frames, reply, user_message
from support.flows import ok, step

PROVIDER = AgentScopeProvider(AgentScopeSettings(base_url="http://agents.test", user_id="u1", agent_id="a1"))
OPERATIONS = Operations(PROVIDER)
SESSION = Session(provider="agentscope", id="s1", agent_id="a1")
HEAD = Head(200, {})

STATUS = ("GET", "/sessions/s1/status?agent_id=a1")
LIST = ("GET", "/sessions/?agent_id=a1")
CHAT = ("POST", "/chat/")
STARTED = ok({"status": "started", "session_id": "s1"})
HI = {"name": "user", "role": "user", "content": [{"type": "text", "text": "hi"}]}
WAITING_REPLY = reply(call_block("c1", "asking"), reason=None)
CUT = ConnectionLost("cut")


def messages(limit: int = 2, **query: Any) -> tuple[str, str]:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return ("GET", f"/sessions/s1/messages?agent_id=a1&limit={limit}{more}")


def page(*stored: dict[str, Any], cursor: str | None = "37-0", has_more: bool = False) -> Response:
    body = {"messages": stored, "event_cursor": cursor, "is_running": False, "has_more": has_more}
    return ok(body)


def status_is(status: str) -> Response:
    return ok({"session_id": "s1", "status": status})


def view(status: str | None = None, *, is_running: bool = False) -> Response:
    item = {"session": {"id": "s1", "agent_id": "a1"}, "is_running": is_running}
    return ok({"sessions": [item if status is None else item | {"status": status}], "total": 1})


def steps(flow: Flow[Any], *answers: Response | PolysessionError) -> tuple[list[tuple[str, str]], Any]:
    """Return the calls of a flow, without bodies, and its result."""
    calls, found = step(flow, *answers)
    return [(call.method, call.path) for call in calls], found


def failure(flow: Flow[Any], *answers: Response | PolysessionError) -> tuple[list[tuple[str, str]], PolysessionError]:
    """Return the calls of a flow, and the error that it raises."""

    def caught() -> Flow[PolysessionError]:
        try:
            yield from flow
        except PolysessionError as error:
            return error
        raise AssertionError("the flow raised no error")

    return steps(caught(), *answers)


def plan_for(turn_input: Any, *answers: Response | PolysessionError) -> Any:
    _, plan = step(OPERATIONS.start_turn(SESSION, turn_input), *answers)
    return plan


class Listener:
    """Feeds a plan like the stream loop. Calls of a reconciliation are answered from `stored`.

    Attributes:
        stored: The messages that the service has stored, including ours.
        status: Status of the session.
        later: The reconciliations that the plan requested for later.
        ended: Whether the stream has ended.
    """

    def __init__(self, plan: ConnectedStream) -> None:
        self.plan = plan
        self.stored = [user_message(message_id=our_id(plan))] if isinstance(plan, TurnPlan) else []
        self.status = "running"
        self.later: list[Reconcile] = []
        self.ended = False
        self._answers: list[Response | PolysessionError] = []
        self._tracker = TurnTracker(plan.is_ours) if isinstance(plan, TurnPlan) else None
        if isinstance(plan, AnsweredTurn):
            self._tracker = TurnTracker()
        self._decoder = SseDecoder()
        self.connect()
        self.backlog = self._take(plan.opened(HEAD, again=False))

    def connect(self) -> str:
        """Open a connection. Returns its path."""
        self._decoder = SseDecoder()
        return self.plan.open().path

    def receive(self, *raw_events: dict[str, Any], answers: Iterable[Response | PolysessionError] = ()) -> list[Any]:
        """Return the events of these frames.

        `answers` are responses to the calls of a reconciliation.
        """
        self._answers = list(answers)
        found = self.feed(frames(*raw_events))
        assert not self._answers
        return found

    def feed(self, chunk: bytes) -> list[Any]:
        """Return the events of these bytes."""
        return [event for frame in self._decoder.feed(chunk) for event in self._take(self.plan.read(frame))]

    def reconcile_after(self, *answers: Response | PolysessionError, after: PolysessionError = CUT) -> list[Any]:
        """Return the events of the reconciliation after a lost connection, or after a silence."""
        silent = isinstance(after, NetworkTimeout)
        items = self.plan.quiet(2.0) if silent else self.plan.ended(BodyEnd(after, inside_frame=False))
        assert [type(item) for item in items] == [Reconcile]
        return self.reconcile(*answers)

    def reconcile(self, *answers: Response | PolysessionError) -> list[Any]:
        """Return the events of a reconciliation."""
        self.later.clear()
        return self._take(step(self.plan.reconcile(), *answers)[1])

    def _take(self, items: Items) -> list[Any]:
        found: list[Any] = []
        for item in items:
            if isinstance(item, Reconcile) and item.after_s:
                self.later.append(item)
            elif isinstance(item, Reconcile):
                found += self._take(self._run(self.plan.reconcile()))
            elif isinstance(item, Finished):
                self.ended = True
            elif self._tracker is None:
                found.append(item)
            else:
                found += [event for event, _ in self._tracker.take(item, None)]  # type: ignore[arg-type]
                self.ended = self._tracker.ended is not None
        return found

    def _run(self, flow: Flow[Items]) -> Items:
        try:
            call = next(flow)
            while True:
                answer = self._answers.pop(0) if self._answers else self._answer(call.path)
                call = flow.throw(answer) if isinstance(answer, PolysessionError) else flow.send(answer)
        except StopIteration as stop:
            items: Items = stop.value
            return items

    def _answer(self, path: str) -> Response:
        if "/status" in path:
            return status_is(self.status)
        query = parse_qs(urlsplit(path).query)
        ids = [message["id"] for message in self.stored]
        end = ids.index(query["before"][0]) if "before" in query else len(ids)
        begin = max(0, end - int(query["limit"][0]))
        return page(*self.stored[begin:end], has_more=begin > 0)


def our_id(plan: Any) -> str:
    """Return the id of the input that a plan sends."""
    call = plan.start() if isinstance(plan, AnsweredTurn) else step(plan.send(), STARTED)[0][0]
    return str(json.loads(call.body or b"")["input"]["id"])


def listen(turn_input: Any = "hi", *answers: Response | PolysessionError) -> Listener:
    return Listener(plan_for(turn_input, *(answers or (page(cursor=None),))))


def answering(waiting: dict[str, Any], *answers: Any, status: str = "awaiting_permission") -> Listener:
    return listen(list(answers), status_is(status), page(waiting))


def answer_echo(live: Listener, echo: dict[str, Any]) -> dict[str, Any]:
    """Return the echo of the answer that a plan sends, which has the id of the answer."""
    return echo | {"id": our_id(live.plan)}


def modelled(events: Iterable[Any]) -> list[str]:
    """Return the types of the events without raw ones. Synthetic events have a star."""
    return [found.type + ("*" if found.synthetic else "") for found in events if found.type != "raw"]


PLAIN = [
    "turn.started",
    "message.started",
    "message.delta",
    "message.delta",
    "message.completed",
    "usage",
    "turn.ended",
]
MISSED = ["turn.started*", "stream.gap*", "message.completed*", "usage*", "turn.ended*"]


def user(number: int) -> dict[str, Any]:
    return user_message(f"message {number}", f"u{number}")
