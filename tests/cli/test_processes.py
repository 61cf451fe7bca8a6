"""Facts about whole processes: start, pipes, signals and terminals."""

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
from collections.abc import Iterator
from pathlib import Path

import pytest

from polysession import __version__
from polysession.emulation import EmulatorHandle
from support.command import Shell, created

COMMAND = [sys.executable, "-m", "polysession.cli"]
LIMIT_S = 30


def environment(shell: Shell, **further: str) -> dict[str, str]:
    """Return a person's environment: output is buffered, and no width is forced."""
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "PYTHONUNBUFFERED"}}
    return kept | shell.env | further


class Process(subprocess.Popen[bytes]):
    """A process that does not outlive a failed test."""

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(None, None, None)


def start(shell: Shell, *arguments: str) -> Process:
    return Process([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(shell))


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


def test_the_version_needs_nothing_but_the_interpreter() -> None:
    ran = python(
        "import sys; sys.argv = ['polysession', '--version']\n"
        "from polysession.cli import main; main()\n"
        "assert not {'httpx', 'pydantic', 'typer', 'rich'} & set(sys.modules)"
    )
    assert (ran.returncode, ran.stdout) == (0, f"polysession {__version__}\n")


def test_help_and_completion_need_no_http_library_and_no_line_editor() -> None:
    ran = python(
        "import sys, polysession.cli.app\n"
        "unwanted = {'httpx', 'ssl', 'starlette', 'tenacity', 'prompt_toolkit', 'polysession.event'}\n"
        "assert not unwanted & set(sys.modules), unwanted & set(sys.modules)"
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("missing", ["typer", "starlette"])
def test_a_missing_extra_is_named(missing: str) -> None:
    ran = python(
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['polysession', 'demo']\n"
        "from polysession.cli import main; main()"
    )
    assert ran.returncode == 2
    assert "pip install 'polysession[all]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def on_terminal(shell: Shell, *arguments: str, out: bool, **further: str) -> tuple[str, str, int]:
    """Run with a terminal for stderr, and for stdout if `out`; return both outputs, and the exit status."""
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


def test_a_terminal_shows_the_progress_of_a_list_and_a_pipe_gets_whole_lines(
    shell: Shell, qoder: EmulatorHandle
) -> None:
    title = "A title of 日本 that is longer than what is left of a line of eighty columns, by far"
    session = created(shell, qoder, "--title", title)

    piped, shown, code = on_terminal(shell, "sessions", "list", out=False, PYTHONIOENCODING="ascii")
    assert code == 0
    assert "of \\u65e5\\u672c that is longer than what is left of a line of eighty columns, by far\n" in piped
    assert "reading sessions" in shown
    assert session not in shown


def test_colours_are_for_terminals_without_no_color(shell: Shell) -> None:
    _, coloured, code = on_terminal(shell, "features", out=True)
    assert code == 0
    assert "\x1b[32m" in coloured
    _, plain, _ = on_terminal(shell, "features", out=True, NO_COLOR="1")
    assert "\x1b[3" not in plain


@pytest.mark.parametrize("command", ["features --json", "run SESSION /slow --json"])
def test_a_broken_pipe_is_no_error(command: str, shell: Shell, session: str) -> None:
    process = start(shell, *command.replace("SESSION", session).split())
    assert process.stdout is not None
    assert process.stderr is not None
    if command.startswith("run"):
        process.stdout.readline()
    process.stdout.close()
    with process:
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_ctrl_c_ends_a_stream_quietly_and_shows_the_command_that_continues(shell: Shell, session: str) -> None:
    shell.done("run", session, "hello")  # so that there is a cursor before the first event is shown
    process = start(shell, "events", session)
    assert process.stdout is not None
    with process:
        ends_at_s = time.monotonic() + LIMIT_S
        while not select.select([process.stdout], [], [], 0.5)[0]:
            assert time.monotonic() < ends_at_s
            shell.run("run", session, "hello")
        process.send_signal(signal.SIGINT)
        _, notes = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert re.fullmatch(rf"continue: polysession events {session} --cursor '?[\w~]+'?\n", notes.decode())


def test_sigterm_ends_a_turn_and_shows_how_to_follow_and_cancel_it(shell: Shell, session: str) -> None:
    process = start(shell, "run", session, "/slow 10000")
    assert process.stdout is not None
    with process:
        assert process.stdout.read(1)
        process.send_signal(signal.SIGTERM)
        _, notes = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 143
    assert f"follow: polysession events {session} --cursor" in notes.decode()
    assert f"cancel: polysession sessions cancel {session}\n" in notes.decode()


def shell_line(line: str, shell: Shell) -> tuple[int, str]:
    """Run a line of the system's shell, in which `$COMMAND` is the command; return its status and its errors."""
    env = environment(shell, COMMAND=" ".join(COMMAND))
    ran = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60, check=False, env=env)  # noqa: S603
    return ran.returncode, ran.stderr


def test_a_full_disk_and_closed_streams_are_ordinary_errors(shell: Shell, session: str) -> None:
    assert shell_line("$COMMAND providers > /dev/full", shell) == (1, "polysession: No space left on device\n")
    assert shell_line("$COMMAND providers >&-", shell) == (1, "polysession: standard output is closed\n")
    closed_input = (2, "polysession: stdin is closed; give the text as an argument\n")
    assert shell_line(f"$COMMAND send {session} - <&-", shell) == closed_input
    assert shell_line("$COMMAND sessions get s1 2>&-", Shell())[0] == 2


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, terminal: int, process: int) -> None:
        self._terminal = terminal
        self._unread = ""
        self.process = process

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read_until(self, text: str) -> str:
        """Return what is shown next, up to a text."""
        ends_at_s = time.monotonic() + LIMIT_S
        while text not in self._unread:
            ready, _, _ = select.select([self._terminal], [], [], max(0, ends_at_s - time.monotonic()))
            assert ready, f"{text!r} did not come: {self._unread!r}"
            self._unread += os.read(self._terminal, 4096).decode(errors="replace")
        shown, _, self._unread = self._unread.partition(text)
        return shown


@contextlib.contextmanager
def in_terminal(*arguments: str) -> Iterator[Terminal]:
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PROMPT_TOOLKIT_NO_CPR": "1"}
        os.execv(COMMAND[0], [*COMMAND, *arguments])  # noqa: S606
    try:
        yield Terminal(terminal, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, 0)
        os.close(terminal)


def test_a_chat_in_a_terminal_edits_lines_keeps_a_history_and_cancels_turns(tmp_path: Path) -> None:
    with in_terminal("chat", "qoder", "--emulated") as terminal:
        for typed, answer in (
            ("helo\x1b[Dl", "hello"),  # the cursor is moved before the last letter
            ("one\x1b\rtwo", "one\r\ntwo"),  # Alt-Enter
            ("\x1b[A\x1b[A\x1b[A!", "hello!"),  # up: through the lines of the last message, to the first one
        ):
            terminal.read_until("you>")
            terminal.type(f"{typed}\r")
            terminal.read_until(f"You said: {answer}")
        terminal.read_until("you>")
        terminal.type("/ask\r")
        terminal.read_until("allow?")
        terminal.type("y\r")
        terminal.read_until("The decision was heard.")
        terminal.read_until("you>")
        terminal.type("nonsense\x03/slow 500\r")  # Ctrl-C empties the line
        terminal.read_until("word2")
        terminal.type("\x03")
        assert terminal.read_until("[cancelled").count("word2") == 0
        terminal.read_until("you>")
        terminal.type("\x03")
        assert os.waitpid(terminal.process, 0)[1] == 0
    history = tmp_path / "state/polysession/chat_history"
    assert history.stat().st_mode & 0o077 == 0
    assert "+hello\n" in history.read_text()
    assert not {"+nonsense", "+y"} & set(history.read_text().splitlines())


def test_an_emulator_is_served_until_ctrl_c() -> None:
    process = start(Shell(), "emulate", "qoder", "--json")
    assert process.stdout is not None
    with process:
        assert b'"base_url": "http://127.0.0.1:' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=LIMIT_S) == 0
