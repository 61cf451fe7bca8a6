"""The result of a turn."""

from __future__ import annotations

from polysession.action import PendingAction, StoredAction
from polysession.errors import ActionRequiredError, TurnCancelled, TurnFailed, TurnLimitReached
from polysession.event import Outcome
from polysession.message import Message
from polysession.record import Record
from polysession.session import Usage


class UnfinishedTurn(Record):
    """A turn that was still open when the client stopped waiting for it.

    Attributes:
        session_id: Its session.
        cursor: Its cursor: `sessions.rejoin(session_id, cursor)` continues the turn, also in another process. None if
            the turn had not begun.
    """

    session_id: str
    cursor: str | None = None


class TurnResult(Record):
    """The result of a turn.

    Attributes:
        outcome: How it ended. Only `completed` is success.
        native_reason: The backend's reason for the end.
        messages: The agent's whole messages, of all parts of the turn.
        actions: The pending actions, if the outcome is `requires_action`.
        usage: Usage of the turn, in all its parts; None if the backend does not report it.
        error: Description of the failure; None unless the turn failed.
    """

    outcome: Outcome
    native_reason: str = ""
    messages: tuple[Message, ...] = ()
    actions: tuple[StoredAction, ...] = ()
    usage: Usage | None = None
    error: str | None = None

    @property
    def text(self) -> str:
        """The text of the last message; empty without a message."""
        return self.messages[-1].text if self.messages else ""

    def raise_for_outcome(self) -> None:
        """Raise an error unless the turn completed.

        Raises:
            TurnFailed: It failed.
            TurnCancelled: It was cancelled.
            TurnLimitReached: It was stopped at a limit.
            ActionRequiredError: It waits for answers to its `actions`.
        """
        provider = self.messages[-1].provider if self.messages else None
        reason = f" ({self.native_reason})" if self.native_reason else ""
        match self.outcome:
            case Outcome.FAILED:
                raise TurnFailed(f"the turn failed{reason}: {self.error or 'no reason given'}", provider=provider)
            case Outcome.CANCELLED:
                raise TurnCancelled(f"the turn was cancelled{reason}", provider=provider)
            case Outcome.LIMIT_REACHED:
                raise TurnLimitReached(f"the turn was stopped at a limit{reason}", provider=provider)
            case Outcome.REQUIRES_ACTION:
                waiting = ", ".join(_described(action) for action in self.actions) or "an unknown action"
                message = f"the turn waits for an answer to {waiting}: answer with run() or answer(), or use on_action"
                raise ActionRequiredError(message, actions=self.actions, provider=provider)


def _described(action: PendingAction) -> str:
    return f"question {action.id!r}" if action.type == "question" else f"{action.type} {action.id!r} of {action.name!r}"
