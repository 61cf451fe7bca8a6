"""Google's Agent Development Kit (ADK) for polysession: its API server."""

from polysession.provider_api import hookimpl
from polysession_adk.native import AdkNewSession, AdkRun, AdkSessionChanges
from polysession_adk.provider import AdkProvider, AdkSettings

__all__ = [
    "AdkNewSession",
    "AdkProvider",
    "AdkRun",
    "AdkSessionChanges",
    "AdkSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[AdkProvider]:
    """The provider of this package."""
    return AdkProvider
