"""`polysession agents`, `environments` and `models`, on the emulators."""

from __future__ import annotations

import pytest

from polysession import Agent, Environment, Feature, Model
from polysession.emulation import EmulatorHandle, serve
from polysession.plugins import load_provider
from support.command import Shell, shell_for


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


def test_an_agent_is_changed_and_archived(shell: Shell) -> None:
    agent = shell.done("agents", "create", "helper", "--model", "auto", "--description", "d", "--json").json["id"]
    changed = shell.done("agents", "update", agent, "--name", "mender", "--clear-description", "--json").json
    assert (set(changed), changed["name"], changed["model"]) == (keys(Agent), "mender", "auto")
    assert changed["description"] is None
    native = '{"metadata": {"team": "red"}}'
    changed = shell.done("agents", "update", agent, "--native-json", native, "--json", "--raw").json
    assert changed["raw"]["metadata"] == {"team": "red"}
    for options, said in (
        ((), "nothing to change"),
        (("--description", "d", "--clear-description"), "--clear-description cannot be combined"),
    ):
        refused = shell.run("agents", "update", agent, *options)
        assert (refused.code, said in refused.err) == (2, True)
    assert shell.done("agents", "archive", agent, "--json").json["archived_at"] is not None
    refused = shell.run("agents", "delete", agent, "--yes", "--json")
    assert (refused.code, refused.error["operation"]) == (3, "agents.delete")


def test_an_agent_is_deleted_with_yes_or_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve("agentscope") as emulator:
        shell = shell_for(emulator)
        agent = shell.done("agents", "create", "helper", "--json").json["id"]
        assert "add --yes" in shell.run("agents", "delete", agent).err
        monkeypatch.setattr("polysession.cli.confirm.at_terminal", lambda: True)
        assert shell.run("agents", "delete", agent, typed="n\n").code == 1
        deleted = shell.done("agents", "delete", agent, "--json", "--yes").json
        assert deleted == {"provider": "agentscope", "agent_id": agent, "deleted": True}
        assert shell.run("agents", "get", agent, "--json").error["kind"] == "NotFound"


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
