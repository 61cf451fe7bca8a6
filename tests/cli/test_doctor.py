"""`polysession doctor`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from polysession.cli import backend_checks, diagnosis
from polysession.cli.findings import DoctorTarget
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.plugins import load_provider
from polysession.testing.fault_server import FaultServer, http
from support.command import Shell, shell_for

TOKEN = "pt-c4n4ry"


def examined(shell: Shell, *arguments: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """Return the exit code, and the last finding of each check."""
    ran = shell.run("doctor", *arguments, "--json")
    assert set(ran.json) == {"healthy", "findings"}
    assert ran.json["healthy"] is (ran.code == 0)
    return ran.code, {one["check"]: (one["state"], one["message"], one["fix"]) for one in ran.json["findings"]}


def test_a_healthy_backend_is_healthy(any_shell: Shell, any_emulator: EmulatorHandle) -> None:
    code, found = examined(any_shell)

    assert code == 0
    for check in ("polysession", "configuration", "provider", "settings", "reachability", "authorisation", "clock"):
        assert found[check][0] == "ok", found[check]
    no_version = ("skipped", "the backend reports no version", "")
    version = any_emulator.control.version
    assert found["version"] == (("ok", f"{any_emulator.provider} {version}", "") if version else no_version)
    assert "reachability" in any_shell.done("doctor").out
    assert examined(Shell(), "--emulated", "--provider", any_emulator.provider)[0] == 0


def test_each_setting_is_shown_with_its_source_and_no_secret(qoder: EmulatorHandle) -> None:
    shell = Shell(shell_for(qoder).env | {"QODER_ACCESS_TOKEN": TOKEN})
    ran = shell.run("doctor", "--set", "workspace_id=w1", "--json")

    messages = [one["message"] for one in ran.json["findings"] if one["check"] == "settings"]
    assert messages == [
        f"base_url is {qoder.base_url}, from the variable QODER_MANAGED_BASE_URL",
        "token is set, from the variable QODER_ACCESS_TOKEN",
        "workspace_id is w1, from an argument",
    ]
    assert "c4n4ry" not in ran.out + ran.err + shell.run("doctor").out


@pytest.mark.parametrize(
    ("status", "state", "fix"),
    [
        (401, "problem", "renew token"),
        (403, "problem", "request the permission to list agents, or renew token"),
        (404, "problem", "correct base_url: "),
        (302, "problem", "correct base_url: "),
        (429, "warning", "send fewer requests"),
        (500, "problem", "try again later"),
    ],
)
def test_other_refusals_are_found(status: int, state: str, fix: str, shell: Shell, qoder: EmulatorHandle) -> None:
    qoder.faults.add(Fault("status", status=status))
    code, found = examined(shell)

    assert (code, found["reachability"][0], found["authorisation"][0]) == (int(state == "problem"), "ok", state)
    assert found["authorisation"][2].startswith(fix)


def test_a_list_of_something_else_is_found() -> None:
    with FaultServer(http(200, json.dumps({"data": ["text"], "next_page": None}))) as server:
        code, found = examined(Shell({"QODER_PAT": "pt-x"}), "--provider", "qoder", "--set", f"base_url={server.url}")

    assert (code, found["reachability"][0], found["authorisation"][0]) == (1, "ok", "problem")
    assert "a list has no readable item" in found["authorisation"][1]
    assert found["authorisation"][2].startswith("correct base_url: ")


def test_an_unreachable_backend_is_found(shell: Shell) -> None:
    code, found = examined(shell, "--set", "base_url=http://127.0.0.1:9")

    assert (code, found["reachability"][0]) == (1, "problem")
    assert "http://127.0.0.1:9 is its address" in found["reachability"][2]
    assert "authorisation" not in found


def test_missing_and_wrong_settings_are_found() -> None:
    assert examined(Shell())[1]["provider"][0] == "problem"
    state, message, fix = examined(Shell(), "--provider", "qoder")[1]["settings"]
    assert (state, fix) == ("problem", "set QODER_ACCESS_TOKEN or QODER_SA_KEY, or store it in a profile")
    assert "'token' or 'service_account_key' is missing" in message
    nonsense = examined(Shell({"QODER_PAT": TOKEN}), "--provider", "qoder", "--set", "base_url=nonsense")[1]
    assert nonsense["settings"][2] == "correct the setting in the option, the profile or the environment variable"


@pytest.mark.parametrize(
    ("seconds", "state", "message"),
    [(90, "warning", "90 seconds ahead of"), (-90, "warning", "behind"), (5, "ok", "agree")],
)
def test_a_clock_that_is_wrong_is_found(seconds: int, state: str, message: str) -> None:
    watch = backend_checks._Watch()
    watch.date = "Wed, 25 Nov 2026 12:00:00 GMT"
    watch.came_at = datetime(2026, 11, 25, 12, tzinfo=UTC) + timedelta(seconds=seconds)

    found = backend_checks._clock(watch)
    assert found.state == state
    assert message in found.message


def test_a_backend_without_a_date_is_no_problem() -> None:
    assert backend_checks._clock(backend_checks._Watch()).state == "skipped"


def write_profiles(text: str, folder: Path, mode: int = 0o600) -> dict[str, str]:
    path = folder / "polysession" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(mode)
    return {"XDG_CONFIG_HOME": str(folder)}


def test_a_profile_is_used_and_examined(qoder: EmulatorHandle, tmp_path: Path) -> None:
    text = f'[profiles.local]\nprovider = "qoder"\nbase_url = "{qoder.base_url}"\ntoken = {{ env = "LOCAL" }}\n'
    shell = Shell(write_profiles(text, tmp_path) | {"LOCAL": str(qoder.settings["token"])})

    assert shell.run("--profile", "local", "sessions", "list").code == 0
    assert shell.run("sessions", "list", POLYSESSION_PROFILE="local").code == 0
    code, found = examined(shell, "--profile", "local")
    assert code == 0
    assert found["profile"][1].startswith("profile 'local' in ")
    assert found["settings"][1] == "token is set, from profile 'local'"
    unknown = shell.run("--profile", "remote", "sessions", "list")
    assert (unknown.code, "It has: local" in " ".join(unknown.err.split())) == (2, True)
    assert examined(shell, "--profile", "remote")[1]["profile"][0] == "problem"


def test_a_plain_secret_is_warned_about_by_name_only(qoder: EmulatorHandle, tmp_path: Path) -> None:
    text = f'[profiles.local]\nprovider = "qoder"\nbase_url = "{qoder.base_url}"\ntoken = "{TOKEN}"\n'
    shell = Shell(write_profiles(text, tmp_path, 0o644))

    ran = shell.run("--profile", "local", "sessions", "list")
    assert ran.code == 0
    assert "polysession: warning: " in ran.err
    assert "stores profiles.local.token as plain text" in " ".join(ran.err.split())
    found = shell.run("doctor", "--profile", "local", "--json")
    (warning,) = [one for one in found.json["findings"] if one["state"] == "warning"]
    assert "local.token" in warning["message"]
    assert "chmod 600" in warning["fix"]
    assert "c4n4ry" not in ran.err + found.out + found.err


def test_a_file_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    shell = Shell(write_profiles("[profiles.local", tmp_path) | {"QODER_PAT": TOKEN})

    assert (
        examined(shell, "--provider", "qoder", "--set", "base_url=http://127.0.0.1:9")[1]["configuration"][0]
        == "problem"
    )


@pytest.mark.parametrize(
    ("url", "warns"), [("http://acme.example", True), ("http://localhost:9", False), ("https://acme.example", False)]
)
def test_an_unencrypted_way_is_found(url: str, *, warns: bool) -> None:
    settings = load_provider("qoder").settings_type.model_validate({"token": "x", "base_url": url})
    target = DoctorTarget(None, None, {}, {"https_proxy": "http://user:c4n4ry@proxy.example"})

    found = {one.check: one for one in diagnosis._route(settings, target)}
    assert ("encryption" in found) is warns
    assert found["proxy"].message == "requests use the proxy settings of the environment: HTTPS_PROXY"


def test_a_credential_in_clear_text_is_one_warning() -> None:
    target = DoctorTarget("qoder", None, {"token": "x", "base_url": "http://127.0.0.2.example"}, {})

    warnings = [one for one in diagnosis.examine(target) if "clear text" in one.message]
    assert [one.check for one in warnings] == ["encryption"]


@pytest.mark.parametrize(
    ("provider", "setting"),
    [("adk", "ADK_APP"), ("agentscope", "AGENTSCOPE_AGENT_ID"), ("langgraph", "LANGGRAPH_ASSISTANT_ID")],
)
def test_an_unknown_agent_of_the_settings_is_a_problem(provider: str, setting: str) -> None:
    unknown = "no-such-agent"
    with serve(provider) as emulator:
        shell = Shell(shell_for(emulator).env | {setting: unknown})
        code, found = examined(shell)
        assert (code, found["authorisation"][0], found["agent"][0]) == (1, "ok", "problem")
        assert found["agent"][1].startswith(f"agent {unknown!r} cannot be used: ")
        assert "list the agents with: polysession agents list" in found["agent"][2]
        healthy = examined(Shell(shell_for(emulator).env | {setting: emulator.agent_id}))[1]
        assert healthy["agent"] == ("ok", f"agent {emulator.agent_id!r} exists", "")


def test_unknown_defaults_of_new_sessions_are_problems(qoder: EmulatorHandle) -> None:
    shell = Shell({"TOKEN": str(qoder.settings["token"])})
    add = ["profiles", "add", "x", "--provider", "qoder", "--set", f"base_url={qoder.base_url}", "--use"]
    ids = ["--agent", "agent_00000000000000000000", "--environment", "env_00000000000000000000", "--model", "none"]
    shell.done(*add, "--from-env", "token=TOKEN", *ids)

    code, found = examined(shell)
    assert (code, found["authorisation"][0]) == (1, "ok")
    assert [found[check][0] for check in ("agent", "environment", "model")] == ["problem"] * 3
    assert found["model"][2] == "correct new_session.model; list the models with: polysession models list"


def test_a_secret_that_was_put_where_no_secret_belongs_is_not_repeated() -> None:
    ran = Shell().run("doctor", "--provider", "qoder", "--set", TOKEN)

    assert (ran.code, "c4n4ry" in ran.err) == (2, False)


def test_findings_are_json_without_surprises() -> None:
    ran = Shell().run("doctor", "--json")

    assert all(set(one) == {"check", "state", "message", "fix"} for one in json.loads(ran.out)["findings"])
