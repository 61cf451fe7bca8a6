"""Typed native bodies: the fields that only Qoder has, with its own names.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from polysession_managed_agents.native import (
    AgentParts,
    AgentReference,
    AgentUpdate,
    AgentWithOverrides,
    Branch,
    Checkout,
    Commit,
    FileResource,
    GithubRepository,
    ManagedBody,
    MemoryStore,
    SessionAgentChanges,
    SessionFilters,
    TypedBody,
)


class QoderFileResource(FileResource):
    """A file to mount. `mount_path` defaults to `/mnt/session/uploads/<file_id>`."""


class QoderBranch(Branch):
    """A branch of a repository to check out."""


class QoderCommit(Commit):
    """A commit of a repository to check out."""


class QoderGithubRepository(GithubRepository):
    """A GitHub repository to mount. `mount_path` defaults to `/workspace/<repo>`."""


class QoderGitRepository(TypedBody):
    """A git repository to mount. `password` is left out of the repr."""

    type: Literal["git_repository"] = "git_repository"
    url: str
    password: str | None = Field(default=None, repr=False)
    mount_path: str | None = None
    checkout: Checkout | None = None


class QoderMemoryStore(MemoryStore):
    """A memory store to mount. `instructions` has at most 4,096 characters."""


QoderResource = Annotated[
    QoderFileResource | QoderGithubRepository | QoderGitRepository | QoderMemoryStore, Field(discriminator="type")
]
"""A resource to mount in a session."""


def _above_zero(amount: str) -> str:
    if not amount.strip("0."):
        raise ValueError("must be above zero")
    return amount


class QoderBudget(TypedBody):
    """A limit on a session's cost.

    `max_credit_cost` is a decimal number of credits above zero, as text.
    """

    type: Literal["limit"] = "limit"
    max_credit_cost: Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,2})?$"), AfterValidator(_above_zero)]


class QoderAgentReference(AgentReference):
    """A reference to an agent. `version` pins one version; None means the latest."""


class QoderAgentWithOverrides(AgentWithOverrides):
    """A reference to an agent, with fields replaced for one session only."""


DeltaFlushIntervalMs = Annotated[int, Field(ge=50, le=5000)]
"""Milliseconds between text deltas, 50 to 5,000. Only Qoder's API of May 2026 has it."""


class QoderNewSession(ManagedBody):
    """Fields of `POST /sessions` that only Qoder has.

    Attributes:
        agent: Replaces the common `agent`, to pin its version or to override its fields.
        environment_variables: Text `"K=V;K2=V2"`, or an object. A value with `;` or a line break needs the object.
        resources: Files, repositories and memory stores to mount.
        vault_ids: Ids of the vaults whose secrets the session may use.
        budget: A limit on the session's cost.
        initial_events: Events that start the first turn: `user.message` and `user.define_outcome`.
        delta_flush_interval_ms: Only for Qoder's API of May 2026; newer versions do not have it.
        memory_store_ids: Memory stores to mount, only for Qoder's API of May 2026. Newer versions take a
            `QoderMemoryStore` in `resources`.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/create (read 2026-11)
    """

    agent: Annotated[QoderAgentReference | QoderAgentWithOverrides, Field(discriminator="type")] | None = None
    environment_variables: str | dict[str, str] | None = Field(default=None, repr=False)
    resources: list[QoderResource] | None = None
    vault_ids: list[str] | None = None
    budget: QoderBudget | None = None
    initial_events: list[dict[str, Any]] | None = None
    delta_flush_interval_ms: DeltaFlushIntervalMs | None = None
    memory_store_ids: list[str] | None = None


class QoderSessionAgentChanges(SessionAgentChanges):
    """Fields of the session's agent to replace. Each list replaces the whole list."""


class QoderSessionChanges(ManagedBody):
    """Fields of `POST /sessions/{id}` that only Qoder has.

    Attributes:
        agent: Tools and MCP servers to replace.
        budget: A new limit; None removes it.
        environment_variables: The new variables, as an object.
        delta_flush_interval_ms: Only for Qoder's API of May 2026; newer versions do not have it.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/update (read 2026-11)
    """

    agent: QoderSessionAgentChanges | None = None
    budget: QoderBudget | None = None
    environment_variables: dict[str, str] | None = Field(default=None, repr=False)
    delta_flush_interval_ms: DeltaFlushIntervalMs | None = None


class QoderSessionQuery(SessionFilters):
    """Filters of `GET /sessions` that only Qoder has.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/list (read 2026-11)
    """


class QoderNewAgent(AgentParts):
    """Fields of `POST /agents` that only Qoder has.

    Backend: https://docs.qoder.com/cloud-agents/api/agents/create (read 2026-11)
    """


class QoderAgentChanges(AgentUpdate):
    """Fields of `POST /agents/{id}` that only Qoder has.

    Backend: https://docs.qoder.com/cloud-agents/api/agents/update (read 2026-11)
    """


class QoderNewEnvironment(ManagedBody):
    """Fields of `POST /environments` that only Qoder has.

    Attributes:
        config: The configuration: `{"type": "cloud"}` (default) with networking, packages and a setup script, or
            `{"type": "self_hosted"}`. Without `networking`, a sandbox has no open internet access.
        scope: Who may use the environment, in one of Qoder's own values.

    Backend: https://docs.qoder.com/cloud-agents/api/environments/create (read 2026-11)
    """

    config: dict[str, Any] | None = None
    scope: str | None = None
