"""An emulator of the AgentScope agent service: its routes and initial resources.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

from typing import Final

from polysession.emulation import Emulator, Generation, InitialResources, ModelConfig, build_app, hex_id
from polysession_agentscope.emulator import chat
from polysession_agentscope.emulator.generations import CurrentGeneration, LegacyGeneration
from polysession_agentscope.emulator.inputs import CHAT
from polysession_agentscope.emulator.requests import Operation, error_answer
from polysession_agentscope.emulator.shapes import Json
from polysession_agentscope.emulator.state import NotFound, State

_USER_ID: Final = "emulator"
_VERSION: Final = "2.0.11"
_HEALTH: Final = {
    "status": "ok",
    "version": _VERSION,
    "components": {
        "storage": "ok",
        "message_bus": "ok",
        "workspace_manager": "ok",
        "background_task_manager": "ok",
        "chat_run_registry": "ok",
        "scheduler_manager": "ok",
        "resource_access_service": "ok",
        "chat_service": "ok",
        "session_service": "ok",
        "mcp_hubs": "disabled",
        "skill_hubs": "disabled",
        "knowledge_base": "disabled",
    },
}
_CREDENTIAL_TYPE: Final = "openai_credential"
_CREDENTIAL_SCHEMA: Final = {
    "title": "OpenAI API",
    "type": "object",
    "required": ["api_key"],
    "properties": {
        "type": {"const": _CREDENTIAL_TYPE, "type": "string"},
        "id": {"type": "string"},
        "name": {"type": "string"},
        "api_key": {"type": "string", "format": "password", "writeOnly": True},
        "organization": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "base_url": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
}
_MODEL_CARD: Final = {
    "type": "chat_model",
    "name": "demo-model",
    "label": "Demo model",
    "status": "active",
    "deprecated_at": None,
    "input_types": ["text/plain"],
    "output_types": ["text/plain"],
    "context_size": 128_000,
    "output_size": 16_000,
    "parameter_schema": {"type": "object", "properties": {}},
    "parameters_overrides": {},
}


class AgentScopeEmulator(Emulator):
    """AgentScope's agent service 2.0.11, in memory; the legacy generation is 2.0.0.

    The user `emulator` owns the initial agent and credential. Any other user id is a new, empty tenant.
    A turn fails unless the session has a `chat_model_config` with an existing credential.

    Attributes:
        pace: Durations of the service's work.
    """

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self.version = None if generation == "legacy" else _VERSION
        rules = LegacyGeneration() if generation == "legacy" else CurrentGeneration()
        self._state = State(rules, self.scripts)
        self.pace = self._state.pace
        credential_id = self._state.create_credential(
            _USER_ID, {"type": "openai_credential", "name": "Emulated credential", "api_key": "not-a-key"}
        )
        self.initial = InitialResources(
            agent_id=self._state.create_agent(_USER_ID, {"name": "Emulated agent", "system_prompt": "Echo."}),
            credential_id=credential_id,
            workspace_id=hex_id(),
            model=ModelConfig(id="demo-model", type="openai_credential", credential_id=credential_id),
        )
        self.settings = {"user_id": _USER_ID, "agent_id": self.initial.agent_id}
        self.routes = [each.route(self._state) for each in _OPERATIONS if generation in each.generations]
        self.app = build_app(
            self.routes,
            error=error_answer,
            request_ids=None,
            redirects_slashes=True,
        )

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session run a turn without a script for `duration_s` seconds.

        Raises:
            KeyError: There is no such session.
        """
        self._state.start_turn(session_id, duration_s)

    def open_streams(self, session_id: str) -> int:
        """Return the number of open streams of a session.

        Raises:
            KeyError: There is no such session.
        """
        session = self._state.find_session(session_id)
        if session is None:
            raise KeyError(session_id)
        return session.conversation.log.followers + session.conversation.streaming


def _listed(name: str, items: list[Json]) -> Json:
    return {name: items, "total": len(items)}


def _models(state: State, provider: str) -> Json:
    """Return the models of one type of credential."""
    if provider != _CREDENTIAL_TYPE:
        raise NotFound("Provider", provider)
    return _listed("models", [{**_MODEL_CARD, **state.generation.model_card}])


_OPERATIONS: Final = (
    Operation("GET", "/health", lambda *_: _HEALTH, generations=("current",)),
    Operation(
        "GET",
        "/credential/schemas",
        lambda *_: {"schemas": [_CREDENTIAL_SCHEMA]},
        anonymous=True,
    ),
    Operation(
        "GET",
        "/model/",
        lambda state, request: _models(state, request.query["provider"]),
        query=lambda bodies: bodies.models_query,
        anonymous=True,
    ),
    Operation(
        "GET",
        "/credential/",
        lambda state, request: _listed("credentials", state.list_credentials(request.user_id)),
    ),
    Operation(
        "POST",
        "/credential/",
        lambda state, request: {"credential_id": state.create_credential(request.user_id, request.body["data"])},
        status=201,
        body=lambda bodies: bodies.credential,
    ),
    Operation(
        "PATCH",
        "/credential/{item_id}",
        lambda state, request: state.replace_credential(request.user_id, request.item_id, request.body["data"]),
        body=lambda bodies: bodies.credential,
    ),
    Operation(
        "DELETE",
        "/credential/{item_id}",
        lambda state, request: state.delete_credential(request.user_id, request.item_id),
        status=204,
    ),
    Operation(
        "GET",
        "/agent/",
        lambda state, request: _listed("agents", state.list_agents(request.user_id)),
    ),
    Operation(
        "POST",
        "/agent/",
        lambda state, request: {"agent_id": state.create_agent(request.user_id, request.body)},
        status=201,
        body=lambda bodies: bodies.create_agent,
    ),
    Operation(
        "PATCH",
        "/agent/{item_id}",
        lambda state, request: state.update_agent(request.user_id, request.item_id, request.body),
        body=lambda bodies: bodies.update_agent,
    ),
    Operation(
        "DELETE",
        "/agent/{item_id}",
        lambda state, request: state.delete_agent(request.user_id, request.item_id),
        status=204,
    ),
    Operation(
        "GET",
        "/sessions/",
        lambda state, request: _listed("sessions", state.list_sessions(request.user_id, request.agent_id)),
        agent_in_query=True,
    ),
    Operation(
        "POST",
        "/sessions/",
        lambda state, request: {"session_id": state.create_session(request.user_id, request.body)},
        status=201,
        body=lambda bodies: bodies.create_session,
    ),
    # DELETE is listed before PATCH, because a 405 response names the first of them as allowed.
    Operation(
        "DELETE",
        "/sessions/{item_id}",
        lambda state, request: state.delete_session(request.user_id, request.item_id),
        status=204,
        agent_in_query=True,
    ),
    Operation(
        "PATCH",
        "/sessions/{item_id}",
        lambda state, request: state.update_session(request.user_id, request.item_id, request.body),
        body=lambda bodies: bodies.update_session,
        agent_in_query=True,
    ),
    Operation(
        "GET",
        "/sessions/{item_id}/status",
        lambda state, request: {
            "session_id": request.item_id,
            "status": state.session_status(request.user_id, request.item_id),
        },
        agent_in_query=True,
        generations=("current",),
    ),
    Operation(
        "POST",
        "/sessions/{item_id}/interrupt",
        lambda state, request: chat.interrupt(state, request.user_id, request.agent_id, request.item_id),
        status=202,
        agent_in_query=True,
        generations=("current",),
    ),
    Operation(
        "GET",
        "/sessions/{item_id}/messages",
        lambda state, request: chat.messages(state, request.user_id, request.item_id, request.query),
        query=lambda bodies: bodies.messages_query,
        agent_in_query=True,
        generations=("current",),
    ),
    Operation(
        "GET",
        "/sessions/{item_id}/messages",
        lambda state, request: chat.messages_by_offset(state, request.user_id, request.item_id, request.query),
        query=lambda bodies: bodies.messages_query,
        agent_in_query=True,
        generations=("legacy",),
    ),
    Operation(
        "GET",
        "/sessions/{item_id}/stream",
        lambda state, request: chat.stream(state, request.user_id, request.item_id, request.query.get("after")),
        query=lambda bodies: bodies.stream_query,
        agent_in_query=True,
        generations=("current",),
    ),
    Operation(
        "POST",
        "/chat/",
        lambda state, request: chat.start(state, request.user_id, request.body),
        body=lambda _: CHAT,
        generations=("current",),
    ),
    Operation(
        "POST",
        "/chat/",
        lambda state, request: chat.stream_turn(state, request.user_id, request.body),
        body=lambda _: CHAT,
        generations=("legacy",),
    ),
)
