"""`providers`, `features`, `switch-check` and `doctor`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from polysession import Feature, Support, SwitchReport
from polysession.cli import diagnosis
from polysession.emulation import EmulatorHandle, Fault
from polysession.plugins import installed_providers, load_provider
from support.command import Shell, created, shell_for
from support.installed import Site, site

__all__ = ["site"]

ALL = list(installed_providers())
TOKEN = "pt-c4n4ry"


def test_providers_are_listed_with_where_they_come_from() -> None:
    listed = Shell().done("providers", "--json").json["providers"]

    assert [one["name"] for one in listed] == ALL
    for one in listed:
        assert set(one) == {"name", "distributions", "module", "healthy", "problem", "emulator", "docs_url"}
        assert one["distributions"] == [{"distribution": "polysession", "version": version("polysession")}]
        assert (one["healthy"], one["problem"]) == (True, None)
        assert one["emulator"] is (load_provider(one["name"]).emulator is not None)
    assert f"polysession {version('polysession')}" in Shell().done("providers").out


def test_a_broken_plugin_is_shown_and_hurts_nobody(site: Site) -> None:
    site.module("broken_plugin", "raise RuntimeError('no \\x1b[31mluck')")
    site.install("acme-broken", "acme = broken_plugin", version="3.1")

    form = {one["name"]: one for one in Shell().done("providers", "--json").json["providers"]}
    assert (form["acme"]["healthy"], form["qoder"]["healthy"]) == (False, True)
    assert "is broken: RuntimeError: no" in form["acme"]["problem"]
    table = Shell().done("providers")
    assert "acme-broken 3.1" in table.out
    assert "\x1b" not in table.out
    features = Shell().done("features")
    assert "acme is left out" in features.err
    assert re.search(r"[\s|]+".join(ALL), features.out)
    assert Shell().done("features", "--json").json["broken"].keys() == {"acme"}
    assert Shell().run("features", "--provider", "acme").code == 12
    told = Shell().run("doctor", "--provider", "acme", "--json")
    assert (told.code, told.json["findings"][-1]["check"]) == (1, "provider")


def test_features_are_a_table_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(map(len, Shell().done("features").out.splitlines())) <= 80

    monkeypatch.setenv("COLUMNS", "500")
    lines = Shell().done("features").out.splitlines()
    assert len(lines) == 2 + len(Feature)
    assert lines[0].split() == ["feature", *ALL]
    marks = {Support.NATIVE: "N", Support.EMULATED: "E", Support.UNSUPPORTED: "-"}
    archive = [marks[load_provider(name).support(Feature.SESSIONS_ARCHIVE).support] for name in ALL]
    assert ["sessions.archive", *archive] in [line.split() for line in lines]


def test_features_say_why() -> None:
    told = " ".join(Shell().done("features", "--provider", "everruns", "--why").out.split())

    assert "the published API archives agents only" in told
    assert "AgentScope" not in told


def test_features_are_told_as_json() -> None:
    told = {
        one["feature"]: one["providers"]
        for one in Shell().done("--provider", "qoder", "features", "--json").json["features"]
    }

    assert list(told) == [feature.value for feature in Feature]
    assert told["sessions.archive"] == {"qoder": {"support": "native", "note": "it cannot be undone"}}


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize("target", ALL)
def test_every_switch_can_be_checked(source: str, target: str) -> None:
    report = SwitchReport.model_validate(Shell().done("switch-check", "--from", source, "--to", target, "--json").json)
    assert (report.source, report.target) == (source, target)
    table = Shell().done("switch-check", "--from", source, "--to", target).out
    assert max(map(len, table.splitlines())) <= 80
    assert f"from {source} to {target}\n" in table


def test_a_switch_is_checked_with_the_fields_of_a_session(any_shell: Shell, any_emulator: EmulatorHandle) -> None:
    session = created(any_shell, any_emulator, "--title", "Moved")
    target = next(name for name in ALL if name != any_emulator.provider)

    checked = any_shell.done(
        "switch-check", "--from", any_emulator.provider, "--to", target, "--session", session, "--json"
    )
    items = {item["name"]: item["effect"] for item in checked.json["items"] if item["area"] == "session"}
    assert checked.json["session_id"] == session
    is_native = load_provider(target).support(Feature.SESSIONS_UPDATE_TITLE).support is Support.NATIVE
    assert (items["title"], items["tags"]) == ("kept" if is_native else "emulated", "not_applicable")
    table = any_shell.done(
        "switch-check", "--from", any_emulator.provider, "--to", target, "--session", session, "--all"
    )
    assert session in table.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "qoder", "--to", "qodr"], "Did you mean 'qoder'?"),
        (["--from", "qoder", "--to", "everruns", "--set", "a=b"], "give --session too"),
        (["--from", "everruns", "--to", "qoder", "--session", "s", "--provider", "qoder"], "give one of the two"),
    ],
)
def test_a_switch_that_cannot_be_checked_is_told(arguments: list[str], said: str) -> None:
    ran = Shell().run("switch-check", *arguments)

    assert (ran.code, said in " ".join(ran.err.split())) == (2, True)


def examined(shell: Shell, *arguments: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """The exit code, and the last finding of each check."""
    ran = shell.run("doctor", *arguments, "--json")
    assert set(ran.json) == {"healthy", "findings"}
    assert ran.json["healthy"] is (ran.code == 0)
    return ran.code, {one["check"]: (one["state"], one["message"], one["fix"]) for one in ran.json["findings"]}


def test_a_healthy_backend_is_healthy(any_shell: Shell, any_emulator: EmulatorHandle) -> None:
    code, found = examined(any_shell)

    assert code == 0
    for check in ("polysession", "configuration", "provider", "settings", "reachability", "authorisation", "clock"):
        assert found[check][0] == "ok", found[check]
    no_version = ("skipped", "the backend tells no version", "")
    version = any_emulator.control.version
    assert found["version"] == (("ok", f"{any_emulator.provider} {version}", "") if version else no_version)
    assert "reachability" in any_shell.done("doctor").out
    assert examined(Shell(), "--emulated", "--provider", any_emulator.provider)[0] == 0


def test_each_setting_is_told_with_its_source_and_no_secret(qoder: EmulatorHandle) -> None:
    shell = Shell(shell_for(qoder).env | {"QODER_ACCESS_TOKEN": TOKEN})
    ran = shell.run("doctor", "--set", "workspace_id=w1", "--json")

    messages = [one["message"] for one in ran.json["findings"] if one["check"] == "settings"]
    assert messages == [
        f"base_url is {qoder.base_url}, by the variable QODER_MANAGED_BASE_URL",
        "token is set, by the variable QODER_ACCESS_TOKEN",
        "workspace_id is w1, by argument",
    ]
    assert "c4n4ry" not in ran.out + ran.err + shell.run("doctor").out


@pytest.mark.parametrize(
    ("status", "state", "fix"),
    [
        (401, "problem", "renew token"),
        (403, "problem", "ask for the right to list agents, or renew token"),
        (404, "problem", "correct base_url: "),
        (302, "problem", "correct base_url: "),
        (429, "warning", "ask less often"),
        (500, "problem", "try again later"),
    ],
)
def test_other_refusals_are_found(status: int, state: str, fix: str, shell: Shell, qoder: EmulatorHandle) -> None:
    qoder.faults.add(Fault("status", status=status))
    code, found = examined(shell)

    assert (code, found["reachability"][0], found["authorisation"][0]) == (int(state == "problem"), "ok", state)
    assert found["authorisation"][2].startswith(fix)


def test_an_unreachable_backend_is_found(shell: Shell) -> None:
    code, found = examined(shell, "--set", "base_url=http://127.0.0.1:9")

    assert (code, found["reachability"][0]) == (1, "problem")
    assert "http://127.0.0.1:9 is its address" in found["reachability"][2]
    assert "authorisation" not in found


def test_missing_and_wrong_settings_are_found() -> None:
    assert examined(Shell())[1]["provider"][0] == "problem"
    state, message, fix = examined(Shell(), "--provider", "qoder")[1]["settings"]
    assert (state, fix) == ("problem", "set QODER_ACCESS_TOKEN or QODER_SA_KEY, or put it in a profile")
    assert "'token' or 'service_account_key' is missing" in message
    nonsense = examined(Shell({"QODER_PAT": TOKEN}), "--provider", "qoder", "--set", "base_url=nonsense")[1]
    assert nonsense["settings"][2] == "correct the setting where it was given"


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [(90, "warning", "90 seconds ahead of"), (-90, "warning", "behind"), (5, "ok", "agree")],
)
def test_a_clock_that_is_wrong_is_found(seconds: int, state: str, said: str) -> None:
    watch = diagnosis._Watch()
    watch.date = "Wed, 25 Nov 2026 12:00:00 GMT"
    watch.came_at = datetime(2026, 11, 25, 12, tzinfo=UTC) + timedelta(seconds=seconds)

    found = diagnosis._clock(watch)
    assert found.state == state
    assert said in found.message


def test_a_backend_that_tells_no_time_is_no_problem() -> None:
    assert diagnosis._clock(diagnosis._Watch()).state == "skipped"


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
    assert found["settings"][1] == "token is set, by profile 'local'"
    unknown = shell.run("--profile", "remote", "sessions", "list")
    assert (unknown.code, "It has: local" in " ".join(unknown.err.split())) == (2, True)
    assert examined(shell, "--profile", "remote")[1]["profile"][0] == "problem"


def test_a_plain_secret_is_warned_about_by_name_only(qoder: EmulatorHandle, tmp_path: Path) -> None:
    text = f'[profiles.local]\nprovider = "qoder"\nbase_url = "{qoder.base_url}"\ntoken = "{TOKEN}"\n'
    shell = Shell(write_profiles(text, tmp_path, 0o644))

    ran = shell.run("--profile", "local", "sessions", "list")
    assert ran.code == 0
    assert "polysession: warning: " in ran.err
    assert "holds profiles.local.token as plain text" in " ".join(ran.err.split())
    told = shell.run("doctor", "--profile", "local", "--json")
    (warning,) = [one for one in told.json["findings"] if one["state"] == "warning"]
    assert "local.token" in warning["message"]
    assert "chmod 600" in warning["fix"]
    assert "c4n4ry" not in ran.err + told.out + told.err


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
    patient = diagnosis.DoctorTarget(None, None, {}, {"https_proxy": "http://user:c4n4ry@proxy.example"})

    found = {one.check: one for one in diagnosis._route(settings, patient)}
    assert ("encryption" in found) is warns
    assert found["proxy"].message == "the environment sets HTTPS_PROXY; they are heeded"


def test_a_secret_that_was_put_where_no_secret_belongs_is_not_repeated() -> None:
    ran = Shell().run("doctor", "--provider", "qoder", "--set", TOKEN)

    assert (ran.code, "c4n4ry" in ran.err) == (2, False)


def test_findings_are_json_without_surprises() -> None:
    ran = Shell().run("doctor", "--json")

    assert all(set(one) == {"check", "state", "message", "fix"} for one in json.loads(ran.out)["findings"])
