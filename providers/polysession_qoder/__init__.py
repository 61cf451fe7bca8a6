"""The polysession provider for Qoder Cloud Agents."""

from polysession.provider_api import hookimpl
from polysession_qoder.native import (
    QoderAgentChanges,
    QoderAgentReference,
    QoderAgentWithOverrides,
    QoderBranch,
    QoderBudget,
    QoderCommit,
    QoderFileResource,
    QoderGithubRepository,
    QoderGitRepository,
    QoderMemoryStore,
    QoderNewAgent,
    QoderNewEnvironment,
    QoderNewSession,
    QoderSessionAgentChanges,
    QoderSessionChanges,
    QoderSessionQuery,
)
from polysession_qoder.provider import QoderProvider, QoderSettings

__all__ = [
    "QoderAgentChanges",
    "QoderAgentReference",
    "QoderAgentWithOverrides",
    "QoderBranch",
    "QoderBudget",
    "QoderCommit",
    "QoderFileResource",
    "QoderGitRepository",
    "QoderGithubRepository",
    "QoderMemoryStore",
    "QoderNewAgent",
    "QoderNewEnvironment",
    "QoderNewSession",
    "QoderProvider",
    "QoderSessionAgentChanges",
    "QoderSessionChanges",
    "QoderSessionQuery",
    "QoderSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[QoderProvider]:
    """Return the provider of this package."""
    return QoderProvider
