"""What only a process of its own shows: exit statuses, pipes, signals, terminals and completion."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from polysession.cli import errors as cli_errors
from polysession.cli.app import app
from polysession.emulation import EmulatorHandle
from polysession.errors import PolysessionError
from polysession.plugins import installed_providers
from support.command import Shell, created

COMMAND = [sys.executable, "-m", "polysession.cli"]
DOCS = Path(__file__).parents[2] / "docs"


def environment(shell: Shell, **further: str) -> dict[str, str]:
    """An environment as people have it: output is buffered, and no width is forced."""
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "PYTHONUNBUFFERED"}}
    return kept | shell.env | further


def run(shell: Shell, *arguments: str, **further: str) -> subprocess.CompletedProcess[str]:
    env = environment(shell, **further)
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False, env=env)  # noqa: S603


def on_terminal(shell: Shell, *arguments: str, out: bool, **further: str) -> tuple[str, str, int]:
    """Run with a terminal for stderr, and for stdout if `out`: what each got, and the exit status."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs if out else subprocess.PIPE,
        stderr=theirs,
        env=environment(shell, TERM="xterm", **further),
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while more := os.read(ours, 65536):
                shown += more
        os.close(ours)
        piped = b"" if process.stdout is None else process.stdout.read()
    return piped.decode(), shown.decode(), process.returncode


def test_a_listing_shows_its_progress_on_a_terminal_and_keeps_results_apart(
    shell: Shell, qoder: EmulatorHandle
) -> None:
    session = created(shell, qoder)

    piped, shown, code = on_terminal(shell, "sessions", "list", "--json", out=False)
    assert code == 0
    assert f'"id": "{session}"' in piped
    assert "reading sessions" in shown
    assert session not in shown


def test_colours_are_for_terminals_without_no_color(shell: Shell) -> None:
    _, coloured, code = on_terminal(shell, "features", out=True)
    assert code == 0
    assert "\x1b[32m" in coloured
    _, plain, _ = on_terminal(shell, "features", out=True, NO_COLOR="1")
    assert "\x1b[3" not in plain
    assert "\x1b" not in run(shell, "features").stdout


def test_what_is_piped_is_not_cut(shell: Shell, qoder: EmulatorHandle) -> None:
    created(shell, qoder, "--title", "A title that is longer than what is left of a line of eighty columns, by far")

    assert "of eighty columns, by far\n" in run(shell, "sessions", "list").stdout


def test_an_encoding_that_lacks_a_character_ends_no_command(shell: Shell, qoder: EmulatorHandle) -> None:
    created(shell, qoder, "--title", "日本")

    assert "\\u65e5\\u672c" in run(shell, "sessions", "list", PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize("arguments", ["features --json", "features", "sessions list --help"])
def test_a_reader_that_leaves_is_no_error(shell: Shell, arguments: str) -> None:
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, *arguments.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(shell)
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process:
        assert process.stderr.read() == b""
    assert process.returncode in {1, 141}


def test_a_reader_that_leaves_a_stream_ends_it(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, "run", session, "/slow 300", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(shell),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    with process:
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_ctrl_c_ends_a_stream_quietly_and_tells_where_to_go_on(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)
    shell.run("run", session, "hello")  # so that there is a cursor before the first event is shown
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, "events", session], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(shell)
    )
    assert process.stdout is not None
    with process:
        ends_at_s = time.monotonic() + 30
        while not select.select([process.stdout], [], [], 0.5)[0]:
            assert time.monotonic() < ends_at_s
            shell.run("run", session, "hello")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert re.fullmatch(r"go on with --cursor \w+\n", told.decode())


def test_the_exit_status_is_that_of_the_error(shell: Shell) -> None:
    assert run(shell, "sessions", "get", "sess_00000000000000000000").returncode == 5
    assert run(shell, "sessions", "get").returncode == 2
    assert run(Shell(), "sessions", "list").returncode == 2
    assert run(Shell(), "sessions", "list", "--provider", "qoder").returncode == 4


def completed(line: str, shell: Shell | None = None) -> list[str]:
    """What the shell offers at the end of a line."""
    words = {"_POLYSESSION_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return run(shell or Shell(), **words).stdout.split()


def test_names_are_completed(tmp_path: Path) -> None:
    (tmp_path / "polysession").mkdir()
    (tmp_path / "polysession/config.toml").write_text('[profiles.staging]\nprovider = "qoder"\n')

    assert completed("polysession sessions list --provider ") == list(installed_providers())
    assert completed("polysession switch-check --from ag") == ["agentscope"]
    assert completed("polysession emulate q") == ["qoder"]
    assert completed("polysession --profile s", Shell({"XDG_CONFIG_HOME": str(tmp_path)})) == ["staging"]
    assert "archive" in completed("polysession sessions a")
    (tmp_path / "polysession/config.toml").write_text("[")
    assert completed("polysession --profile s", Shell({"XDG_CONFIG_HOME": str(tmp_path)})) == []


def test_help_and_completion_need_no_http_library() -> None:
    code = "import sys, polysession.cli.app; assert not {'httpx', 'ssl', 'starlette', 'tenacity'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_for_installation(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")

    shown = CliRunner().invoke(app, ["--show-completion", kind])  # reads the variable when it builds the command

    assert "_POLYSESSION_COMPLETE" in shown.output


def commands() -> list[list[str]]:
    """Every command, by its words."""
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [[name, word] for word in inner] if inner else [[name]]
    return found


def test_there_are_commands() -> None:
    assert len(commands()) == 24


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example_json_and_a_place_in_the_docs(words: list[str]) -> None:
    told = Shell().done(*words, "--help").out

    assert f"Example: polysession {' '.join(words)}" in " ".join(told.split())
    assert "--json" in told
    assert "--debug" in told
    assert f"\n| `{' '.join(words)}` | " in (DOCS / "cli.md").read_text()


def documented() -> dict[int, set[str]]:
    """The errors of each exit status, as the page has them."""
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*)\|$", (DOCS / "cli.md").read_text(), re.MULTILINE)
    return {int(status): set(re.findall(r"`(\w+)`", raised)) for status, raised in rows}


def kinds(kind: type[PolysessionError] = PolysessionError) -> list[type[PolysessionError]]:
    """Every kind of error of ours."""
    ours = [child for child in kind.__subclasses__() if child.__module__ == PolysessionError.__module__]
    return [kind, *(below for child in ours for below in kinds(child))]


def test_the_exit_codes_are_documented() -> None:
    assert list(documented()) == [int(code) for code in cli_errors.ExitCode]


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_error_has_its_documented_exit_code(kind: type[PolysessionError]) -> None:
    code = cli_errors.exit_code(kind("x"))
    named = [status for status, names in documented().items() if kind.__name__ in names]

    assert named in ([code], [])
    assert named or kind.__subclasses__()
    assert code is not cli_errors.ExitCode.FAILED or kind is PolysessionError


def test_a_defect_is_told_in_a_paragraph_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("no \x1b[31mluck")

    monkeypatch.setattr("polysession.cli.inspect_commands.installed_providers", broken)
    ran = Shell().run("providers")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "unexpected ZeroDivisionError: no \\x1b[31mluck" in ran.err
    assert "Traceback" in Shell().run("--debug", "providers").err


@pytest.mark.parametrize("missing", ["typer", "rich", "starlette", "uvicorn"])
def test_a_missing_extra_is_named(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['polysession', 'demo']\n"
        "from polysession.cli import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603

    assert ran.returncode == 2
    assert "pip install 'polysession[all]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_options_that_a_command_has_no_use_for_are_refused(shell: Shell) -> None:
    ran = shell.run("--emulated", "providers")

    assert (ran.code, "takes no --provider" in ran.err) == (2, True)


def shell_line(line: str, shell: Shell) -> subprocess.CompletedProcess[str]:
    """Run a line of the system's shell, in which `$COMMAND` is the command."""
    env = environment(shell, COMMAND=" ".join(COMMAND))
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60, check=False, env=env)  # noqa: S603


def test_a_full_disk_is_no_defect() -> None:
    ran = shell_line("$COMMAND providers > /dev/full", Shell())

    assert (ran.returncode, ran.stderr) == (1, "polysession: No space left on device\n")


def test_a_closed_output_is_no_defect() -> None:
    ran = shell_line("$COMMAND providers >&-", Shell())

    assert (ran.returncode, ran.stderr) == (1, "polysession: standard output is closed\n")


def test_a_closed_input_is_no_defect(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)

    ran = shell_line(f"$COMMAND send {session} - <&-", shell)

    assert (ran.returncode, ran.stderr) == (2, "polysession: standard input is closed\n")


def test_a_closed_error_output_changes_no_exit_status() -> None:
    assert shell_line("$COMMAND sessions get s1 2>&-", Shell()).returncode == 2


def test_a_byte_order_mark_before_a_message_is_not_sent(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)

    assert shell.done("run", session, "-", typed="\ufeffhello").out == "You said: hello\n"
