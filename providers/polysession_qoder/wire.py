"""Qoder's JSON, in its own words: what we read of it, and the typed native bodies.

Three generations are read: of May 2026, of June and July 2026, and the current one.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from polysession.provider_api import NativeBody, UtcDatetime


class Wire(BaseModel):
    """Base of what we read. Fields that are not modelled stay in the record's `raw`."""

    model_config = ConfigDict(extra="ignore")


class WireModel(Wire):
    """A model inside a session's agent. Keys besides `id` are its settings."""

    model_config = ConfigDict(extra="allow")

    id: str


class WireSessionAgent(Wire):
    """The agent as it was when the session was created."""

    id: str | None = None
    model: WireModel | str | None = None


class WireUsage(Wire):
    """Credits in the current generation, tokens in the one of May 2026."""

    total_credits: float | None = None
    model_credits: float | None = None
    sandbox_runtime_credits: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: dict[str, int] | None = None


class WireSession(Wire):
    """A session of any generation."""

    id: str
    agent: WireSessionAgent | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    title: str | None = None
    status: str | None = None
    turn_status: str | None = None
    metadata: dict[str, str] | None = None
    usage: WireUsage | None = None
    archived_at: UtcDatetime | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WireAgent(Wire):
    """An agent."""

    id: str
    name: str
    description: str | None = None
    model: WireModel | str | None = None
    system: str | None = None
    instructions: str | None = None
    version: int | str | None = None
    archived_at: UtcDatetime | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WirePage(Wire):
    """A page of a list. Older generations have no `next_page`."""

    data: list[dict[str, Any]]
    next_page: str | None = None
    last_id: str | None = None
    has_more: bool | None = None


class WireError(Wire):
    """The inner part of an error body."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


class WireErrorBody(Wire):
    """An error body."""

    request_id: str | None = None
    error: WireError


class QoderFileResource(NativeBody):
    """A file to mount. `mount_path` defaults to `/mnt/session/uploads/<file_id>`."""

    type: Literal["file"] = "file"
    file_id: str
    mount_path: str | None = None


class QoderCheckout(NativeBody):
    """What to check out of a repository: a branch by `name`, or a commit by `sha`."""

    type: Literal["branch", "commit"]
    name: str | None = None
    sha: str | None = None


class QoderGithubRepository(NativeBody):
    """A GitHub repository to mount. `mount_path` defaults to `/workspace/<repo>`."""

    type: Literal["github_repository"] = "github_repository"
    url: str
    authorization_token: str | None = Field(default=None, repr=False)
    mount_path: str | None = None
    checkout: QoderCheckout | None = None


class QoderGitRepository(NativeBody):
    """A git repository to mount."""

    type: Literal["git_repository"] = "git_repository"
    url: str
    password: str | None = Field(default=None, repr=False)
    mount_path: str | None = None
    checkout: QoderCheckout | None = None


class QoderMemoryStore(NativeBody):
    """A memory store to mount. `instructions` has at most 4,096 characters."""

    type: Literal["memory_store"] = "memory_store"
    memory_store_id: str
    access: Literal["read_write", "read_only"] | None = None
    instructions: Annotated[str, Field(max_length=4096)] | None = None


QoderResource = Annotated[
    QoderFileResource | QoderGithubRepository | QoderGitRepository | QoderMemoryStore, Field(discriminator="type")
]


def _above_zero(amount: str) -> str:
    if not amount.strip("0."):
        raise ValueError("must be above zero")
    return amount


class QoderBudget(NativeBody):
    """A limit on what a session may cost: a decimal number of credits, as text, above zero."""

    type: Literal["limit"] = "limit"
    max_credit_cost: Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,2})?$"), AfterValidator(_above_zero)]


class QoderAgentReference(NativeBody):
    """An agent with a fixed version, or with parts replaced for one session.

    Only `agent_with_overrides` may carry `model`, `system`, `tools`, `mcp_servers` and `skills`.
    """

    type: Literal["agent", "agent_with_overrides"] = "agent"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None
    model: str | dict[str, Any] | None = None
    system: str | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None


DeltaFlushIntervalMs = Annotated[int, Field(ge=50, le=5000)]
"""Milliseconds between text deltas, 50 to 5,000. Only servers of May 2026 know it."""


class QoderNewSession(NativeBody):
    """Fields of `POST /sessions` that only Qoder has.

    Attributes:
        agent: In place of the common `agent`, to fix its version or replace parts of it.
        environment_variables: As `"K=V;K2=V2"`, or as an object; a value with `;` or a line break needs the object.
        resources: Files and repositories to mount.
        vault_ids: Vaults whose secrets the session may use.
        budget: A limit on its cost.
        initial_events: Events to begin with: `user.message` and `user.define_outcome`.
        delta_flush_interval_ms: For servers of May 2026; newer ones do not know it.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/create (read 2026-11)
    """

    agent: QoderAgentReference | None = None
    environment_variables: str | dict[str, str] | None = Field(default=None, repr=False)
    resources: list[QoderResource] | None = None
    vault_ids: list[str] | None = None
    budget: QoderBudget | None = None
    initial_events: list[dict[str, Any]] | None = None
    delta_flush_interval_ms: DeltaFlushIntervalMs | None = None


class QoderAgentChanges(NativeBody):
    """Parts of the session's agent to replace. Each list replaces the whole list."""

    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None


class QoderSessionChanges(NativeBody):
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


class QoderSessionQuery(NativeBody):
    """Filters of `GET /sessions` that only Qoder has.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/list (read 2026-11)
    """

    agent_version: int | None = None
    deployment_id: str | None = None
    memory_store_id: str | None = None


class QoderNewAgent(NativeBody):
    """Fields of `POST /agents` that only Qoder has.

    Backend: https://docs.qoder.com/cloud-agents/api/agents/create (read 2026-11)
    """

    model: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None
    metadata: dict[str, str] | None = None
    multiagent: dict[str, Any] | None = None
