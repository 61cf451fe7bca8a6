"""The form that sessions of the current generation have, read straight into the fields of the common one.

It says the same as `wire` and `normaliser` do, for what is read most, in half of the time. Whatever does not fit is
read by those.

Backend: https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Required, cast

from pydantic import FailFast, Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other, and brings this one along

from polysession.provider_api import (
    AgentCapability,
    Form,
    LazyRecord,
    ModelConfig,
    Session,
    Usage,
    UsualTime,
    filled,
)
from polysession_everruns.normaliser import COSTS, NAME, to_cost, to_status


class UsualCapability(TypedDict, total=False):
    """An ability that a session has on top of its agent's."""

    ref: Required[str]
    config: Any


class UsualUsage(TypedDict, total=False):
    """Tokens so far, and three figures of what they cost, which are numbers until a `Usage` is made."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None
    effective_cost_usd: float | None
    actual_cost_usd: float | None
    estimated_cost_usd: float | None


class UsualSession(TypedDict, total=False):
    """A session: the fields of `Session`. The model is its id until it is made."""

    id: Required[str]
    organization_id: str | None
    agent_id: str | None
    workspace_id: str | None
    owner_id: Annotated[str | None, Field(validation_alias="owner_principal_id")]
    native_status: Annotated[str, Field(validation_alias="status")]
    title: str | None
    tags: tuple[str, ...]
    capabilities: list[UsualCapability]
    model: Annotated[str | None, Field(validation_alias="model_id")]
    preview: str | None
    usage: UsualUsage | None
    created_at: UsualTime | None
    updated_at: UsualTime | None
    started_at: UsualTime | None
    finished_at: UsualTime | None


class UsualSessions(TypedDict, total=False):
    """A page of sessions."""

    data: Required[Annotated[list[UsualSession], FailFast()]]
    total: int | None
    limit: int | None
    next_url: str | None


SESSION: Final = Form(UsualSession)
SESSIONS: Final = Form(UsualSessions)

_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")

_new_model: Final = filled(ModelConfig, ["id"])
_new_usage: Final = filled(Usage, (*_TOKENS, "cost_usd"))
_new_capability: Final = filled(AgentCapability, UsualCapability.__annotations__)
_new_session: Final = filled(Session, {*UsualSession.__annotations__, "status", "raw"}, provider=NAME)


def to_session(fields: UsualSession, raw: dict[str, Any]) -> Session:
    """A session from its usual form, which is used up; `raw` is the object that this was read from."""
    made = cast("dict[str, Any]", fields)
    made["raw"] = raw
    made["status"] = to_status(made.get("native_status"))
    model_id, usage = made.get("model"), made.get("usage")
    capabilities = made.get("capabilities")
    made["model"] = LazyRecord(_to_model, model_id) if model_id else None
    if usage is not None:
        made["usage"] = LazyRecord(to_usage, usage)
    if capabilities is not None:
        made["capabilities"] = LazyRecord(_to_capabilities, capabilities)
    return _new_session(made)


def _to_model(model_id: str) -> ModelConfig:
    return _new_model({"id": model_id})


def _to_capabilities(fields: list[UsualCapability]) -> tuple[AgentCapability, ...]:
    return tuple(map(_new_capability, fields))


def to_usage(fields: UsualUsage) -> Usage:
    """What was consumed, from its usual form."""
    made: dict[str, Any] = {**fields}
    cost = to_cost([made.pop(name, None) for name in COSTS])
    return _new_usage({**made, "cost_usd": cost})
