"""`polysession providers`, `features` and `switch-check`."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from polysession import Feature, Support, SwitchReport
from polysession.plugins import installed_providers, load_provider
from support.command import Shell
from support.installed import Site, site

__all__ = ["site"]

ALL = list(installed_providers())


def test_providers_are_listed_with_their_distribution() -> None:
    listed = Shell().done("providers", "--json").json["providers"]

    assert [one["name"] for one in listed] == ALL
    for one in listed:
        assert set(one) == {"name", "distributions", "module", "healthy", "problem", "emulator", "docs_url"}
        assert one["distributions"] == [{"distribution": "polysession", "version": version("polysession")}]
        assert (one["healthy"], one["problem"]) == (True, None)
        assert one["emulator"] is (load_provider(one["name"]).emulator is not None)
    assert f"polysession {version('polysession')}" in Shell().done("providers").out


def test_a_broken_plugin_is_shown_and_affects_no_other(site: Site) -> None:
    site.module("broken_plugin", "raise RuntimeError('no \\x1b[31mluck')")
    site.install("acme-broken", "acme = broken_plugin", version="3.1")

    form = {one["name"]: one for one in Shell().done("providers", "--json").json["providers"]}
    assert (form["acme"]["healthy"], form["qoder"]["healthy"]) == (False, True)
    assert "is broken: RuntimeError: no" in form["acme"]["problem"]
    table = Shell().done("providers")
    assert "acme-broken 3.1" in table.out
    assert "\x1b" not in table.out
    features = Shell().done("features")
    assert "skipped acme" in features.err
    assert re.search(r"[\s|]+".join(ALL), features.out)
    assert Shell().done("features", "--json").json["broken"].keys() == {"acme"}
    assert Shell().run("features", "--provider", "acme").code == 12
    examined = Shell().run("doctor", "--provider", "acme", "--json")
    assert (examined.code, examined.json["findings"][-1]["check"]) == (1, "provider")


def test_features_are_a_table_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(map(len, Shell().done("features").out.splitlines())) <= 80

    monkeypatch.setenv("COLUMNS", "500")
    lines = Shell().done("features").out.splitlines()
    assert len(lines) == 2 + len(Feature)
    assert lines[0].split() == ["feature", *ALL]
    marks = {Support.NATIVE: "N", Support.EMULATED: "E", Support.UNSUPPORTED: "-"}
    archive = [marks[load_provider(name).support(Feature.SESSIONS_ARCHIVE).support] for name in ALL]
    assert ["sessions.archive", *archive] in [line.split() for line in lines]


def test_features_have_reasons() -> None:
    text = " ".join(Shell().done("features", "--provider", "everruns", "--why").out.split())

    assert "the published API archives only agents" in text
    assert "AgentScope" not in text


def test_features_can_be_json() -> None:
    features = {
        one["feature"]: one["providers"]
        for one in Shell().done("--provider", "qoder", "features", "--json").json["features"]
    }

    assert list(features) == [feature.value for feature in Feature]
    assert features["sessions.archive"] == {"qoder": {"support": "native", "note": "cannot be undone"}}


@pytest.mark.parametrize(("source", "target"), list(zip(ALL, [*ALL[1:], ALL[0]], strict=True)))
def test_a_switch_can_be_checked(source: str, target: str) -> None:
    report = SwitchReport.model_validate(Shell().done("switch-check", "--from", source, "--to", target, "--json").json)
    assert (report.source, report.target) == (source, target)
    table = Shell().done("switch-check", "--from", source, "--to", target).out
    assert max(map(len, table.splitlines())) <= 80
    assert f"from {source} to {target}\n" in table
    assert "No backend can import a conversation" in table


def test_fail_on_exits_with_1_for_a_loss_and_ids_and_times_are_none() -> None:
    check = ["switch-check", "--from", "qoder", "--to"]

    assert Shell().run(*check, "agentscope", "--fail-on", "lost").code == 1
    assert Shell().run(*check, "qoder", "--fail-on", "lost", "--json").code == 0
    assert Shell().run(*check, "qoder", "--fail-on", "lost", "--fail-on", "remapped").code == 1
    assert Shell().run(*check, "agentscope").code == 0


def test_the_conversation_of_a_session_is_a_loss(shell: Shell, session: str) -> None:
    ran = shell.run("switch-check", "--from", "qoder", "--to", "qoder", "--session", session, "--fail-on", "lost")

    assert (ran.code, "messages" in ran.out) == (1, True)


def test_a_switch_is_checked_with_the_fields_of_a_session(shell: Shell, session: str) -> None:
    check = ["switch-check", "--from", "qoder", "--to", "everruns", "--session", session]

    checked = shell.done(*check, "--json").json
    items = {item["name"]: item["effect"] for item in checked["items"] if item["area"] == "session"}
    assert checked["session_id"] == session
    assert (items["title"], items["tags"], items["id"]) == ("kept", "not_applicable", "remapped")
    assert session in shell.done(*check, "--all").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "qoder", "--to", "qodr"], "Did you mean 'qoder'?"),
        (["--from", "qoder", "--to", "everruns", "--set", "a=b"], "need --session"),
        (["--from", "everruns", "--to", "qoder", "--session", "s", "--provider", "qoder"], "give only one"),
    ],
)
def test_wrong_options_are_usage_errors(arguments: list[str], message: str) -> None:
    ran = Shell().run("switch-check", *arguments)

    assert (ran.code, message in " ".join(ran.err.split())) == (2, True)
