"""`polysession demo` and `emulate`."""

from __future__ import annotations

import re
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from polysession import Client
from polysession.cli import local_commands
from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle
from support.command import Shell

PROVIDERS = list(emulated_providers())


def test_the_demo_fits_a_terminal_and_shows_every_backend() -> None:
    out = Shell().done("demo").out

    assert max(len(line) for line in out.splitlines()) <= 80
    assert len(out.splitlines()) <= 60
    assert re.search(r"[\s|]+".join(PROVIDERS), out)
    for word in ("N native", "Emulated", "Unsupported", "NotFound", "add a tag", "polysession features --why"):
        assert word in out
    assert "\x1b" not in out


def test_the_demo_ignores_a_proxy_and_can_be_json() -> None:
    nowhere = "http://127.0.0.1:9"
    stories = Shell({"HTTP_PROXY": nowhere, "ALL_PROXY": nowhere}).done("demo", "--json").json["providers"]

    assert list(stories) == PROVIDERS
    assert all(set(step) == {"step", "feature", "support", "refusal", "outcome"} for step in stories["qoder"])


class Interrupted:
    """Stands in for the wait until Ctrl-C; what is served meanwhile is checked."""

    def wait(self) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_commands, "threading", SimpleNamespace(Event=Interrupted))


@pytest.mark.parametrize("generation", ["current", "legacy"])
def test_an_emulator_is_served_until_ctrl_c(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def show(_: object, handle: EmulatorHandle) -> None:
        with Client("qoder", **handle.settings) as client:
            assert client.agents.get(handle.agent_id).name
        raise KeyboardInterrupt  # as soon as the address is known

    monkeypatch.setattr(local_commands, "_show_address", show)

    ran = Shell().done("emulate", "qoder", "--generation", generation)
    assert ran.err == "stopped\n"


@pytest.mark.usefixtures("ctrl_c")
def test_the_address_is_shown_as_text_and_as_json() -> None:
    shown = Shell().done("emulate", "qoder").out
    assert "  export QODER_ACCESS_TOKEN=pt-emulator\n" in shown
    form = Shell().done("emulate", "qoder", "--json").json
    assert set(form) == {
        *("provider", "base_url", "settings", "environment", "agent_id"),
        *("environment_id", "credential_id", "pid"),
    }
    assert form["environment"]["QODER_MANAGED_BASE_URL"] == form["base_url"] == form["settings"]["base_url"]


def test_a_taken_port_is_a_usage_error(qoder: EmulatorHandle) -> None:
    ran = Shell().run("emulate", "qoder", "--port", str(urlsplit(qoder.base_url).port))

    assert (ran.code, "Choose another port" in ran.err) == (2, True)
