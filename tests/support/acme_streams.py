"""The invented provider with live streams.

A frame is `{"type": ..., "text": ...}` and has a number for its `id`: `start`, `say` and `end` tell a turn, `closing`
announces that the server will close, `gone` that nothing follows, and after `quiet` no end is told: it is in the
session's title then. After `trimmed` it is there as well, and is looked for at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from polysession.provider_api import (
    Call,
    Event,
    Feature,
    FeatureSupport,
    Flow,
    Frame,
    MalformedResponse,
    MessageDelta,
    OldStreamPlan,
    OldTurnPlan,
    Outcome,
    PolysessionError,
    Provider,
    SessionRef,
    TurnEnded,
    TurnInput,
    TurnStarted,
    hookimpl,
    json_body,
    native,
    with_query,
)
from support.acme import AcmeProvider, session_path, to_session


class AcmeStream(OldStreamPlan):
    """Goes on after the number of the last frame."""

    def __init__(self, ref: SessionRef, cursor: str | None) -> None:
        super().__init__()
        self._ref = ref
        self._last = int(cursor or 0)
        self._quiet = False

    @property
    def cursor(self) -> str | None:
        return str(self._last) if self._last else None

    def open(self) -> Call:
        path = with_query(f"{session_path(self._ref)}/stream", {"after": self.cursor})
        return Call("GET", path, headers={"accept": "text/event-stream"})

    def read(self, frame: Frame) -> Iterable[Event]:
        if frame.id is None:
            raise MalformedResponse("a frame has no id")
        if int(frame.id) <= self._last:
            return ()
        self._last = int(frame.id)
        body = json.loads(frame.data)
        self.reopen_after_s = 0.0 if body["type"] == "closing" else None
        self.finished = body["type"] == "gone"
        self._quiet = body["type"] == "quiet"
        self.probe_due = body["type"] == "trimmed"
        return self._events(body)

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (any break will do)
        self.probe_due = self._quiet

    def probe(self) -> Flow[Sequence[Event]]:
        reply = yield Call("GET", session_path(self._ref))
        done = to_session(reply).title == "done"
        return self._events({"type": "end"}) if done else ()

    def _events(self, body: Mapping[str, Any]) -> Sequence[Event]:
        if body["type"] == "start":
            return (TurnStarted(session_id=self._ref.id),)
        if body["type"] == "say":
            return tuple(MessageDelta(session_id=self._ref.id, text=text) for text in body["text"].split())
        return (TurnEnded(session_id=self._ref.id, outcome=Outcome.COMPLETED),) if body["type"] == "end" else ()


class AcmeTurn(AcmeStream, OldTurnPlan):
    """Any turn that starts is ours."""

    def __init__(self, ref: SessionRef, turn_input: TurnInput) -> None:
        super().__init__(ref, None)
        self._input = turn_input

    def send(self) -> Flow[None]:
        yield Call("POST", f"{session_path(self._ref)}/messages", body=json_body({"parts": len(self._input)}))

    def begins(self, event: Event) -> bool:
        return isinstance(event, TurnStarted)


class AcmeStreams(AcmeProvider):
    features: ClassVar[Mapping[Feature, FeatureSupport]] = {
        **AcmeProvider.features,
        Feature.SESSIONS_RUN: native(),
        Feature.SESSIONS_STREAM: native(),
    }

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[OldStreamPlan]:
        yield from ()
        return AcmeStream(ref, cursor)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput) -> Flow[OldTurnPlan]:
        yield from ()
        return AcmeTurn(ref, turn_input)


@hookimpl
def polysession_provider() -> type[Provider[Any]]:
    return AcmeStreams


def frame(number: int, kind: str, text: str = "") -> bytes:
    """The bytes of one frame."""
    return f"id: {number}\ndata: {json.dumps({'type': kind, 'text': text})}\n\n".encode()
