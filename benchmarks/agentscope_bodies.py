"""Prepared responses in AgentScope's format.

The id of the agent contains the number of sessions in its list.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from typing import Any, Final

Json = dict[str, Any]

AGENT_OF_ONE: Final = "agent_1"
AGENT_OF_MANY: Final = "agent_100"
SESSION_ID: Final = f"{1:032d}"
EVENTS_PER_TURN: Final = 88
"""Number of events in each reply: a stream of n events has n // 88 whole replies."""

_MOMENT: Final = "2026-11-22T09:30:00.123456"
_WORDS: Final = ("The ", "failing ", "test ", "compares ", "two ", "times ", "in ", "different ", "zones", ". ")


def stream_id(events: int) -> str:
    """Return the id of a session whose stream has this number of events."""
    return f"{events:032d}"


def session_list(size: int) -> Json:
    """Return the list of an agent's sessions."""
    return {"sessions": [_view(number) for number in range(1, size + 1)], "total": size}


def messages() -> Json:
    """Return the history of a session without messages."""
    return {"messages": [], "event_cursor": None, "is_running": False, "has_more": False}


def _view(number: int) -> Json:
    session = {
        "id": stream_id(number),
        "created_at": _MOMENT,
        "updated_at": _MOMENT,
        "user_id": "bench",
        "agent_id": AGENT_OF_ONE,
        "source": "user",
        "source_schedule_id": None,
        "team_id": None,
        "config": {
            "workspace_id": f"workspace_{number}",
            "name": f"Ticket {number}: the build fails on the second run",
            "cwd": None,
            "chat_model_config": {
                "type": "openai_credential",
                "credential_id": "credential_1",
                "model": "ultimate",
                "parameters": {"temperature": 0.2, "max_tokens": 4096},
                "model_class": "",
            },
            "fallback_chat_model_config": None,
            "tts_model_config": None,
            "knowledge_config": {},
        },
        "state": {
            "session_id": stream_id(number),
            "summary": "",
            "context": [],
            "cur_iter": 0,
            "permission_context": {"mode": "default", "working_directories": {}, "rules": []},
            "tool_context": {"activated_groups": ["basic"], "read_file_cache": []},
            "tasks_context": {"tasks": []},
        },
    }
    return {"session": session, "is_running": False, "status": "idle"}


def events() -> Iterator[Json]:
    """Yield the events of an endless sequence of replies."""
    return chain.from_iterable(_reply(number) for number in count())


def _reply(number: int) -> Iterator[Json]:
    ids, reply_id = count(number * 1000), f"reply_{number:026d}"

    def event(kind: str, **more: Any) -> Json:
        head = {"id": f"{next(ids):032d}", "created_at": _MOMENT, "metadata": {}}
        return {**head, "type": kind, "reply_id": reply_id, **more}

    yield event("REPLY_START", session_id=SESSION_ID, name="Builder", role="assistant")
    for step in range(2):
        call, block = f"call_{number}_{step}", f"block_{number}_{step}"
        yield event("MODEL_CALL_START", model_name="ultimate")
        yield event("TEXT_BLOCK_START", block_id=block)
        for _ in range(3):
            for word in _WORDS:
                yield event("TEXT_BLOCK_DELTA", block_id=block, delta=word)
        yield event("TEXT_BLOCK_END", block_id=block, text=None)
        yield event("TOOL_CALL_START", tool_call_id=call, tool_call_name="Bash")
        for piece in ('{"command": ', '"pytest -x"}'):
            yield event("TOOL_CALL_DELTA", tool_call_id=call, delta=piece)
        yield event("TOOL_CALL_END", tool_call_id=call)
        tokens = {"cache_input_tokens": 0, "cache_creation_input_tokens": 0}
        yield event("MODEL_CALL_END", input_tokens=1200, output_tokens=340, finished_reason="completed", **tokens)
        yield event("TOOL_RESULT_START", tool_call_id=call, tool_call_name="Bash")
        for _ in range(3):
            yield event("TOOL_RESULT_TEXT_DELTA", tool_call_id=call, delta="1 passed in 0.02s\n")
        yield event("TOOL_RESULT_END", tool_call_id=call, state="success")
    yield event("REPLY_END", session_id=SESSION_ID, finished_reason="completed", error=None)
