"""The JSON of the helpdesk, in its own words. Only what a record cannot be without is required."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class ToolCall(msgspec.Struct):
    """A tool that the caller has to run."""

    call: str
    tool: str
    arguments: dict[str, Any] = {}


class Ticket(msgspec.Struct):
    """A ticket, which is a session."""

    id: str
    title: str | None = None
    labels: dict[str, str] = {}
    status: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_event: int = 0
    waiting_for: ToolCall | None = None


class TicketPage(msgspec.Struct):
    """A page of tickets."""

    tickets: list[msgspec.Raw]
    next: str | None = None


class TicketEvent(msgspec.Struct):
    """An event of a ticket. Each type uses some of the optional fields."""

    seq: int
    type: str
    at: datetime | None = None
    role: str = ""
    text: str = ""
    call: str = ""
    tool: str = ""
    arguments: dict[str, Any] = {}
    failed: bool = False
    reason: str = ""


class EventPage(msgspec.Struct):
    """A page of events."""

    events: list[msgspec.Raw]
    more: bool = False


class Accepted(msgspec.Struct):
    """The answer to an input: the number of the first event that results from it."""

    seq: int


class Cancelled(msgspec.Struct):
    """The answer to a cancellation."""

    cancelled: bool
