"""A conversation in the terminal, on the emulators."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from polysession import Client, Deny, Feature, Question, Reply, ToolApproval, TurnLife
from polysession.cli.chat import HELP, Chat
from polysession.cli.demo import local_client
from polysession.cli.transcript import Transcript
from polysession.emulation import EmulatorHandle, serve
from polysession.plugins import load_provider
from support.command import Shell, created


class Talk:
    """A chat whose lines are given, and a record of what is shown."""

    def __init__(self, client: Client, session: Any, *lines: str | type[BaseException]) -> None:
        self._lines = iter(lines)
        self._shown = io.StringIO()
        self.chat = Chat(client, session, Console(file=self._shown, width=80), self._read)

    def _read(self, prompt: str) -> str:
        line = next(self._lines, EOFError)
        if not isinstance(line, str):
            raise line
        self._shown.write(f"{prompt}{line}\n")
        return line

    def run(self, *, resumes: bool = False) -> str:
        self.chat.run(resumes=resumes)
        return self._shown.getvalue()


def talk(emulator: EmulatorHandle, *lines: str | type[BaseException], waiting: str = "") -> str:
    """Return what is shown while these lines are typed; the session waits for an answer to `waiting` before."""
    with local_client(emulator) as client:
        model = emulator.model if client.supports(Feature.SESSIONS_UPDATE_MODEL) else None
        session = client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id, model=model)
        if waiting:
            with client.sessions.run(session, waiting) as turn:
                turn.wait()
        return Talk(client, session, *lines).run(resumes=bool(waiting))


@pytest.fixture(scope="module", params=["qoder", "everruns", "adk"])
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    """One backend with a stream beside the input, one with approvals as a second call, one with attended turns."""
    with serve(request.param) as handle:
        yield handle


def test_a_conversation(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "hello there", "", "/tool", "/client-tool", "in stock", "/fail", "hello again")

    assert shown.count("You said: hello there") == 1
    assert "tool lookup(query='item 0')\n  item 0 is in stock\n" in shown
    assert "output> in stock\nThe output was received.\n" in shown
    assert "[failed" in shown
    assert shown.endswith("You said: hello again\n")


def test_an_approval_is_asked_for_until_the_answer_is_yes_or_no(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "/ask", "maybe", "", "Y", "/ask", "no")

    assert re.search(r"allow( lookup\(query='item 0'\))?\? \[y/n\] maybe\nanswer y or n", shown)
    assert shown.count("answer y or n") == 2
    assert shown.count("The decision was heard.") == 2


def test_an_approval_shows_its_call_once(qoder: EmulatorHandle) -> None:
    assert talk(qoder, "/ask", "y").count("lookup(query='item 0')") == 1


def test_a_denial_may_have_a_reason(qoder: EmulatorHandle) -> None:
    action = ToolApproval(id="a", name="lookup", arguments={})
    with local_client(qoder) as client:
        answer = Talk(client, "s", "n too risky").chat._answer(action)

    assert answer == Deny(action, "too risky")


def test_an_answer_that_cannot_be_sent_is_asked_for_again() -> None:
    with serve("everruns") as emulator:
        shown = talk(emulator, "/ask", "n with a reason", "n")

    assert "Everruns accepts no reason for a denial" in shown
    assert shown.endswith("The decision was heard.\n")


def test_a_session_that_waits_is_asked_about_first(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "y", "hello", waiting="/ask")

    asked = shown.index("allow lookup(query='item 0')? [y/n] y")
    assert asked < shown.index("The decision was heard.") < shown.index("you> hello")


def test_each_of_two_approvals_names_its_call_and_no_call_is_printed_twice(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "/ask 2", "y", "y")

    asked = [shown.index(line) for line in re.findall(r"allow[^?]*\? \[y/n\] y", shown)]
    assert len(asked) == 2
    before = shown[: max(asked)]
    assert [before.count(f"tool lookup(query='item {number}')") for number in range(2)] == [1, 1]
    assert shown.endswith("The decision was heard.\n")


def test_cancel_where_a_turn_ends_with_its_stream_says_how(emulator: EmulatorHandle) -> None:
    attended = load_provider(emulator.provider).turn_life is TurnLife.ATTENDED
    said = "no turn is running; Ctrl-C cancels a running turn" if attended else "no turn is running"

    assert f"{said}\n" in talk(emulator, "hello", "/cancel")


@pytest.mark.parametrize(("typed", "value"), [("2", "blue"), ("red", "red")])
def test_a_question_takes_an_option_by_its_number_or_text(typed: str, value: str, qoder: EmulatorHandle) -> None:
    action = Question(id="q", prompt="Which colour?", options=("red", "blue"))
    with local_client(qoder) as client:
        answer = Talk(client, "s", "green", typed).chat._answer(action)

    assert answer == Reply(action, value)


def test_the_commands_of_the_chat(emulator: EmulatorHandle) -> None:
    shown = talk(emulator, "/help", "/ask", "/help", "/cancel", "hello", "/exit", "never read")

    assert shown.count(HELP) == 2
    assert ("cancellation requested" in shown) is (emulator.provider != "adk")
    assert "You said: hello" in shown
    assert "never read" not in shown


def test_help_fits_a_terminal() -> None:
    assert max(map(len, HELP.splitlines())) < 80


def test_ctrl_c_cancels_a_turn_and_a_second_one_leaves(
    emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Transcript, "show", interrupted)
    shown = talk(emulator, "/slow 5", "never read")

    if emulator.provider == "adk":
        assert "the turn ends: this backend stops a turn without a reader" in shown  # one is enough
    else:
        assert "cancelling the turn; Ctrl-C again leaves the chat" in shown
        assert "never read" not in shown


@pytest.mark.parametrize("left", [EOFError, KeyboardInterrupt])
def test_the_end_of_the_input_leaves_at_every_prompt(left: type[BaseException], qoder: EmulatorHandle) -> None:
    assert talk(qoder, left).count("\n") == 1
    assert talk(qoder, "/ask", left).endswith("tool lookup(query='item 0')\n")


def test_a_chat_continues_a_session(shell: Shell, session: str) -> None:
    assert "You said: hello" in shell.done("chat", "--session", session, typed="hello\n").out
    assert shell.done("messages", session).out.startswith("user: hello\n")


def test_a_chat_creates_the_session_that_continue_finds(shell: Shell, qoder: EmulatorHandle) -> None:
    where = ["--agent", qoder.agent_id, "--environment", str(qoder.environment_id)]

    assert "You said: hello" in shell.done("chat", "qoder", *where, typed="hello\n").out
    assert shell.done("ask", "-c", "and now?", "--provider", "qoder").out == "You said: and now?\n"


def test_with_json_each_line_is_a_message(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)

    ran = shell.run("chat", "--session", session, "--json", typed="one\n\ntwo\n/ask\nnever read\n")
    texts = [event["message"]["content"][0]["text"] for event in ran.lines if event["type"] == "message.completed"]
    assert (ran.code, texts) == (14, ["one", "You said: one", "two", "You said: two", "/ask"])
