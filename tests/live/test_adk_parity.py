"""Compares the responses of the ADK emulator with those of the real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from live.adk_parity import AdkSide
from live.adk_scenarios import SCENARIOS
from live.scenarios import Scenario, check_alike
from polysession import Feature
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import ServerProcess, covers

pytestmark = pytest.mark.evidence("adk", "judge", by="adk")


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorHandle]:
    with serve("adk") as handle:
        yield handle


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@covers(
    Feature.SESSIONS_CREATE,
    Feature.SESSIONS_GET,
    Feature.SESSIONS_LIST,
    Feature.SESSIONS_UPDATE,
    Feature.SESSIONS_DELETE,
    Feature.SESSIONS_RUN,
    Feature.SESSIONS_ANSWER_APPROVAL,
    Feature.SESSIONS_ANSWER_OUTPUT,
    Feature.SESSIONS_ANSWER_QUESTION,
    Feature.AGENTS_LIST,
)
def test_the_emulator_responds_like_the_server(
    scenario: Scenario, adk_server: ServerProcess, emulator: EmulatorHandle
) -> None:
    check_alike(scenario, AdkSide(adk_server.base_url), AdkSide(emulator.base_url))
