"""A provider for Everruns that tests step by hand, and its bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polysession._core.flow import Call
from polysession._core.operations import Operations
from polysession_everruns import (
    EverrunsCapability,
    EverrunsClientTool,
    EverrunsInitialFile,
    EverrunsNetworkAccess,
    EverrunsProvider,
    EverrunsSettings,
)
from support.flows import sent_bodies

ID = "session_0195e0c0000070008000000000000001"


PATH = f"/v1/sessions/{ID}"


SESSION = {"id": ID, "status": "idle", "tags": ["a", "b"], "title": "Old"}


PROVIDER = EverrunsProvider(EverrunsSettings(api_key="evr_pat_test"))


OPERATIONS = Operations(PROVIDER)


def summary(call: Call) -> tuple[str, str, Any]:
    """Return a call's method, path and body.

    The parts that no call of this backend has are checked.
    """
    assert (dict(call.headers), call.after_s, call.read_only, call.idempotency_header) == ({}, 0.0, False, None)
    return call.method, call.path, sent_bodies([call])[0]


# --- Create

TOOL = EverrunsClientTool(name="look_up", description="Looks up", parameters={"type": "object"})


TOOL_BODY = {"type": "client_side", "name": "look_up", "description": "Looks up", "parameters": {"type": "object"}}


DEFINITION: Mapping[str, tuple[Any, Any]] = {
    "harness_id": ("harness_1", "harness_1"),
    "harness_name": ("generic", "generic"),
    "tools": ([TOOL], [TOOL_BODY]),
    "initial_files": (
        [EverrunsInitialFile(path="/a", content="eA==", encoding="base64", is_readonly=True)],
        [{"path": "/a", "content": "eA==", "encoding": "base64", "is_readonly": True}],
    ),
    "mcp_servers": ({"docs": {"url": "https://mcp.example"}}, {"docs": {"url": "https://mcp.example"}}),
    "network_access": (EverrunsNetworkAccess(blocked=["*.example"]), {"blocked": ["*.example"]}),
    "max_iterations": (0, 0),
    "parallel_tool_calls": (False, False),
}


NEW_AGENT: Mapping[str, tuple[Any, Any]] = {
    **DEFINITION,
    "id": ("agent_1", "agent_1"),
    "display_name": ("Helper", "Helper"),
    "tags": (["x"], ["x"]),
    "capabilities": (
        [EverrunsCapability(ref="web_fetch"), EverrunsCapability(ref="current_time", config={})],
        [{"ref": "web_fetch"}, {"ref": "current_time", "config": {}}],
    ),
}


def wire_name(name: str) -> str:
    return "mcpServers" if name == "mcp_servers" else name
