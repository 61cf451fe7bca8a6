"""Properties that hold for any bytes of a backend: hypothesis and atheris try to break them."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from polysession import PolysessionError
from polysession._core.operations import Operations
from polysession._core.sse import Frame, SseDecoder
from polysession.plugins import open_provider
from polysession.provider_api import Call, Response
from stress.targets import TARGETS, Target

CORPUS: Final = Path(__file__).parent / "corpus"
_CALLS: Final = 30


def frames_of(data: bytes, cuts: list[int]) -> list[Frame]:
    """The frames of some bytes, cut at these places."""
    decoder = SseDecoder(max_event_bytes=100_000)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [frame for start, end in pairwise(places) for frame in decoder.feed(data[start:end])]


def check_cuts(data: bytes, cuts: list[int]) -> None:
    """Whatever the bytes, it does not matter how they are cut."""
    assert frames_of(data, cuts) == frames_of(data, [])


def check_answers(target: Target, content: bytes) -> None:
    """Whatever answers, an operation ends in a result that can be shown, or in an error of ours."""
    operations = Operations(_provider(target))
    session = target.session
    for flow in (
        operations.get_session(session),
        operations.list_sessions()(None),
        operations.create_session(**target.create),
        operations.update_session(session, title="x"),
        operations.list_messages(session, None)(None),
        operations.list_events(session, None)(None),
        operations.pending_actions(session),
        operations.get_agent("agent_1"),
        operations.cancel_session(session),
    ):
        _ended(flow, content)


def check_frames(target: Target, frames: list[Frame]) -> None:
    """Any bytes of a stream become events that can be shown, or an error of ours."""
    whole = json.dumps({"data": [], "messages": [], "has_more": False, "event_cursor": None, "status": "idle"}).encode()
    operations = Operations(_provider(target))
    for flow in (operations.stream_events(target.session, None), operations.start_turn(target.session, "hi")):
        plan = _ended(flow, whole)
        if plan is None:
            continue
        for frame in frames:
            try:
                repr(list(plan.read(frame)))
                plan.open()
            except PolysessionError:
                break


def _provider(target: Target) -> Any:
    return open_provider(target.provider, target.settings | {"base_url": "http://127.0.0.1:9"}, {})


def _ended(flow: Generator[Call, Response, Any], content: bytes) -> Any:
    """The result of a flow whose every call gets this answer; None for an allowed failure."""
    reply = Response(200, {}, content)
    try:
        next(flow)
        for _ in range(_CALLS):
            flow.send(reply)
    except StopIteration as stop:
        repr(stop.value)
        return stop.value
    except PolysessionError as error:
        str(error)
    finally:
        flow.close()
    return None


def seeds(target: Target) -> list[dict[str, Any]]:
    """Events of a backend, typed by hand."""
    lines = (CORPUS / "events" / f"{target.provider}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def frame_of(event: Mapping[str, Any]) -> Frame:
    """An event in its frame."""
    return Frame(str(event.get("type", "")), json.dumps(event).encode(), str(event.get("id") or "") or None)


__all__ = ["TARGETS", "check_answers", "check_cuts", "check_frames", "frame_of", "seeds"]
