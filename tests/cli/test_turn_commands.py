"""The commands that run turns, on the emulators."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NoReturn

import pytest

from polysession import Feature, Question, ToolExecution
from polysession.cli import turns
from polysession.emulation import EmulatorHandle, serve
from polysession.plugins import load_provider
from support.command import Shell, created, shell_for

ENVELOPE = {"session_id", "id", "turn_id", "sequence", "created_at", "native_type", "synthetic", "type"}


def test_only_the_words_of_the_agent_are_results(any_shell: Shell, any_emulator: EmulatorHandle) -> None:
    session = created(any_shell, any_emulator)

    answered = any_shell.done("run", session, "hello there")
    assert (answered.out, answered.err) == ("You said: hello there\n", "")
    used = any_shell.done("run", session, "-", typed="/tool")
    assert used.out == "The tool has answered.\n"
    assert used.err == "tool lookup(query='item 0')\n  item 0 is in stock\n"


def test_a_turn_is_written_as_json_events(shell: Shell, session: str) -> None:
    events = shell.done("run", session, "hello", "--json").lines

    assert all(set(event) >= ENVELOPE and "raw" not in event for event in events)
    assert (events[-1]["type"], events[-1]["outcome"]) == ("turn.ended", "completed")
    message = [event["message"] for event in events if event["type"] == "message.completed"][-1]
    assert message["content"] == [{"type": "text", "text": "You said: hello"}]
    assert any(event["raw"] for event in shell.done("run", session, "hello", "--json", "--raw").lines)
    selected = shell.done("run", session, "hello", "--fields", "type,outcome").lines
    assert selected[-1] == {"type": "turn.ended", "outcome": "completed"}
    assert {"type": "turn.started", "outcome": None} in selected


def test_a_failed_turn_has_its_exit_code_and_one_reason(shell: Shell, session: str) -> None:
    failed = shell.run("run", session, "/fail")

    assert failed.code == 13
    assert failed.err == "the model is out of order\n[failed]\n"


def test_a_message_is_sent_without_following_the_turn(shell: Shell, qoder: EmulatorHandle, session: str) -> None:
    assert shell.done("send", session, "one").out == "sent\n"
    sent = shell.done("send", created(shell, qoder), "two", "--json").json
    assert (sent["provider"], sent["sent"]) == ("qoder", True)


def test_pending_actions_are_listed_and_answered(any_shell: Shell, any_emulator: EmulatorHandle) -> None:
    session = created(any_shell, any_emulator)
    waiting = any_shell.run("run", session, "/client-tool")
    assert waiting.code == 14
    assert f"  show: polysession pending {session}\n  answer: polysession answer {session} --approve" in waiting.err
    (action,) = any_shell.done("pending", session, "--json").lines
    assert (set(action), action["arguments"]) == (set(ToolExecution.model_fields) - {"source"}, {"query": "item 0"})
    assert "lookup(query='item 0')" in any_shell.done("pending", session).out
    answered = any_shell.done("answer", session, "--output", f"{action['id']}=in stock")
    assert answered.out == "The output was received.\n"
    assert any_shell.done("pending", session, "--json").out == ""


@pytest.mark.parametrize("decision", ["--approve", "--deny"])
def test_a_tool_is_approved_or_denied(decision: str, shell: Shell, session: str) -> None:
    assert shell.run("run", session, "/ask").code == 14
    (action,) = shell.done("pending", session, "--json").lines
    assert shell.done("answer", session, decision, action["id"]).out == "The decision was heard.\n"


def test_a_question_is_replied_to() -> None:
    with serve("langgraph") as emulator:
        assert load_provider("langgraph").support(Feature.SESSIONS_ANSWER_QUESTION).support
        shell, session = shell_for(emulator), created(shell_for(emulator), emulator)
        assert shell.run("run", session, "/question").code == 14
        (question,) = shell.done("pending", session, "--json").lines
        assert set(question) == set(Question.model_fields) - {"source"}
        assert shell.done("answer", session, "--reply", f"{question['id']}=red").out == "The reply was received.\n"


def test_an_error_of_an_answer_names_the_answer(shell: Shell) -> None:
    error = shell.run("answer", "sess_00000000000000000000", "--approve", "evt_1", "--json").error

    assert (error["kind"], error["operation"]) == ("NotFound", "sessions.answer")


def interrupted(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def test_ctrl_c_tells_how_to_follow_and_cancel_the_turn_that_continues(
    shell: Shell, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_show", interrupted)
    left = shell.run("run", session, "hello", "--provider", "qoder")

    assert (left.code, left.err.splitlines()[0]) == (130, "the turn continues on the backend")
    commands = dict(line.strip().split(": polysession ") for line in left.err.splitlines()[1:])
    assert commands["cancel"] == f"sessions cancel {session} --provider qoder"
    monkeypatch.undo()
    ends_at_s = time.monotonic() + 20
    while "You said: hello" not in shell.done("messages", session).out:  # the turn ends before it is followed
        assert time.monotonic() < ends_at_s
    followed = shell.done(*commands["follow"].split(), "--fields", "type,outcome", "--deadline", "20").lines
    assert followed[-1] == {"type": "turn.ended", "outcome": "completed"}


def test_a_passed_deadline_tells_the_same(shell: Shell, session: str) -> None:
    left = shell.run("run", session, "/slow 300", "--deadline", "0.3")

    assert (left.code, "the turn continues on the backend" in left.err) == (11, True)
    assert shell.done("sessions", "cancel", session).out == "cancellation requested\n"


def test_ctrl_c_tells_that_an_attended_turn_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_show", interrupted)
    with serve("adk") as emulator:
        shell = shell_for(emulator)
        left = shell.run("run", created(shell, emulator), "/slow 3")

    assert (left.code, left.err) == (130, "the turn ends, because this backend stops a turn without a reader\n")
    left = Shell().run("ask", "--provider", "qoder", "--emulated", "/slow 3")
    assert (left.code, left.err) == (130, "the turn ends, because its emulator stops\n")


@pytest.fixture
def profile(qoder: EmulatorHandle) -> Shell:
    """A shell whose default profile is the emulator, with defaults for new sessions."""
    shell = Shell({"TOKEN": str(qoder.settings["token"])})
    where = ["--agent", qoder.agent_id, "--environment", str(qoder.environment_id)]
    options = ["--provider", "qoder", "--set", f"base_url={qoder.base_url}", "--from-env", "token=TOKEN", *where]
    shell.done("profiles", "add", "local", *options, "--use")
    return shell


def test_ask_creates_a_session_from_the_profile_and_continues_the_last_one(profile: Shell) -> None:
    assert profile.done("ask", "hello", "there").out == "You said: hello there\n"
    first = profile.done("sessions", "list", "--fields", "id", "--limit", "1").json["id"]
    assert profile.done("ask", "-c", "again").out == "You said: again\n"
    assert profile.done("messages", first).out.count("user: ") == 2
    assert profile.done("ask", "new").out == "You said: new\n"
    assert profile.done("sessions", "list", "--fields", "id", "--limit", "1").json["id"] != first
    assert profile.done("ask", "--session", first, "third").out == "You said: third\n"


def test_the_last_session_is_kept_for_its_owner_alone(profile: Shell, tmp_path: Path) -> None:
    profile.done("ask", "hello")
    (path,) = (tmp_path / "state/polysession").iterdir()

    assert path.stat().st_mode & 0o077 == 0
    (address,) = json.loads(path.read_text()).values()
    assert set(address) == {"id", "agent_id", "owner_id"}


def test_a_state_folder_that_cannot_be_written_is_a_warning(profile: Shell, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the place of the folder")
    asked = profile.done("ask", "hello")

    assert asked.out == "You said: hello\n"
    assert "warning: --continue will not find this session" in asked.err


@pytest.mark.parametrize(
    ("words", "typed", "message"),
    [
        ([], "from stdin\n", "from stdin"),
        (["-"], "\ufefffrom stdin", "from stdin"),
        (["Review", "this:", "-"], "line 1\nline 2\n", "Review this:\n\nline 1\nline 2"),
        (["no", "stdin"], "not read", "no stdin"),
    ],
)
def test_ask_reads_stdin(words: list[str], typed: str, message: str) -> None:
    asked = Shell().done("ask", *words, "--emulated", "--provider", "qoder", typed=typed)

    assert asked.out == f"You said: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["answer", "s"], "give --approve, --deny, --output or --reply"),
        (["answer", "s", "--output", "a"], "--output must be ID=TEXT"),
        (["run", "s", ""], "the message is empty"),
        (["ask", " "], "the message is empty; give TEXT"),  # before a session is created
        (["ask", "-c", "hello"], "no session to continue"),
        (["ask", "-c", "--emulated", "hello"], "--continue cannot be combined with --session"),
        (["ask", "-c", "--agent", "a", "hello"], "--agent, --environment and --model are only for new sessions"),
        (["ask", "--model-type", "t", "hello"], "need --model"),
        (["chat", "--session", "s", "--agent", "a"], "--agent, --environment and --model are only for new sessions"),
        (["chat", "--credential", "c"], "need --model"),
        (["chat", "qoder", "--provider", "everruns"], "give only one"),
    ],
)
def test_wrong_options_are_usage_errors(arguments: list[str], message: str, shell: Shell) -> None:
    ran = shell.run(*arguments)

    assert (ran.code, message in " ".join(ran.err.split())) == (2, True), ran.err
