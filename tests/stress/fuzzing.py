"""Properties that hold for any bytes of a backend: hypothesis and atheris try to break them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from polysession import Feature, PolysessionError
from polysession._core.operations import Operations
from polysession._core.sse import Frame, SseDecoder
from polysession.plugins import load_provider, open_provider
from polysession.provider_api import Call, PolledStream, Response
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
    flows: dict[Feature, Callable[[], Generator[Call, Response, Any]]] = {
        Feature.SESSIONS_GET: lambda: operations.get_session(session),
        Feature.SESSIONS_LIST: lambda: operations.list_sessions()(None),
        Feature.SESSIONS_CREATE: lambda: operations.create_session(**target.create),
        Feature.SESSIONS_UPDATE: lambda: operations.update_session(session, title="x"),
        Feature.SESSIONS_MESSAGES: lambda: operations.list_messages(session, None)(None),
        Feature.SESSIONS_EVENTS: lambda: operations.list_events(session, None)(None),
        Feature.SESSIONS_PENDING_ACTIONS: lambda: operations.pending_actions(session),
        Feature.AGENTS_GET: lambda: operations.get_agent("agent_1"),
        Feature.SESSIONS_CANCEL: lambda: operations.cancel_session(session),
    }
    declared = load_provider(target.provider)
    for flow in (flows[feature]() for feature in flows if declared.support(feature).support):
        _ended(flow, lambda _: content)


def check_frames(target: Target, frames: list[Frame]) -> None:
    """Any bytes of a stream become events that can be shown, or an error of ours."""
    operations = Operations(_provider(target))
    for flow in (operations.stream_events(target.session, None), operations.start_turn(target.session, "hi")):
        plan = _ended(flow, lambda call: json.dumps(target.read(call.path.partition("?")[0])).encode())
        if plan is None or isinstance(plan, PolledStream):  # which reads answers, and no frames
            continue
        for frame in frames:
            try:
                repr(list(plan.read(frame)))
                plan.open()
            except PolysessionError:
                break


def _provider(target: Target) -> Any:
    return open_provider(target.provider, target.settings | {"base_url": "http://127.0.0.1:9"}, {})


def _ended(flow: Generator[Call, Response, Any], answer: Callable[[Call], bytes]) -> Any:
    """The result of a flow whose calls are answered by a function; None for an allowed failure."""
    try:
        call = next(flow)
        for _ in range(_CALLS):
            call = flow.send(Response(200, {}, answer(call)))
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
    """An event in its frame, whose name and id came as UTF-8: half a surrogate pair is only in JSON."""
    name = event.get("event") or event.get("method") or event.get("type") or ""
    return Frame(_as_utf8(name), json.dumps(event).encode(), _as_utf8(event.get("id") or "") or None)


def _as_utf8(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


__all__ = ["TARGETS", "check_answers", "check_cuts", "check_frames", "frame_of", "seeds"]
