"""Typed native bodies: the fields that only Anthropic has, with its own names.

Backend: https://platform.claude.com/docs/en/api/beta/sessions (read 2026-11-30)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from polysession_managed_agents.native import (
    AgentParts,
    AgentReference,
    AgentUpdate,
    AgentWithOverrides,
    Branch,
    Commit,
    FileResource,
    GithubRepository,
    ManagedBody,
    MemoryStore,
    SessionAgentChanges,
    SessionFilters,
    TypedBody,
)


class AnthropicFileResource(FileResource):
    """A file to mount. `mount_path` defaults to `/mnt/session/uploads/<file_id>`."""


class AnthropicBranch(Branch):
    """A branch of a repository to check out."""


class AnthropicCommit(Commit):
    """A commit of a repository to check out."""


class AnthropicGithubRepository(GithubRepository):
    """A GitHub repository to mount; a private one needs its `authorization_token`."""


class AnthropicMemoryStore(MemoryStore):
    """A memory store to mount. `instructions` has at most 4,096 characters."""


AnthropicResource = Annotated[
    AnthropicFileResource | AnthropicGithubRepository | AnthropicMemoryStore, Field(discriminator="type")
]
"""A resource to mount in a session."""


class AnthropicListCost(ManagedBody):
    """A list price. `amount` is a whole number of cents above zero, as text."""

    amount: Annotated[str, Field(pattern=r"^[1-9][0-9]*$")]
    currency: Literal["USD"] = "USD"

    def model_post_init(self, _context: Any, /) -> None:
        """Mark `currency` as set, so that it is sent."""
        self.model_fields_set.add("currency")


class AnthropicBudget(TypedBody):
    """A limit on a session's cost at list prices.

    The reported cost may exceed it by one model request.
    """

    type: Literal["limit"] = "limit"
    max_list_cost: AnthropicListCost


class AnthropicAgentReference(AgentReference):
    """A reference to an agent. `version` pins one version; None means the latest."""


class AnthropicAgentWithOverrides(AgentWithOverrides):
    """A reference to an agent, with fields replaced for one session only.

    None or an empty list clears a field.
    """


class AnthropicNewSession(ManagedBody):
    """Fields of `POST /v1/sessions` that only Anthropic has.

    Attributes:
        agent: Replaces the common `agent`, to pin its version or to override its fields.
        resources: Files, repositories and memory stores to mount.
        vault_ids: Ids of the vaults whose secrets the session may use.
        budget: A limit on the session's cost. It cannot be added later.
        initial_events: At most 50 events that start the first turn: `user.message` and `user.define_outcome`.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/create (read 2026-11-30)
    """

    agent: Annotated[AnthropicAgentReference | AnthropicAgentWithOverrides, Field(discriminator="type")] | None = None
    resources: list[AnthropicResource] | None = None
    vault_ids: list[str] | None = None
    budget: AnthropicBudget | None = None
    initial_events: Annotated[list[dict[str, Any]], Field(max_length=50)] | None = None


class AnthropicSessionAgentChanges(SessionAgentChanges):
    """Fields of the session's agent to replace while the session is idle.

    Each list replaces the whole list.
    """


class AnthropicSessionChanges(ManagedBody):
    """Fields of `POST /v1/sessions/{id}` that only Anthropic has.

    Attributes:
        agent: Tools and MCP servers to replace.
        budget: A new limit; None removes the limit permanently. Both resume a session that stopped at its limit.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/update (read 2026-11-30)
    """

    agent: AnthropicSessionAgentChanges | None = None
    budget: AnthropicBudget | None = None


class AnthropicSessionQuery(SessionFilters):
    """Filters of `GET /v1/sessions` that only Anthropic has. `agent_version` requires an agent.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/list (read 2026-11-30)
    """


class AnthropicNewAgent(AgentParts):
    """Fields of `POST /v1/agents` that only Anthropic has.

    Attributes:
        execution_identity: The identity of the agent's sessions: `{"type": "service_account"}` (default), or an AWS
            role.

    Backend: https://platform.claude.com/docs/en/api/beta/agents/create (read 2026-11-30)
    """

    execution_identity: dict[str, Any] | None = None


class AnthropicAgentChanges(AgentUpdate):
    """Fields of `POST /v1/agents/{id}` that only Anthropic has.

    Attributes:
        execution_identity: The identity of the agent's sessions; None restores the default.

    Backend: https://platform.claude.com/docs/en/api/beta/agents/update (read 2026-11-30)
    """

    execution_identity: dict[str, Any] | None = None


class AnthropicNewEnvironment(ManagedBody):
    """Fields of `POST /v1/environments` that only Anthropic has.

    Attributes:
        config: `{"type": "cloud"}` with networking and packages, or `{"type": "self_hosted"}`.
        scope: Visibility of the environment: `organization`, or `account`, which API organisations cannot use.

    Backend: https://platform.claude.com/docs/en/api/beta/environments/create (read 2026-11-30)
    """

    config: dict[str, Any] | None = None
    scope: Literal["organization", "account"] | None = None
