from __future__ import annotations

import pytest

from polysession.emulation.script import (
    SLOW_PAUSE_S,
    Act,
    Fail,
    Say,
    Think,
    ToolUse,
    UseClientTools,
    UseTools,
    script_for,
)


def uses(count: int) -> tuple[ToolUse, ...]:
    return tuple(ToolUse("lookup", {"query": f"item {n}"}, f"item {n} is in stock") for n in range(count))


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


def test_the_answer_comes_in_words() -> None:
    assert script_for("hi  you") == (Say(("You ", "said: ", "hi ", " ", "you")),)


@pytest.mark.parametrize(
    ("message", "act"),
    [
        ("/think", Think("The user wants to see me think.")),
        ("/tool", UseTools(uses(1))),
        ("/tool 2", UseTools(uses(2))),
        ("/ask", UseTools(uses(1), ask=True)),
        ("  /ask   3  ", UseTools(uses(3), ask=True)),
        ("/ask\n2", UseTools(uses(2), ask=True)),
        ("/client-tool 2", UseClientTools(uses(2))),
    ],
)
def test_a_command_comes_before_the_answer(message: str, act: Act) -> None:
    acts = script_for(message)

    assert acts[:-1] == (act,)
    assert len(said(acts)) > 1


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5", "\u0663", ""])
def test_a_number_that_is_none_is_the_default(number: str) -> None:
    assert script_for(f"/ask {number}")[0] == UseTools(uses(1), ask=True)
    assert len(said(script_for(f"/slow {number}")).split()) == 10
    assert len(said(script_for(f"/long {number}")).split()) == 1000


def test_a_failure_is_all_that_happens() -> None:
    assert script_for("/fail now") == (Fail("the model is out of order"),)


def test_slow_and_long_answers_have_as_many_words_as_asked_for() -> None:
    assert script_for("/slow 2") == (Say(("word0 ", "word1 "), pause_s=SLOW_PAUSE_S),)
    assert script_for("/long 3") == (Say(("word0 ", "word1 ", "word2 ")),)
