"""The form that sessions of the current generation have, read straight into the fields of the common one.

It says the same as `wire` and `normaliser` do, for what is read most, in half of the time. Whatever does not fit, older
generations among it, is read by those.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Required, cast

from pydantic import AliasPath, ConfigDict, FailFast, Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other, and brings this one along

from polysession.provider_api import Form, LazyRecord, ModelConfig, Session, Usage, UsualTime, filled
from polysession_qoder.normaliser import NAME, to_decimal, to_status


class UsualModel(TypedDict):
    """A model, with its settings."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # as pydantic wants it

    id: str


class UsualUsage(TypedDict, total=False):
    """What a session consumed: the fields of `Usage`. In older generations an object of tokens was among it.

    Credits are numbers here until a `Usage` is made.
    """

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: Annotated[int | None, Field(validation_alias="cache_read_input_tokens")]
    cache_creation_tokens: Annotated[None, Field(validation_alias="cache_creation")]
    credits: Annotated[float | None, Field(validation_alias="total_credits")]
    model_credits: float | None
    sandbox_credits: Annotated[float | None, Field(validation_alias="sandbox_runtime_credits")]


class UsualSession(TypedDict, total=False):
    """A session: the fields of `Session`.

    In the place of two that are made later stands what older generations say besides: what the turn is doing, and again
    which agent it is.
    """

    id: Required[str]
    agent_id: Required[Annotated[str, Field(validation_alias=AliasPath("agent", "id"), min_length=1)]]
    model: Annotated[UsualModel | None, Field(validation_alias=AliasPath("agent", "model"))]
    environment_id: str | None
    title: str | None
    native_status: Annotated[str, Field(validation_alias="status")]
    metadata: Annotated[dict[str, str], Field(default_factory=dict)]
    usage: UsualUsage | None
    archived_at: UsualTime | None
    created_at: UsualTime | None
    updated_at: UsualTime | None
    status: Annotated[str | None, Field(validation_alias="turn_status")]
    raw: Annotated[str | None, Field(validation_alias="agent_id")]


class UsualSessions(TypedDict, total=False):
    """A page of sessions."""

    data: Required[Annotated[list[UsualSession], FailFast()]]
    next_page: str | None
    last_id: str | None
    has_more: bool | None


SESSION: Final = Form(UsualSession)
SESSIONS: Final = Form(UsualSessions)

_CREDITS: Final = ("credits", "model_credits", "sandbox_credits")

_new_model: Final = filled(ModelConfig, ("id", "parameters"))
_new_usage: Final = filled(Usage, UsualUsage.__annotations__)
_new_session: Final = filled(Session, UsualSession.__annotations__, provider=NAME)


def to_session(fields: UsualSession, raw: dict[str, Any]) -> Session:
    """A session from its usual form, which is used up; `raw` is the object that this was read from."""
    made = cast("dict[str, Any]", fields)
    made["raw"] = raw
    made["status"] = to_status(made.get("native_status"), made.get("status"))
    made["title"] = made.get("title") or None
    model, usage = made.get("model"), made.get("usage")
    if model is not None:
        made["model"] = LazyRecord(_to_model, model)
    if usage is not None:
        made["usage"] = LazyRecord(to_usage, usage)
    return _new_session(made)


def _to_model(fields: UsualModel) -> ModelConfig:
    parameters: dict[str, Any] = {**fields}
    return _new_model({"id": parameters.pop("id"), "parameters": parameters})


def to_usage(fields: UsualUsage) -> Usage:
    """What was consumed, from its usual form."""
    made: dict[str, Any] = {**fields}
    return _new_usage(made | {name: to_decimal(made.get(name)) for name in _CREDITS})
