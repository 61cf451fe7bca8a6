"""Differences of the backends: settings, arguments, and complete answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from polysession import Feature, Session, Support
from polysession.plugins import load_provider

NOTHING: Final = {"data": [], "messages": [], "has_more": False, "event_cursor": None, "status": "idle"}
STAMP = "2026-11-22T03:55:46.199398"


@dataclass(frozen=True)
class Target:
    """One backend, called without an emulator.

    Attributes:
        provider: Name of the provider.
        settings: Settings besides the address.
        create: Arguments of a creation.
        whole: Bodies that answer each operation; AgentScope's changes take two calls.
        looks_first: Operations whose first call only looks.
        reads: What answers reads of a session where nothing has happened, by the end of the path; otherwise `NOTHING`.
    """

    provider: str
    settings: dict[str, Any]
    create: dict[str, Any]
    whole: dict[str, tuple[Any, ...]]
    looks_first: frozenset[str] = frozenset()
    reads: Mapping[str, Any] = field(default_factory=dict)

    @property
    def session(self) -> Session:
        """A handle of a session."""
        return Session(provider=self.provider, id="sess_1", agent_id="agent_1")

    def uses(self) -> dict[str, Any]:
        """Each operation that the provider declares, as a function of a client."""
        uses = {
            "get": lambda client: client.sessions.get(self.session),
            "list": lambda client: client.sessions.list().page(),
            "create": lambda client: client.sessions.create(**self.create),
            "update": lambda client: client.sessions.update(self.session, title="x"),
            "send": lambda client: client.sessions.send(self.session, "hi"),
            "delete": lambda client: client.sessions.delete(self.session),
            "cancel": lambda client: client.sessions.cancel(self.session),
        }
        declared = load_provider(self.provider)
        return {name: use for name, use in uses.items() if declared.support(Feature(f"sessions.{name}")).support}

    @property
    def lists_arrays(self) -> bool:
        """Whether its lists are arrays, so that `[]` is an empty one."""
        return isinstance(self.whole["list"][0], list)

    @property
    def has_stream(self) -> bool:
        """Whether it streams a session: one that is polled asks for no stream."""
        return load_provider(self.provider).support(Feature.SESSIONS_STREAM).support is Support.NATIVE

    def read(self, path: str) -> Any:
        """The body that answers a read of a session where nothing has happened."""
        return next((body for end, body in self.reads.items() if path.endswith(end)), NOTHING)

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

_LANGGRAPH_THREAD = {
    "thread_id": "sess_1",
    "created_at": STAMP + "+00:00",
    "updated_at": STAMP + "+00:00",
    "metadata": {"polysession_title": "Ticket"},
    "status": "idle",
    "interrupts": {},
}
_ADK_SESSION = {
    "id": "sess_1",
    "appName": "agent_1",
    "userId": "alice",
    "state": {"__session_metadata__": {"displayName": "Ticket"}},
    "events": [],
    "lastUpdateTime": 1795318546.199,
}
_ADK_APPS = {"apps": [{"name": "agent_1"}]}

TARGETS = {
    "adk": Target(
        "adk",
        {"app": "agent_1", "user_id": "alice"},
        {"title": "Ticket"},
        {
            "get": (_ADK_SESSION,),
            "list": ([_ADK_SESSION],),
            "create": (_ADK_APPS, _ADK_SESSION),
            "update": (_ADK_SESSION, _ADK_SESSION),
        },
        looks_first=frozenset({"create", "update"}),
        reads={"/list-apps": _ADK_APPS, "/sess_1": _ADK_SESSION},
    ),
    "langgraph": Target(
        "langgraph",
        {"assistant_id": "agent_1"},
        {"title": "Ticket"},
        {
            "get": (_LANGGRAPH_THREAD,),
            "list": ([_LANGGRAPH_THREAD],),
            "create": (_LANGGRAPH_THREAD,),
            "update": (_LANGGRAPH_THREAD,),
        },
        reads={"/sess_1": _LANGGRAPH_THREAD, "/runs": [{"run_id": "run_1", "status": "running"}]},
    ),
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
