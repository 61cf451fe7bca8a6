"""Which events are of our turn, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polysession.action import PendingAction
from polysession.event import ActionRequired, Event, MessageCompleted, Outcome, TurnEnded, TurnStarted
from polysession.message import Message, Role
from polysession.session import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """What came of a turn.

    Attributes:
        outcome: How it ended. Only `completed` is success.
        native_reason: The backend's word for it.
        messages: What the agent said, in whole messages.
        actions: What it waits for, if the outcome is `requires_action`.
        usage: What the turn consumed; None if the backend does not say.
        error: What went wrong; None unless it failed.
    """

    outcome: Outcome
    native_reason: str = ""
    messages: tuple[Message, ...] = ()
    actions: tuple[PendingAction, ...] = ()
    usage: Usage | None = None
    error: str | None = None

    @property
    def text(self) -> str:
        """The text of the last message; empty if there is none."""
        return self.messages[-1].text if self.messages else ""


class TurnSummary:
    """Gathers a turn's result while its events go by."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._actions: dict[str, PendingAction] = {}
        self.result: TurnResult | None = None

    def take(self, event: Event) -> TurnResult | None:
        """Note what an event adds; gives the result if it is the turn's end."""
        if isinstance(event, MessageCompleted) and event.message.role is Role.ASSISTANT:
            self._messages.append(event.message)
        elif isinstance(event, ActionRequired):
            self._actions |= {action.id: action for action in event.actions}
        elif isinstance(event, TurnEnded):
            self.result = TurnResult(
                outcome=event.outcome,
                native_reason=event.native_reason,
                messages=tuple(self._messages),
                actions=tuple(self._actions.values()) if event.outcome is Outcome.REQUIRES_ACTION else (),
                usage=event.usage,
                error=event.error,
            )
            return self.result
        return None


class TurnTracker:
    """Selects the events of one turn, from its start to its end.

    Everything since the last start or end of a turn waits, each event with its cursor, until one of them proves that
    they are ours.

    Args:
        is_ours: Whether an event proves that the turn in progress is ours; None if there is no other.

    Attributes:
        in_turn: Whether our turn is in progress.
        ended: The end of our turn; None until it came.
    """

    def __init__(self, is_ours: Callable[[Event], bool] | None = None) -> None:
        self.in_turn = is_ours is None
        self.ended: TurnEnded | None = None
        self._is_ours = is_ours
        self._waiting: list[tuple[Event, str | None]] = []

    @property
    def waiting(self) -> bool:
        """Whether there are events that may turn out to be the beginning of our turn."""
        return bool(self._waiting)

    def take(self, event: Event, cursor: str | None) -> Sequence[tuple[Event, str | None]]:
        """The events to deliver now, each with the cursor that continues after it."""
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
            return ()  # it was the end of somebody else's turn
        if isinstance(event, TurnEnded):
            self.ended, self.in_turn = event, False
        return ready
