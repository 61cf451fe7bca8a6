"""The form that deltas have, which most events of a stream are.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, OutputMessageDeltaData and ReasonThinkingDeltaData
(read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import AliasPath, Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other, and brings this one along

from polysession.provider_api import Form, UsualTime


class UsualDelta(TypedDict):
    """A piece of what is being written: the fields of a `WireTextEvent`, none of them missing that all deltas have."""

    type: Literal["output.message.delta", "reason.thinking.delta"]
    id: str
    ts: UsualTime
    session_id: Annotated[str, Field(min_length=1)]
    sequence: NotRequired[int | None]
    turn_id: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("context", "turn_id"))]]
    data_turn_id: NotRequired[Annotated[Any, Field(validation_alias=AliasPath("data", "turn_id"))]]
    message_id: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("data", "message_id"))]]
    delta: Annotated[str, Field(validation_alias=AliasPath("data", "delta"))]
    accumulated: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("data", "accumulated"))]]


DELTA: Final = Form(UsualDelta)
