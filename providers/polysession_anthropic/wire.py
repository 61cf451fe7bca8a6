"""Structs of Anthropic's JSON where it differs from the family's.

Backend: https://platform.claude.com/docs/en/api/beta/sessions and
https://platform.claude.com/docs/en/managed-agents/events-and-streaming (read 2026-11-30)
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from polysession_managed_agents import wire


class WireListCost(msgspec.Struct):
    """A cost in hundredths of the currency unit, such as cents."""

    amount: Decimal | None = None
    currency: str | None = None


class WireUsage(msgspec.Struct):
    """The usage of a session so far."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: dict[str, int | None] | None = None
    list_cost: WireListCost | None = None


class WireSession(wire.WireSession):
    """A session, with its usage."""

    usage: WireUsage | None = None


class WireUsageEvent(wire.WireEvent):
    """An event that reports the session's usage so far."""

    usage: WireUsage | None = None


class WireStopDetails(msgspec.Struct):
    """The reason why the model refused."""

    explanation: str | None = None


class WireIdle(wire.WireIdle):
    """The end of a turn."""

    stop_details: WireStopDetails | None = None


class WireInterrupt(wire.WireEvent):
    """An interrupt of one thread, or of all threads if it names none."""

    session_thread_id: str | None = None


class WireError(msgspec.Struct):
    """The `error` object of an error body."""

    type: str | None = None
    message: str | None = None
    details: dict[str, Any] | None = None


class WireErrorBody(msgspec.Struct):
    """An error body."""

    error: WireError | None = None
    request_id: str | None = None


class WireThread(wire.WireEvent):
    """An event about the thread of a sub-agent."""

    session_thread_id: str | None = None
