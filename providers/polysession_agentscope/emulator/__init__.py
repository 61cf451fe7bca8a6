"""AgentScope's service, emulated."""

from polysession_agentscope.emulator.app import AgentScopeEmulator

__all__ = ["AgentScopeEmulator"]
