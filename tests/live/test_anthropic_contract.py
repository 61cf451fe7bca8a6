"""The contract suite on open-managed-agents, an independent server for Managed Agents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from live.open_managed_agents_service.process import KEY
from polysession import Client, Conflict, Feature, InvalidRequest, ModelConfig, NotFound, ServerError
from polysession.testing import Backend, ProviderContract, ServerProcess, never, not_offered_yet, proxy
from polysession.testing.two_clients import INTERLEAVINGS

REPLAYS = never("its streams begin with the first event, so events before a cursor are repeated", raises=AssertionError)


class TestOpenManagedAgents(ProviderContract):
    """Contract tests on the server.

    Its differences from the documentation are named gaps, not code in the provider.
    """

    provider = "anthropic"
    evidence = "live"
    has_deltas = False
    # Its streams begin with the first event: after a break, the end of an earlier turn may precede the rest.
    test_a_turn_that_is_cut_is_whole_or_no_success = None  # type: ignore[assignment]
    # It sends no event after the first of two answers, until all are sent.
    test_a_group_of_actions_is_answered_together = None  # type: ignore[assignment]
    gaps = {
        **dict.fromkeys(
            (
                f"test_two_turns_of_two_clients_are_distinguished[{steps}]"
                for steps in INTERLEAVINGS
                if steps != "one after the other"
            ),
            never("a busy session refuses messages", raises=AssertionError),
        ),
        "test_a_follower_sees_the_turn_of_another": REPLAYS,
        "test_events_since_a_turn_was_left_are_delivered": REPLAYS,
        "test_a_turn_with_a_tool": never(
            "its results name the call of the model, not the event of the use", raises=AssertionError
        ),
        "test_a_turn_is_cancelled_while_it_speaks": never(
            "its interrupted turns end with another reason", raises=AssertionError
        ),
        "test_a_session_continues_after_a_failure": never("a failure ends its sessions", raises=Conflict),
        "test_a_list_is_of_some_times": not_offered_yet("it fails on filters by time", raises=ServerError),
        "test_a_session_is_created_with_a_model": not_offered_yet("it has no overrides", raises=InvalidRequest),
        "test_an_agent_that_is_not_there_is_not_changed": never("a change requires a version", raises=InvalidRequest),
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: never("it ignores null as a title", raises=AssertionError),
        Feature.MODELS_LIST: not_offered_yet("it lists no models", raises=NotFound),
    }

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, open_managed_agents: ServerProcess) -> Iterator[Backend]:
        """Return a backend for the server, behind a proxy that can inject faults."""
        settings: dict[str, Any] = {"api_key": KEY, "version": "2023-06-01"}
        with Client("anthropic", base_url=open_managed_agents.base_url, **settings) as client:
            agent = client.agents.create(name="Scripted", model="scripted")
            environment = client.environments.create(name="Scripted")
        with proxy(open_managed_agents.base_url) as (base_url, faults):
            yield Backend(
                settings={**settings, "base_url": base_url},
                faults=faults,
                agent_id=agent.id,
                environment_id=environment.id,
                model=ModelConfig(id="scripted"),
            )

    def session_values(self, backend: Backend) -> dict[str, Any]:
        """Return an agent and an environment. A session always has the model of its agent."""
        return {"agent": backend.agent_id, "environment": backend.environment_id}
