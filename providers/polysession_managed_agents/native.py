"""Native bodies that both members accept, with the backends' own field names.

Backend: https://platform.claude.com/docs/en/api/beta/sessions/create and
https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from polysession.provider_api import NativeBody


class ManagedBody(NativeBody):
    """Base of the native bodies.

    They may hold secrets, so a validation error does not quote the input.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)


class TypedBody(ManagedBody):
    """A body with a `type` that is always sent, even if the caller did not pass it."""

    def model_post_init(self, _context: Any, /) -> None:
        """Mark `type` as set, so that it is sent."""
        self.model_fields_set.add("type")


class FileResource(TypedBody):
    """A file to mount.

    Attributes:
        file_id: The id of an uploaded file.
        mount_path: Absolute path in the environment; None for the backend's default.
    """

    type: Literal["file"] = "file"
    file_id: str
    mount_path: str | None = None


class Branch(TypedBody):
    """A branch of a repository to check out."""

    type: Literal["branch"] = "branch"
    name: str


class Commit(TypedBody):
    """A commit of a repository to check out."""

    type: Literal["commit"] = "commit"
    sha: str


Checkout = Annotated[Branch | Commit, Field(discriminator="type")]
"""The branch or commit of a repository to check out."""


class GithubRepository(TypedBody):
    """A GitHub repository to mount.

    Attributes:
        url: The URL of the repository.
        authorization_token: A GitHub token that may read the repository. It is left out of the repr.
        mount_path: Absolute path in the environment; None for the backend's default.
        checkout: The branch or commit to check out; None for the default branch.
    """

    type: Literal["github_repository"] = "github_repository"
    url: str
    authorization_token: str | None = Field(default=None, repr=False)
    mount_path: str | None = None
    checkout: Checkout | None = None


class MemoryStore(TypedBody):
    """A memory store to mount.

    Attributes:
        memory_store_id: The id of the memory store.
        access: What the agent may do in it; None for the backend's default.
        instructions: How the agent should use it, at most 4,096 characters.
    """

    type: Literal["memory_store"] = "memory_store"
    memory_store_id: str
    access: Literal["read_write", "read_only"] | None = None
    instructions: Annotated[str, Field(max_length=4096)] | None = None


class AgentReference(TypedBody):
    """A reference to an agent.

    Attributes:
        id: The id of the agent.
        version: The version to use, at least 1; None for the latest.
    """

    type: Literal["agent"] = "agent"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None


class AgentWithOverrides(TypedBody):
    """A reference to an agent, with fields that are replaced for one session only.

    Attributes:
        id: The id of the agent.
        version: The version to use, at least 1; None for the latest.
        model: The model, as an id or an object with an `id`.
        system: The system prompt.
        tools: The whole list of tools.
        mcp_servers: The whole list of MCP servers.
        skills: The whole list of skills.
    """

    type: Literal["agent_with_overrides"] = "agent_with_overrides"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None
    model: str | dict[str, Any] | None = None
    system: str | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None


class SessionAgentChanges(ManagedBody):
    """Fields of the session's agent to replace. Each list replaces the whole list.

    Attributes:
        tools: The new list of tools.
        mcp_servers: The new list of MCP servers.
    """

    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None


class SessionFilters(ManagedBody):
    """Filters of `GET /sessions` that `sessions.list` has no parameter for.

    Attributes:
        agent_version: Only sessions of this version of the agent. Needs the filter by agent.
        deployment_id: Only sessions that this deployment created.
        memory_store_id: Only sessions in which this memory store is mounted.
    """

    agent_version: int | None = None
    deployment_id: str | None = None
    memory_store_id: str | None = None


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""Metadata of a resource.

At most 16 keys of up to 64 characters, with text values of up to 512 characters.
"""

MetadataChanges = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)] | None]
"""Changes to metadata: a text sets a key, None removes it."""


class AgentParts(ManagedBody):
    """Fields of `POST /agents` that `agents.create` has no parameter for.

    Attributes:
        model: The model as an object, instead of the common `model`.
        tools: The tools that the agent may use, in the backend's JSON.
        mcp_servers: The MCP servers of the agent.
        skills: The skills of the agent.
        metadata: At most 16 keys of up to 64 characters, with text values of up to 512 characters.
        multiagent: The configuration of a coordinator: the agents to which it may delegate.
    """

    model: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None
    metadata: Metadata | None = None
    multiagent: dict[str, Any] | None = None


class AgentUpdate(ManagedBody):
    """Fields of `POST /agents/{id}` that `agents.update` has no parameter for.

    Attributes:
        model: The model as an object, instead of the common `model`.
        tools: The new list of tools; None or an empty list removes all tools.
        mcp_servers: The new list of MCP servers; None or an empty list removes all.
        skills: The new list of skills; None or an empty list removes all.
        metadata: Keys to set; a key with None is removed, and other keys do not change.
        multiagent: The new multi-agent configuration; None removes it.
        version: The version that the update is based on, instead of that of the given `Agent`. At least 1.
    """

    model: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None
    metadata: MetadataChanges | None = None
    multiagent: dict[str, Any] | None = None
    version: Annotated[int, Field(ge=1)] | None = None
