"""Compares the responses of the LangGraph emulator with those of the real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from live.langgraph_parity import LanggraphSide
from live.langgraph_scenarios import SCENARIOS
from live.scenarios import Scenario, check_alike
from polysession import Feature
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import ServerProcess, covers

pytestmark = pytest.mark.evidence("langgraph", "judge", by="langgraph")


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorHandle]:
    with serve("langgraph") as handle:
        yield handle


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@covers(
    Feature.SESSIONS_CREATE,
    Feature.SESSIONS_GET,
    Feature.SESSIONS_LIST,
    Feature.SESSIONS_UPDATE,
    Feature.SESSIONS_DELETE,
    Feature.SESSIONS_CANCEL,
    Feature.SESSIONS_RUN,
    Feature.SESSIONS_ANSWER_APPROVAL,
    Feature.SESSIONS_ANSWER_OUTPUT,
    Feature.SESSIONS_ANSWER_QUESTION,
    Feature.AGENTS_LIST,
    Feature.AGENTS_UPDATE,
    Feature.AGENTS_DELETE,
)
def test_the_emulator_responds_like_the_server(
    scenario: Scenario, langgraph_server: ServerProcess, emulator: EmulatorHandle
) -> None:
    check_alike(scenario, LanggraphSide(langgraph_server.base_url), LanggraphSide(emulator.base_url))
