"""The one rule for a turn with a cut connection or another fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polysession import Event, MessageCompleted, Outcome, PolysessionError, TurnResult
from polysession.testing.comparing import check_same
from polysession.testing.turns import check_each_once, check_text


@dataclass(frozen=True, slots=True)
class Survived:
    """The outcome of a turn with a fault.

    Attributes:
        error: The error that the turn raised; None if it ended.
        events: The events that were delivered, if it ended.
        result: Its result, if it ended.
    """

    error: PolysessionError | None
    events: tuple[Event, ...] = ()
    result: TurnResult | None = None

    @property
    def is_completed(self) -> bool:
        """Whether the turn counts as a success."""
        return self.result is not None and self.result.outcome is Outcome.COMPLETED


def survive(run: Callable[[], tuple[list[Event], TurnResult]]) -> Survived:
    """Run a turn. An error of polysession becomes part of the result; any other error is a defect."""
    try:
        events, result = run()
    except PolysessionError as error:
        return Survived(error)
    return Survived(None, tuple(events), result)


def check_whole_or_failed(turn: Survived, whole: Sequence[Event], where: str) -> None:
    """Check that a turn is `completed` only if all of it was delivered.

    Args:
        turn: The turn.
        whole: The events of the same turn without a fault.
        where: The fault, for the message.
    """
    if turn.error is not None:
        assert turn.error.provider, where
        assert turn.error.operation, where
        return
    assert turn.events, where
    assert turn.events[-1].type == "turn.ended", where
    check_each_once(turn.events)
    if turn.is_completed:
        check_same(turn.events, whole, where)
        check_text(turn.events)
        assert messages(turn.events) == messages(whole), where


def messages(events: Sequence[Event]) -> list[str]:
    """Return the texts of the messages among events."""
    return [event.message.text for event in events if isinstance(event, MessageCompleted)]
