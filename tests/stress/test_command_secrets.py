"""The command shows no secret: whichever setting of a provider it is, and wherever it was put."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import keyring
import pytest

from polysession.plugins import load_provider
from polysession.settings import secret_names, variables_of
from stress.reflecting_servers import (
    CANARY,
    OF_AN_ARRAY,
    REFLECTIONS,
    SECRETS,
    SHOWN,
    ReflectingServer,
    check_no_secret,
)
from stress.targets import TARGETS
from support.command import Shell

COMMANDS: Final = (
    ["sessions", "get", "sess_1"],
    ["sessions", "list"],
    ["sessions", "update", "sess_1", "--title", "x"],
    ["messages", "sess_1"],
    ["events", "sess_1"],
    ["pending", "sess_1"],
    ["run", "sess_1", "hi"],
    ["agents", "list"],
    ["switch-check", "--from", "PROVIDER", "--to", "OTHER", "--session", "sess_1"],
    ["doctor"],
)
HARMLESS: Final = (["providers"], ["features"], ["switch-check", "--from", "PROVIDER", "--to", "OTHER"])
"""Commands that ask the backend nothing."""

SECRET_SETTINGS = [(provider, name) for provider, secrets in SECRETS.items() for name in secrets]


def test_every_setting_of_every_target_has_its_canary() -> None:
    assert set(TARGETS) == set(SECRETS) == set(SHOWN)
    for name in TARGETS:
        settings_type = load_provider(name).settings_type
        alternatives = set(settings_type.one_of) - set(SECRETS[name])  # only one of these can be given
        assert set(SECRETS[name]) | set(SHOWN[name]) | alternatives == set(settings_type.model_fields)
        assert set(SECRETS[name]) | alternatives == secret_names(settings_type)


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The configuration file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")  # no secret hides behind a line break
    monkeypatch.setattr(time, "sleep", lambda _: None)  # what is tried again is tried at once
    file = tmp_path / "polysession" / "config.toml"
    file.parent.mkdir()
    return file


def toml(values: dict[str, Any]) -> str:
    """Values as one inline table."""
    pairs = [
        f"{json.dumps(name)} = {toml(each) if isinstance(each, dict) else json.dumps(each)}"
        for name, each in values.items()
    ]
    return f"{{ {', '.join(pairs)} }}"


def with_texts(value: Any, change: Callable[[str], Any]) -> Any:
    """A setting with each of its texts changed."""
    if isinstance(value, dict):
        return {name: with_texts(inner, change) for name, inner in value.items()}
    return change(value)


class Places:
    """Puts the secrets of a provider where people put them, and leads its other settings to a server."""

    def __init__(self, provider: str, url: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.provider = provider
        self.secrets = SECRETS[provider]
        self.config = config
        self.monkeypatch = monkeypatch
        self.shown = SHOWN[provider] | {"base_url": url}

    def write(self, secrets: dict[str, Any]) -> None:
        profile = {"provider": self.provider} | self.shown | secrets
        self.config.write_text(f"profiles = {toml({'canary': profile})}\n", "utf-8")

    def in_the_file(self) -> dict[str, str]:
        """As plain text."""
        self.write(self.secrets)
        return {}

    def in_variables_that_the_file_names(self) -> dict[str, str]:
        variables: dict[str, str] = {}

        def refer(text: str) -> dict[str, str]:
            variables[f"CANARY_{len(variables)}"] = text
            return {"env": f"CANARY_{len(variables) - 1}"}

        self.write({name: with_texts(value, refer) for name, value in self.secrets.items()})
        return variables

    def in_the_keyring(self) -> dict[str, str]:
        kept: dict[str, str] = {}

        def refer(text: str) -> dict[str, str]:
            kept[str(len(kept))] = text
            return {"keyring": f"polysession/{len(kept) - 1}"}

        self.write({name: with_texts(value, refer) for name, value in self.secrets.items()})
        self.monkeypatch.setattr(keyring, "get_password", lambda _service, user: kept.get(user))
        return {}

    def in_its_own_variables(self) -> dict[str, str]:
        """Settings that have none stay in the file."""
        variables = variables_of(load_provider(self.provider).settings_type)
        self.write({name: value for name, value in self.secrets.items() if name not in variables})
        return {variables[name][0]: value for name, value in self.secrets.items() if name in variables}


PLACES: dict[str, Callable[[Places], dict[str, str]]] = {
    "in the file": Places.in_the_file,
    "in variables that the file names": Places.in_variables_that_the_file_names,
    "in the keyring": Places.in_the_keyring,
    "in its own variables": Places.in_its_own_variables,
}
SOME: Final = [COMMANDS[0], COMMANDS[6], COMMANDS[-1]]
IN_THE_NORMAL_RUN: Final = [
    *((reflection, "in the file", COMMANDS) for reflection in ("401 in JSON", "short success", "redirect")),
    *(("401 in JSON", place, SOME) for place in PLACES),
]


def tried(request: pytest.FixtureRequest) -> Iterable[tuple[str, str, Sequence[list[str]]]]:
    everything = itertools.product(REFLECTIONS, PLACES, [COMMANDS])
    return everything if request.config.getoption("--stress") else IN_THE_NORMAL_RUN


def is_readable(command: Sequence[str], reflection: str, provider: str) -> bool:
    """Whether the reflection is an answer to the command: an empty list, or events that ask for nothing."""
    if reflection in OF_AN_ARRAY:
        return command[-1] in {"list", "doctor"} and TARGETS[provider].lists_arrays
    return reflection == "success of another shape" and command[0] == "pending"


@pytest.mark.parametrize("provider", SECRETS)
def test_no_command_shows_a_secret(
    provider: str, config: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for reflection, place, commands in tried(request):
        with ReflectingServer(REFLECTIONS[reflection]) as server:
            variables = PLACES[place](Places(provider, server.url, config, monkeypatch))
            shell = Shell(variables | {"POLYSESSION_PROFILE": "canary"})
            for command in commands:
                ran = shell.run(*filled(command, provider), "--debug")
                assert ran.code != 0 or is_readable(command, reflection, provider), (command, ran)
                check_no_secret([ran.out + ran.err])
            assert server.connections >= len(commands), "the settings did not lead to the server"


@pytest.mark.parametrize("provider", SECRETS)
def test_no_command_shows_a_secret_as_json(provider: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ReflectingServer(REFLECTIONS["401 in JSON"]) as server:
        Places(provider, server.url, config, monkeypatch).in_the_file()
        for command in (*COMMANDS, *HARMLESS):
            ran = Shell({"POLYSESSION_PROFILE": "canary"}).run(*filled(command, provider), "--json")
            assert (ran.code != 0) is (command in COMMANDS), (command, ran)
            check_no_secret([ran.out + ran.err])


@pytest.mark.parametrize("provider", SECRETS)
def test_doctor_shows_what_is_not_secret_and_that_the_rest_is_set(
    provider: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ReflectingServer(REFLECTIONS["401 in JSON"]) as server:
        places = Places(provider, server.url, config, monkeypatch)
        places.in_the_file()
        ran = Shell({"POLYSESSION_PROFILE": "canary"}).run("doctor")

    check_no_secret([ran.out + ran.err])
    assert all(f"{name} is {value}" in ran.out for name, value in places.shown.items())
    assert all(f"{name} is set, from profile 'canary'" in ran.out for name in places.secrets)
    assert all(f"canary.{name}" in ran.out for name in places.secrets), "plain secrets are reported by name"


def filled(command: list[str], provider: str) -> Iterator[str]:
    other = next(name for name in SECRETS if name != provider)
    names = {"PROVIDER": provider, "OTHER": other}
    return (names.get(word, word) for word in command)


WRONG: dict[str, Callable[[str], Any]] = {
    "with a line break": lambda text: f"{text}\n",
    "with spaces": lambda text: f" {text}",
    "with a letter that no header can carry": lambda text: f"{text}ü",
    "in a list": lambda text: [text],
    "in a table": lambda text: {"x": text, "y": text},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("provider", "setting"), SECRET_SETTINGS)
def test_a_secret_that_cannot_be_used_is_not_quoted(
    provider: str, setting: str, wrong: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(provider, "http://127.0.0.1:9", config, monkeypatch)
    places.write({setting: with_texts(SECRETS[provider][setting], WRONG[wrong])})
    for command in (["sessions", "list", "--debug"], ["doctor", "--debug"], ["sessions", "list", "--json"]):
        ran = Shell({"POLYSESSION_PROFILE": "canary"}).run(*command)
        assert ran.code != 0
        assert setting in ran.out + ran.err
        check_no_secret([ran.out + ran.err])


@pytest.mark.parametrize(("provider", "setting"), SECRET_SETTINGS)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(provider: str, setting: str) -> None:
    for command in (["sessions", "list"], ["doctor"], ["run", "sess_1", "hi"]):
        ran = Shell().run(*command, "--provider", provider, "--set", f"{setting}={CANARY}", "--debug")
        assert "is a secret, and other users can see a command line" in ran.err
        check_no_secret([ran.out + ran.err])


MISPLACED = {
    "in the address": 'base_url = "https://user:CANARY@host.example"',
    "in the port": 'base_url = "https://host.example:CANARY"',
    "in an unknown setting": 'tokken = "CANARY"',
    "in a text without end": 'token = "CANARY',
    "without quotes": "token = CANARY",
}


@pytest.mark.parametrize("provider", SECRETS)
@pytest.mark.parametrize("misplaced", MISPLACED)
def test_a_secret_in_the_wrong_place_of_the_file_is_not_quoted(provider: str, misplaced: str, config: Path) -> None:
    line = MISPLACED[misplaced].replace("CANARY", "c4n4ry")
    others = [f"{name} = {json.dumps(value)}" for name, value in TARGETS[provider].settings.items()]
    config.write_text("\n".join(["[profiles.canary]", f'provider = "{provider}"', line, *others]), "utf-8")
    for command in (["sessions", "list", "--debug"], ["doctor", "--debug"], ["providers", "--debug"]):
        ran = Shell({"POLYSESSION_PROFILE": "canary"}).run(*command)
        assert ran.code != 0 or command[0] == "providers"
        assert "missing" not in ran.out + ran.err
        check_no_secret([ran.out + ran.err])


def test_a_process_of_its_own_shows_no_secret(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ReflectingServer(REFLECTIONS["401 in JSON"]) as server:
        Places("agentscope", server.url, config, monkeypatch).in_the_file()
        monkeypatch.setenv("POLYSESSION_PROFILE", "canary")
        ran = subprocess.run(
            [sys.executable, "-X", "dev", "-m", "polysession.cli", "sessions", "list", "--debug"],
            capture_output=True,
            text=True,
            check=False,
        )

    assert ran.returncode == 4
    assert "AuthenticationFailed" in ran.stderr
    check_no_secret([ran.stdout + ran.stderr])
