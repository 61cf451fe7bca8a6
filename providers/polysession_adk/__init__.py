"""The API server of Google's Agent Development Kit (ADK) for polysession."""

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
    """Return the provider of this package."""
    return AdkProvider
