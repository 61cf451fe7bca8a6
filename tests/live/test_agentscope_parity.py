"""Compares the responses of the AgentScope emulator with those of the real service."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from live.agentscope_scenarios import SCENARIOS
from live.agentscope_service.process import AgentScopeService, model_config
from live.parity import Ask, Scenario, Side, difference
from polysession import Feature
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import covers

pytestmark = pytest.mark.evidence("agentscope", "judge", by="agentscope")

OPAQUE: Final = {
    "compression_prompt": "a long text of the service that an emulated agent never uses",
    "summary_template": "as compression_prompt",
    "summary_schema": "as compression_prompt",
    "schemas": "the emulator has one credential type of ten, with another description",
}
"""Keys whose values are compared only by JSON type, with the reason."""

DIFFERENCES: Final = {
    "other credential types work": (
        Ask("POST", "/credential/", {"data": {"type": "anthropic_credential", "api_key": "k"}}),
        "the emulator has only openai_credential, and answers 500 for others, as the service does for an unknown type",
    ),
    "help for forms": (
        Ask("GET", "/agent/schema/v2"),
        "no client of sessions needs it",
    ),
    "model catalogue": (
        Ask("GET", "/model/?provider=openai_credential"),
        "a static list: a session accepts any model name",
    ),
}
"""Requests with another response from the emulator, with the reason."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorHandle]:
    with serve("agentscope") as handle:
        yield handle


@pytest.fixture(scope="module")
def http_client() -> Iterator[httpx.Client]:
    with httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False) as client:
        yield client


@pytest.fixture
def sides(
    agentscope_service: AgentScopeService, emulator: EmulatorHandle, http_client: httpx.Client
) -> tuple[Side, Side]:
    """Return the service and the emulator, each with a new user.

    The user has a credential, an agent and a session.
    """
    sides = Side(agentscope_service.base_url, http_client, OPAQUE), Side(emulator.base_url, http_client, OPAQUE)
    credential = {
        "type": "openai_credential",
        "name": "stub",
        "api_key": "k",
        "base_url": agentscope_service.models_url,
    }
    session = {"agent_id": "<agent>", "name": "first", "chat_model_config": model_config("<credential>", "slow")}
    for side in sides:
        side.create("<credential>", "/credential/", {"data": credential})
        side.create("<agent>", "/agent/", {"name": "Judge"})
        side.create("<session>", "/sessions/", session)
    return sides


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@covers(
    Feature.SESSIONS_CREATE,
    Feature.SESSIONS_CREATE_AGENT,
    Feature.SESSIONS_CREATE_TITLE,
    Feature.SESSIONS_CREATE_WORKSPACE,
    Feature.SESSIONS_CREATE_MODEL,
    Feature.SESSIONS_LIST,
    Feature.SESSIONS_LIST_AGENT,
    Feature.SESSIONS_UPDATE,
    Feature.SESSIONS_UPDATE_TITLE,
    Feature.SESSIONS_UPDATE_MODEL,
    Feature.SESSIONS_UPDATE_PERMISSION_MODE,
    Feature.SESSIONS_UPDATE_MODEL_CLEAR,
    Feature.SESSIONS_DELETE,
    Feature.SESSIONS_CANCEL,
    Feature.AGENTS_CREATE,
    Feature.AGENTS_LIST,
    Feature.AGENTS_UPDATE,
    Feature.AGENTS_DELETE,
    Feature.AGENTS_UPDATE_NAME,
    Feature.AGENTS_UPDATE_SYSTEM_PROMPT,
    Feature.AGENTS_CREATE_SYSTEM_PROMPT,
)
def test_the_emulator_responds_like_the_service(
    scenario: Scenario, sides: tuple[Side, Side], emulator: EmulatorHandle
) -> None:
    real, emulated = sides
    if scenario.running:
        _start_slow_turn(real)
        emulator.control.start_turn(emulated.ids["<session>"], duration_s=30)
    found = difference(scenario.asks, *sides)
    if found:
        pytest.fail(found, pytrace=False)


def _start_slow_turn(side: Side) -> None:
    message = {"name": "user", "role": "user", "content": [{"type": "text", "text": "Count."}]}
    body = {"agent_id": "<agent>", "session_id": "<session>", "input": message}
    side.send(Ask("POST", "/chat/", body)).raise_for_status()
    status = side.answer(Ask("GET", "/sessions/<session>/status?agent_id=<agent>", until="running"))
    assert status["body"]["status"] == "running"


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_listed_difference_still_exists(name: str, sides: tuple[Side, Side]) -> None:
    ask, _ = DIFFERENCES[name]
    assert difference([ask], *sides)


@pytest.mark.parametrize("index", [0, 1], ids=["service", "emulator"])
def test_after_a_500_the_connection_is_closed_without_notice(index: int, sides: tuple[Side, Side]) -> None:
    url = httpx.URL(sides[index].base_url)
    with contextlib.closing(http.client.HTTPConnection(url.host, url.port)) as connection:
        body, headers = json.dumps({"data": {}}), {"x-user-id": "u", "content-type": "application/json"}
        connection.request("POST", "/credential/", body, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection"), answer.read()) == (500, None, b"Internal Server Error")
        with pytest.raises(ConnectionError):
            _ask_again(connection)


def _ask_again(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/credential/", headers={"x-user-id": "u"})
    connection.getresponse()
