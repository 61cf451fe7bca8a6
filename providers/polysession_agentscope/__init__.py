"""AgentScope's agent service for polysession."""

from typing import TYPE_CHECKING, Final

from polysession.provider_api import hookimpl, lazy_names
from polysession_agentscope.provider import AgentScopeProvider, AgentScopeSettings

if TYPE_CHECKING:
    from polysession_agentscope.native import (
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

_HOMES: Final = {
    "polysession_agentscope.native": (
        "AgentScopeChatConfig",
        "AgentScopeContextConfig",
        "AgentScopeInviteConfig",
        "AgentScopeKnowledgeConfig",
        "AgentScopeModelConfig",
        "AgentScopeNewAgent",
        "AgentScopeNewSession",
        "AgentScopeReactConfig",
        "AgentScopeSessionChanges",
    ),
}

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


if not TYPE_CHECKING:  # which would let any name pass
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
