"""The JSON of the ADK emulator, written by hand.

Backend: `/openapi.json` of google-adk 2.13.0 and 1.39.1 (read 2026-11)
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from polysession.emulation import Answer, Refusal
from polysession_adk.emulator.store import Json, Store, StoredSession

ABORTED: Final = "INVOCATION_ABORTED"
ABORT_TEXT: Final = "Invocation was aborted by client."
USAGE: Final = {
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 7,
    "promptTokenCount": 11,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 21,
}
"""Usage of one model call."""

APPS: Final[Mapping[str, tuple[str, str]]] = {
    "assistant": ("assistant", "Answers by a script."),
    "crew": ("chief", "Hands over to others."),
    "quiet": ("quiet", "Has no model."),
}
"""The apps, each with its root agent and that agent's description."""


def new_id() -> str:
    """Return an id for a session or an event."""
    return str(uuid.uuid4())


def session_shape(store: Store, session: StoredSession, *, has_events: bool = True) -> Json:
    """Return a session in the format of responses. In lists it has no events."""
    return {
        "id": session.id,
        "appName": session.app,
        "userId": session.user,
        "state": store.state(session),
        "events": session.events if has_events else [],
        "lastUpdateTime": session.updated_at_s,
    }


def event_shape(
    invocation_id: str,
    author: str,
    *,
    path: str = "",
    is_legacy: bool = False,
    actions: Json | None = None,
    **members: Any,
) -> Json:
    """Return an event.

    Args:
        invocation_id: Id of its turn.
        author: `user`, or the name of the agent.
        path: Path of its agent in the tree of agents.
        is_legacy: Whether to use the format of 1.39.1, which has no paths.
        actions: Actions besides the four maps that every event has.
        members: Additional members. Members whose value is None are omitted.
    """
    present = {name: value for name, value in members.items() if value is not None}
    return {
        **present,
        "invocationId": invocation_id,
        "author": author,
        "actions": {
            "stateDelta": {},
            "artifactDelta": {},
            "requestedAuthConfigs": {},
            "requestedToolConfirmations": {},
            **(actions or {}),
        },
        **({} if is_legacy else {"nodeInfo": {"path": path}}),
        "id": members.get("id") or new_id(),
        "timestamp": time.time(),
    }


def text_part(text: str, *, is_thought: bool = False) -> Json:
    """Return a part with text or a thought."""
    return {"text": text, "thought": True} if is_thought else {"text": text}


def call_part(call_id: str, name: str, arguments: Mapping[str, Any]) -> Json:
    """Return a part that calls a function."""
    return {"functionCall": {"id": call_id, "args": dict(arguments), "name": name}}


def response_part(call_id: str, name: str, response: Mapping[str, Any]) -> Json:
    """Return a part that responds to a call."""
    return {"functionResponse": {"id": call_id, "name": name, "response": dict(response)}}


def content(role: str, parts: Iterable[Json]) -> Json:
    """Return the content of an event."""
    return {"parts": list(parts), "role": role}


def failure_frame(kind: str, message: str, *, is_legacy: bool) -> Json:
    """Return the error frame of a turn that failed. It is not an event."""
    if is_legacy:
        return {"error": message}
    details = {"error_type": kind, "error_message": message, "timestamp": time.time()}
    return {"error": f"{kind}: {message}", "error_details": details}


def error_answer(refusal: Refusal, _request_id: str) -> Answer:
    """Return the response to a rejected request: a sentence, a list of problems, or plain text."""
    if refusal.details.get("is_text"):
        return Answer(refusal.message, refusal.status, media_type="text/plain")
    return Answer({"detail": refusal.details.get("findings", refusal.message)}, refusal.status)
