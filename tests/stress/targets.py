"""Differences of the backends: settings, arguments, and complete answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from polysession import Session

STAMP = "2026-11-22T03:55:46.199398"


@dataclass(frozen=True)
class Target:
    """One backend, called without an emulator.

    Attributes:
        provider: Name of the provider.
        settings: Settings besides the address.
        create: Arguments of a creation.
        whole: Bodies that answer each operation; AgentScope's changes take two calls.
    """

    provider: str
    settings: dict[str, Any]
    create: dict[str, Any]
    whole: dict[str, tuple[dict[str, Any], ...]]

    @property
    def session(self) -> Session:
        """A handle of a session."""
        return Session(provider=self.provider, id="sess_1", agent_id="agent_1")

    def uses(self) -> dict[str, Any]:
        """Each operation, as a function of a client."""
        return {
            "get": lambda client: client.sessions.get(self.session),
            "list": lambda client: client.sessions.list().page(),
            "create": lambda client: client.sessions.create(**self.create),
            "update": lambda client: client.sessions.update(self.session, title="x"),
            "send": lambda client: client.sessions.send(self.session, "hi"),
            "delete": lambda client: client.sessions.delete(self.session),
            "cancel": lambda client: client.sessions.cancel(self.session),
        }

    def bodies(self, operation: str) -> list[bytes]:
        """The bodies that answer an operation."""
        return [json.dumps(body).encode() for body in self.whole[operation]]


_QODER_SESSION = {
    "id": "sess_1",
    "type": "session",
    "status": "idle",
    "title": "Ticket",
    "agent": {"id": "agent_1", "type": "agent", "version": 1, "name": "a", "model": {"id": "m"}},
    "environment_id": "env_1",
    "metadata": {},
    "created_at": STAMP + "Z",
    "updated_at": STAMP + "Z",
}
_EVERRUNS_SESSION = {
    "id": "sess_1",
    "organization_id": "org_1",
    "agent_id": "agent_1",
    "title": "Ticket",
    "status": "idle",
    "tags": [],
    "created_at": STAMP + "Z",
    "updated_at": STAMP + "Z",
}
_AGENTSCOPE_SESSION = {
    "id": "sess_1",
    "agent_id": "agent_1",
    "user_id": "alice",
    "created_at": STAMP,
    "updated_at": STAMP,
    "config": {"workspace_id": "w", "name": "Ticket"},
    "state": {},
}
_AGENTSCOPE_LIST = {"sessions": [{"session": _AGENTSCOPE_SESSION, "is_running": False, "status": "idle"}], "total": 1}

TARGETS = {
    "qoder": Target(
        "qoder",
        {"token": "pt-1"},
        {"agent": "agent_1", "environment": "env_1"},
        {
            "get": (_QODER_SESSION,),
            "list": ({"data": [_QODER_SESSION], "has_more": False},),
            "create": (_QODER_SESSION,),
            "update": (_QODER_SESSION,),
        },
    ),
    "anthropic": Target(
        "anthropic",
        {"api_key": "sk-ant-1"},
        {"agent": "agent_1", "environment": "env_1"},
        {
            "get": ({**_QODER_SESSION, "status": "running"},),
            "list": ({"data": [_QODER_SESSION], "next_page": None},),
            "create": (_QODER_SESSION,),
            "update": (_QODER_SESSION,),
        },
    ),
    "everruns": Target(
        "everruns",
        {"api_key": "evr_pat_1"},
        {"agent": "agent_1"},
        {
            "get": (_EVERRUNS_SESSION,),
            "list": ({"data": [_EVERRUNS_SESSION], "total": 1, "offset": 0, "limit": 20},),
            "create": (_EVERRUNS_SESSION,),
            "update": (_EVERRUNS_SESSION,),
        },
    ),
    "agentscope": Target(
        "agentscope",
        {"user_id": "alice", "agent_id": "agent_1"},
        {"title": "Ticket"},
        {
            "get": (_AGENTSCOPE_LIST,),
            "list": (_AGENTSCOPE_LIST,),
            "create": ({"session_id": "sess_1"}, _AGENTSCOPE_LIST),
            "update": (_AGENTSCOPE_SESSION, {"session_id": "sess_1", "status": "idle"}),
        },
    ),
}
