"""The contract suite on what ADK's real API server answered: one cassette for each test, for both clients."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest

from live.sources import Source
from polysession.emulation import Faults
from polysession.testing import Backend
from polysession.testing.agents import AgentContract
from polysession.testing.lists import ListContract
from polysession.testing.sessions import SessionContract
from polysession.testing.updates import UpdateContract


class TestAdkRecorded(SessionContract, UpdateContract, ListContract, AgentContract):
    """The themes whose answers do not depend on time."""

    provider = "adk"
    evidence = "recorded"
    cassettes: ClassVar[str] = "adk/recorded/contract_"
    has_status_word = False
    patience_s = 60.0

    @pytest.fixture
    def backend(self, source: Source, request: pytest.FixtureRequest) -> Backend:
        """A user of its own for each test, because a server lists all that a user has."""
        user = re.sub(r"\W+", "-", request.node.originalname)
        settings = {"base_url": source.base_url, "app": "assistant", "user_id": user}
        return Backend(settings=settings, faults=Faults(), agent_id="assistant", owner_id=user)
