"""The invented provider without a stream: it polls a list of events.

The list is `{"data": [...]}` with the objects of `acme_streams`, each with its number as `id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from polysession.provider_api import (
    Call,
    Event,
    Feature,
    FeatureSupport,
    Finished,
    Flow,
    Items,
    PolledStream,
    PolledTurn,
    Provider,
    SessionRef,
    StreamPlan,
    TurnInput,
    TurnStarted,
    hookimpl,
    json_body,
    native,
    read_json,
    with_query,
)
from support.acme import AcmeProvider, session_path
from support.acme_streams import to_events


class AcmePolledStream(PolledStream):
    """Follows a session. The object `gone` ends the stream."""

    every_s = (0.05, 0.2)

    def __init__(self, ref: SessionRef, cursor: str | None) -> None:
        self._ref = ref
        self.cursor = cursor or ""

    def poll(self) -> Flow[Items]:
        reply = yield Call("GET", with_query(f"{session_path(self._ref)}/events", {"after": self.cursor or None}))
        items: list[Any] = []
        for body in read_json(reply)["data"]:
            if body["id"] > int(self.cursor or 0):
                self.cursor = str(body["id"])
                items += [Finished()] if body["type"] == "gone" else to_events(self._ref, body)
        return items


class AcmePolledTurn(AcmePolledStream, PolledTurn):
    """Follows one turn. Every turn that starts counts as ours."""

    def __init__(self, ref: SessionRef, turn_input: TurnInput) -> None:
        super().__init__(ref, None)
        self._input = turn_input

    def send(self) -> Flow[None]:
        yield Call("POST", f"{session_path(self._ref)}/messages", body=json_body({"parts": len(self._input)}))

    def is_ours(self, event: Event) -> bool:
        return isinstance(event, TurnStarted)


class AcmePolled(AcmeProvider):
    features: ClassVar[Mapping[Feature, FeatureSupport]] = {
        **AcmeProvider.features,
        Feature.SESSIONS_RUN: native(),
        Feature.SESSIONS_STREAM: native(),
    }

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        yield from ()
        return AcmePolledStream(ref, cursor)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **_: Any) -> Flow[StreamPlan]:
        yield from ()
        return AcmePolledTurn(ref, turn_input)


@hookimpl
def polysession_provider() -> type[Provider[Any]]:
    return AcmePolled
