"""The polysession provider for Anthropic's Managed Agents."""

from polysession.provider_api import hookimpl
from polysession_anthropic.native import (
    AnthropicAgentChanges,
    AnthropicAgentReference,
    AnthropicAgentWithOverrides,
    AnthropicBranch,
    AnthropicBudget,
    AnthropicCommit,
    AnthropicFileResource,
    AnthropicGithubRepository,
    AnthropicListCost,
    AnthropicMemoryStore,
    AnthropicNewAgent,
    AnthropicNewEnvironment,
    AnthropicNewSession,
    AnthropicSessionAgentChanges,
    AnthropicSessionChanges,
    AnthropicSessionQuery,
)
from polysession_anthropic.provider import AnthropicProvider, AnthropicSettings

__all__ = [
    "AnthropicAgentChanges",
    "AnthropicAgentReference",
    "AnthropicAgentWithOverrides",
    "AnthropicBranch",
    "AnthropicBudget",
    "AnthropicCommit",
    "AnthropicFileResource",
    "AnthropicGithubRepository",
    "AnthropicListCost",
    "AnthropicMemoryStore",
    "AnthropicNewAgent",
    "AnthropicNewEnvironment",
    "AnthropicNewSession",
    "AnthropicProvider",
    "AnthropicSessionAgentChanges",
    "AnthropicSessionChanges",
    "AnthropicSessionQuery",
    "AnthropicSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[AnthropicProvider]:
    """Return the provider of this package."""
    return AnthropicProvider
