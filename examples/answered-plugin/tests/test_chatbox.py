"""Chatbox keeps the contract of every provider."""

from polysession.testing import ProviderContract


class TestChatbox(ProviderContract):
    """Every test of the contract that fits the declaration."""

    provider = "chatbox"
    has_status_word = False
