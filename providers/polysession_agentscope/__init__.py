"""AgentScope's agent service for polysession."""

from polysession.provider_api import hookimpl
from polysession_agentscope.native import (
    AgentScopeAgentChanges,
    AgentScopeAnswer,
    AgentScopeChatConfig,
    AgentScopeChatModelConfig,
    AgentScopeContextConfig,
    AgentScopeInviteConfig,
    AgentScopeKnowledgeConfig,
    AgentScopeMessage,
    AgentScopeModelConfig,
    AgentScopeNewAgent,
    AgentScopeNewSession,
    AgentScopeReactConfig,
    AgentScopeRule,
    AgentScopeSessionChanges,
)
from polysession_agentscope.provider import AgentScopeProvider, AgentScopeSettings

__all__ = [
    "AgentScopeAgentChanges",
    "AgentScopeAnswer",
    "AgentScopeChatConfig",
    "AgentScopeChatModelConfig",
    "AgentScopeContextConfig",
    "AgentScopeInviteConfig",
    "AgentScopeKnowledgeConfig",
    "AgentScopeMessage",
    "AgentScopeModelConfig",
    "AgentScopeNewAgent",
    "AgentScopeNewSession",
    "AgentScopeProvider",
    "AgentScopeReactConfig",
    "AgentScopeRule",
    "AgentScopeSessionChanges",
    "AgentScopeSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[AgentScopeProvider]:
    """Return the provider of this package."""
    return AgentScopeProvider
