"""The records of the AgentScope service, and the rules in which its generations differ.

Current is 2.0.11 with SQL storage. Legacy is 2.0.0, whose storage was Redis.
https://docs.agentscope.io/api-reference (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from polysession.emulation import hex_id
from polysession_agentscope.emulator import bodies as wire_bodies
from polysession_agentscope.emulator.bodies import Bodies
from polysession_agentscope.emulator.events import local_stamp
from polysession_agentscope.emulator.shapes import Json


class ServiceFault(Exception):  # noqa: N818  (no fault of the emulator: the service fails here too)
    """The service does not handle such a request: it answers 500 in plain text and drops the connection."""


class CurrentGeneration:
    """Version 2.0.11.

    Attributes:
        bodies: The request bodies it takes.
        locks_running_sessions: Whether a session cannot be changed while a turn runs.
        reminds: Whether the model gets the time in a session's first turn, which streams show.
        shares_credential_ids: Whether a credential id that one user chose is taken for all others.
        model_card: Fields of a model in the catalogue that only this generation has.
    """

    bodies: ClassVar[Bodies] = wire_bodies.CURRENT
    locks_running_sessions: ClassVar[bool] = True
    reminds: ClassVar[bool] = True
    shares_credential_ids: ClassVar[bool] = True
    model_card: ClassVar[Mapping[str, Json]] = {"model_class": ""}

    def stamp(self) -> str:
        """This moment as records show it: in UTC, without saying so."""
        return datetime.now(UTC).replace(tzinfo=None).isoformat()

    def credential(self, user_id: str, data: Json) -> Json:
        """A new credential record; the caller's choice of id is honoured."""
        return self._record(user_id) | {"id": data["id"] or hex_id(), "data": data}

    def agent(self, user_id: str, body: Json) -> Json:
        """A new agent record; the id within its data is another one."""
        return self._record(user_id) | {"source": "user", "data": self.agent_data(body)}

    def agent_data(self, body: Json) -> Json:
        """The data in a new agent's record."""
        chat_config = self._default_configs() | body.get("chat_config", {}) | self._given_configs(body)
        return {
            "id": hex_id(),
            "name": body["name"],
            "system_prompt": body["system_prompt"],
            "chat_config": chat_config,
        }

    def changed_agent_data(self, data: Json, changes: Json) -> Json:
        """An agent's data after a PATCH: a part of the configuration is replaced whole, null keeps."""
        configs = (changes.get("chat_config") or {}) | self._given_configs(changes)
        texts = {key: changes[key] for key in ("name", "system_prompt") if changes.get(key) is not None}
        return data | texts | {"chat_config": data["chat_config"] | configs}

    def view(self, record: Json) -> Json:
        """A credential or an agent as answers show it."""
        return record | {"editable": True}

    def session(self, user_id: str, agent_id: str, config: Json) -> Json:
        """A new session record."""
        return self._record(user_id) | {
            "agent_id": agent_id,
            "origin": {"type": "user"},
            "team_id": None,
            "config": config,
            "state": self._state(),
        }

    def session_config(self, body: Json, newest: Json | None) -> Json:
        """A new session's configuration; `newest` is the agent's newest session, whose workspace is shared."""
        shared = newest["config"]["workspace_id"] if newest else hex_id()
        return {
            "workspace_id": body.get("workspace_id") or shared,
            "name": self._session_name(body),
            "naming": {"auto": body.get("name") is None},
            "cwd": None,
            "chat_model_config": body.get("chat_model_config"),
            "fallback_chat_model_config": body.get("fallback_chat_model_config"),
            "tts_model_config": body.get("tts_model_config"),
            "realtime_model_config": body.get("realtime_model_config"),
            "knowledge_config": body.get("knowledge_config"),
        }

    def changed_session_config(self, config: Json, changes: Json) -> Json:
        """A session's configuration after a PATCH: null clears.

        Raises:
            ServiceFault: The name was null.
        """
        if "name" not in changes:
            return config | changes
        if changes["name"] is None:
            raise ServiceFault("a session's name cannot be null, and the service does not check it")
        return config | changes | {"naming": {"auto": False}}

    def session_view(self, record: Json, status: str) -> Json:
        """A session as a list shows it: without its conversation."""
        state = record["state"] | {"context": [], "summary": "", "tool_context": self._tool_context()}
        return {
            "session": record | {"state": state},
            "is_running": status == "running",
            "status": status,
            "team": None,
        }

    def event(self, event: Json) -> Json:
        """An event as streams show it."""
        return event

    def message(self, message: Json) -> Json:
        """A message as answers show it."""
        return message

    def reply_state(self, reply_id: str, steps: int) -> Json:
        """The last reply in a session's state, after so many steps."""
        return {
            "reply_context": {
                "reply_id": reply_id,
                "cur_iter": steps,
                "structured_schema": None,
                "structured_output": None,
            }
        }

    def _record(self, user_id: str) -> Json:
        return {"id": hex_id(), "updated_at": self.stamp(), "created_at": self.stamp(), "user_id": user_id}

    def _session_name(self, body: Json) -> str:
        local_time = datetime.now(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return local_time if body.get("name") is None else str(body["name"])

    def _default_configs(self) -> Json:
        return {key: shape.read({}, (), []) for key, shape in self.bodies.agent_configs.items()}

    def _given_configs(self, body: Json) -> Json:
        return {key: body[key] for key in self.bodies.agent_configs if body.get(key) is not None}

    def _state(self) -> Json:
        return {
            "session_id": hex_id(),
            "summary": "",
            "context": [],
            **self._reply(),
            "permission_context": {
                "mode": "default",
                "working_directories": {},
                "allow_rules": {},
                "deny_rules": {},
                "ask_rules": {},
            },
            "tool_context": self._tool_context(),
            "tasks_context": {"tasks": []},
        }

    def _reply(self) -> Json:
        return self.reply_state(hex_id(), 0) | {"middle_context": {}}

    def _tool_context(self) -> Json:
        return {"max_cache_files": 100, "max_cache_bytes": 25000.0, "read_file_cache": [], "activated_groups": []}


class LegacyGeneration(CurrentGeneration):
    """Version 2.0.0, which the documentation's page on updating a session describes."""

    bodies: ClassVar[Bodies] = wire_bodies.LEGACY
    locks_running_sessions: ClassVar[bool] = False
    reminds: ClassVar[bool] = False
    shares_credential_ids: ClassVar[bool] = False
    model_card: ClassVar[Mapping[str, Json]] = {}

    def stamp(self) -> str:
        """This moment as records show it: the server's local time, without saying so."""
        return local_stamp()

    def agent(self, user_id: str, body: Json) -> Json:
        """A new agent record."""
        return self._record(user_id) | {"data": self.agent_data(body)}

    def agent_data(self, body: Json) -> Json:
        """The data in a new agent's record."""
        named = {"id": hex_id(), "name": body["name"], "system_prompt": body["system_prompt"]}
        return named | self._default_configs() | self._given_configs(body)

    def changed_agent_data(self, data: Json, changes: Json) -> Json:
        """An agent's data after a PATCH: null keeps."""
        return data | _without_nulls(changes)

    def view(self, record: Json) -> Json:
        """A credential or an agent as answers show it."""
        return record

    def session(self, user_id: str, agent_id: str, config: Json) -> Json:
        """A new session record."""
        return self._record(user_id) | {
            "agent_id": agent_id,
            "source": "user",
            "source_schedule_id": None,
            "config": config,
            "state": self._state(),
        }

    def session_config(self, body: Json, newest: Json | None) -> Json:  # noqa: ARG002  (workspaces were not shared)
        """A new session's configuration, with a workspace of its own."""
        return {
            "workspace_id": body.get("workspace_id") or hex_id(),
            "name": self._session_name(body),
            "chat_model_config": body.get("chat_model_config"),
        }

    def changed_session_config(self, config: Json, changes: Json) -> Json:
        """A session's configuration after a PATCH: null keeps."""
        return config | _without_nulls(changes)

    def session_view(self, record: Json, status: str) -> Json:  # noqa: ARG002  (no status in lists)
        """A session as a list shows it: the bare record."""
        return record

    def event(self, event: Json) -> Json:
        """An event as streams show it."""
        unknown = _UNKNOWN_TO_LEGACY["event"] | _UNKNOWN_TO_LEGACY.get(event["type"], set())
        return _without(unknown, event) | _legacy_blocks(event, "tool_calls")

    def message(self, message: Json) -> Json:
        """A message as answers show it."""
        usage = message["usage"] and _without(_UNKNOWN_TO_LEGACY["usage"], message["usage"])
        return _without(_UNKNOWN_TO_LEGACY["message"], message) | _legacy_blocks(message, "content") | {"usage": usage}

    def reply_state(self, reply_id: str, steps: int) -> Json:
        """The last reply in a session's state, after so many steps."""
        return {"reply_id": reply_id, "cur_iter": steps}

    def _reply(self) -> Json:
        return self.reply_state(hex_id(), 0)


_UNKNOWN_TO_LEGACY: Final[Mapping[str, set[str]]] = {
    "event": {"metadata"},
    "REPLY_END": {"finished_reason", "error"},
    "MODEL_CALL_END": {"cache_input_tokens", "cache_creation_input_tokens", "finished_reason"},
    "TEXT_BLOCK_END": {"text"},
    "message": {"finished_reason", "structured_output", "error"},
    "usage": {"cache_input_tokens", "cache_creation_input_tokens"},
    "block": {"created_at", "finished_at", "metadata"},
}
"""Keys that 2.0.0 did not have yet, by what they are a part of."""


def _without(keys: set[str], value: Json) -> Json:
    return {key: item for key, item in value.items() if key not in keys}


def _legacy_blocks(owner: Json, key: str) -> Json:
    """The blocks of a message or an event in their older shape, if it has some."""
    return {key: [_legacy_block(block) for block in owner[key]]} if key in owner else {}


def _legacy_block(block: Json) -> Json:
    older = _without(_UNKNOWN_TO_LEGACY["block"], block)
    return older | _legacy_blocks(older, "output") if isinstance(older.get("output"), list) else older


def _without_nulls(changes: Json) -> Json:
    return {key: value for key, value in changes.items() if value is not None}
