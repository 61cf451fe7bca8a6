"""Emulator of the ADK API server."""

from polysession_adk.emulator.app import AdkEmulator

__all__ = ["AdkEmulator"]
