"""`polysession agents`, `environments` and `models`, on the emulators."""

from __future__ import annotations

from polysession import Agent, Environment, Feature, Model
from polysession.emulation import EmulatorHandle
from polysession.plugins import load_provider
from support.command import Shell


def keys(record: type[Agent | Environment | Model]) -> set[str]:
    return set(record.model_fields) - {"source"}


def test_resources_are_listed_where_the_backend_has_them(any_shell: Shell, any_emulator: EmulatorHandle) -> None:
    provider = load_provider(any_emulator.provider)
    for feature, group, seeded in (
        (Feature.AGENTS_LIST, "agents", any_emulator.agent_id),
        (Feature.ENVIRONMENTS_LIST, "environments", any_emulator.environment_id),
        (Feature.MODELS_LIST, "models", any_emulator.model and any_emulator.model.id),
    ):
        ran = any_shell.run(group, "list", "--json")
        if provider.support(feature).support:
            assert ran.code == 0
            assert seeded in {line["id"] for line in ran.lines}
        else:
            assert (ran.code, ran.error["operation"]) == (3, feature.value)


def test_an_agent_is_created_and_read(shell: Shell) -> None:
    options = ["--model", "ultimate", "--system-prompt", "Be brief.", "--json"]
    created = shell.done("agents", "create", "helper", *options).json
    assert (set(created), created["name"]) == (keys(Agent), "helper")
    assert shell.done("agents", "get", created["id"], "--json").json["system_prompt"] == "Be brief."
    assert created["id"] in shell.done("agents", "get", created["id"]).out
    assert shell.done("agents", "list").out.split()[:4] == ["id", "model", "age", "name"]
    assert len(shell.done("agents", "list", "--json", "--limit", "1", "--page-size", "1").lines) == 1


def test_an_environment_is_created_and_read(shell: Shell) -> None:
    created = shell.done("environments", "create", "sandbox", "--metadata", "team=red", "--json").json
    assert (set(created), created["name"], created["metadata"]) == (keys(Environment), "sandbox", {"team": "red"})
    assert created["id"] in shell.done("environments", "get", created["id"]).out
    table = shell.done("environments", "list").out.splitlines()
    assert table[0].split() == ["id", "age", "name"]
    assert any(line.split()[0] == created["id"] for line in table)


def test_models_are_listed_with_their_default(shell: Shell) -> None:
    assert all(set(line) == keys(Model) for line in shell.done("models", "list", "--json").lines)
    assert shell.done("models", "list").out.split()[:5] == ["id", "type", "credential", "default", "name"]
