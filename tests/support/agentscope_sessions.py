"""AgentScope's sessions and agents, written by hand: calls, responses and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polysession._core.flow import Call, Flow, Response
from polysession._core.operations import Operations
from polysession.errors import Conflict, PolysessionError, StatusError
from polysession.session import ModelConfig
from polysession_agentscope import (
    AgentScopeChatModelConfig,
    AgentScopeKnowledgeConfig,
    AgentScopeModelConfig,
    AgentScopeProvider,
    AgentScopeSettings,
)
from polysession_agentscope.sessions import to_session
from support.agentscope_reading import text_of
from support.flows import ok, sent_bodies

BASE = {"base_url": "http://agents.test", "user_id": "u1"}
PROVIDER = AgentScopeProvider(AgentScopeSettings(**BASE, agent_id="a1"))
OPERATIONS = Operations(PROVIDER)

LIST = ("GET", "/sessions/?agent_id=a1", None)
DELETE = ("DELETE", "/sessions/s1?agent_id=a1", None)

CONFIG = {
    "workspace_id": "w1",
    "name": "first",
    "cwd": None,
    "chat_model_config": None,
    "fallback_chat_model_config": None,
    "tts_model_config": None,
    "realtime_model_config": None,
    "knowledge_config": None,
}
RECORD = {
    "id": "s1",
    "agent_id": "a1",
    "user_id": "u1",
    "created_at": "2026-11-22T03:55:46.199398",
    "config": CONFIG,
    "state": {"permission_context": {"mode": "default"}},
}
# The item of a list of server 2.0.0.
LEGACY = {**RECORD, "config": {"workspace_id": "w1", "name": "first", "chat_model_config": None}, "source": "user"}
AGENT = {"id": "a1", "created_at": "2026-11-22T03:00:00", "data": {"id": "x", "name": "Helper", "system_prompt": "Hi"}}


def patch(body: dict[str, Any]) -> tuple[str, str, Any]:
    return ("PATCH", "/sessions/s1?agent_id=a1", body)


def view(status: str = "idle", **record: Any) -> dict[str, Any]:
    return {"session": {**RECORD, **record}, "status": status, "is_running": status == "running", "team": None}


def listed(*items: Any) -> Response:
    return ok({"sessions": items, "total": len(items)})


def refused(kind: type[StatusError], status: int, detail: Any) -> StatusError:
    """Return the error for an error response."""
    return kind(PROVIDER.read_error(ok({"detail": detail}, status)).message, status=status)


def running() -> StatusError:
    return refused(Conflict, 409, "Cannot modify session configuration while the session is running.")


HANDLE = to_session(text_of(view()))


def summaries(calls: list[Call]) -> list[tuple[str, str, Any]]:
    """Return the calls, after a check of the parts that no call of this backend has."""
    assert {(len(call.headers), call.read_only, call.idempotency_header) for call in calls} <= {(0, False, None)}
    return [(call.method, call.path, body) for call, body in zip(calls, sent_bodies(calls), strict=True)]


def outcome(flow: Flow[Any]) -> Flow[PolysessionError]:
    """Return the error that a flow raises as its result."""
    try:
        yield from flow
    except PolysessionError as error:
        return error
    raise AssertionError("the flow raised no error")


PROBLEM = {"type": "missing", "loc": ["body", "name"], "msg": "Field required", "input": {"api_key": "hidden"}}


MODEL = ModelConfig(id="m", type="openai_credential", credential_id="c1", parameters={"temperature": 0.5})
MODEL_BODY = {"type": "openai_credential", "credential_id": "c1", "model": "m", "parameters": {"temperature": 0.5}}
NATIVE_MODEL = AgentScopeModelConfig(type="t", credential_id="c2", model="n", parameters={})
NATIVE_CHAT_MODEL = AgentScopeChatModelConfig(type="t", credential_id="c2", model="n", parameters={}, model_class="n")
NATIVE_MODEL_BODY = {"type": "t", "credential_id": "c2", "model": "n", "parameters": {}}
KNOWLEDGE = AgentScopeKnowledgeConfig(knowledge_base_ids=["k1"], parameters={"top_k": 3})
CONFIGS: Mapping[str, tuple[Any, Any]] = {
    "fallback_chat_model_config": (NATIVE_CHAT_MODEL, NATIVE_MODEL_BODY | {"model_class": "n"}),
    "tts_model_config": (NATIVE_MODEL, NATIVE_MODEL_BODY),
    "realtime_model_config": (NATIVE_MODEL, NATIVE_MODEL_BODY),
    "knowledge_config": (KNOWLEDGE, {"knowledge_base_ids": ["k1"], "parameters": {"top_k": 3}}),
}
CHANGES = {**CONFIGS, "cwd": ("src", "src")}
