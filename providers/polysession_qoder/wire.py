"""Structs of Qoder's JSON where it differs from the family's.

Each struct reads all generations: May 2026, June and July 2026, and the current one.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from polysession_managed_agents import wire


class WireUsage(msgspec.Struct):
    """The usage of a session so far, in credits or tokens."""

    total_credits: Decimal | None = None
    model_credits: Decimal | None = None
    sandbox_runtime_credits: Decimal | None = None
    input_tokens: int | None = None  # May 2026: tokens instead of credits
    output_tokens: int | None = None  # May 2026
    cache_read_input_tokens: int | None = None  # May 2026
    cache_creation: dict[str, int | None] | None = None  # May 2026


class WireSession(wire.WireSession):
    """A session, with the fields that only Qoder has."""

    agent_id: str | None = None  # May 2026: in addition to `agent`
    turn_status: str | None = None  # May 2026: the state of the turn; `status` stays idle
    usage: WireUsage | None = None


class WireAgent(wire.WireAgent):
    """An agent, with the fields that only Qoder has."""

    instructions: str | None = None  # May 2026: instead of `system`


class WireError(msgspec.Struct):
    """The `error` object of an error body."""

    type: str | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class WireErrorBody(msgspec.Struct):
    """An error body."""

    error: WireError | str | None = None
    request_id: str | None = None  # absent before July 2026
