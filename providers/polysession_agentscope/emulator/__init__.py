"""Emulator of AgentScope's agent service."""

from polysession_agentscope.emulator.app import AgentScopeEmulator

__all__ = ["AgentScopeEmulator"]
