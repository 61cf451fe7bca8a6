"""Emulator of LangGraph's Agent Server."""

from polysession_langgraph.emulator.app import LanggraphEmulator

__all__ = ["LanggraphEmulator"]
