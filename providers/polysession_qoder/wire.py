"""Qoder's JSON where it differs from the family's, in its own words.

Each struct reads every generation: those of May 2026, of June and July 2026, and the current one.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from polysession_managed_agents import wire


class WireUsage(msgspec.Struct):
    """Consumption."""

    total_credits: Decimal | None = None
    model_credits: Decimal | None = None
    sandbox_runtime_credits: Decimal | None = None
    input_tokens: int | None = None  # May 2026: tokens in place of credits
    output_tokens: int | None = None  # May 2026
    cache_read_input_tokens: int | None = None  # May 2026
    cache_creation: dict[str, int | None] | None = None  # May 2026


class WireSession(wire.WireSession):
    """A session."""

    agent_id: str | None = None  # May 2026: beside `agent`
    turn_status: str | None = None  # May 2026: the state of the turn while `status` stays idle
    usage: WireUsage | None = None


class WireAgent(wire.WireAgent):
    """An agent."""

    instructions: str | None = None  # May 2026: `system`


class WireError(msgspec.Struct):
    """The inner part of an error body."""

    type: str | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class WireErrorBody(msgspec.Struct):
    """An error body."""

    error: WireError | str | None = None
    request_id: str | None = None  # absent before July 2026
