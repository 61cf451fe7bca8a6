"""The AgentScope emulator's legacy generation, compared with the documentation of 2.0.0."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from polysession.emulation import EmulatorHandle
from providers.agentscope.test_emulator import Api, served
from support.published import differences, example

UPDATE = example("agentscope/documented/legacy_update.yaml")


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[EmulatorHandle, httpx.Client]]:
    with served("legacy") as both:
        yield both


@pytest.fixture
def api(emulator: tuple[EmulatorHandle, httpx.Client]) -> Api:
    return Api(*emulator)


def test_a_session_is_updated_as_published(api: Api) -> None:
    path = api.path(api.new_session(chat_model_config=api.model))
    model = {**UPDATE.request["chat_model_config"], "credential_id": api.model["credential_id"]}

    answer = api.ok("PATCH", path, {**UPDATE.request, "chat_model_config": model})

    # Null unless a schedule created the session.
    assert differences(UPDATE.answer, answer) == [".source_schedule_id: str published, NoneType answered"]
    assert answer["config"]["name"] == UPDATE.request["name"]


@pytest.mark.parametrize("mode", ["default", "accept_edits", "explore", "bypass", "dont_ask"])
def test_each_published_permission_mode_is_accepted(api: Api, mode: str) -> None:
    answer = api.ok("PATCH", api.path(api.new_session()), {"permission_mode": mode})

    assert answer["state"]["permission_context"]["mode"] == mode


def test_messages_in_the_memory_have_the_published_keys(api: Api) -> None:
    path = api.path(api.new_session(chat_model_config=api.model))
    message = {"name": "u", "role": "user", "content": [{"type": "text", "text": "hello"}]}
    session_id = path.removeprefix("/sessions/").partition("?")[0]
    api.ask("POST", "/chat/", {"agent_id": api.agent_id, "session_id": session_id, "input": message})

    context = api.ok("PATCH", path, {})["state"]["context"]

    (published,) = UPDATE.answer["state"]["context"]
    for kept in context:
        assert kept.keys() - {"role"} == published.keys()  # the documentation omits the role
        assert kept["content"][0].keys() == published["content"][0].keys()
    assert context[-1]["usage"].keys() == published["usage"].keys()
    assert [kept["role"] for kept in context] == ["user", "assistant"]
