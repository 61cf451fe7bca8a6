"""One program, every backend: only the provider name differs."""

from __future__ import annotations

import pytest

from polysession import Support
from polysession.cli.demo import emulated_providers, run_story
from polysession.emulation import serve
from polysession.plugins import load_provider
from support.client_runners import ClientRunner, both_runners

PROVIDERS = list(emulated_providers())

ALWAYS = {
    "create": "idle",
    "read": "'Ticket 42'",
    "list": "1 found",
    "set title": "'Done'",
    "stream a turn": "4 deltas",
    "use a tool": "lookup",
    "run a client tool": "completed",
    "delete": "deleted",
    "read after delete": "NotFound",
}
WHERE_SUPPORTED = {
    "cancel a turn": "requested",
    "clear title": "None",
    "set metadata": "team=red",
    "set tags": "urgent",
    "add a tag": "urgent, red",
    "set model": "demo-model",
    "approve a tool": "completed",
    "archive": "archived",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_story_on_every_backend(provider: str) -> None:
    steps = {step.title: step for step in run_story(provider)}

    assert steps.keys() == ALWAYS.keys() | WHERE_SUPPORTED.keys()
    assert {title: steps[title].outcome for title in ALWAYS} == ALWAYS
    for title, outcome in WHERE_SUPPORTED.items():
        step = steps[title]
        supported = load_provider(provider).support(step.feature).support is not Support.UNSUPPORTED
        assert step.outcome == (outcome if supported else "")
        assert bool(step.refusal) is not supported


@both_runners
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_backend_is_asked_for_its_version(provider: str, runner: ClientRunner) -> None:
    with serve(provider) as emulator:
        version = runner.call(provider, lambda client: client.backend_version(), **emulator.settings)
        assert version == emulator.control.version
