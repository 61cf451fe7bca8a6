"""The typed native bodies: what only Qoder can be asked for, in its own words.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from polysession.provider_api import NativeBody


class QoderBody(NativeBody):
    """Base of the native bodies. They may hold secrets, so an error about one does not quote what it was given."""

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)


class TypedBody(QoderBody):
    """A body with a `type` that is always sent, also where it was not given."""

    def model_post_init(self, _context: Any, /) -> None:
        """Count `type` as given."""
        self.model_fields_set.add("type")


class QoderFileResource(TypedBody):
    """A file to mount. `mount_path` defaults to `/mnt/session/uploads/<file_id>`."""

    type: Literal["file"] = "file"
    file_id: str
    mount_path: str | None = None


class QoderBranch(TypedBody):
    """A branch of a repository to check out."""

    type: Literal["branch"] = "branch"
    name: str


class QoderCommit(TypedBody):
    """A commit of a repository to check out."""

    type: Literal["commit"] = "commit"
    sha: str


QoderCheckout = Annotated[QoderBranch | QoderCommit, Field(discriminator="type")]
"""A part of a repository to check out."""


class QoderGithubRepository(TypedBody):
    """A GitHub repository to mount. `mount_path` defaults to `/workspace/<repo>`."""

    type: Literal["github_repository"] = "github_repository"
    url: str
    authorization_token: str | None = Field(default=None, repr=False)
    mount_path: str | None = None
    checkout: QoderCheckout | None = None


class QoderGitRepository(TypedBody):
    """A git repository to mount."""

    type: Literal["git_repository"] = "git_repository"
    url: str
    password: str | None = Field(default=None, repr=False)
    mount_path: str | None = None
    checkout: QoderCheckout | None = None


class QoderMemoryStore(TypedBody):
    """A memory store to mount. `instructions` has at most 4,096 characters."""

    type: Literal["memory_store"] = "memory_store"
    memory_store_id: str
    access: Literal["read_write", "read_only"] | None = None
    instructions: Annotated[str, Field(max_length=4096)] | None = None


QoderResource = Annotated[
    QoderFileResource | QoderGithubRepository | QoderGitRepository | QoderMemoryStore, Field(discriminator="type")
]
"""Something to mount in a session."""


def _above_zero(amount: str) -> str:
    if not amount.strip("0."):
        raise ValueError("must be above zero")
    return amount


class QoderBudget(TypedBody):
    """A limit on what a session may cost: a decimal number of credits, as text, above zero."""

    type: Literal["limit"] = "limit"
    max_credit_cost: Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,2})?$"), AfterValidator(_above_zero)]


class QoderAgentReference(TypedBody):
    """An agent, with its version fixed; without `version` it is the latest one."""

    type: Literal["agent"] = "agent"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None


class QoderAgentWithOverrides(TypedBody):
    """An agent, with parts of it replaced for one session."""

    type: Literal["agent_with_overrides"] = "agent_with_overrides"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None
    model: str | dict[str, Any] | None = None
    system: str | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""Text keys and values, within the limits that every resource has."""

DeltaFlushIntervalMs = Annotated[int, Field(ge=50, le=5000)]
"""Milliseconds between text deltas, 50 to 5,000. Only servers of May 2026 know it."""


class QoderNewSession(QoderBody):
    """Fields of `POST /sessions` that only Qoder has.

    Attributes:
        agent: In place of the common `agent`, to fix its version or replace parts of it.
        environment_variables: As `"K=V;K2=V2"`, or as an object; a value with `;` or a line break needs the object.
        resources: Files and repositories to mount.
        vault_ids: Vaults whose secrets the session may use.
        budget: A limit on its cost.
        initial_events: Events to begin with: `user.message` and `user.define_outcome`.
        delta_flush_interval_ms: For servers of May 2026; newer ones do not know it.
        memory_store_ids: Memory stores to mount, for servers of May 2026; newer ones take a `QoderMemoryStore` among
            the resources.

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


class QoderAgentChanges(QoderBody):
    """Parts of the session's agent to replace. Each list replaces the whole list."""

    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None


class QoderSessionChanges(QoderBody):
    """Fields of `POST /sessions/{id}` that only Qoder has.

    Attributes:
        agent: Tools and MCP servers to replace.
        budget: A new limit; None removes it.
        environment_variables: New variables, as an object.
        delta_flush_interval_ms: For servers of May 2026; newer ones do not know it.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/update (read 2026-11)
    """

    agent: QoderAgentChanges | None = None
    budget: QoderBudget | None = None
    environment_variables: dict[str, str] | None = Field(default=None, repr=False)
    delta_flush_interval_ms: DeltaFlushIntervalMs | None = None


class QoderSessionQuery(QoderBody):
    """Filters of `GET /sessions` that only Qoder has.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/list (read 2026-11)
    """

    agent_version: int | None = None
    deployment_id: str | None = None
    memory_store_id: str | None = None


class QoderNewAgent(QoderBody):
    """Fields of `POST /agents` that only Qoder has.

    Backend: https://docs.qoder.com/cloud-agents/api/agents/create (read 2026-11)
    """

    model: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None
    metadata: Metadata | None = None
    multiagent: dict[str, Any] | None = None


class QoderNewEnvironment(QoderBody):
    """Fields of `POST /environments` that only Qoder has.

    Attributes:
        config: In place of `{"type": "cloud"}`: networking, packages and a setup script, or `{"type": "self_hosted"}`.
            Without `networking` a sandbox has no open internet.
        scope: Who may use it, in Qoder's words.

    Backend: https://docs.qoder.com/cloud-agents/api/environments/create (read 2026-11)
    """

    config: dict[str, Any] | None = None
    scope: str | None = None
