"""Stepping of flows, and the bodies of their calls."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from polysession._core.flow import Call
from polysession.testing.flows import ok, step

__all__ = ["ok", "sent_bodies", "step"]


def sent_bodies(calls: Iterable[Call]) -> list[Any]:
    """Return the JSON bodies of calls; None for a call without a body."""
    return [None if call.body is None else json.loads(call.body) for call in calls]
