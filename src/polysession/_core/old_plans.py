"""Temporary: the plans of providers that were not brought to `plans` yet."""

from polysession._core.stream import StreamPlan as OldStreamPlan
from polysession._core.stream import TurnPlan as OldTurnPlan

__all__ = ["OldStreamPlan", "OldTurnPlan"]
