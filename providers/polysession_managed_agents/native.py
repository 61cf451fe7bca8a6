"""The native bodies that both members take, in the family's words.

Backend: https://platform.claude.com/docs/en/api/beta/sessions/create and
https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from polysession.provider_api import NativeBody


class ManagedBody(NativeBody):
    """Base of the native bodies. They may hold secrets, so an error about one does not quote what it was given."""

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)


class TypedBody(ManagedBody):
    """A body with a `type` that is always sent, also where it was not given."""

    def model_post_init(self, _context: Any, /) -> None:
        """Count `type` as given."""
        self.model_fields_set.add("type")


class FileResource(TypedBody):
    """A file to mount."""

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
"""A part of a repository to check out."""


class GithubRepository(TypedBody):
    """A GitHub repository to mount."""

    type: Literal["github_repository"] = "github_repository"
    url: str
    authorization_token: str | None = Field(default=None, repr=False)
    mount_path: str | None = None
    checkout: Checkout | None = None


class MemoryStore(TypedBody):
    """A memory store to mount."""

    type: Literal["memory_store"] = "memory_store"
    memory_store_id: str
    access: Literal["read_write", "read_only"] | None = None
    instructions: Annotated[str, Field(max_length=4096)] | None = None


class AgentReference(TypedBody):
    """An agent, with its version fixed."""

    type: Literal["agent"] = "agent"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None


class AgentWithOverrides(TypedBody):
    """An agent, with parts of it replaced for one session."""

    type: Literal["agent_with_overrides"] = "agent_with_overrides"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None
    model: str | dict[str, Any] | None = None
    system: str | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None


class SessionAgentChanges(ManagedBody):
    """Parts of the session's agent to replace. Each list replaces the whole list."""

    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None


class SessionFilters(ManagedBody):
    """Filters of `GET /sessions` that have no common form."""

    agent_version: int | None = None
    deployment_id: str | None = None
    memory_store_id: str | None = None


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""Text keys and values, within the limits that every resource has."""

MetadataChanges = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)] | None]
"""Changes of metadata: text to set, None to remove a key."""


class AgentParts(ManagedBody):
    """Fields of an agent that have no common form."""

    model: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None
    metadata: Metadata | None = None
    multiagent: dict[str, Any] | None = None


class AgentUpdate(ManagedBody):
    """Fields of `POST /agents/{id}` that have no common form.

    Attributes:
        model: The model as an object, in place of the common `model`.
        tools: Tools that replace all of them; None or an empty list removes them, also for the next two.
        mcp_servers: MCP servers that replace all of them.
        skills: Skills that replace all of them.
        metadata: Keys to set; a key with None is removed, and the others stay.
        multiagent: Another configuration; None removes it.
        version: The version to change, in place of that of the given `Agent`.
    """

    model: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    skills: list[dict[str, Any]] | None = None
    metadata: MetadataChanges | None = None
    multiagent: dict[str, Any] | None = None
    version: Annotated[int, Field(ge=1)] | None = None
