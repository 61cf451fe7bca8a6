"""Qoder Cloud Agents for polysession."""

from typing import TYPE_CHECKING, Final

from polysession.provider_api import hookimpl, lazy_names
from polysession_qoder.provider import QoderProvider, QoderSettings

if TYPE_CHECKING:
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
        QoderNewSession,
        QoderSessionChanges,
        QoderSessionQuery,
    )

_HOMES: Final = {
    "polysession_qoder.native": (
        "QoderAgentChanges",
        "QoderAgentReference",
        "QoderAgentWithOverrides",
        "QoderBranch",
        "QoderBudget",
        "QoderCommit",
        "QoderFileResource",
        "QoderGithubRepository",
        "QoderGitRepository",
        "QoderMemoryStore",
        "QoderNewAgent",
        "QoderNewSession",
        "QoderSessionChanges",
        "QoderSessionQuery",
    ),
}

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


if not TYPE_CHECKING:  # which would let any name pass
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
