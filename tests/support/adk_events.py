"""Events in the format of the ADK API server."""

from __future__ import annotations

import json
from typing import Any

USAGE = {
    "promptTokenCount": 11,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 3,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 21,
}
ABORT = "Invocation was aborted by client."


def event(*parts: Any, **members: Any) -> bytes:
    """Return a complete event of the agent `assistant` in turn `e-1`.

    `members` replace its members; None omits one.
    """
    actions: dict[str, Any] = {
        "stateDelta": {},
        "artifactDelta": {},
        "requestedAuthConfigs": {},
        "requestedToolConfirmations": {},
    }
    value = {
        "content": {"parts": list(parts), "role": "model"} if parts else None,
        "invocationId": "e-1",
        "author": "assistant",
        "nodeInfo": {"path": "assistant@1"},
        "id": "ev-1",
        "timestamp": 1796035075.6470175,
        **members,
        "actions": {**actions, **members.get("actions", {})},
    }
    return json.dumps({name: each for name, each in value.items() if each is not None}).encode()


def fragment(*parts: Any, **members: Any) -> bytes:
    """Return a fragment, with the id of its complete event."""
    return event(*parts, partial=True, **members)


def answer(*parts: Any, **members: Any) -> bytes:
    """Return the complete event of one model call."""
    return event(*parts, **{"partial": False, "finishReason": "STOP", "usageMetadata": USAGE, **members})


def message(*parts: Any, **members: Any) -> bytes:
    """Return a stored message of the user."""
    return event(*parts, **{"author": "user", "id": "ev-0", **members})


def abort_event(*parts: Any, **members: Any) -> bytes:
    """Return the event that the server stores when a turn is aborted."""
    return event(*parts, **{"errorCode": "INVOCATION_ABORTED", "errorMessage": ABORT, "id": "ev-9", **members})


def text(words: str) -> dict[str, Any]:
    return {"text": words}


def thought(words: str) -> dict[str, Any]:
    return {"text": words, "thought": True}


def call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"functionCall": {"id": call_id, "args": arguments, "name": name}}


def result(call_id: str, name: str, response: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": call_id, "name": name, "response": response}}


def confirmation(request_id: str, call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    """Return the request to confirm a tool."""
    original = call(call_id, name, **arguments)["functionCall"]
    hint = {"hint": "Please approve or reject.", "confirmed": False}
    return call(request_id, "adk_request_confirmation", originalFunctionCall=original, toolConfirmation=hint)


def failure(kind: str, words: str) -> bytes:
    """Return the error frame of a turn that failed."""
    details = {"error_type": kind, "error_message": words, "timestamp": 1796035075.8}
    return json.dumps({"error": f"{kind}: {words}", "error_details": details}).encode()


def stored(*events: bytes, **members: Any) -> dict[str, Any]:
    """Return a session with these events."""
    return {
        "id": "s1",
        "appName": "assistant",
        "userId": "alice",
        "state": {},
        "events": [json.loads(each) for each in events],
        "lastUpdateTime": 1796035075.749,
        **members,
    }
