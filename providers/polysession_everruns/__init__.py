"""Everruns for polysession."""

from polysession.provider_api import hookimpl
from polysession_everruns.provider import EverrunsProvider, EverrunsSettings
from polysession_everruns.wire import (
    EverrunsCapability,
    EverrunsClientTool,
    EverrunsInitialFile,
    EverrunsNetworkAccess,
    EverrunsNewAgent,
    EverrunsNewSession,
    EverrunsSessionChanges,
    EverrunsSessionQuery,
)

__all__ = [
    "EverrunsCapability",
    "EverrunsClientTool",
    "EverrunsInitialFile",
    "EverrunsNetworkAccess",
    "EverrunsNewAgent",
    "EverrunsNewSession",
    "EverrunsProvider",
    "EverrunsSessionChanges",
    "EverrunsSessionQuery",
    "EverrunsSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[EverrunsProvider]:
    """The provider of this package."""
    return EverrunsProvider
