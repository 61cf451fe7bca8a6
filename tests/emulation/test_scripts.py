from __future__ import annotations

from typing import Any

import pytest

from polysession.emulation import Ask, AskApproval, ClientTool, Fail, Say, Scripts, Think, ToolUse, UseTools, script_for
from polysession.errors import UsageError


def test_without_scripts_the_agent_answers_the_message() -> None:
    assert Scripts().take("s1", "/fail") == script_for("/fail")


def test_a_script_is_for_the_next_turn_of_any_session_once() -> None:
    scripts = Scripts()
    scripts.add([Think("Hm."), Say("First.")])
    scripts.add([Say("Second.")])

    assert scripts.take("s1", "x") == (Think("Hm."), Say("First."))
    assert scripts.take("s2", "x") == (Say("Second."),)
    assert scripts.take("s2", "x") == script_for("x")


def test_a_script_of_a_session_comes_before_the_common_ones() -> None:
    scripts = Scripts()
    scripts.add([Say("common")])
    scripts.add([Say("own")], session_id="s1")

    assert scripts.take("s2", "x") == (Say("common"),)
    assert scripts.take("s1", "x") == (Say("own"),)
    assert scripts.waiting == 0


def test_one_tool_is_short_for_a_step_of_one_tool() -> None:
    scripts = Scripts()
    scripts.add([ToolUse("a"), AskApproval("b"), UseTools(AskApproval("c"), ClientTool("d"))])

    assert scripts.take("s1", "x") == (
        UseTools(ToolUse("a")),
        UseTools(AskApproval("b")),
        UseTools(AskApproval("c"), ClientTool("d")),
    )


def test_scripts_that_wait_are_counted_and_can_be_cleared() -> None:
    scripts = Scripts()
    scripts.add([Say("a")])
    scripts.add([Say("b")], session_id="s1")
    assert scripts.waiting == 2

    scripts.clear()

    assert scripts.waiting == 0
    assert scripts.take("s1", "x") == script_for("x")


@pytest.mark.parametrize("wrong", ["text", {"say": "a"}, Say, None])
def test_anything_but_an_act_is_a_usage_error(wrong: Any) -> None:
    scripts = Scripts()

    with pytest.raises(
        UsageError,
        match="the items of a script must be Think, Say, UseTools, Ask, Fail, ToolUse, AskApproval, ClientTool,",
    ):
        scripts.add([Say("a"), wrong])

    assert scripts.waiting == 0


def test_a_question_stays_one_where_the_backend_has_questions() -> None:
    scripts = Scripts(has_questions=True)
    scripts.add([Ask("Which?", ("a", "b")), Say("Fine.")])

    assert scripts.take("s1", "x") == (Ask("Which?", ("a", "b")), Say("Fine."))


def test_elsewhere_a_question_is_said_and_ends_the_turn() -> None:
    scripts = Scripts()
    scripts.add([Think("Hm."), Ask("Which?", ("a", "b")), Say("Fine."), Ask("Sure?"), Fail()])

    assert scripts.take("s1", "x") == (Think("Hm."), Say("Which? a b"))
    scripts.add([Say("later")], session_id="s1")
    assert scripts.take("s2", "x") == script_for("x")
    assert scripts.take("s1", "x") == (Say("Fine."), Say("Sure?"))
    assert scripts.take("s1", "x") == (Fail(),)
    assert scripts.take("s1", "x") == (Say("later"),)
