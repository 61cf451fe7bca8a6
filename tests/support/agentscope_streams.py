"""AgentScope's streams and turns, stepped by hand: the calls, the answers, and a listener to whom frames are fed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polysession._core.flow import Flow, Response
from polysession._core.operations import Operations
from polysession._core.retry import RetryPolicy
from polysession._core.stream import StreamPlan, StreamReader
from polysession.errors import ConnectionLost, PolysessionError
from polysession.session import Session
from polysession_agentscope import AgentScopeProvider, AgentScopeSettings
from support.agentscope_events import call_block, frames, reply, said_by_user
from support.flows import ok, step

PROVIDER = AgentScopeProvider(AgentScopeSettings(base_url="http://agents.test", user_id="u1", agent_id="a1"))
OPERATIONS = Operations(PROVIDER)
SESSION = Session(provider="agentscope", id="s1", agent_id="a1")
RETRY = RetryPolicy(attempts=3)

STATUS = ("GET", "/sessions/s1/status?agent_id=a1")
LIST = ("GET", "/sessions/?agent_id=a1")
CHAT = ("POST", "/chat/")
STARTED = ok({"status": "started", "session_id": "s1"})
HI = {"name": "user", "role": "user", "content": [{"type": "text", "text": "hi"}]}
PARKED = reply(call_block("c1", "asking"), reason=None)
CUT = ConnectionLost("cut")


def messages(limit: int = 2, **query: Any) -> tuple[str, str]:
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    return ("GET", f"/sessions/s1/messages?agent_id=a1&limit={limit}{asked}")


def page(*stored: dict[str, Any], cursor: str | None = "37-0", has_more: bool = False) -> Response:
    body = {"messages": stored, "event_cursor": cursor, "is_running": False, "has_more": has_more}
    return ok(body)


def told(status: str) -> Response:
    return ok({"session_id": "s1", "status": status})


def view(status: str | None = None, *, is_running: bool = False) -> Response:
    item = {"session": {"id": "s1", "agent_id": "a1"}, "is_running": is_running}
    return ok({"sessions": [item if status is None else item | {"status": status}], "total": 1})


def steps(flow: Flow[Any], *answers: Response | PolysessionError) -> tuple[list[tuple[str, str]], Any]:
    """What a flow calls, without bodies, and its result."""
    calls, found = step(flow, *answers)
    return [(call.method, call.path) for call in calls], found


def failure(flow: Flow[Any], *answers: Response | PolysessionError) -> tuple[list[tuple[str, str]], PolysessionError]:
    """What a flow calls, and the error that it ends with."""

    def caught() -> Flow[PolysessionError]:
        try:
            yield from flow
        except PolysessionError as error:
            return error
        raise AssertionError("it did not fail")

    return steps(caught(), *answers)


def plan_for(turn_input: Any, *answers: Response | PolysessionError) -> Any:
    _, plan = step(OPERATIONS.start_turn(SESSION, turn_input), *answers)
    return plan


class Listener:
    """Feeds a plan as a driver does."""

    def __init__(self, plan: StreamPlan) -> None:
        self.plan = plan
        self.reader = StreamReader(plan, RETRY)
        self.connect()

    def connect(self) -> str:
        opened = self.plan.open()
        self.reader.opened()
        return opened.path

    def hear(self, *happened: dict[str, Any]) -> list[Any]:
        return list(self.reader.feed(frames(*happened)))

    def look(self, *answers: Response | PolysessionError, after: PolysessionError = CUT) -> list[Any]:
        """What a probe tells when the connection is gone."""
        self.reader.broke_off(after)
        return self.probe(*answers)

    def probe(self, *answers: Response | PolysessionError) -> list[Any]:
        """What a probe tells that is due."""
        assert self.plan.probe_due
        _, events = step(self.reader.probe(), *answers)
        return list(self.reader.take(events))


def listening(turn_input: Any = "hi", *answers: Response | PolysessionError) -> Listener:
    return Listener(plan_for(turn_input, *(answers or (page(cursor=None),))))


def answering(parked: dict[str, Any], *answers: Any, status: str = "awaiting_permission") -> Listener:
    return listening(list(answers), told(status), page(parked))


def modelled(events: Iterable[Any]) -> list[str]:
    """The types of events without what is not modelled; those that are inferred have a star."""
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
    return said_by_user(f"message {number}", f"u{number}")
