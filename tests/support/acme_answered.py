"""The invented provider whose response to the input is the stream.

A turn ends when its stream is closed.

The frames are those of `acme_streams`. A turn of a session whose id begins with `r` can be rejoined after a break.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from polysession.provider_api import (
    AnsweredTurn,
    BodyEnd,
    Call,
    Feature,
    FeatureSupport,
    Flow,
    Frame,
    Items,
    Outcome,
    Provider,
    SessionRef,
    StreamPlan,
    TurnEnded,
    TurnInput,
    TurnLife,
    hookimpl,
    json_body,
    native,
    with_query,
)
from support.acme import AcmeProvider, session_path
from support.acme_streams import to_events


class AcmeAnsweredTurn(AnsweredTurn):
    """One turn. Its body is read to the end before it is closed."""

    drain_s = 2.0

    def __init__(self, ref: SessionRef, turn_input: TurnInput) -> None:
        self._ref = ref
        self._input = turn_input

    def start(self) -> Call:
        body = json_body({"parts": len(self._input)})
        return Call("POST", f"{session_path(self._ref)}/stream", {"accept": "text/event-stream"}, body)

    def rejoin(self) -> Call | None:
        if not self._ref.id.startswith("r"):
            return None
        return Call("GET", with_query(f"{session_path(self._ref)}/stream", {"after": self.cursor or None}))

    def read(self, frame: Frame) -> Items:
        if int(frame.id or 0) <= int(self.cursor or 0):
            return ()
        self.cursor = frame.id or ""
        return to_events(self._ref, json.loads(frame.data))

    def ended(self, end: BodyEnd) -> Items:
        is_cut = end.failure is not None or end.inside_frame
        if is_cut and self.rejoin() is not None:
            return ()
        outcome = Outcome.FAILED if is_cut else Outcome.COMPLETED
        return (TurnEnded(session_id=self._ref.id, outcome=outcome, synthetic=True),)


class AcmeAnswered(AcmeProvider):
    turn_life = TurnLife.ATTENDED
    features: ClassVar[Mapping[Feature, FeatureSupport]] = {**AcmeProvider.features, Feature.SESSIONS_RUN: native()}

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **_: Any) -> Flow[StreamPlan]:
        yield from ()
        return AcmeAnsweredTurn(ref, turn_input)


@hookimpl
def polysession_provider() -> type[Provider[Any]]:
    return AcmeAnswered
