"""`polysession sessions`, on the emulators."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from polysession import Client, Feature, ModelConfig, Session, SessionStatus
from polysession.emulation import EmulatorHandle
from polysession.plugins import load_provider
from polysession.testing.fault_server import FaultServer, http
from support.command import Shell, created

SESSION_KEYS = set(Session.model_fields) - {"source"}


def offers(emulator: EmulatorHandle, feature: Feature) -> bool:
    return bool(load_provider(emulator.provider).support(feature).support)


def test_a_session_is_created_read_changed_and_deleted(any_shell: Shell, any_emulator: EmulatorHandle) -> None:
    session = created(any_shell, any_emulator, "--title", "Ticket 42")
    got = any_shell.done("sessions", "get", session, "--json").json
    assert (set(got), got["title"], got["provider"]) == (SESSION_KEYS, "Ticket 42", any_emulator.provider)
    changed = any_shell.done("sessions", "update", session, "--title", "Done", "--json").json
    assert (set(changed), changed["title"]) == (SESSION_KEYS, "Done")
    listed = any_shell.done("sessions", "list", "--json").lines
    assert all(set(line) == SESSION_KEYS for line in listed)
    assert [line["title"] for line in listed if line["id"] == session] == ["Done"]
    if offers(any_emulator, Feature.SESSIONS_CANCEL):
        cancelled = any_shell.done("sessions", "cancel", session, "--json").json
        assert cancelled == {
            "provider": any_emulator.provider,
            "session_id": session,
            "state": "nothing_running",
            "problems": [],
        }
    deleted = any_shell.done("sessions", "delete", session, "--json", "--yes").json
    assert deleted == {"provider": any_emulator.provider, "session_id": session, "deleted": True}
    assert any_shell.run("sessions", "get", session).code == 5


def test_sessions_are_shown_as_fields_and_as_a_table(shell: Shell, session: str) -> None:
    lines = shell.done("sessions", "get", session).out.splitlines()
    fields = dict(line.split(maxsplit=1) for line in lines if not line.startswith(" "))
    assert (fields["id"], fields["title"]) == (session, "Talk")
    table = shell.done("sessions", "list").out.splitlines()
    assert table[0].split() == ["id", "status", "age", "title"]
    (row,) = [line for line in table if line.startswith(session)]
    assert (row.split()[1], row.split()[3:]) == ("idle", ["Talk"])
    assert all(len(line) <= 80 for line in table)
    assert shell.done("sessions", "cancel", session).out == "no turn is running\n"
    assert shell.done("sessions", "delete", session, "--yes").out == f"deleted {session}\n"


def test_raw_adds_the_object_of_the_backend(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)

    assert shell.done("sessions", "get", session, "--json", "--raw").json["raw"]["id"] == session
    assert shell.done("sessions", "list", "--json", "--raw", "--limit", "1").json["raw"]["id"] == session


def test_a_new_session_has_every_given_field(shell: Shell, qoder: EmulatorHandle) -> None:
    native = json.dumps({"environment_variables": {"A": "1"}})
    session = created(shell, qoder, "--metadata", "team=red", "--metadata", "k=a=b", "--native-json", native)

    got = shell.done("sessions", "get", session, "--json", "--raw").json
    assert got["metadata"] == {"team": "red", "k": "a=b"}
    assert got["agent_id"] == qoder.agent_id
    assert got["environment_id"] == qoder.environment_id


class Asked:
    """Stands in for `Sessions`, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def update(self, session: str, **values: object) -> Session:
        self.values = values
        return Session(provider="qoder", id=session)

    def create(self, **values: object) -> Session:
        self.values = values
        return Session(provider="qoder", id="s")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(Client, "__init__", lambda client, *_, **__: setattr(client, "sessions", asked))
    monkeypatch.setattr(Client, "close", lambda _: None)
    monkeypatch.setattr(Client, "provider", "qoder")
    return asked


MODEL = ModelConfig(id="m", type="t", credential_id="c", parameters={"temperature": 0})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--title", "T"], {"title": "T"}),
        (["--title", ""], {"title": ""}),
        (["--clear-title"], {"title": None}),
        (["--metadata", "a=1", "--remove-metadata", "b"], {"metadata": {"a": "1", "b": None}}),
        (["--metadata", "a="], {"metadata": {"a": ""}}),
        (["--clear-metadata"], {"metadata": None}),
        (["--tag", "a", "--tag", "b"], {"tags": ["a", "b"]}),
        (["--clear-tags"], {"tags": None}),
        (["--add-tag", "a", "--remove-tag", "b"], {"add_tags": ("a",), "remove_tags": ("b",)}),
        (["--model", "m"], {"model": ModelConfig(id="m")}),
        (
            ["--model", "m", "--model-type", "t", "--credential", "c", "--model-parameters", '{"temperature": 0}'],
            {"model": MODEL},
        ),
        (["--clear-model"], {"model": None}),
        (["--permission-mode", "ask"], {"permission_mode": "ask"}),
        (["--clear-permission-mode"], {"permission_mode": None}),
    ],
)
def test_an_update_sends_the_given_fields_only(options: list[str], expected: dict[str, object], asked: Asked) -> None:
    assert Shell().run("sessions", "update", "s", *options).code == 0

    assert asked.values == {"add_tags": (), "remove_tags": (), "native": None} | expected


def test_a_native_body_is_read_from_text_file_or_stdin(asked: Asked, tmp_path: Path) -> None:
    text = '{"agent": {"tools": []}}'
    (tmp_path / "body.json").write_text(text)
    for source in (text, f"@{tmp_path / 'body.json'}", "-"):
        Shell().done("sessions", "update", "s", "--native-json", source, typed=text)

        native = asked.values["native"]
        assert type(native).__name__ == "QoderSessionChanges"
        assert native.to_body() == json.loads(text)  # type: ignore[attr-defined]


def test_a_creation_sends_the_given_fields_only(asked: Asked) -> None:
    options = ["--workspace", "w", "--tag", "a", "--capability", "web", "--capability", 'sh={"x": 1}']
    Shell({"POLYSESSION_PROVIDER": "qoder"}).done("sessions", "create", *options, "--permission-mode", "ask")

    given = {name: value for name, value in asked.values.items() if value is not None}
    capabilities = given.pop("capabilities")
    assert given == {"workspace": "w", "tags": ["a"], "permission_mode": "ask"}
    assert [(one.ref, one.config) for one in capabilities] == [("web", None), ("sh", {"x": 1})]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["update", "s"], "nothing to change"),
        (["update", "s", "--title", "T", "--clear-title"], "--clear-title cannot be combined with an option"),
        (["update", "s", "--tag", "T", "--clear-tags"], "--clear-tags cannot be combined with an option"),
        (["update", "s", "--metadata", "a=1", "--clear-metadata"], "--clear-metadata cannot be combined"),
        (["update", "s", "--metadata", "a=1", "--remove-metadata", "a"], "'a' is both set and removed"),
        (["update", "s", "--metadata", "a=1", "--metadata", "a=2"], "--metadata sets 'a' twice"),
        (["update", "s", "--metadata", "a"], "--metadata must be KEY=VALUE"),
        (["update", "s", "--tag", "a", "--add-tag", "b"], "Qoder sessions have no tags"),
        (["update", "s", "--credential", "c"], "need --model"),
        (["update", "s", "--model", "m", "--model-parameters", "[]"], "a JSON object, not a list"),
        (["update", "s", "--native-json", "{"], "--native-json must be a JSON object, @FILE, or - for stdin"),
        (["update", "s", "--native-json", "@nowhere"], "No such file"),
        (
            ["update", "s", "--native-json", '{"agnt": 1}'],
            "agnt: Extra inputs are not permitted. QoderSessionChanges accepts:",
        ),
        (["create", "--capability", "a=}"], "--capability must be REF, or REF={...} with a configuration in JSON"),
        (["list", "--created-after", "yesterday"], "--created-after must be a time such as"),
        (["list", "--set", "nonsense"], "--set must be KEY=VALUE"),
        (["list", "--set", "tokn=x"], "unknown setting 'tokn'"),
    ],
)
def test_wrong_options_are_usage_errors(arguments: list[str], expected: str, shell: Shell) -> None:
    ran = shell.run("sessions", *arguments)

    assert ran.code in {2, 3}
    assert expected in " ".join(ran.err.split())


def test_a_secret_is_refused_on_the_command_line(shell: Shell) -> None:
    ran = shell.run("sessions", "list", "--set", "token=pt-c4n4ry")

    assert ran.code == 2
    assert "set QODER_ACCESS_TOKEN, or store it in a profile" in " ".join(ran.err.split())
    assert "c4n4ry" not in ran.err


def test_lists_are_filtered_bounded_and_read_page_by_page(shell: Shell, qoder: EmulatorHandle) -> None:
    ids = [created(shell, qoder, "--title", f"Page {number}", "--metadata", "set=pages") for number in range(3)]
    options = ["sessions", "list", "--metadata", "set=pages", "--json"]

    assert [line["id"] for line in shell.done(*options, "--page-size", "1").lines] == ids[::-1]
    assert [line["id"] for line in shell.done(*options, "--limit", "2").lines] == ids[:0:-1]
    assert [line["id"] for line in shell.done(*options, "--oldest-first").lines] == ids
    assert [line["id"] for line in shell.done(*options, "--title-contains", "page 1").lines] == [ids[1]]
    assert shell.done(*options, "--status", "running", "--agent", qoder.agent_id).lines == []
    assert shell.done(*options, "--created-before", "2001-01-01").lines == []
    assert len(shell.done(*options, "--created-after", "2001-01-01T00:00Z", "--include-archived").lines) == 3


def test_an_archived_session_is_shown(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)

    assert shell.done("sessions", "archive", session, "--json").json["archived_at"] is not None
    assert "archived_at" in shell.done("sessions", "get", session).out


def test_a_setting_may_be_given_before_or_after_the_command(shell: Shell) -> None:
    nonsense = ["--set", "base_url=nonsense"]

    for arguments in (["sessions", "list", *nonsense], [*nonsense, "sessions", "list"]):
        error = shell.run(*arguments, "--json").error
        assert (error["kind"], error["exit_code"]) == ("UsageError", 2)
        assert "base_url: " in error["message"]


def test_an_emulator_may_be_started_for_one_command() -> None:
    shell = Shell({"POLYSESSION_PROVIDER": "agentscope"})

    made = shell.done("sessions", "create", "--emulated", "--title", "Tried", "--json").json
    assert (made["title"], made["model"]["id"]) == ("Tried", "demo-model")
    assert shell.run("agents", "list", "--emulated", "--provider", "qoder", POLYSESSION_PROFILE="nobody").code == 0
    refused = shell.run("sessions", "list", "--emulated", "--set", "user_id=me")
    assert (refused.code, "--emulated cannot be combined with --set or --profile" in " ".join(refused.err.split())) == (
        2,
        True,
    )


def test_the_help_lists_every_status() -> None:
    assert set(SessionStatus) <= set(re.findall(r"\w+", Shell().done("sessions", "list", "--help").out))


def test_a_terminal_confirms_a_deletion(shell: Shell, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polysession.cli.confirm.at_terminal", lambda: True)

    refused = shell.run("sessions", "delete", session, typed="n\n")
    assert (refused.code, "permanently? [y/N]" in refused.err) == (1, True)
    assert refused.err.endswith("polysession: aborted\n")
    assert '"message": "aborted"' in shell.run("sessions", "delete", session, "--json", typed="n\n").err
    assert shell.run("sessions", "get", session).code == 0
    assert shell.run("sessions", "delete", session, typed="y\n").code == 0


def test_without_a_terminal_a_deletion_needs_yes(shell: Shell, session: str) -> None:
    refused = shell.run("sessions", "delete", session)
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    assert shell.run("sessions", "get", session).code == 0
    assert shell.run("sessions", "delete", session, "--yes").code == 0


def test_selected_fields_are_written_as_json(shell: Shell, session: str) -> None:
    got = shell.done("sessions", "get", session, "--fields", "id,model.id,metadata.none").json
    assert got == {"id": session, "model.id": "ultimate", "metadata.none": None}
    assert shell.done("--fields", "title", "sessions", "list", "--limit", "1").json == {"title": "Talk"}


def test_an_unknown_field_is_refused_before_anything_is_sent(shell: Shell) -> None:
    before = len(shell.done("sessions", "list", "--json").lines)
    refused = shell.run("sessions", "create", "--agent", "a", "--environment", "e", "--fields", "id,titel").error
    assert (refused["exit_code"], refused["kind"]) == (2, "UsageError")
    assert "unknown field 'titel'; this command writes" in refused["message"]
    assert len(shell.done("sessions", "list", "--json").lines) == before


def test_control_characters_of_a_backend_are_escaped(shell: Shell, qoder: EmulatorHandle) -> None:
    hostile = "a\x1b[31mb\u202ec\nd"
    session = created(shell, qoder, "--title", hostile)

    for arguments in (["get", session], ["get", session, "--json"], ["list"], ["list", "--json"]):
        out = shell.done("sessions", *arguments).out
        assert not {"\x1b", "\u202e"} & set(out)
    assert "a\\x1b[31mb\\u202ec\\nd" in shell.done("sessions", "get", session).out
    assert shell.done("sessions", "get", session, "--json").json["title"] == hostile


def test_items_that_cannot_be_read_are_an_error_beside_the_others() -> None:
    page = {"data": [{"id": "sess_1", "title": "Talk"}, {"title": "no id"}], "next_page": None}
    with FaultServer(http(200, json.dumps(page))) as server:
        shell = Shell({"POLYSESSION_PROVIDER": "qoder", "QODER_PAT": "pt-x", "QODER_MANAGED_BASE_URL": server.url})
        table = shell.run("sessions", "list")
        as_json = shell.run("sessions", "list", "--json")

    assert (table.code, as_json.code) == (10, 10)
    assert [line.split()[0] for line in table.out.splitlines()] == ["id", "sess_1"]
    assert [line["id"] for line in as_json.lines] == ["sess_1"]
    assert table.err.startswith("polysession: qoder: 1 of the sessions could not be read: ")
    assert (as_json.error["kind"], as_json.error["provider"]) == ("MalformedResponse", "qoder")
    assert as_json.error["message"] in table.err.replace("\n", " ")
