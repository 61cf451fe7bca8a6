"""The calls to AgentScope that several operations share.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and its siblings (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from polysession.provider_api import (
    Call,
    Feature,
    Flow,
    JsonText,
    NotFound,
    Response,
    Session,
    UnsupportedOperation,
    json_body,
    lazily,
    path_segment,
    read_as,
    read_json,
    with_query,
)
from polysession_agentscope import normaliser, usual
from polysession_agentscope.wire import WireHealth, WireSessions, WireStatus

_UNKNOWN_ROUTE: Final = "Not Found"


@dataclass(frozen=True, slots=True)
class Place:
    """A session, and the agent through which it is reached."""

    session_id: str
    agent_id: str

    def path(self, suffix: str = "", **query: str | int | None) -> str:
        """An address of the session's; what is None is left out of the query."""
        session = path_segment(self.session_id, "session id")
        return with_query(f"/sessions/{session}{suffix}", {"agent_id": self.agent_id, **query})


def list_call(agent_id: str) -> Call:
    """The call that lists all sessions of an agent."""
    return Call("GET", with_query("/sessions/", {"agent_id": agent_id}))


def session_items(reply: Response) -> list[dict[str, Any]]:
    """The sessions in the answer to that call: views, or bare records."""
    return read_as(WireSessions.model_validate, read_json(reply), reply).sessions


def listed_sessions(reply: Response) -> tuple[Sequence[Mapping[str, Any]], Callable[[int], Session]]:
    """The records in the answer to that call, each with `id` and `agent_id`, and what makes a session of one, once."""
    text, usually = JsonText(reply.content), usual.VIEWS.read(reply)
    if usually is not None:
        views = usually["sessions"]
        return [view["session"] for view in views], lambda at: usual.to_session(views[at], lazily(text, "sessions", at))
    items = session_items(reply)
    records = [normaliser.record_of(item) for item in items]
    return records, lambda at: read_as(normaliser.to_session, items[at], reply)


def find_session(session_id: str, agent_id: str) -> Flow[Session]:
    """The session, from the list of its agent's sessions.

    Raises:
        NotFound: It is not among them.
    """
    records, make = listed_sessions((yield list_call(agent_id)))
    for at, record in enumerate(records):
        if record.get("id") == session_id and record.get("agent_id") in (
            agent_id,
            None,
        ):  # a tuple: what came may be unhashable
            return make(at)
    raise no_session(session_id, agent_id)


def changed_session(reply: Response) -> Session:
    """The session in the answer to a change: a bare record."""
    record = usual.RECORD.read(reply)
    if record is not None:
        return usual.to_session({"session": record}, lazily(JsonText(reply.content)))
    return read_as(normaliser.to_session, read_json(reply), reply)


def no_session(session_id: str, agent_id: str) -> NotFound:
    """The error for a session that is not the agent's, or is none."""
    return NotFound(f"agent {agent_id!r} has no session {session_id!r}; another agent of the user may have it")


def probe_status(place: Place, *, after_s: float = 0.0) -> Flow[Response | None]:
    """The answer of the status probe; None from a server older than 2.0.4, which has none."""
    try:
        return (yield Call("GET", place.path("/status"), after_s=after_s))
    except NotFound as error:
        # A missing session is a 404 as well, and is named in its message; there is no code that tells them apart.
        if error.message != _UNKNOWN_ROUTE:
            raise
        return None


def status_word(reply: Response) -> str:
    """The status in the answer of the status probe."""
    return read_as(WireStatus.model_validate, read_json(reply), reply).status


def read_version() -> Flow[str | None]:
    """The version of the server; None from one that is too old to have `/health`, which came with 2.0.6."""
    try:
        reply = yield Call("GET", "/health")
    except NotFound:
        return None
    return read_as(WireHealth.model_validate, read_json(reply), reply).version


def too_old(feature: Feature, to_what: str, hint: str) -> UnsupportedOperation:
    """The error for what only a newer server can do."""
    message = f"this AgentScope server is too old {to_what}: {hint}"
    return UnsupportedOperation(message, feature=feature.value, hint=hint)


def read_status(place: Place, *, after_s: float = 0.0) -> Flow[str]:
    """What the session is doing, in the server's word; empty if an older one does not tell that it rests or waits."""
    reply = yield from probe_status(place, after_s=after_s)
    if reply is None:
        return (yield from find_session(place.session_id, place.agent_id)).native_status
    return status_word(reply)


def input_call(place: Place, wire_input: dict[str, Any]) -> Call:
    """The call that sends an input."""
    body = {"agent_id": place.agent_id, "session_id": place.session_id, "input": wire_input}
    return Call("POST", "/chat/", body=json_body(body))
