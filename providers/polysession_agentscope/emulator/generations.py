"""The records of the AgentScope service, and the differences between its generations.

Current is 2.0.11 with SQL storage. Legacy is 2.0.0 with Redis storage.
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


class ServiceFault(Exception):  # noqa: N818  (an error of the service, which the emulator copies)
    """The service fails on such a request.

    It answers 500 in plain text and closes the connection.
    """


class CurrentGeneration:
    """Version 2.0.11.

    Attributes:
        bodies: The request bodies that it accepts.
        locks_running_sessions: Whether a change of a session is rejected while a turn runs.
        reminds: Whether the model gets the current time in a session's first turn, as a hint event.
        shares_credential_ids: Whether credential ids are unique across all users.
        model_card: Additional fields of a model in the catalogue.
    """

    bodies: ClassVar[Bodies] = wire_bodies.CURRENT
    locks_running_sessions: ClassVar[bool] = True
    reminds: ClassVar[bool] = True
    shares_credential_ids: ClassVar[bool] = True
    model_card: ClassVar[Mapping[str, Json]] = {"model_class": ""}

    def stamp(self) -> str:
        """Return the current time in the format of records: UTC, without a time zone."""
        return datetime.now(UTC).replace(tzinfo=None).isoformat()

    def credential(self, user_id: str, data: Json) -> Json:
        """Return a new credential record, with the caller's id if there is one."""
        return self._record(user_id) | {"id": data["id"] or hex_id(), "data": data}

    def agent(self, user_id: str, body: Json) -> Json:
        """Return a new agent record. Its data has a different id."""
        return self._record(user_id) | {"source": "user", "data": self.agent_data(body)}

    def agent_data(self, body: Json) -> Json:
        """Return the data in a new agent's record."""
        chat_config = self._default_configs() | body.get("chat_config", {}) | self._sent_configs(body)
        return {
            "id": hex_id(),
            "name": body["name"],
            "system_prompt": body["system_prompt"],
            "chat_config": chat_config,
        }

    def changed_agent_data(self, data: Json, changes: Json) -> Json:
        """Return an agent's data after a PATCH, which replaces whole parts of the configuration.

        Null has no effect.
        """
        configs = (changes.get("chat_config") or {}) | self._sent_configs(changes)
        texts = {key: changes[key] for key in ("name", "system_prompt") if changes.get(key) is not None}
        return data | texts | {"chat_config": data["chat_config"] | configs}

    def view(self, record: Json) -> Json:
        """Return a credential or an agent in the format of responses."""
        return record | {"editable": True}

    def session(self, user_id: str, agent_id: str, config: Json) -> Json:
        """Return a new session record."""
        return self._record(user_id) | {
            "agent_id": agent_id,
            "origin": {"type": "user"},
            "team_id": None,
            "config": config,
            "state": self._state(),
        }

    def session_config(self, body: Json, newest: Json | None) -> Json:
        """Return a new session's configuration.

        It shares the workspace of `newest`, the agent's newest session.
        """
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
        """Return a session's configuration after a PATCH. Null clears a field.

        Raises:
            ServiceFault: The name is null.
        """
        if "name" not in changes:
            return config | changes
        if changes["name"] is None:
            raise ServiceFault("the name of a session is null, which the service does not check")
        return config | changes | {"naming": {"auto": False}}

    def session_view(self, record: Json, status: str) -> Json:
        """Return a session in the format of a list: without its conversation."""
        state = record["state"] | {"context": [], "summary": "", "tool_context": self._tool_context()}
        return {
            "session": record | {"state": state},
            "is_running": status == "running",
            "status": status,
            "team": None,
        }

    def event(self, event: Json) -> Json:
        """Return an event in the format of streams."""
        return event

    def message(self, message: Json) -> Json:
        """Return a message in the format of responses."""
        return message

    def reply_state(self, reply_id: str, steps: int) -> Json:
        """Return the part of a session's state about the last reply, after this number of steps."""
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

    def _sent_configs(self, body: Json) -> Json:
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
    """Version 2.0.0, described by the documentation's page about updating a session."""

    bodies: ClassVar[Bodies] = wire_bodies.LEGACY
    locks_running_sessions: ClassVar[bool] = False
    reminds: ClassVar[bool] = False
    shares_credential_ids: ClassVar[bool] = False
    model_card: ClassVar[Mapping[str, Json]] = {}

    def stamp(self) -> str:
        """Return the current time in the format of records.

        It is the server's local time, without a time zone.
        """
        return local_stamp()

    def agent(self, user_id: str, body: Json) -> Json:
        """Return a new agent record."""
        return self._record(user_id) | {"data": self.agent_data(body)}

    def agent_data(self, body: Json) -> Json:
        """Return the data in a new agent's record."""
        named = {"id": hex_id(), "name": body["name"], "system_prompt": body["system_prompt"]}
        return named | self._default_configs() | self._sent_configs(body)

    def changed_agent_data(self, data: Json, changes: Json) -> Json:
        """Return an agent's data after a PATCH. Null changes nothing."""
        return data | _without_nulls(changes)

    def view(self, record: Json) -> Json:
        """Return a credential or an agent in the format of responses."""
        return record

    def session(self, user_id: str, agent_id: str, config: Json) -> Json:
        """Return a new session record."""
        return self._record(user_id) | {
            "agent_id": agent_id,
            "source": "user",
            "source_schedule_id": None,
            "config": config,
            "state": self._state(),
        }

    def session_config(self, body: Json, newest: Json | None) -> Json:  # noqa: ARG002  (workspaces were not shared)
        """Return a new session's configuration, with a new workspace."""
        return {
            "workspace_id": body.get("workspace_id") or hex_id(),
            "name": self._session_name(body),
            "chat_model_config": body.get("chat_model_config"),
        }

    def changed_session_config(self, config: Json, changes: Json) -> Json:
        """Return a session's configuration after a PATCH. Null changes nothing."""
        return config | _without_nulls(changes)

    def session_view(self, record: Json, status: str) -> Json:  # noqa: ARG002  (no status in lists)
        """Return a session in the format of a list: the bare record."""
        return record

    def event(self, event: Json) -> Json:
        """Return an event in the format of streams."""
        unknown = _UNKNOWN_TO_LEGACY["event"] | _UNKNOWN_TO_LEGACY.get(event["type"], set())
        return _without(unknown, event) | _legacy_blocks(event, "tool_calls")

    def message(self, message: Json) -> Json:
        """Return a message in the format of responses."""
        usage = message["usage"] and _without(_UNKNOWN_TO_LEGACY["usage"], message["usage"])
        return _without(_UNKNOWN_TO_LEGACY["message"], message) | _legacy_blocks(message, "content") | {"usage": usage}

    def reply_state(self, reply_id: str, steps: int) -> Json:
        """Return the part of a session's state about the last reply, after this number of steps."""
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
"""Keys that 2.0.0 does not have, by the object that contains them."""


def _without(keys: set[str], value: Json) -> Json:
    return {key: item for key, item in value.items() if key not in keys}


def _legacy_blocks(owner: Json, key: str) -> Json:
    """Return the blocks of a message or an event in the format of 2.0.0, if it has blocks."""
    return {key: [_legacy_block(block) for block in owner[key]]} if key in owner else {}


def _legacy_block(block: Json) -> Json:
    older = _without(_UNKNOWN_TO_LEGACY["block"], block)
    return older | _legacy_blocks(older, "output") if isinstance(older.get("output"), list) else older


def _without_nulls(changes: Json) -> Json:
    return {key: value for key, value in changes.items() if value is not None}
