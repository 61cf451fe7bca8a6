"""AgentScope's agent service for polysession."""

from polysession.provider_api import hookimpl
from polysession_agentscope.provider import AgentScopeProvider, AgentScopeSettings
from polysession_agentscope.wire import (
    AgentScopeChatConfig,
    AgentScopeContextConfig,
    AgentScopeInviteConfig,
    AgentScopeKnowledgeConfig,
    AgentScopeModelConfig,
    AgentScopeNewAgent,
    AgentScopeNewSession,
    AgentScopeReactConfig,
    AgentScopeSessionChanges,
)

__all__ = [
    "AgentScopeChatConfig",
    "AgentScopeContextConfig",
    "AgentScopeInviteConfig",
    "AgentScopeKnowledgeConfig",
    "AgentScopeModelConfig",
    "AgentScopeNewAgent",
    "AgentScopeNewSession",
    "AgentScopeProvider",
    "AgentScopeReactConfig",
    "AgentScopeSessionChanges",
    "AgentScopeSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[AgentScopeProvider]:
    """The provider of this package."""
    return AgentScopeProvider
