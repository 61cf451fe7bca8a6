"""A conversation in the terminal."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from polysession import Feature, TurnLife
from polysession.cli.chat import Chat
from polysession.cli.demo import emulated_providers, local_client
from polysession.cli.printing import printable
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.plugins import load_provider


@pytest.fixture(params=list(emulated_providers()), scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


def talk(emulator: EmulatorHandle, *lines: str) -> str:
    """What is shown while these lines are typed."""
    shown = io.StringIO()
    typed = iter(lines)

    def read_line(prompt: str) -> str:
        try:
            line = next(typed)
        except StopIteration:
            raise EOFError from None
        shown.write(f"{prompt}{line}\n")
        return line

    with local_client(emulator) as client:
        model = emulator.model if client.supports(Feature.SESSIONS_UPDATE_MODEL) else None
        where = {"agent": emulator.agent_id, "environment": emulator.environment_id}
        session = client.sessions.create(**where, title="Chat", model=model)  # type: ignore[arg-type]
        Chat(client, session, Console(file=shown, width=80), read_line).run()
    return shown.getvalue()


def test_text_is_streamed_once(emulator: EmulatorHandle) -> None:
    assert talk(emulator, "hello there").count("You said: hello there") == 1


def test_thinking_and_tools_are_shown(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "/think", "", "/tool")

    assert "I have thought about it." in shown
    assert "tool lookup(query='item 0')" in shown
    assert "item 0 is in stock" in shown


def test_a_tool_is_run_by_the_person(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "/client-tool", "in stock")

    assert "output of lookup(query='item 0'): in stock" in shown
    assert "The output was received." in shown


@pytest.mark.parametrize("reply", ["y", "n"])
def test_approval_is_asked_for(emulator: EmulatorHandle, reply: str) -> None:
    shown = talk(emulator, "/ask", reply)

    assert "allow lookup(query='item 0')?" in shown
    assert "The decision was heard." in shown


def test_what_a_break_has_cost_is_told_and_the_message_is_shown_whole(emulator: EmulatorHandle) -> None:
    at_byte = 1 if emulator.provider == "everruns" else 1200
    emulator.faults.add(Fault("drop", streams_only=True, at_byte=at_byte))
    shown = talk(emulator, "hello there")

    if load_provider(emulator.provider).turn_life is TurnLife.ATTENDED:
        assert "[cancelled" in shown
        return
    is_replayed_whole = emulator.provider == "langgraph"
    assert ("some of the stream was missed" in shown) is not is_replayed_whole
    assert "You said: hello there" in shown


def test_a_failed_turn_is_told_and_the_talk_goes_on(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "/fail", "hello")

    assert "[failed" in shown
    assert "You said: hello" in shown


def test_text_of_a_backend_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\rc\nd\te\u202e") == "a\\x1b[31mb\\rc\nd\te\\u202e"


def test_the_question_is_shown_whole() -> None:
    command = [sys.executable, "-m", "polysession.cli", "chat", "qoder", "--emulated"]
    shown = subprocess.run(command, input="/ask\nn\n", capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: S603

    assert "allow lookup(query='item 0')? [y/N] " in shown


def read_until(process: subprocess.Popen[bytes], text: str, limit_s: float = 30) -> str:
    """What the program shows, up to this text."""
    assert process.stdout is not None
    shown = ""
    ends_at_s = time.monotonic() + limit_s
    while text not in shown:
        ready, _, _ = select.select([process.stdout], [], [], max(0, ends_at_s - time.monotonic()))
        assert ready, f"{text!r} did not come: {shown!r}"
        shown += os.read(process.stdout.fileno(), 4096).decode()
    return shown


def test_ctrl_c_cancels_the_turn_and_leaves_at_the_prompt() -> None:
    command = [sys.executable, "-m", "polysession.cli", "chat", "qoder", "--emulated"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:  # noqa: S603
        assert process.stdin is not None
        try:
            read_until(process, "you> ")
            process.stdin.write(b"/slow 500\n")
            read_until(process, "word2")
            process.send_signal(signal.SIGINT)
            assert "[cancelled" in read_until(process, "you> ")
            process.stdin.write(b"hello again\n")
            assert "You said: hello again" in read_until(process, "you> ")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()


def test_a_second_ctrl_c_leaves(emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Chat, "_show", interrupted)

    shown = talk(emulator, "/slow 5", "never typed")
    if load_provider(emulator.provider).turn_life is TurnLife.ATTENDED:
        assert "left: the turn ends with its stream" in shown  # one is enough
    else:
        assert "never typed" not in shown
