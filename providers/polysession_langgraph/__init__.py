"""LangGraph Agent Server for polysession."""

from polysession.provider_api import hookimpl
from polysession_langgraph.native import (
    LanggraphAgentChanges,
    LanggraphAnswer,
    LanggraphNewAgent,
    LanggraphNewSession,
    LanggraphSessionChanges,
    LanggraphSessionQuery,
    LanggraphTtl,
    LanggraphTurn,
)
from polysession_langgraph.provider import LanggraphProvider, LanggraphSettings

__all__ = [
    "LanggraphAgentChanges",
    "LanggraphAnswer",
    "LanggraphNewAgent",
    "LanggraphNewSession",
    "LanggraphProvider",
    "LanggraphSessionChanges",
    "LanggraphSessionQuery",
    "LanggraphSettings",
    "LanggraphTtl",
    "LanggraphTurn",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[LanggraphProvider]:
    """Return the provider of this package."""
    return LanggraphProvider
