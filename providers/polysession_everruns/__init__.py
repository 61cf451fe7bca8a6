"""Everruns for polysession."""

from typing import TYPE_CHECKING, Final

from polysession.provider_api import hookimpl, lazy_names
from polysession_everruns.provider import EverrunsProvider, EverrunsSettings

if TYPE_CHECKING:
    from polysession_everruns.native import (
        EverrunsAgentChanges,
        EverrunsCapability,
        EverrunsClientTool,
        EverrunsControls,
        EverrunsInitialFile,
        EverrunsMessage,
        EverrunsNetworkAccess,
        EverrunsNewAgent,
        EverrunsNewSession,
        EverrunsReasoning,
        EverrunsSessionChanges,
        EverrunsSessionQuery,
    )

_HOMES: Final = {
    "polysession_everruns.native": (
        "EverrunsCapability",
        "EverrunsClientTool",
        "EverrunsControls",
        "EverrunsInitialFile",
        "EverrunsMessage",
        "EverrunsNetworkAccess",
        "EverrunsAgentChanges",
        "EverrunsNewAgent",
        "EverrunsNewSession",
        "EverrunsReasoning",
        "EverrunsSessionChanges",
        "EverrunsSessionQuery",
    ),
}

__all__ = [
    "EverrunsAgentChanges",
    "EverrunsCapability",
    "EverrunsClientTool",
    "EverrunsControls",
    "EverrunsInitialFile",
    "EverrunsMessage",
    "EverrunsNetworkAccess",
    "EverrunsNewAgent",
    "EverrunsNewSession",
    "EverrunsProvider",
    "EverrunsReasoning",
    "EverrunsSessionChanges",
    "EverrunsSessionQuery",
    "EverrunsSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[EverrunsProvider]:
    """The provider of this package."""
    return EverrunsProvider


if not TYPE_CHECKING:  # which would let any name pass
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
