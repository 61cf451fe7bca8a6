"""What came of a turn, gathered from its events."""

from __future__ import annotations

from dataclasses import dataclass

from polysession.action import PendingAction
from polysession.event import ActionRequired, Event, MessageCompleted, Outcome, TurnEnded
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
