"""The typed native bodies: what only Anthropic can be asked for, in its own words.

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
"""Something to mount in a session."""


class AnthropicListCost(ManagedBody):
    """A price: a whole number of cents, as text, above zero."""

    amount: Annotated[str, Field(pattern=r"^[1-9][0-9]*$")]
    currency: Literal["USD"] = "USD"

    def model_post_init(self, _context: Any, /) -> None:
        """Count `currency` as given."""
        self.model_fields_set.add("currency")


class AnthropicBudget(TypedBody):
    """A limit on what a session may cost by list. What is reported may pass it by one request."""

    type: Literal["limit"] = "limit"
    max_list_cost: AnthropicListCost


class AnthropicAgentReference(AgentReference):
    """An agent, with its version fixed; without `version` it is the latest one."""


class AnthropicAgentWithOverrides(AgentWithOverrides):
    """An agent, with parts of it replaced for one session. None or an empty list clears a part."""


class AnthropicNewSession(ManagedBody):
    """Fields of `POST /v1/sessions` that only Anthropic has.

    Attributes:
        agent: In place of the common `agent`, to fix its version or replace parts of it.
        resources: Files, repositories and memory stores to mount.
        vault_ids: Vaults whose secrets the session may use.
        budget: A limit on its cost. It cannot be added later.
        initial_events: Events to begin with, at most 50: `user.message` and `user.define_outcome`.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/create (read 2026-11-30)
    """

    agent: Annotated[AnthropicAgentReference | AnthropicAgentWithOverrides, Field(discriminator="type")] | None = None
    resources: list[AnthropicResource] | None = None
    vault_ids: list[str] | None = None
    budget: AnthropicBudget | None = None
    initial_events: Annotated[list[dict[str, Any]], Field(max_length=50)] | None = None


class AnthropicSessionAgentChanges(SessionAgentChanges):
    """Parts of the session's agent to replace, while it is idle. Each list replaces the whole list."""


class AnthropicSessionChanges(ManagedBody):
    """Fields of `POST /v1/sessions/{id}` that only Anthropic has.

    Attributes:
        agent: Tools and MCP servers to replace.
        budget: A new limit, which resumes work that waits for it; None removes it for good.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/update (read 2026-11-30)
    """

    agent: AnthropicSessionAgentChanges | None = None
    budget: AnthropicBudget | None = None


class AnthropicSessionQuery(SessionFilters):
    """Filters of `GET /v1/sessions` that only Anthropic has. `agent_version` goes with an agent.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/list (read 2026-11-30)
    """


class AnthropicNewAgent(AgentParts):
    """Fields of `POST /v1/agents` that only Anthropic has.

    Attributes:
        execution_identity: The identity that its sessions run with: `{"type": "service_account"}`, which is the
            default, or a role of AWS.

    Backend: https://platform.claude.com/docs/en/api/beta/agents/create (read 2026-11-30)
    """

    execution_identity: dict[str, Any] | None = None


class AnthropicAgentChanges(AgentUpdate):
    """Fields of `POST /v1/agents/{id}` that only Anthropic has.

    Attributes:
        execution_identity: The identity that its sessions run with; None restores the default.

    Backend: https://platform.claude.com/docs/en/api/beta/agents/update (read 2026-11-30)
    """

    execution_identity: dict[str, Any] | None = None


class AnthropicNewEnvironment(ManagedBody):
    """Fields of `POST /v1/environments` that only Anthropic has.

    Attributes:
        config: `{"type": "cloud"}` with networking and packages, or `{"type": "self_hosted"}`.
        scope: Who may see it: `organization`, or `account`, which API organisations do not have.

    Backend: https://platform.claude.com/docs/en/api/beta/environments/create (read 2026-11-30)
    """

    config: dict[str, Any] | None = None
    scope: Literal["organization", "account"] | None = None
