"""A provider for Qoder that tests step by hand, and its bodies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from polysession._core.flow import Call, Flow, Response
from polysession._core.operations import (
    Operations,
)
from polysession_qoder import (
    QoderAgentReference,
    QoderAgentWithOverrides,
    QoderBranch,
    QoderBudget,
    QoderCommit,
    QoderFileResource,
    QoderGithubRepository,
    QoderGitRepository,
    QoderMemoryStore,
    QoderProvider,
    QoderSessionAgentChanges,
    QoderSettings,
)
from support.flows import step

JsonObject = dict[str, Any]


KEY = "idempotency-key"


SESSION: JsonObject = {"id": "sess_1", "status": "idle", "metadata": {"team": "red", "kept": "yes"}}


BASE: JsonObject = {"agent": "agent_1", "environment": "env_1"}


PROVIDER = QoderProvider(QoderSettings(token="pt-made-up"))


OPERATIONS = Operations(PROVIDER)


def write(path: str) -> Call:
    """Return the call of a write, without its body."""
    return Call("POST", path, idempotency_header=KEY)


def sent(flow: Flow[Any], *answers: Response) -> tuple[Call, Any]:
    """Return the single call of a flow, without its body, and the body."""
    calls, _ = step(flow, *answers)
    assert len(calls) == 1
    call = calls[0]
    return replace(call, body=None), None if call.body is None else json.loads(call.body)


# Create.

CREATED: dict[str, tuple[Any, JsonObject]] = {
    "agent": ("agent_2", {"agent": "agent_2"}),
    "environment": ("env_2", {"environment_id": "env_2"}),
    "title": ("Ticket 42", {"title": "Ticket 42"}),
    "metadata": ({"team": "red", "empty": ""}, {"metadata": {"team": "red", "empty": ""}}),
}


CREATED_NATIVELY: dict[str, list[tuple[Any, Any]]] = {
    "agent": [
        (QoderAgentReference(id="agent_2"), {"type": "agent", "id": "agent_2"}),
        (QoderAgentReference(id="agent_2", version=3), {"type": "agent", "id": "agent_2", "version": 3}),
        (
            QoderAgentWithOverrides(
                id="agent_2", version=3, model="auto", system="Be brief.", tools=[], mcp_servers=[], skills=[]
            ),
            {
                "type": "agent_with_overrides",
                "id": "agent_2",
                "version": 3,
                "model": "auto",
                "system": "Be brief.",
                "tools": [],
                "mcp_servers": [],
                "skills": [],
            },
        ),
    ],
    "environment_variables": [("A=1;B=2", "A=1;B=2"), ({"A": "1;2"}, {"A": "1;2"})],
    "resources": [
        ([QoderFileResource(file_id="file_1")], [{"type": "file", "file_id": "file_1"}]),
        (
            [
                QoderGithubRepository(url="https://g.example/a", authorization_token="ghp", mount_path="/w"),
                QoderGithubRepository(url="https://g.example/b", checkout=QoderBranch(name="main")),
                QoderGitRepository(url="https://g.example/c", password="pw", checkout=QoderCommit(sha="c0ffee")),
                QoderMemoryStore(memory_store_id="memstore_1", access="read_only", instructions="Read first."),
            ],
            [
                {
                    "type": "github_repository",
                    "url": "https://g.example/a",
                    "authorization_token": "ghp",
                    "mount_path": "/w",
                },
                {
                    "type": "github_repository",
                    "url": "https://g.example/b",
                    "checkout": {"type": "branch", "name": "main"},
                },
                {
                    "type": "git_repository",
                    "url": "https://g.example/c",
                    "password": "pw",
                    "checkout": {"type": "commit", "sha": "c0ffee"},
                },
                {
                    "type": "memory_store",
                    "memory_store_id": "memstore_1",
                    "access": "read_only",
                    "instructions": "Read first.",
                },
            ],
        ),
    ],
    "vault_ids": [(["vault_1"], ["vault_1"])],
    "budget": [(QoderBudget(max_credit_cost="12.50"), {"type": "limit", "max_credit_cost": "12.50"})],
    "initial_events": [([{"type": "user.message"}], [{"type": "user.message"}])],
    "delta_flush_interval_ms": [(50, 50), (5000, 5000)],
    "memory_store_ids": [(["memstore_1"], ["memstore_1"])],
}


# Update.

UPDATED: dict[str, list[tuple[Any, JsonObject]]] = {
    "title": [("Done", {"title": "Done"}), ("", {"title": ""}), (None, {"title": None})],
    "metadata": [
        (
            {"priority": "high", "team": None, "empty": ""},
            {"metadata": {"priority": "high", "team": None, "empty": ""}},
        ),
        ({}, {"metadata": {}}),
    ],
}


UPDATED_NATIVELY: dict[str, list[tuple[Any, Any]]] = {
    "agent": [
        (QoderSessionAgentChanges(tools=[{"type": "custom"}]), {"tools": [{"type": "custom"}]}),
        (QoderSessionAgentChanges(mcp_servers=[]), {"mcp_servers": []}),
    ],
    "budget": [
        (QoderBudget(max_credit_cost="0.01"), {"type": "limit", "max_credit_cost": "0.01"}),
        (None, None),
    ],
    "environment_variables": [({"A": "1"}, {"A": "1"})],
    "delta_flush_interval_ms": [(50, 50), (5000, 5000)],
}
