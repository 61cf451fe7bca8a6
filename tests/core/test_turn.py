from __future__ import annotations

import pytest

from polysession._core.turn import TurnSummary
from polysession.action import ToolApproval, ToolExecution
from polysession.event import ActionRequired, Event, MessageCompleted, MessageDelta, Outcome, TurnEnded
from polysession.message import Message, Role, TextBlock, ThinkingBlock
from polysession.result import TurnResult
from polysession.session import Usage

USAGE = Usage(input_tokens=3)
APPROVAL = ToolApproval(id="t1", name="rm", arguments={"path": "/"})
EXECUTION = ToolExecution(id="t2", name="screenshot", arguments={})


def said(text: str, role: Role = Role.ASSISTANT) -> Message:
    content = (ThinkingBlock(text="hm"), TextBlock(text=text), TextBlock(text="."))
    return Message(provider="acme", id=text, session_id="s1", role=role, content=content)


def completed(message: Message) -> Event:
    return MessageCompleted(session_id="s1", message=message)


def ended(outcome: Outcome = Outcome.COMPLETED) -> Event:
    return TurnEnded(session_id="s1", outcome=outcome, native_reason="stop", usage=USAGE, error="why")


def result_of(*events: Event) -> TurnResult | None:
    summary = TurnSummary()
    for event in events:
        summary.take(event)
    return summary.result


def test_a_result_is_what_the_end_and_the_messages_say() -> None:
    one, two = said("one"), said("two")

    result = result_of(completed(said("hello", Role.USER)), completed(one), completed(two), ended())

    assert result == TurnResult(
        outcome=Outcome.COMPLETED, native_reason="stop", messages=(one, two), usage=USAGE, error="why"
    )
    assert result.text == "two."


def test_there_is_no_result_before_the_end() -> None:
    assert result_of(completed(said("one")), MessageDelta(session_id="s1", text="x")) is None


def test_a_turn_without_a_message_has_no_text() -> None:
    result = result_of(ended())

    assert result is not None
    assert (result.text, result.messages) == ("", ())


@pytest.mark.parametrize("outcome", Outcome)
def test_actions_wait_only_if_the_turn_ends_for_them(outcome: Outcome) -> None:
    result = result_of(ActionRequired(session_id="s1", actions=(APPROVAL,)), ended(outcome))

    assert result is not None
    assert result.outcome is outcome
    assert result.actions == ((APPROVAL,) if outcome is Outcome.REQUIRES_ACTION else ())


def test_actions_of_several_events_are_all_there_once() -> None:
    result = result_of(
        ActionRequired(session_id="s1", actions=(APPROVAL,)),
        ActionRequired(session_id="s1", actions=(EXECUTION,)),
        ActionRequired(session_id="s1", actions=(APPROVAL,)),
        ended(Outcome.REQUIRES_ACTION),
    )

    assert result is not None
    assert result.actions == (APPROVAL, EXECUTION)
