from __future__ import annotations

from typing import Any

import pytest

from polysession.emulation.script import (
    SLOW_PAUSE_S,
    Act,
    Ask,
    AskApproval,
    ClientTool,
    Fail,
    Say,
    Think,
    ToolUse,
    UseTools,
    script_for,
)


def lookup(kind: type[ToolUse], number: int) -> ToolUse:
    return kind("lookup", {"query": f"item {number}"}, f"item {number} is in stock")


def uses(kind: type[ToolUse], count: int) -> UseTools:
    return UseTools(*(lookup(kind, number) for number in range(count)))


def said(acts: tuple[Act, ...]) -> str:
    last = acts[-1]
    assert isinstance(last, Say)
    return last.text


@pytest.mark.parametrize("message", ["hello there", "", " two  blanks ", "a\0b", "line\nline", "/unknown", "not /fail"])
def test_anything_else_is_said_back_unchanged(message: str) -> None:
    (say,) = script_for(message)

    assert isinstance(say, Say)
    assert say.text == f"You said: {message}"
    assert say.pause_s == 0
    assert "".join(say.deltas) == say.text


def test_the_answer_comes_in_words() -> None:
    (say,) = script_for("hi  you")

    assert isinstance(say, Say)
    assert say.deltas == ("You ", "said: ", "hi ", " ", "you")


@pytest.mark.parametrize(
    ("message", "act"),
    [
        ("/think", Think("The user wants to see me think.")),
        ("/tool", uses(ToolUse, 1)),
        ("/tool 2", uses(ToolUse, 2)),
        ("/ask", uses(AskApproval, 1)),
        ("  /ask   3  ", uses(AskApproval, 3)),
        ("/ask\n2", uses(AskApproval, 2)),
        ("/client-tool 2", uses(ClientTool, 2)),
        ("/mixed", UseTools(lookup(AskApproval, 0), lookup(ClientTool, 1))),
        ("/question", Ask("Which colour?", ("red", "green"))),
    ],
)
def test_a_command_comes_before_the_answer(message: str, act: Act) -> None:
    acts = script_for(message)

    assert acts[:-1] == (act,)
    assert len(said(acts)) > 1


def test_tools_of_different_kinds_are_not_equal() -> None:
    plain, approved, own = (kind("a") for kind in (ToolUse, AskApproval, ClientTool))

    assert plain != approved
    assert approved != own
    assert plain != own


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ({"path": "b.txt", "n": 1}, "b.txt is gone"),
        ({"path": "a.txt", "n": 2}, "a.txt is gone"),
        ({}, "a.txt is gone"),
        ({"path": 7}, "a.txt is gone"),
    ],
)
def test_edited_arguments_show_in_the_result(arguments: dict[str, Any], result: str) -> None:
    use = AskApproval("delete", {"path": "a.txt", "n": 1}, "a.txt is gone")

    assert use.edited(arguments) == AskApproval("delete", arguments, result)


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5", "\u0663", ""])
def test_a_number_that_is_none_is_the_default(number: str) -> None:
    assert script_for(f"/ask {number}")[0] == uses(AskApproval, 1)
    assert len(said(script_for(f"/slow {number}")).split()) == 10
    assert len(said(script_for(f"/long {number}")).split()) == 1000


def test_a_failure_is_all_that_happens() -> None:
    assert script_for("/fail now") == (Fail("the model is out of order"),)


def test_slow_and_long_answers_have_as_many_words_as_asked_for() -> None:
    assert script_for("/slow 2") == (Say("word0 word1 ", pause_s=SLOW_PAUSE_S),)
    assert script_for("/long 3") == (Say("word0 word1 word2 "),)
