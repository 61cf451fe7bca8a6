"""Errors of the command: one style, and an exit status for each kind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polysession.cli import errors as cli_errors
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.errors import PolysessionError
from support.command import Shell, shell_for

DOCS = Path(__file__).parents[2] / "docs"
UNKNOWN = "sess_00000000000000000000"


def test_an_error_is_one_paragraph_and_a_traceback_only_with_debug(shell: Shell) -> None:
    failed = shell.run("sessions", "get", UNKNOWN)
    assert (failed.code, failed.out, failed.err.count("\n")) == (5, "", 1)
    assert failed.err.startswith(f"polysession: qoder sessions.get: Session {UNKNOWN!r} was not found.")
    debugged = shell.run("sessions", "get", UNKNOWN, "--debug")
    assert debugged.err.startswith("Traceback (most recent call last)")
    assert "was not found" in debugged.err.splitlines()[-1]
    assert debugged.code == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["emulate", "qodr"], "unknown provider 'qodr'. Did you mean 'qoder'?"),
        (["emulate", "qoder", "--generation", "next"], "invalid value for '--generation'"),
        (["emulate", "qoder", "--port", "70000"], "invalid value for '--port'"),
        (["sessions", "get"], "missing argument 'SESSION'. See polysession sessions get --help"),
        (["nonsense"], "no such command 'nonsense'. See polysession --help"),
        (["agents", "gt"], "no such command 'gt'. Did you mean 'get'? See polysession agents --help"),
        (["sessions", "list", "--status", "busy"], "invalid value for '--status': 'busy' is not one of 'idle'"),
        (["sessions", "list", "--nonsense"], "no such option: --nonsense. See polysession sessions list --help"),
        (["--emulated", "providers"], "this command does not accept --provider"),
    ],
)
def test_a_wrong_command_line_has_the_style_of_every_error(arguments: list[str], message: str) -> None:
    ran = Shell().run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("polysession: ")
    assert message in ran.err

    as_json = Shell().run(*arguments, "--json")
    assert (as_json.code, as_json.error["kind"] in {"UsageError", "UnknownProvider"}) == (2, True)
    assert message in as_json.error["message"]


def test_an_error_can_be_json(shell: Shell) -> None:
    error = shell.run("sessions", "get", UNKNOWN, "--json").error

    assert set(error) == {
        *("kind", "exit_code", "message", "provider", "operation", "status", "code", "request_id"),
        *("retryable", "outcome_unknown", "already_done"),
    }
    assert (error["kind"], error["exit_code"], error["status"]) == ("NotFound", 5, 404)


@pytest.mark.parametrize(
    ("provider", "arguments", "message"),
    [
        (
            "agentscope",
            ["sessions", "create", "--model", "m"],
            "as in --model m --model-type openai_credential --credential ...",
        ),
        ("langgraph", ["agents", "create", "x"], """--native-json '{"graph_id": ...}'"""),
        ("qoder", ["sessions", "create", "--model", "m"], """--native-json '{"agent": ...}' can override it"""),
    ],
)
def test_advice_of_a_provider_names_options_of_the_command(provider: str, arguments: list[str], message: str) -> None:
    with serve(provider) as emulator:
        assert message in shell_for(emulator).run(*arguments).err
        assert message in shell_for(emulator).run(*arguments, "--json").error["message"]


def test_text_of_a_backend_is_not_taken_for_advice() -> None:
    text = "Thing(id=...) of the backend"

    assert cli_errors.error_form(PolysessionError(text))["message"] == text


@pytest.mark.parametrize(("status", "code"), [(400, 7), (401, 4), (403, 4), (409, 6), (429, 8), (500, 10), (302, 10)])
def test_a_refusal_of_the_backend_has_its_exit_code(
    status: int, code: int, shell: Shell, qoder: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polysession._drivers.sync_driver.time.sleep", lambda _: None)
    qoder.faults.add(Fault("status", status=status, times=9, retry_after="0"))
    ran = shell.run("sessions", "list")
    assert (ran.code, "Run polysession doctor" in ran.err) == (code, status in {401, 403, 302})
    qoder.faults.clear()


def test_a_success_that_cannot_be_read_is_an_error_of_the_backend(shell: Shell, qoder: EmulatorHandle) -> None:
    qoder.faults.add(Fault("malformed"))

    assert shell.run("sessions", "list", "--json").error["kind"] == "MalformedResponse"


def documented() -> dict[int, set[str]]:
    """Return the errors of each exit status, as the page has them."""
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*)\|$", (DOCS / "cli.md").read_text(), re.MULTILINE)
    return {int(status): set(re.findall(r"`(\w+)`", raised)) for status, raised in rows}


def kinds(kind: type[PolysessionError] = PolysessionError) -> list[type[PolysessionError]]:
    """Return every class of our errors."""
    ours = [child for child in kind.__subclasses__() if child.__module__ == PolysessionError.__module__]
    return [kind, *(below for child in ours for below in kinds(child))]


def test_the_exit_codes_are_documented() -> None:
    assert list(documented()) == [int(code) for code in cli_errors.ExitCode]


def test_every_kind_of_error_has_its_documented_exit_code() -> None:
    for kind in kinds():
        code = cli_errors.exit_code(kind("x"))
        named = [status for status, names in documented().items() if kind.__name__ in names]
        assert named in ([code], [])
        assert named or kind.__subclasses__()
        assert code is not cli_errors.ExitCode.FAILED or kind is PolysessionError


def test_a_defect_is_reported_in_a_paragraph_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("no \x1b[31mluck")

    monkeypatch.setattr("polysession.cli.inspect_commands.installed_providers", broken)
    ran = Shell().run("providers")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "unexpected ZeroDivisionError: no \\x1b[31mluck" in ran.err
    assert "Traceback" in Shell().run("--debug", "providers").err
