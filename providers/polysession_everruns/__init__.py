"""The polysession provider for Everruns."""

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

_LAZY_NAMES: Final = {
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
    """Return the provider of this package."""
    return EverrunsProvider


if not TYPE_CHECKING:  # with a `__getattr__`, type checkers accept any name
    __getattr__, __dir__ = lazy_names(__name__, _LAZY_NAMES)
