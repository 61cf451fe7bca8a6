"""A polysession provider for the helpdesk."""

from polysession.provider_api import hookimpl
from polysession_helpdesk.provider import HelpdeskProvider

__all__ = ["HelpdeskProvider", "polysession_provider"]


@hookimpl
def polysession_provider() -> type[HelpdeskProvider]:
    """The provider of this package."""
    return HelpdeskProvider
