"""Selects the events of our turn, and builds its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from polysession._core.flow import Flow
from polysession.action import Answer, PendingAction
from polysession.event import ActionRequired, Event, MessageCompleted, Outcome, TurnEnded, TurnStarted
from polysession.message import Message, Role
from polysession.result import TurnResult
from polysession.session import Usage


class TurnSummary:
    """Builds a turn's result from the events of all its parts.

    Attributes:
        result: The result; None until the last part has ended.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._actions: dict[str, PendingAction] = {}
        self._usage: Usage | None = None
        self.result: TurnResult | None = None

    @property
    def actions(self) -> tuple[PendingAction, ...]:
        """The actions that the current part has asked for."""
        return tuple(self._actions.values())

    def take(self, event: Event) -> TurnResult | None:
        """Add an event; return the result if the event ends the last part."""
        if isinstance(event, MessageCompleted) and event.message.role is Role.ASSISTANT:
            self._messages.append(event.message)
        elif isinstance(event, ActionRequired):
            self._actions |= {action.id: action for action in event.actions}
        elif isinstance(event, TurnEnded):
            self._usage = add_usage(self._usage, event.usage)
            if event.continues:
                self._actions.clear()
                return None
            self.result = TurnResult(
                outcome=event.outcome,
                native_reason=event.native_reason,
                messages=tuple(self._messages),
                actions=self.actions if event.outcome is Outcome.REQUIRES_ACTION else (),
                usage=self._usage,
                error=event.error,
            )
            return self.result
        return None


def add_usage(one: Usage | None, other: Usage | None) -> Usage | None:
    """Return the sum of two usages; a counter that only one of them has is copied."""
    if one is None or other is None:
        return other if one is None else one
    counters = {name: [getattr(usage, name) for usage in (one, other)] for name in Usage.model_fields}
    known = {name: [value for value in values if value is not None] for name, values in counters.items()}
    return Usage(**{name: sum(values[1:], start=values[0]) for name, values in known.items() if values})


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnControl:
    """Options of a turn besides those of its stream.

    Attributes:
        on_action: Returns the answer to an action, or None. Without `on_action` the turn ends at its first pending
            action.
        on_cursor: Receives the cursor of each part of the turn before its input is sent; None if it is not needed.
        check: Raises for answers that cannot be sent.
        start: Returns the flow that prepares the next part of the turn, which starts with answers.
        cancel: Returns the flow that cancels a turn that the caller leaves early; None leaves the turn running.
    """

    on_action: Callable[[PendingAction], Any] | None = None
    on_cursor: Callable[[str | None], Any] | None = None
    check: Callable[[Sequence[Answer]], object] = len
    start: Callable[[Sequence[Answer]], Flow[Any]] | None = None
    cancel: Callable[[], Flow[Any]] | None = None


class ActionAnswers:
    """Collects the answers that `on_action` returns in one run.

    `on_action` is called once for each action. If one action of a group has no answer, no answer of the group is sent.
    """

    def __init__(self) -> None:
        self._asked: set[str] = set()

    def to_ask(self, actions: Sequence[PendingAction]) -> list[PendingAction]:
        """Return the actions for which `on_action` was not called yet, in order."""
        new = [action for action in actions if action.id not in self._asked]
        self._asked |= {action.id for action in new}
        return new

    @staticmethod
    def to_send(
        actions: Sequence[PendingAction], answered: Sequence[tuple[PendingAction, Answer | None]]
    ) -> list[Answer]:
        """Return the answers of the complete groups, group by group, in order."""
        answers = {action.id: answer for action, answer in answered if answer is not None}
        groups: dict[str, list[str]] = {}
        for action in actions:
            groups.setdefault(f"group {action.group}" if action.group is not None else f"id {action.id}", []).append(
                action.id
            )
        return [answers[each] for ids in groups.values() if answers.keys() >= set(ids) for each in ids]


class TurnTracker:
    """Selects the events of one turn, from its start to its end.

    All events since the last start or end of a turn wait, each with its cursor, until one of them proves that they
    belong to our turn.

    Args:
        is_ours: Returns whether an event proves that the turn in progress is ours; None if there can be no other turn.

    Attributes:
        in_turn: Whether our turn is in progress.
        ended: The end of our turn; None before it comes.
    """

    def __init__(self, is_ours: Callable[[Event], bool] | None = None) -> None:
        self.in_turn = is_ours is None
        self.ended: TurnEnded | None = None
        self._is_ours = is_ours
        self._waiting: list[tuple[Event, str | None]] = []

    @property
    def waiting(self) -> bool:
        """Whether there are events that may prove to be the beginning of our turn."""
        return bool(self._waiting)

    def take(self, event: Event, cursor: str | None) -> Sequence[tuple[Event, str | None]]:
        """Return the events to deliver now, each with the cursor that continues after it."""
        if self.ended is not None:
            return ()
        if not self.in_turn and isinstance(event, TurnStarted):
            self._waiting.clear()
        self._waiting.append((event, cursor))
        self.in_turn = self.in_turn or self._is_ours is None or self._is_ours(event)
        ends = isinstance(event, TurnEnded)
        if not self.in_turn and not ends:
            return ()
        ready, self._waiting = self._waiting, []
        if not self.in_turn:
            return ()  # it was the end of another client's turn
        if isinstance(event, TurnEnded):
            self.ended, self.in_turn = event, False
        return ready
