"""The invented provider with live streams.

A frame is `{"type": ..., "text": ...}` and has a number as its `id`. `start`, `say` and `end` are a turn; `closing`
announces that the server will close the connection; `gone` ends the stream. After `quiet` the end of the turn is not
sent but is in the session's title, which is read when the connection ends. After `trimmed` the title is read at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from polysession.provider_api import (
    BodyEnd,
    Call,
    ConnectedStream,
    Event,
    Feature,
    FeatureSupport,
    Finished,
    Flow,
    Frame,
    Items,
    MalformedResponse,
    MessageDelta,
    Outcome,
    Provider,
    Reconcile,
    Reopen,
    SessionRef,
    Step,
    StreamPlan,
    TurnEnded,
    TurnInput,
    TurnPlan,
    TurnStarted,
    hookimpl,
    json_body,
    native,
    with_query,
)
from support.acme import AcmeProvider, session_path, to_session


class AcmeStream(ConnectedStream):
    """Follows a session. It resumes after the number of the last frame."""

    def __init__(self, ref: SessionRef, cursor: str | None) -> None:
        self._ref = ref
        self.cursor = cursor or ""
        self._quiet = False

    def open(self) -> Call:
        path = with_query(f"{session_path(self._ref)}/stream", {"after": self.cursor or None})
        return Call("GET", path, headers={"accept": "text/event-stream"})

    def read(self, frame: Frame) -> Items:
        if frame.id is None:
            raise MalformedResponse("a frame has no id")
        if int(frame.id) <= int(self.cursor or 0):
            return ()
        self.cursor = frame.id
        body = json.loads(frame.data)
        self._quiet = body["type"] == "quiet"
        return (*to_events(self._ref, body), *STEPS.get(body["type"], ()))

    def ended(self, end: BodyEnd) -> Items:  # noqa: ARG002  (every end is handled alike)
        return (Reconcile(),) if self._quiet else ()

    def reconcile(self) -> Flow[Items]:
        reply = yield Call("GET", session_path(self._ref))
        done = to_session(reply).title == "done"
        return to_events(self._ref, {"type": "end"}) if done else ()


STEPS: Mapping[str, Sequence[Step]] = {"closing": (Reopen(),), "gone": (Finished(),), "trimmed": (Reconcile(),)}


def to_events(ref: SessionRef, body: Mapping[str, Any]) -> Sequence[Event]:
    """Return the events of a frame's object."""
    if body["type"] == "start":
        return (TurnStarted(session_id=ref.id),)
    if body["type"] == "say":
        return tuple(MessageDelta(session_id=ref.id, text=text) for text in body["text"].split())
    return (TurnEnded(session_id=ref.id, outcome=Outcome.COMPLETED),) if body["type"] == "end" else ()


class AcmeTurn(AcmeStream, TurnPlan):
    """Follows one turn. Every turn that starts counts as ours."""

    def __init__(self, ref: SessionRef, turn_input: TurnInput) -> None:
        super().__init__(ref, None)
        self._input = turn_input

    def send(self) -> Flow[None]:
        yield Call("POST", f"{session_path(self._ref)}/messages", body=json_body({"parts": len(self._input)}))

    def is_ours(self, event: Event) -> bool:
        return isinstance(event, TurnStarted)


class AcmeStreams(AcmeProvider):
    features: ClassVar[Mapping[Feature, FeatureSupport]] = {
        **AcmeProvider.features,
        Feature.SESSIONS_RUN: native(),
        Feature.SESSIONS_STREAM: native(),
    }

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        yield from ()
        return AcmeStream(ref, cursor)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **_: Any) -> Flow[StreamPlan]:
        yield from ()
        return AcmeTurn(ref, turn_input)


@hookimpl
def polysession_provider() -> type[Provider[Any]]:
    return AcmeStreams


def frame(number: int, kind: str, text: str = "") -> bytes:
    """Return the bytes of one frame."""
    return f"id: {number}\ndata: {json.dumps({'type': kind, 'text': text})}\n\n".encode()
