"""The typed native bodies: what only LangGraph's Agent Server can be asked for, in its own words.

Backend: https://docs.langchain.com/langsmith/server-api-ref (read 2026-11-30)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from polysession.provider_api import NativeBody


class LanggraphTtl(NativeBody):
    """How long a thread is kept.

    Attributes:
        ttl: Minutes.
        strategy: What happens then.
    """

    ttl: float
    strategy: Literal["delete", "keep_latest"] = "delete"


class LanggraphNewSession(NativeBody):
    """Fields of `POST /threads` that only this server has.

    Attributes:
        if_exists: `raise` refuses an id that exists; `do_nothing` returns the thread that has it, unchanged.
        ttl: How long the thread is kept.
        supersteps: State to begin with; needs `graph_id` in `metadata`.
        metadata: Further metadata, `graph_id` among it.
    """

    if_exists: Literal["raise", "do_nothing"] | None = None
    ttl: LanggraphTtl | None = None
    supersteps: list[dict[str, Any]] | None = None
    metadata: dict[str, Any] | None = None


class LanggraphSessionChanges(NativeBody):
    """Fields of `PATCH /threads/{id}` that only this server has."""

    ttl: LanggraphTtl | None = None


class LanggraphSessionQuery(NativeBody):
    """Fields of `POST /threads/search` that only this server has.

    Attributes:
        status: One status, in the server's word.
        values: Values of the state, compared for equality.
        ids: Ids of threads.
        sort_by: Another order than by creation. Pages shift while threads work.
        sort_order: Its direction.
    """

    status: Literal["idle", "busy", "interrupted", "error"] | None = None
    values: dict[str, Any] | None = None
    ids: list[str] | None = None
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None


class LanggraphNewAgent(NativeBody):
    """Fields of `POST /assistants` that only this server has.

    Attributes:
        graph_id: The graph that the assistant runs; required.
        assistant_id: A UUID of your own.
        if_exists: `raise` refuses an id that exists; `do_nothing` returns the assistant that has it.
        config: Configuration of its runs.
        context: Context of its runs.
        metadata: Keys and JSON values.
    """

    graph_id: str | None = None
    assistant_id: str | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class LanggraphAgentChanges(NativeBody):
    """Fields of `PATCH /assistants/{id}` that only this server has.

    Attributes:
        graph_id: Another graph to run.
        config: Configuration of its runs; replaces the whole one.
        context: Context of its runs; replaces the whole one, and `configurable` of the configuration.
        metadata: Keys and JSON values, added to those that are there.
    """

    graph_id: str | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class _Run(NativeBody):
    """Parameters of a run.

    Attributes:
        config: `recursion_limit`, `tags`, `configurable`.
        metadata: Metadata of the run.
    """

    config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class LanggraphTurn(_Run):
    """Parameters of the run that a message starts: `config`, `metadata`, and these.

    Attributes:
        input: Further keys of the graph's input, beside the messages.
        multitask_strategy: What happens if a run is going: `enqueue` by default. The server waits up to five seconds
            for the running one first.
    """

    input: dict[str, Any] | None = None
    multitask_strategy: Annotated[
        Literal["enqueue", "reject", "interrupt", "rollback"] | None, Field(serialization_alias="multitaskStrategy")
    ] = None


class LanggraphAnswer(_Run):
    """Parameters of the run that answers start: `config`, `metadata`, and these.

    Attributes:
        update: Changes to the state before the run continues.
        goto: The node to continue with.
    """

    update: dict[str, Any] | None = None
    goto: str | list[str] | None = None
