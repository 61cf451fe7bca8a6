"""`polysession events` and `messages`, on the emulators."""

from __future__ import annotations

import shlex

import pytest

from polysession import Message
from polysession.emulation import serve
from support.command import Shell, created, shell_for


def test_messages_are_listed(shell: Shell, session: str) -> None:
    for text in ("one", "two"):
        shell.done("run", session, text)

    messages = shell.done("messages", session, "--json", "--page-size", "2").lines
    assert all(set(message) == set(Message.model_fields) - {"source"} for message in messages)
    listed = shell.done("messages", session).out
    assert listed == "user: one\nassistant: You said: one\nuser: two\nassistant: You said: two\n"
    assert shell.done("messages", session, "--limit", "1").out == "user: one\n"
    assert shell.done("messages", session, "--limit", "1", "--newest-first").out == "assistant: You said: two\n"


def test_past_events_are_listed(shell: Shell, session: str) -> None:
    shell.done("run", session, "hello")

    events = shell.done("events", session, "--past", "--json", "--page-size", "3").lines
    roles = [event["message"]["role"] for event in events if event["type"] == "message.completed"]
    assert roles == ["user", "assistant"]
    lines = shell.done("events", session, "--past", "--limit", "2").out.splitlines()
    assert len(lines) == 2
    assert all("." in line for line in lines)


@pytest.mark.parametrize("provider", ["qoder", "everruns"])
def test_a_session_is_followed_and_the_hint_continues_it(provider: str) -> None:
    with serve(provider) as emulator:
        shell = shell_for(emulator)
        session = created(shell, emulator)
        shell.done("send", session, "/slow 4")
        first = shell.done("events", session, "--until-turn-ends", "--deadline", "20")
        assert "turn.ended" in first.out.splitlines()[-1]
        (hint,) = [line.removeprefix("continue: polysession ") for line in first.err.splitlines() if "continue" in line]
        shell.done("run", session, "missed")
        missed = shell.done(*shlex.split(hint), "--until-turn-ends", "--deadline", "20")
        assert "You said: missed" in missed.out


def test_a_passed_deadline_ends_the_stream_with_a_cursor(shell: Shell, session: str) -> None:
    followed = shell.run("events", session, "--deadline", "0.2", "--set", "workspace_id=w 1")

    assert followed.code == 11
    assert followed.err.startswith(f"continue: polysession events {session} --cursor ")
    assert followed.err.splitlines()[0].endswith("--set 'workspace_id=w 1'")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--past", "--deadline", "3"], "--past cannot be combined with --cursor"),
        (["--past", "--cursor", "c"], "--past cannot be combined with --cursor"),
        (["--page-size", "3"], "need --past"),
        (["--newest-first"], "need --past"),
    ],
)
def test_wrong_options_are_usage_errors(options: list[str], message: str, shell: Shell) -> None:
    ran = shell.run("events", "s", *options)

    assert (ran.code, message in ran.err) == (2, True)
