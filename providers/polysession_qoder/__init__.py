"""Qoder Cloud Agents for polysession."""

from polysession.provider_api import hookimpl
from polysession_qoder.provider import QoderProvider, QoderSettings
from polysession_qoder.wire import (
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
    QoderNewSession,
    QoderSessionChanges,
    QoderSessionQuery,
)

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
    "QoderNewSession",
    "QoderProvider",
    "QoderSessionChanges",
    "QoderSessionQuery",
    "QoderSettings",
    "polysession_provider",
]


@hookimpl
def polysession_provider() -> type[QoderProvider]:
    """The provider of this package."""
    return QoderProvider
