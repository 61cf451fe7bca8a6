"""The form that sessions of today's servers have, read straight into the fields of the common one.

It says the same as `wire` and `normaliser` do, for what is read most, in less than half of the time. Whatever does not
fit, the bare records that 2.0.0 lists among it, is read by those.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Required, cast

from pydantic import AliasPath, FailFast, Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other, and brings this one along

from polysession.provider_api import Form, ModelConfig, Session, UtcDatetime, filled
from polysession_agentscope.normaliser import NAME, to_status


class UsualModel(TypedDict, total=False):
    """The model of a session: the fields of `ModelConfig`."""

    id: Required[Annotated[str, Field(validation_alias="model")]]
    type: str | None
    credential_id: str | None
    parameters: Annotated[dict[str, Any], Field(default_factory=dict)]


class UsualRecord(TypedDict, total=False):
    """A session as it is stored: the fields of `Session`. In the place of `raw` stands what only a view has."""

    id: Required[str]
    owner_id: Annotated[str | None, Field(validation_alias="user_id")]
    agent_id: str | None
    title: Required[Annotated[str, Field(validation_alias=AliasPath("config", "name"))]]
    model: Annotated[UsualModel | None, Field(validation_alias=AliasPath("config", "chat_model_config"))]
    workspace_id: Annotated[str | None, Field(validation_alias=AliasPath("config", "workspace_id"))]
    permission_mode: Required[Annotated[str, Field(validation_alias=AliasPath("state", "permission_context", "mode"))]]
    created_at: UtcDatetime | None
    updated_at: UtcDatetime | None
    raw: Annotated[None, Field(validation_alias="session")]


class UsualView(TypedDict, total=False):
    """A session as it is listed."""

    session: Required[UsualRecord]
    status: str | None
    is_running: bool | None


class UsualViews(TypedDict):
    """All sessions of an agent."""

    sessions: Annotated[list[UsualView], FailFast()]


RECORD: Final = Form(UsualRecord)
VIEWS: Final = Form(UsualViews)

_new_model: Final = filled(ModelConfig, UsualModel.__annotations__)
_new_session: Final = filled(Session, {*UsualRecord.__annotations__, "status", "native_status"}, provider=NAME)


def to_session(view: UsualView, raw: dict[str, Any]) -> Session:
    """A session from its usual form, which is used up; `raw` is the object that this was read from."""
    made = cast("dict[str, Any]", view["session"])
    made["raw"] = raw
    word = view.get("status") or ("running" if view.get("is_running") else "")
    made["native_status"], made["status"] = word, to_status(word)
    model = made.get("model")
    if model is not None:
        made["model"] = _new_model(model)
    return _new_session(made)
