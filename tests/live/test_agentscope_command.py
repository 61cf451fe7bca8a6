"""A session on the real AgentScope service, by the command-line program only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from live.agentscope_service.process import AgentScopeService


@dataclass(frozen=True)
class Terminal:
    """A user's environment for commands, with one profile."""

    env: dict[str, str]

    def run(self, *arguments: str, code: int = 0, typed: str = "") -> str:
        """Return the output of the command."""
        ran = subprocess.run(  # noqa: S603
            command(*arguments), env=self.env, input=typed, capture_output=True, text=True, timeout=90, check=False
        )
        assert ran.returncode == code, ran
        return ran.stdout

    def json(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Return the JSON objects that the command wrote."""
        return [json.loads(line) for line in self.run(*arguments, "--json", code=code).splitlines()]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "polysession.cli", *arguments]


@pytest.fixture
def terminal(agentscope_service: AgentScopeService, tmp_path: Path) -> Terminal:
    user_id = f"user-{uuid.uuid4().hex}"
    (tmp_path / "polysession").mkdir()
    (tmp_path / "polysession/config.toml").write_text(
        f'[profiles.live]\nprovider = "agentscope"\nbase_url = "{agentscope_service.base_url}"\nuser_id = "{user_id}"\n'
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTSCOPE_", "POLYSESSION_"))}
    terminal = Terminal(
        env
        | {
            "XDG_CONFIG_HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path),
            "POLYSESSION_PROFILE": "live",
            "NO_PROXY": "127.0.0.1",
        }
    )
    (agent,) = terminal.json("agents", "create", "Live agent", "--system-prompt", "Be brief.")
    terminal.env["AGENTSCOPE_AGENT_ID"] = agent["id"]
    terminal.env["CREDENTIAL"] = agentscope_service.create_credential(user_id)
    return terminal


def new_session(terminal: Terminal, title: str) -> str:
    model = ["--model", "scripted", "--model-type", "openai_credential", "--credential", terminal.env["CREDENTIAL"]]
    where = ["--agent", terminal.env["AGENTSCOPE_AGENT_ID"]]
    (made,) = terminal.json("sessions", "create", *where, *model, "--title", title)
    assert (made["provider"], made["title"], made["model"]["id"]) == ("agentscope", title, "scripted")
    return str(made["id"])


def test_the_doctor_reports_a_healthy_service_and_its_version(terminal: Terminal) -> None:
    (report,) = terminal.json("doctor")

    found = {one["check"]: (one["state"], one["message"]) for one in report["findings"]}
    assert report["healthy"]
    assert found["version"] == ("ok", "agentscope 2.0.11")
    assert found["clock"][0] == found["authorisation"][0] == found["reachability"][0] == "ok"


def test_a_session_from_creation_to_deletion(terminal: Terminal) -> None:
    session = new_session(terminal, "From a shell")
    assert session in terminal.run("sessions", "list")
    assert [one["title"] for one in terminal.json("sessions", "list")] == ["From a shell"]
    assert terminal.run("run", session, "hello") == "You said: hello\n"
    assert terminal.run("run", session, "-", typed="from stdin") == "You said: from stdin\n"
    (changed,) = terminal.json("sessions", "update", session, "--title", "Renamed", "--permission-mode", "explore")
    assert (changed["title"], changed["permission_mode"]) == ("Renamed", "explore")
    assert terminal.json("sessions", "get", session)[0]["title"] == "Renamed"
    assert "user: hello\nassistant: You said: hello\n" in terminal.run("messages", session)
    refused = terminal.run("sessions", "archive", session, code=3)
    assert refused == ""
    assert terminal.json("sessions", "delete", session, "--yes")[0]["deleted"]
    terminal.run("sessions", "get", session, code=5)


def test_a_turn_is_sent_followed_in_another_process_and_cancelled(terminal: Terminal) -> None:
    session = new_session(terminal, "Followed")
    with subprocess.Popen(  # noqa: S603
        command("events", session, "--json"),
        env=terminal.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as follower:
        assert follower.stdout is not None
        terminal.run("send", session, "/slow 200")
        seen: list[dict[str, Any]] = []
        while not [event for event in seen if event["type"] == "message.delta"]:
            seen.append(json.loads(follower.stdout.readline()))
        assert terminal.json("sessions", "cancel", session)[0]["state"] == "requested"
        while seen[-1]["type"] != "turn.ended":
            seen.append(json.loads(follower.stdout.readline()))
        follower.send_signal(signal.SIGINT)
        follower.communicate(timeout=30)
    assert follower.returncode == 130
    assert seen[-1]["outcome"] == "cancelled"
    assert terminal.run("sessions", "cancel", session) == "no turn is running\n"
    terminal.run("run", session, "missed")
    later = terminal.json("events", session, "--cursor", seen[-1]["cursor"], "--until-turn-ends", "--deadline", "60")
    assert [event["message"]["content"][0]["text"] for event in later if event["type"] == "message.completed"] == [
        "You said: missed"
    ]


def test_a_tool_is_approved_from_the_shell(terminal: Terminal) -> None:
    session = new_session(terminal, "Approved")
    terminal.run("run", session, "/ask", code=14)
    (action,) = terminal.json("pending", session)
    assert action["arguments"] == {"command": "touch item-0"}
    assert terminal.run("answer", session, "--approve", action["id"]) == "The decision was heard.\n"


def test_a_chat_with_piped_input_creates_a_session(terminal: Terminal) -> None:
    model = ["--model", "scripted", "--model-type", "openai_credential", "--credential", terminal.env["CREDENTIAL"]]
    where = ["--agent", terminal.env["AGENTSCOPE_AGENT_ID"]]

    report = terminal.run("chat", *where, *model, "--json", typed="one\ntwo\n")
    events = [json.loads(line) for line in report.splitlines()]
    assert [event["outcome"] for event in events if event["type"] == "turn.ended"] == ["completed", "completed"]
    assert "You said: two" in report


def test_a_switch_is_checked_with_a_real_session(terminal: Terminal) -> None:
    session = new_session(terminal, "Moved")

    (report,) = terminal.json("switch-check", "--from", "agentscope", "--to", "qoder", "--session", session)
    effects = {item["name"]: item["effect"] for item in report["items"] if item["area"] == "session"}
    assert (effects["title"], effects["model"], effects["permission_mode"]) == ("kept", "lost", "lost")
