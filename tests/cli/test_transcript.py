"""The display of turns: each text once, whatever a backend repeats or leaves out."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from rich.console import Console

from polysession import (
    ErrorReported,
    Event,
    Message,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    Outcome,
    Role,
    StreamGap,
    TextBlock,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
)
from polysession.cli.printing import printable
from polysession.cli.transcript import Transcript

GAP = StreamGap(session_id="s", lost=("message.delta",))


def start(key: str | None = "m") -> Event:
    return MessageStarted(session_id="s", message_id=key)


def delta(text: str) -> Event:
    return MessageDelta(session_id="s", text=text)


def whole(text: str, role: Role = Role.ASSISTANT) -> Event:
    message = Message(provider="p", id="m", session_id="s", role=role, content=(TextBlock(text=text),))
    return MessageCompleted(session_id="s", message=message)


def shown(events: Iterable[Event]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80)
    Transcript(console, console).show(events)
    return out.getvalue()


@pytest.mark.parametrize(
    ("events", "text"),
    [
        pytest.param([whole("ab")], "ab\n", id="not streamed"),
        pytest.param([start(), delta("a"), delta("b"), whole("ab")], "ab\n", id="streamed"),
        pytest.param([start(), delta("a"), whole("ab")], "ab\n", id="the last fragment is missing"),
        pytest.param([start(), delta("a"), start(), delta("a"), delta("b"), whole("ab")], "ab\n", id="fragments again"),
        pytest.param(
            [start(), delta("a"), delta("b"), start(), delta("a"), delta("bc"), whole("abc")], "abc\n", id="and more"
        ),
        pytest.param([start(None), delta("a"), start(None), delta("a")], "aa\n", id="two messages without ids"),
        pytest.param([start("m"), delta("a"), start("n"), delta("b"), whole("b")], "ab\n", id="an open message"),
        pytest.param([whole("x", Role.USER)], "", id="the person's own"),
        pytest.param([start(), delta("a")], "a\n", id="the stream ends"),
    ],
)
def test_a_message_is_written_once(events: list[Event], text: str) -> None:
    assert shown(events) == text


def test_a_message_with_a_gap_inside_is_written_again_whole() -> None:
    lines = shown([start(), delta("a"), GAP, delta("c"), whole("abc")]).splitlines()

    assert lines == [
        "a",
        "[the connection was lost, and part of the stream is missing]",
        "c",
        "[the complete message:]",
        "abc",
    ]


def test_a_thought_is_written_once_and_ends_its_line() -> None:
    begun, more = ThinkingStarted(session_id="s"), ThinkingDelta(session_id="s", text="hm")
    ended, hidden = ThinkingCompleted(session_id="s", text="hm"), ThinkingCompleted(session_id="s")

    assert shown([begun, more, ended, whole("a")]) == "hm\na\n"
    assert shown([begun, more, begun, more, hidden, whole("a")]) == "hm\na\n"
    assert shown([ended, whole("a")]) == "hm\na\n"
    assert shown([hidden, whole("a")]) == "a\n"
    assert shown([more, start(), delta("a"), whole("a")]) == "hm\na\n"


def test_tools_and_failures_have_lines_of_their_own() -> None:
    call = ToolCallCompleted(session_id="s", tool_call_id="t", name="look", arguments={"q": 1})
    result = ToolResultCompleted(session_id="s", tool_call_id="t", text="found", is_error=True)
    error = ErrorReported(session_id="s", message="no quota")
    failed = TurnEnded(session_id="s", outcome=Outcome.FAILED, error="no quota")
    cancelled = TurnEnded(session_id="s", outcome=Outcome.CANCELLED)

    assert shown([delta("a"), call, result]) == "a\ntool look(q=1)\n  failed: found\n"
    assert shown([error, failed]) == "no quota\n[failed]\n"
    assert shown([failed]) == "[failed: no quota]\n"
    assert shown([cancelled]) == "[cancelled]\n"
    assert shown([cancelled.model_copy(update={"native_reason": "cancelled"})]) == "[cancelled]\n"


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[31mb\rc\nd\te\u202e") == "a\\x1b[31mb\\rc\nd\te\\u202e"
    assert shown([delta("\x1b[2J"), whole("\x1b[2J")]) == "\\x1b[2J\n"
