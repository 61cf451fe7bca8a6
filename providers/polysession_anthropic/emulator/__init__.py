"""Anthropic Managed Agents, emulated."""

from polysession_anthropic.emulator.app import AnthropicEmulator

__all__ = ["AnthropicEmulator"]
