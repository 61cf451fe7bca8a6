"""Interrupts as pending actions, and answers as the values that continue a run."""

from __future__ import annotations

from typing import Any

import pytest

from polysession import (
    ACTION,
    Answer,
    Approve,
    Conflict,
    Deny,
    NotFound,
    PendingAction,
    Question,
    Reply,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UsageError,
)
from polysession_langgraph.actions import to_actions, to_responses
from polysession_langgraph.wire import WireInterrupt

BATCH = {
    "action_requests": [
        {"name": "add", "args": {"a": 1}, "description": "Tool execution requires approval"},
        {"name": "boom", "args": {}, "description": "Tool execution requires approval"},
    ],
    "review_configs": [],
}


def waiting(*values: Any) -> dict[str, PendingAction]:
    interrupts = [WireInterrupt(id=f"i{number}", value=value) for number, value in enumerate(values)]
    return to_actions({"task": interrupts})


def test_the_middleware_requests_several_approvals_in_one_group() -> None:
    first, second = waiting(BATCH).values()

    assert isinstance(first, ToolApproval)
    assert (first.id, first.name, first.arguments, first.group) == ("i0:0", "add", {"a": 1}, "i0")
    assert (second.id, second.group) == ("i0:1", "i0")
    assert first.raw == BATCH["action_requests"][0]


def test_a_client_tool_is_run_by_the_caller() -> None:
    (action,) = waiting({"type": "client_tool", "name": "read_clipboard", "args": {"kind": "text"}}).values()

    assert isinstance(action, ToolExecution)
    assert (action.name, action.arguments, action.group) == ("read_clipboard", {"kind": "text"}, None)


def test_a_single_call_is_approved() -> None:
    (action,) = waiting({"action": "delete_file", "args": {"path": "a"}}).values()

    assert isinstance(action, ToolApproval)
    assert (action.id, action.name) == ("i0", "delete_file")


@pytest.mark.parametrize(
    ("value", "prompt", "options"),
    [
        ("Which one?", "Which one?", ()),
        ({"question": "Which one?", "options": ["a", "b", 3]}, "Which one?", ("a", "b")),
        ({"other": 1}, '{"other": 1}', ()),
        (None, "null", ()),
        ([1, 2], "[1, 2]", ()),
    ],
)
def test_any_other_interrupt_is_a_question(value: Any, prompt: str, options: tuple[str, ...]) -> None:
    (action,) = waiting(value).values()

    assert isinstance(action, Question)
    assert (action.prompt, action.options) == (prompt, options)
    assert action.payload == (value if isinstance(value, dict) else {"value": value})
    assert ACTION.validate_json(action.model_dump_json()) == action


def test_an_interrupt_that_is_reported_twice_counts_once() -> None:
    interrupt = WireInterrupt(id="i0", value="continue?")

    assert list(to_actions({"a": [interrupt], "b": [interrupt]})) == ["i0"]
    assert to_actions(None) == {}


def test_a_group_is_answered_in_its_order() -> None:
    pending = waiting(BATCH)
    first, second = pending.values()

    assert to_responses([Deny(second, "no"), Approve(first)], pending) == [
        {"interrupt_id": "i0", "response": {"decisions": [{"type": "approve"}, {"type": "reject", "message": "no"}]}}
    ]
    edited = to_responses([Approve(first, arguments={"a": 2}), Deny("i0:1")], pending)
    assert edited[0]["response"]["decisions"] == [
        {"type": "edit", "edited_action": {"name": "add", "args": {"a": 2}}},
        {"type": "reject"},
    ]


@pytest.mark.parametrize(
    ("value", "answer", "response"),
    [
        ({"action": "x", "args": {}}, Approve("i0"), "approved"),
        ({"action": "x", "args": {}}, Deny("i0"), "denied"),
        ({"action": "x", "args": {}}, Deny("i0", "not now"), "denied: not now"),
        ({"type": "client_tool", "name": "x", "args": {}}, ToolOutput("i0", "42"), "42"),
        ({"type": "client_tool", "name": "x", "args": {}}, ToolOutput("i0", "42", is_error=True), {"error": "42"}),
        ("Which?", Reply("i0", {"any": ["json"]}), {"any": ["json"]}),
    ],
)
def test_single_answers(value: Any, answer: Answer, response: Any) -> None:
    assert to_responses([answer], waiting(value)) == [{"interrupt_id": "i0", "response": response}]


@pytest.mark.parametrize(
    ("answers", "error", "text"),
    [
        ([Approve("i0:0")], UsageError, "i0:1"),
        ([Approve("i9")], NotFound, "i9"),
        ([ToolOutput("i0:0", "42"), Approve("i0:1")], UsageError, "Approve or Deny"),
        ([Reply("i0:0", "42"), Approve("i0:1")], UsageError, "Approve or Deny"),
    ],
)
def test_answers_of_the_wrong_type_are_rejected(answers: list[Answer], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        to_responses(answers, waiting(BATCH))


def test_only_the_middleware_takes_edited_arguments() -> None:
    with pytest.raises(UsageError, match="edited"):
        to_responses([Approve("i0", arguments={"a": 1})], waiting({"action": "x", "args": {}}))


def test_answers_without_a_pending_action_are_a_conflict() -> None:
    with pytest.raises(Conflict):
        to_responses([Approve("i0")], {})
