"""Prepared responses of the server in the formats of the backends.

The number at the end of an id is the number of events: the stream of `sess_...020000` has 20,000. With `PACED` added to
the number, there is a pause before each event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import chain, count, islice
from typing import Any, Final

from benchmarks import agentscope_bodies

Json = dict[str, Any]

PAGE_SIZE: Final = 100
STREAMED: Final = 20_000
PACED: Final = 10**15

QODER_ID: Final = "sess_00000000000000000001"
EVERRUNS_ID: Final = f"session_{1:032d}"
QODER_CURSOR: Final = "evt_00000000000000000000"
EVERRUNS_CURSOR: Final = "event_00000000000000000000000000000000"

_MOMENT: Final = "2026-11-22T09:30:00.123456Z"
_WORDS: Final = ("The ", "failing ", "test ", "compares ", "two ", "times ", "in ", "different ", "zones", ". ")


def qoder_stream_id(events: int) -> str:
    """Return the id of a session whose stream has this number of events."""
    return f"sess_{events:020d}"


def everruns_stream_id(events: int) -> str:
    """Return the id of a session whose stream has this number of events."""
    return f"session_{events:032d}"


def qoder_session(number: int = 1) -> Json:
    """Return a session with an agent of three tools and two resources."""
    return {
        "id": qoder_stream_id(number),
        "type": "session",
        "status": "idle",
        "title": f"Ticket {number}: the build fails on the second run",
        "agent": {
            "id": "agent_01j9z5w2m3n4p5q6r7s8",
            "type": "agent",
            "version": 3,
            "name": "Builder",
            "description": "Repairs builds.",
            "system": "You repair builds. Say what you found before you change anything, and run the tests after.",
            "tools": [
                {"type": "agent_toolset_20260401", "enabled_tools": ["Bash", "Read", "Write", "Edit", "Grep"]},
                {"type": "mcp_toolset", "mcp_server_name": "tickets", "permission_policy": {"type": "always_ask"}},
                {
                    "type": "custom",
                    "name": "deploy",
                    "description": "Deploys a branch to the test site.",
                    "input_schema": {"type": "object", "properties": {"branch": {"type": "string"}}},
                },
            ],
            "skills": [],
            "mcp_servers": [{"type": "url", "name": "tickets", "url": "https://tickets.example/mcp"}],
            "model": {"id": "ultimate", "effective_context_window": 200_000},
        },
        "environment_id": "env_01j9z5w2m3n4p5q6r7s8",
        "environment_variables": {},
        "metadata": {"team": "red", "ticket": str(number), "priority": "high"},
        "resources": [
            {
                "id": f"sesr_{index:024x}",
                "type": "github_repository",
                "url": "https://github.com/example/build",
                "mount_path": f"/workspace/build{index}",
                "created_at": _MOMENT,
                "updated_at": _MOMENT,
            }
            for index in range(2)
        ],
        "vault_ids": ["vault_01j9z5w2m3n4p5q6r7s8"],
        "deployment_id": None,
        "outcome_evaluations": [],
        "stats": {"active_seconds": 12.5, "duration_seconds": 3600},
        "usage": {"total_credits": 1.25, "model_credits": 1.0, "sandbox_runtime_credits": 0.25},
        "archived_at": None,
        "created_at": _MOMENT,
        "updated_at": _MOMENT,
    }


def everruns_session(number: int = 1) -> Json:
    """Return a session with the links that newer servers add."""
    session_id = everruns_stream_id(number)
    return {
        "id": session_id,
        "tags": ["red", "build"],
        "title": f"Ticket {number}: the build fails on the second run",
        "created_at": _MOMENT,
        "updated_at": _MOMENT,
        "started_at": _MOMENT,
        "organization_id": "org_00000000000000000000000000000001",
        "owner_principal_id": "principal_185d5f4b136a157f37564ad485307a75",
        "harness_id": "harness_ca96e4c0d1eb22f2269a445cf5b636ae",
        "workspace_id": "wsp_234d456de14931661b55cd3d097a1e4e",
        "agent_id": "agent_10979bf8a7a4e5f47ffbdd4d23dfa8cf",
        "model_id": "model_3cd29c2779c799f4be253d41bc56c951",
        "status": "idle",
        "is_pinned": False,
        "capabilities": [{"ref": "web_fetch", "config": {"limit": 5}}, {"ref": "current_time", "config": {}}],
        "preview": "The build fails on the second run",
        "usage": {"input_tokens": 1200, "output_tokens": 340, "cache_read_tokens": 800, "effective_cost_usd": 0.0125},
        "self_url": f"https://app.everruns.com/api/v1/sessions/{session_id}",
        "allowed_actions": [
            {
                "rel": action,
                "method": "GET",
                "operation_id": f"{action}_session",
                "href": f"https://app.everruns.com/api/v1/sessions/{session_id}/{action}",
            }
            for action in ("self", "events", "update", "delete", "pin")
        ],
    }


def _qoder_turn(turn: int) -> Iterator[Json]:
    ids = (f"evt_{turn:012d}{index:08d}" for index in count())
    yield {"id": next(ids), "type": "session.status_running", "processed_at": _MOMENT}
    said = [{"type": "text", "text": "Fix the failing test"}]
    yield {"id": next(ids), "type": "user.message", "content": said, "processed_at": _MOMENT}
    for _ in range(2):
        request = next(ids)
        yield {"id": request, "type": "span.model_request_start", "processed_at": _MOMENT}
        message_id = next(ids)
        yield {"type": "event_start", "event": {"id": message_id, "type": "agent.message"}}
        for _ in range(3):
            for word in _WORDS:
                content = {"type": "text", "text": word}
                delta = {"type": "content_delta", "index": 0, "content": content}
                yield {"type": "event_delta", "event_id": message_id, "delta": delta}
        text = {"type": "text", "text": "".join(_WORDS) * 3}
        yield {"id": message_id, "type": "agent.message", "content": [text], "processed_at": _MOMENT}
        tool_id = next(ids)
        yield {
            "id": tool_id,
            "type": "agent.tool_use",
            "name": "Bash",
            "input": {"command": "pytest -x"},
            "processed_at": _MOMENT,
        }
        output = [{"type": "text", "text": "1 passed in 0.02s\n" * 5}]
        yield {
            "id": next(ids),
            "type": "agent.tool_result",
            "tool_use_id": tool_id,
            "content": output,
            "is_error": False,
            "processed_at": _MOMENT,
        }
        yield {
            "id": next(ids),
            "type": "span.model_request_end",
            "model_request_start_id": request,
            "is_error": False,
            "model_usage": {"credits": 0.05},
            "processed_at": _MOMENT,
        }
    yield {"id": next(ids), "type": "session.usage", "total_credits": 0.1, "processed_at": _MOMENT}
    end = {"type": "end_turn"}
    yield {"id": next(ids), "type": "session.status_idle", "stop_reason": end, "processed_at": _MOMENT}


def _everruns_turn(turn: int) -> Iterator[Json]:
    turn_id, ids, sequence = f"turn_{turn:032d}", count(turn * 1000), count(turn * 100 + 1)
    context = {"turn_id": turn_id, "input_message_id": f"message_{turn:032d}", "trace_id": turn_id}

    def event(kind: str, data: Json) -> Json:
        return {
            "id": f"event_{next(ids):032d}",
            "type": kind,
            "ts": "2026-11-22T09:30:00.123Z",
            "session_id": EVERRUNS_ID,
            "context": context,
            "data": data,
        }

    def stored(kind: str, data: Json) -> Json:
        return {**event(kind, data), "sequence": next(sequence)}

    def message(role: str, text: str) -> Json:
        content = [{"type": "text", "text": text}]
        return {"message": {"id": f"message_{turn:032d}", "role": role, "content": content, "created_at": _MOMENT}}

    yield stored("input.message", message("user", "Fix the failing test"))
    yield stored("session.activated", {"turn_id": turn_id})
    yield stored("turn.started", {"turn_id": turn_id})
    for _ in range(2):
        yield stored("output.message.started", {"turn_id": turn_id, "iteration": 1})
        so_far = ""
        for _ in range(3):
            for word in _WORDS:
                so_far += word
                yield event("output.message.delta", {"turn_id": turn_id, "delta": word, "accumulated": so_far})
        yield stored("output.message.completed", message("agent", so_far))
        call = {"id": f"call_{turn}", "name": "bash", "arguments": {"command": "pytest -x"}}
        yield stored("tool.started", {"tool_call": call})
        result = [{"type": "text", "text": "1 passed in 0.02s\n" * 5}]
        yield stored("tool.completed", {"tool_call_id": f"call_{turn}", "success": True, "result": result})
    yield stored("turn.completed", {"turn_id": turn_id, "usage": {"input_tokens": 1200, "output_tokens": 340}})
    yield stored("session.idled", {"turn_id": turn_id})


def _frame(backend: str, event: Json) -> bytes:
    """Return a frame as the backend sends it: AgentScope sends only data, and deltas have no `id`."""
    head = "" if backend == "agentscope" else f"event: {event['type']}\n"
    if head and "id" in event and not event["type"].endswith(".delta"):
        head = f"id: {event['id']}\n{head}"
    return f"{head}data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


_DELIVERED_AS_TWO: Final = frozenset({"session.status_running", "session.status_idle"})
"""Events that are read as two events: a status of the session, and the start or the end of the turn."""


@cache
def common_events(backend: str, events: int) -> int:
    """Return the number of common events that the first events of a stream are read as."""
    return events + sum(event["type"] in _DELIVERED_AS_TWO for event in _events(backend, events))


def _events(backend: str, events: int) -> Iterator[Json]:
    if backend == "agentscope":
        return islice(agentscope_bodies.events(), events)
    turn = _everruns_turn if backend == "everruns" else _qoder_turn
    return islice(chain.from_iterable(turn(number) for number in count()), events)


@cache
def stream_chunks(backend: str, events: int) -> tuple[bytes, ...]:
    """Return a number of events, each as one chunk, like agents send them."""
    return tuple(_frame(backend, event) for event in _events(backend, events))


def answers(backend: str) -> dict[str, bytes]:
    """Return the bodies of a backend: `session` and `page`, and for AgentScope also `messages`."""
    if backend == "agentscope":
        one, many = agentscope_bodies.session_list(1), agentscope_bodies.session_list(PAGE_SIZE)
        return _encoded(session=one, page=many, messages=agentscope_bodies.messages())
    if backend == "everruns":
        items = [everruns_session(number) for number in range(PAGE_SIZE)]
        page: Json = {"data": items, "total": PAGE_SIZE, "offset": 0, "limit": PAGE_SIZE, "next_url": None}
        return _encoded(session=everruns_session(), page=page)
    items = [qoder_session(number) for number in range(PAGE_SIZE)]
    page = {
        "data": items,
        "next_page": None,
        "first_id": items[0]["id"],
        "last_id": items[-1]["id"],
        "has_more": False,
    }
    return _encoded(session=qoder_session(), page=page)


def _encoded(**bodies: Json) -> dict[str, bytes]:
    return {name: json.dumps(body, separators=(",", ":")).encode() for name, body in bodies.items()}
