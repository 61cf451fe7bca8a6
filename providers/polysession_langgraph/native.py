"""Typed native bodies: the fields that only LangGraph's Agent Server has, with its names.

Backend: https://docs.langchain.com/langsmith/server-api-ref (read 2026-11-30)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from polysession.provider_api import NativeBody


class LanggraphTtl(NativeBody):
    """How long a thread is kept.

    Attributes:
        ttl: Minutes until the thread expires.
        strategy: `delete` removes the thread then; `keep_latest` keeps its latest state.
    """

    ttl: float
    strategy: Literal["delete", "keep_latest"] = "delete"


class LanggraphNewSession(NativeBody):
    """Fields of `POST /threads` that only this server has.

    Attributes:
        if_exists: For an id that exists: `raise` is an error, `do_nothing` returns that thread unchanged.
        ttl: How long the thread is kept.
        supersteps: Initial state. It needs `graph_id` in `metadata`.
        metadata: Additional metadata, such as `graph_id`.
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
        status: Status of the threads.
        values: Values of the state, compared for equality.
        ids: Ids of the threads.
        sort_by: Field to sort by instead of `created_at`. Items may move between pages while threads change.
        sort_order: Direction of the order.
    """

    status: Literal["idle", "busy", "interrupted", "error"] | None = None
    values: dict[str, Any] | None = None
    ids: list[str] | None = None
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None


class LanggraphNewAgent(NativeBody):
    """Fields of `POST /assistants` that only this server has.

    Attributes:
        graph_id: Name of the graph that the assistant runs; required.
        assistant_id: UUID for the assistant. None: the server chooses one.
        if_exists: For an id that exists: `raise` is an error, `do_nothing` returns that assistant.
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
        graph_id: Name of another graph to run.
        config: Configuration of its runs. It replaces the whole configuration.
        context: Context of its runs. It replaces the whole context, and `configurable` in the configuration.
        metadata: Keys and JSON values to add or replace.
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
    """Parameters of the run that a message starts: `config`, `metadata`, and the following.

    Attributes:
        input: Additional keys of the graph's input, besides the messages.
        multitask_strategy: What the server does if a run is active; None means `enqueue`. It first waits up to five
            seconds for that run to end.
    """

    input: dict[str, Any] | None = None
    multitask_strategy: Annotated[
        Literal["enqueue", "reject", "interrupt", "rollback"] | None, Field(serialization_alias="multitaskStrategy")
    ] = None


class LanggraphAnswer(_Run):
    """Parameters of the run that answers start: `config`, `metadata`, and the following.

    Attributes:
        update: Changes to the state before the run continues.
        goto: Node or nodes to continue with.
    """

    update: dict[str, Any] | None = None
    goto: str | list[str] | None = None
