"""Chatbox chats for polysession."""

from polysession.provider_api import hookimpl
from polysession_chatbox.provider import ChatboxProvider

__all__ = ["ChatboxProvider", "polysession_provider"]


@hookimpl
def polysession_provider() -> type[ChatboxProvider]:
    """The provider of this package."""
    return ChatboxProvider
