"""Porter's errands for polysession."""

from polysession.provider_api import hookimpl
from polysession_porter.provider import PorterProvider

__all__ = ["PorterProvider", "polysession_provider"]


@hookimpl
def polysession_provider() -> type[PorterProvider]:
    """The provider of this package."""
    return PorterProvider
