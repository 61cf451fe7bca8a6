"""The records of the AgentScope service, and the rules in which its generations differ.

Current: 2.0.10 with SQL storage. Seed: 2.0.0, whose storage was Redis.
https://docs.agentscope.io/api-reference (read 2026-11)
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import ClassVar

from polysession.emulation import hex_id
from polysession_agentscope import emulator_bodies
from polysession_agentscope.emulator_bodies import Bodies
from polysession_agentscope.emulator_shapes import Json

_MODEL_CONFIGS = (
    "chat_model_config",
    "fallback_chat_model_config",
    "tts_model_config",
    "realtime_model_config",
)
_TOOL_CONTEXT = {"max_cache_files": 100, "max_cache_bytes": 25000.0, "read_file_cache": [], "activated_groups": []}


class ServiceFault(Exception):  # noqa: N818  (not an error of the emulator: the service fails here too)
    """The service does not handle this request: it answers 500 in plain text and drops the connection."""


class CurrentGeneration:
    """Version 2.0.10.

    Attributes:
        bodies: The request bodies it takes.
        config_keys: The parts of a session's configuration that name models; null clears them.
        edits_running_sessions: Whether a session can be changed while a turn runs.
        credential_ids_are_global: Whether one user's credential id is taken for all others.
    """

    bodies: ClassVar[Bodies] = emulator_bodies.CURRENT
    edits_running_sessions: ClassVar[bool] = False
    credential_ids_are_global: ClassVar[bool] = True

    def stamp(self) -> str:
        """This moment as records show it: UTC, without saying so."""
        return datetime.now(UTC).replace(tzinfo=None).isoformat()
