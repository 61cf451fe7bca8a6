"""Emulator of Anthropic's Managed Agents."""

from polysession_anthropic.emulator.app import AnthropicEmulator

__all__ = ["AnthropicEmulator"]
