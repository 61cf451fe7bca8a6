"""Compares the events of conversations on the AgentScope emulator and the real service."""

import difflib
import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from live.agentscope_service.process import AgentScopeService, model_config
from live.agentscope_stories import STORIES
from live.parity import Ask, Side, difference
from live.storyteller import Conversation
from polysession import Feature
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import covers

pytestmark = pytest.mark.evidence("agentscope", "judge", by="agentscope")

_TEXT: Final = {"type": "text", "text": "t"}
_MESSAGE: Final = {"name": "user", "role": "user", "content": [_TEXT]}

BAD_INPUTS: Final[tuple[Any, ...]] = (
    "text",
    5,
    [5],
    {},
    _MESSAGE | {"content": "text"},
    _MESSAGE | {"role": "nobody"},
    _MESSAGE | {"content": [{"type": "thinking", "thinking": "t"}]},
    {"type": "USER_CONFIRM_RESULT"},
    {"type": "EXTERNAL_EXECUTION_RESULT", "reply_id": "r"},
    {"type": "USER_INTERRUPT", "reply_id": "r"},
)
BAD_ASKS: Final = (
    *(Ask("POST", "/chat/", {"agent_id": "a", "session_id": "s", "input": given}) for given in BAD_INPUTS),
    Ask("POST", "/chat/", {}),
    Ask("POST", "/chat/", {"agent_id": 1, "session_id": None}),
    Ask("POST", "/chat", {}),
    Ask("GET", "/chat/"),
    *(
        Ask("GET", f"/sessions/{session}/messages?{query}")
        for session in ("<session>", "lost")
        for query in ("", "agent_id=a&limit=0", "agent_id=a&limit=201&offset=x", "limit=x", "agent_id=a&before=lost")
    ),
    Ask("GET", "/sessions/<session>/stream"),
    Ask("GET", "/sessions/lost/stream?agent_id=<agent>"),
    Ask("GET", "/sessions/<session>/stream?agent_id=<agent>", user="<other user>"),
    Ask("GET", "/sessions/<session>/messages?agent_id=<agent>", user="<other user>"),
)


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
    sides = Side(agentscope_service.base_url, http_client, {}), Side(emulator.base_url, http_client, {})
    models_url = agentscope_service.models_url
    credential = {"type": "openai_credential", "name": "stub", "api_key": "k", "base_url": models_url}
    session = {"agent_id": "<agent>", "name": "first", "chat_model_config": model_config("<credential>", "scripted")}
    for side in sides:
        side.create("<credential>", "/credential/", {"data": credential})
        side.create("<agent>", "/agent/", {"name": "Judge"})
        side.create("<session>", "/sessions/", session)
    return sides


@pytest.mark.parametrize("name", STORIES)
@covers(
    Feature.SESSIONS_SEND,
    Feature.SESSIONS_STREAM,
    Feature.SESSIONS_RUN,
    Feature.SESSIONS_EVENTS,
    Feature.SESSIONS_MESSAGES,
    Feature.SESSIONS_ANSWER,
    Feature.SESSIONS_ANSWER_APPROVAL,
    Feature.SESSIONS_ANSWER_OUTPUT,
)
def test_a_conversation_has_the_same_events_on_the_emulator(name: str, sides: tuple[Side, Side]) -> None:
    real, emulated = (_account(name, side) for side in sides)
    found = list(difflib.unified_diff(real, emulated, "the service", "the emulator", n=8, lineterm=""))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def _account(name: str, side: Side) -> list[str]:
    teller = Conversation(side)
    STORIES[name](teller)
    return json.dumps(teller.records, indent=1, sort_keys=True).splitlines()


def test_the_emulator_rejects_like_the_service(sides: tuple[Side, Side]) -> None:
    found = difference(BAD_ASKS, *sides)
    if found:
        pytest.fail(found, pytrace=False)
