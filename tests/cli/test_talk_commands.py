"""The commands that talk, on the emulators."""

from __future__ import annotations

import pytest

from polysession import Client, Feature, Message, ToolExecution, TurnLife
from polysession.emulation import EmulatorHandle
from polysession.plugins import load_provider
from support.command import Shell, created

ENVELOPE = {"session_id", "id", "turn_id", "sequence", "created_at", "native_type", "synthetic", "type"}


@pytest.fixture
def session(any_shell: Shell, any_emulator: EmulatorHandle) -> str:
    return created(any_shell, any_emulator, "--title", "Talk")


def test_a_turn_is_run_and_only_its_words_are_results(any_shell: Shell, session: str) -> None:
    said = any_shell.done("run", session, "hello there")
    assert (said.out, said.err) == ("You said: hello there\n", "")
    used = any_shell.done("run", session, "-", typed="/tool")
    assert used.out == "The tool has answered.\n"
    assert "lookup(query='item 0')" in used.err
    assert "item 0 is in stock" in used.err


def test_a_turn_is_told_as_json(any_shell: Shell, session: str) -> None:
    events = any_shell.done("run", session, "hello", "--json").lines

    assert all(set(event) >= ENVELOPE and "raw" not in event for event in events)
    assert events[-1]["type"] == "turn.ended"
    assert events[-1]["outcome"] == "completed"
    (message,) = [event["message"] for event in events if event["type"] == "message.completed"][-1:]
    assert message["content"] == [{"type": "text", "text": "You said: hello"}]
    assert "raw" not in message
    assert any(event["raw"] for event in any_shell.done("run", session, "hello", "--json", "--raw").lines)


def test_a_turn_that_fails_has_its_exit_code(any_shell: Shell, session: str) -> None:
    failed = any_shell.run("run", session, "/fail")

    assert (failed.code, "failed" in failed.err) == (13, True)


def test_a_message_is_sent_followed_and_read_back(any_shell: Shell, any_emulator: EmulatorHandle, session: str) -> None:
    assert any_shell.done("send", session, "one").out == "sent\n"
    offered = load_provider(any_emulator.provider).support(Feature.SESSIONS_EVENTS).support
    assert any_shell.run("events", session, "--past").code == (0 if offered else 3)
    sent = any_shell.done("send", created(any_shell, any_emulator), "two", "--json").json
    assert (sent["provider"], sent["sent"]) == (any_emulator.provider, True)
    any_shell.done("run", session, "three")
    messages = any_shell.done("messages", session, "--json", "--page-size", "2").lines
    assert all(set(message) == set(Message.model_fields) - {"source"} for message in messages)
    told = any_shell.done("messages", session).out
    assert "user: one\n" in told
    assert "assistant: You said: three\n" in told
    assert any_shell.done("messages", session, "--limit", "1").out == "user: one\n"


def test_past_events_are_listed(any_shell: Shell, any_emulator: EmulatorHandle, session: str) -> None:
    any_shell.done("run", session, "hello")
    if not load_provider(any_emulator.provider).support(Feature.SESSIONS_EVENTS).support:
        assert any_shell.run("events", session, "--past").code == 3
        return

    events = any_shell.done("events", session, "--past", "--json", "--page-size", "3").lines
    assert [event["message"]["role"] for event in events if event["type"] == "message.completed"] == [
        "user",
        "assistant",
    ]
    lines = any_shell.done("events", session, "--past", "--limit", "2").out.splitlines()
    assert len(lines) == 2
    assert all(line[22:].strip() or "." in line for line in lines)


def test_a_session_is_followed_live_and_resumed(any_shell: Shell, any_emulator: EmulatorHandle, session: str) -> None:
    if load_provider(any_emulator.provider).turn_life is TurnLife.ATTENDED:
        any_emulator.control.start_turn(session, duration_s=3)  # a turn that is sent has ended when it is followed
    else:
        any_shell.done("send", session, "/slow 4")
    first = any_shell.done("events", session, "--until-turn-ends", "--deadline", "20", "--json")
    assert first.lines[-1]["type"] == "turn.ended"
    cursor = first.lines[-1]["cursor"]
    any_shell.done("run", session, "missed")
    missed = any_shell.done("events", session, "--cursor", cursor, "--until-turn-ends", "--deadline", "20")
    assert "You said: missed" in missed.out
    assert "go on with --cursor " in missed.err
    assert any_shell.run("events", session, "--deadline", "0.3").code == 11


def test_what_the_agent_waits_for_is_listed_and_answered(any_shell: Shell, session: str) -> None:
    waits = any_shell.run("run", session, "/client-tool")
    assert (waits.code, "the agent waits: polysession pending" in waits.err) == (14, True)
    (action,) = any_shell.done("pending", session, "--json").lines
    assert (set(action), action["arguments"]) == (set(ToolExecution.model_fields) - {"source"}, {"query": "item 0"})
    assert "lookup(query='item 0')" in any_shell.done("pending", session).out
    answered = any_shell.done("answer", session, "--output", f"{action['id']}=in stock")
    assert answered.out == "The output was received.\n"
    assert any_shell.done("pending", session, "--json").out == ""


@pytest.mark.parametrize("decision", ["--approve", "--deny"])
def test_tools_are_approved_and_denied(decision: str, any_emulator: EmulatorHandle, any_shell: Shell) -> None:
    with Client(any_emulator.provider, **any_emulator.settings) as client:
        if not client.supports(Feature.SESSIONS_ANSWER_APPROVAL):
            assert any_shell.run("answer", "a-session", decision, "an-action").code == 3
            return
    session = created(any_shell, any_emulator)
    assert any_shell.run("run", session, "/ask").code == 14
    (action,) = any_shell.done("pending", session, "--json").lines
    answered = any_shell.done("answer", session, decision, action["id"])
    assert answered.out == "The decision was heard.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["answer", "s"], "give --approve, --deny or --output"),
        (["answer", "s", "--output", "a"], "--output takes KEY=VALUE"),
        (["events", "s", "--past", "--deadline", "3"], "--past lists from the start"),
        (["events", "s", "--past", "--cursor", "c"], "--past lists from the start"),
        (["events", "s", "--page-size", "3"], "--page-size goes with --past"),
        (["run", "s", ""], "a message needs content"),
        (["chat", "--session", "s", "--agent", "a"], "--session goes on with one as it is"),
        (["chat", "--credential", "c"], "go with --model"),
        (["chat", "qoder", "--provider", "everruns"], "give one of the two"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: list[str], said: str, shell: Shell) -> None:
    ran = shell.run(*arguments)

    assert (ran.code, said in " ".join(ran.err.split())) == (2, True)


def test_a_chat_goes_on_with_a_session(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)

    told = shell.done("chat", "--session", session, typed="hello\n").out
    assert f"session {session}" in told
    assert "You said: hello" in told


def test_a_chat_of_programs_reads_lines_and_writes_events(shell: Shell, qoder: EmulatorHandle) -> None:
    session = created(shell, qoder)

    ran = shell.run("chat", "--session", session, "--json", typed="one\n\ntwo\n/ask\nnever said\n")
    said = [event["message"]["content"][0]["text"] for event in ran.lines if event["type"] == "message.completed"]
    assert (ran.code, said) == (14, ["one", "You said: one", "two", "You said: two", "/ask"])


def test_a_chat_makes_a_session_where_it_is_told_with_whom(shell: Shell, qoder: EmulatorHandle) -> None:
    where = ["--agent", qoder.agent_id, "--environment", str(qoder.environment_id)]

    assert "You said: hello" in shell.done("chat", "qoder", *where, typed="hello\n").out
