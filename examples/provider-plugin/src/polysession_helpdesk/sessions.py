"""Tickets to sessions, and requests to bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from polysession.provider_api import (
    UNSET,
    PendingAction,
    Session,
    SessionChanges,
    SessionRef,
    SessionStatus,
    ToolExecution,
    path_segment,
    record_reader,
)
from polysession_helpdesk.wire import Ticket, ToolCall

NAME: Final = "helpdesk"

_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "open": SessionStatus.IDLE,
    "working": SessionStatus.RUNNING,
    "waiting": SessionStatus.REQUIRES_ACTION,
}


def _session(ticket: Ticket, source: bytes, problems: tuple[str, ...]) -> Session:
    return Session(
        provider=NAME,
        id=ticket.id,
        title=ticket.title,
        status=_STATUSES.get(ticket.status, SessionStatus.UNKNOWN),
        native_status=ticket.status,
        metadata=ticket.labels,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
        source=source,
        problems=problems,
    )


to_session = record_reader(Ticket, _session)


def to_action(tool_call: ToolCall) -> PendingAction:
    """The pending action for a tool that the caller has to run."""
    return ToolExecution(id=tool_call.call, name=tool_call.tool, arguments=tool_call.arguments)


def ticket_path(ref: SessionRef) -> str:
    """The path of a ticket."""
    return f"/tickets/{path_segment(ref.id, 'session id')}"


def changes_body(changes: SessionChanges) -> dict[str, Any]:
    """The body of a partial update. The helpdesk removes what is null, in labels too."""
    given = {"title": changes.title, "labels": changes.metadata}
    return {name: value for name, value in given.items() if value is not UNSET}
