"""Answers in the input of a turn, for the core and for providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from polysession.action import Answer, Approve, Deny, PendingAction, Reply, ToolOutput
from polysession.errors import UsageError

if TYPE_CHECKING:
    from polysession._core.provider import TurnInput
    from polysession.message import Block

ANSWERS: Final = (Approve, Deny, ToolOutput, Reply)

_FITTING: Final[Mapping[str, tuple[type[Answer], ...]]] = {
    "approval": (Approve, Deny),
    "execution": (ToolOutput,),
    "question": (Reply,),
}
"""The answers to each type of action."""


def split_turn_input(turn_input: TurnInput) -> tuple[tuple[Block, ...], tuple[Answer, ...]]:
    """Split the input of a turn into the blocks of a message and the answers; one of the two is empty."""
    answers = tuple([part for part in turn_input if isinstance(part, ANSWERS)])
    return tuple([part for part in turn_input if not isinstance(part, ANSWERS)]), answers


def check_answer_kind(answer: Answer, action: PendingAction) -> None:
    """Raise if an answer does not fit an action. Providers call it after they have found the action of a bare id.

    Raises:
        UsageError: The answer does not fit.
    """
    fitting = _FITTING[action.type]
    if not isinstance(answer, fitting):
        names = " or ".join(kind.__name__ for kind in fitting)
        raise UsageError(f"action {action.id!r} must be answered with {names}, not with {type(answer).__name__}")
