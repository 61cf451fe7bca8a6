"""The contract suite on LangGraph's real Agent Server, with a scripted model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polysession import Client
from polysession.testing import Backend, ProviderContract, ServerProcess, never, proxy
from polysession_langgraph import LanggraphNewAgent


class TestLanggraphServer(ProviderContract):
    provider = "langgraph"
    evidence = "live"
    patience_s = 60.0
    new_agent = {"native": LanggraphNewAgent(graph_id="agent")}
    gaps = {
        "test_a_session_for_an_agent_that_is_not_there_is_refused": never(
            "the server binds no agent to a thread before its first run", raises=pytest.fail.Exception
        ),
        "test_a_tool_of_the_caller_may_fail": never(
            "the graph decides about the output of a client tool", raises=AssertionError
        ),
    }

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, langgraph_server: ServerProcess) -> Iterator[Backend]:
        """Return a backend for the server, behind a proxy that can inject faults."""
        with Client("langgraph", base_url=langgraph_server.base_url) as client:
            (agent,) = [agent for agent in client.agents.list() if agent.name == "agent"]
        with proxy(langgraph_server.base_url) as (base_url, faults):
            yield Backend(settings={"base_url": base_url}, faults=faults, agent_id=agent.id)
