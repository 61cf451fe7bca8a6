"""The contract suite on what LangGraph's real server answered: one cassette for each test, for both clients."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from live.sources import Source
from polysession.emulation import Faults
from polysession.testing import Backend, never
from polysession.testing.agents import AgentContract
from polysession.testing.lists import ListContract
from polysession.testing.sessions import SessionContract
from polysession.testing.updates import UpdateContract
from polysession_langgraph import LanggraphNewAgent

AGENT = "fe096781-5601-53d2-b2f6-0d3403f7e9ca"
"""The assistant of the graph `agent`: its id follows from the name, on every server."""


class TestLanggraphRecorded(SessionContract, UpdateContract, ListContract, AgentContract):
    """The themes whose answers do not depend on time; turns and streams are on tapes."""

    provider = "langgraph"
    evidence = "recorded"
    cassettes: ClassVar[str] = "langgraph/recorded/contract_"
    patience_s = 60.0
    new_agent = {"native": LanggraphNewAgent(graph_id="agent")}
    gaps = {
        "test_a_session_for_an_agent_that_is_not_there_is_refused": never(
            "the server binds no agent to a thread before its first run", raises=pytest.fail.Exception
        ),
    }

    @pytest.fixture
    def backend(self, source: Source) -> Backend:
        self._agents = 0
        return Backend(settings={"base_url": source.base_url}, faults=Faults(), agent_id=AGENT)

    def agent_values(self, backend: Backend) -> dict[str, Any]:
        """A name that is new, and the same in each recording."""
        self._agents += 1
        return {**super().agent_values(backend), "name": f"contract-{self._agents}"}
