"""The contract suite on what AgentScope's real service answered: one cassette for each test, for both clients."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest

from live.sources import Source
from polysession.emulation import Faults
from polysession.testing import Backend
from polysession.testing.agents import AgentContract
from polysession.testing.lists import ListContract
from polysession.testing.sessions import SessionContract
from polysession.testing.updates import UpdateContract
from support.agentscope_user import User, model
from support.client_runners import SYNC


class TestAgentScopeRecorded(SessionContract, UpdateContract, ListContract, AgentContract):
    """The themes whose answers do not depend on time; turns and streams are on tapes."""

    provider = "agentscope"
    evidence = "recorded"
    cassettes: ClassVar[str] = "agentscope/recorded/contract_"
    permission_mode = "accept_edits"
    patience_s = 60.0

    @pytest.fixture
    def backend(self, source: Source, request: pytest.FixtureRequest) -> Backend:
        """A user of its own for each test; its agent's name and its workspace are the same in each recording."""
        user = User(source, SYNC, re.sub(r"\W+", "-", request.node.originalname))
        self._agents = 0
        agent_id = str(user.ask("POST", "/agent/", {"name": "Helper"})["agent_id"])
        return Backend(
            settings={"base_url": source.base_url, "user_id": user.id, "agent_id": agent_id},
            faults=Faults(),
            agent_id=agent_id,
            workspace_id="workspace-of-the-contract",
            model=model(user.create_credential(), "scripted"),
        )

    def agent_values(self, backend: Backend) -> dict[str, Any]:
        """A name that is new, and the same in each recording."""
        self._agents += 1
        return {**super().agent_values(backend), "name": f"contract-{self._agents}"}
