"""Events of the ADK API server, as it writes them."""

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
    """A whole event of the agent `assistant`, in the turn `e-1`. Members may be overwritten; None leaves one out."""
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
    """A fragment, under the id of its whole."""
    return event(*parts, partial=True, **members)


def answer(*parts: Any, **members: Any) -> bytes:
    """The whole of one call of the model."""
    return event(*parts, **{"partial": False, "finishReason": "STOP", "usageMetadata": USAGE, **members})


def message(*parts: Any, **members: Any) -> bytes:
    """A message of the user, as it is stored."""
    return event(*parts, **{"author": "user", "id": "ev-0", **members})


def seal(*parts: Any, **members: Any) -> bytes:
    """The stored events of a turn that was aborted."""
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
    """The request for a confirmation of a tool."""
    original = call(call_id, name, **arguments)["functionCall"]
    asked = {"hint": "Please approve or reject.", "confirmed": False}
    return call(request_id, "adk_request_confirmation", originalFunctionCall=original, toolConfirmation=asked)


def failure(kind: str, words: str) -> bytes:
    """The frame of a turn that failed, which is no event."""
    details = {"error_type": kind, "error_message": words, "timestamp": 1796035075.8}
    return json.dumps({"error": f"{kind}: {words}", "error_details": details}).encode()


def stored(*events: bytes, **members: Any) -> dict[str, Any]:
    """A session with these events."""
    return {
        "id": "s1",
        "appName": "assistant",
        "userId": "alice",
        "state": {},
        "events": [json.loads(each) for each in events],
        "lastUpdateTime": 1796035075.749,
        **members,
    }
