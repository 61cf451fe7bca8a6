"""The official SDK, qca-sdk, follows the Qoder emulator's turns with strict validation.

Backend: https://pypi.org/project/qca-sdk/0.11.0/ (read 2026-11)
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import qca

from polysession import Feature
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.testing import covers

pytestmark = pytest.mark.evidence("qoder", "judge", by="qca-sdk")

START = ["session.status_running", "session.thread_status_running", "user.message", "span.model_request_start"]
SAID = ["agent.message", "span.model_request_end"]
END = ["session.thread_status_idle", "session.usage", "session.status_idle"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


@pytest.fixture
def sdk(emulator: EmulatorHandle) -> Iterator[Any]:
    with httpx.Client(trust_env=False) as http:
        yield qca.Managed(
            base_url=emulator.base_url,
            pat="pt-judge",
            max_retries=0,
            _strict_response_validation=True,
            http_client=http,
        )


@pytest.fixture
def session_id(sdk: Any, emulator: EmulatorHandle) -> str:
    created: str = sdk.sessions.create(agent=emulator.agent_id, environment_id=emulator.environment_id).id
    return created


def say(sdk: Any, session_id: str, text: str) -> str:
    message = {"type": "user.message", "content": [{"type": "text", "text": text}]}
    sent: str = sdk.sessions.events.send(session_id, events=[message]).data[0].id
    return sent


def finished_turn(sdk: Any, session_id: str) -> str:
    """Run a turn, and return the id of its last event: the cursor of the resumable stream."""
    stream = sdk.sessions.events.stream(session_id)
    say(sdk, session_id, "hello")
    last: str = until_idle(stream)[-1].id
    return last


def until_idle(stream: Any) -> list[Any]:
    """Read the events up to the end of the turn, then close the stream."""
    found = []
    with stream:
        for event in stream:
            found.append(event)
            if event.type == "session.status_idle":
                break
    return found


def kinds(events: list[Any]) -> list[str]:
    """Return the types of events, without previews."""
    return [event.type for event in events if not event.type.startswith("event_")]


@covers(Feature.SESSIONS_SEND, Feature.SESSIONS_STREAM, Feature.SESSIONS_RUN, Feature.SESSIONS_EVENTS)
def test_a_plain_turn_has_the_order_of_the_live_service(sdk: Any, session_id: str) -> None:
    stream = sdk.sessions.events.stream(session_id, event_deltas=["agent.message"])
    sent = say(sdk, session_id, "hello there")
    events = until_idle(stream)

    assert kinds(events) == START + SAID + END
    assert events[2].id == sent
    deltas = [event.delta.content.text for event in events if event.type == "event_delta"]
    (message,) = [event for event in events if event.type == "agent.message"]
    assert deltas == ["You ", "said: ", "hello ", "there"]
    assert "".join(deltas) == message.content[0].text
    assert events[-1].stop_reason.type == "end_turn"
    assert kinds(events) == [event.type for event in sdk.sessions.events.list(session_id)]


def test_a_stream_has_no_previews_by_default(sdk: Any, session_id: str) -> None:
    stream = sdk.sessions.events.stream(session_id)
    say(sdk, session_id, "hello")

    assert [event.type for event in until_idle(stream)] == START + SAID + END


@covers(Feature.SESSIONS_STREAM)
def test_a_tool_is_used(sdk: Any, session_id: str) -> None:
    stream = sdk.sessions.events.stream(session_id)
    say(sdk, session_id, "/tool")
    events = until_idle(stream)

    use = ["agent.tool_use", "span.model_request_end", "agent.tool_result", "span.model_request_start"]
    assert kinds(events) == START + use + SAID + END
    assert events[6].tool_use_id == events[4].id
    assert events[6].is_error is False


@covers(Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_APPROVAL, Feature.SESSIONS_PENDING_ACTIONS)
def test_approvals_are_answered_one_by_one(sdk: Any, session_id: str) -> None:
    stream = sdk.sessions.events.stream(session_id)
    say(sdk, session_id, "/ask 2")
    asked = until_idle(stream)
    ids = asked[-1].stop_reason.event_ids
    assert ids == [event.id for event in asked if event.type == "agent.tool_use"]

    stream = sdk.sessions.events.stream(session_id)
    for tool_use_id, result in zip(ids, ("deny", "allow"), strict=True):
        confirmation = {"type": "user.tool_confirmation", "tool_use_id": tool_use_id, "result": result}
        sdk.sessions.events.send(session_id, events=[confirmation])
    half, rest = until_idle(stream), until_idle(sdk.sessions.events.stream(session_id, last_event_id=ids[-1]))

    assert kinds(half) == ["user.tool_confirmation", *END]
    assert half[-1].stop_reason.event_ids == ids[1:]
    # Follow the turn to its end, from the answer that resumed it.
    assert rest[-1].stop_reason.type == "requires_action"
    events = list(sdk.sessions.events.list(session_id, limit=100))
    results = {event.tool_use_id: event.is_error for event in events if event.type == "agent.tool_result"}
    assert results == {ids[0]: True, ids[1]: False}


@covers(Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_OUTPUT)
def test_the_client_runs_a_tool(sdk: Any, session_id: str) -> None:
    stream = sdk.sessions.events.stream(session_id)
    say(sdk, session_id, "/client-tool")
    (use_id,) = until_idle(stream)[-1].stop_reason.event_ids

    stream = sdk.sessions.events.stream(session_id)
    output = [{"type": "text", "text": "42"}]
    answer = {"type": "user.custom_tool_result", "custom_tool_use_id": use_id, "content": output}
    sdk.sessions.events.send(session_id, events=[answer])

    assert until_idle(stream)[-1].stop_reason.type == "end_turn"


@covers(Feature.SESSIONS_CANCEL)
def test_a_turn_is_cancelled(sdk: Any, session_id: str) -> None:
    stream = sdk.sessions.events.stream(session_id, event_deltas=["agent.message"])
    say(sdk, session_id, "/slow 100")
    next(event for event in stream if event.type == "event_delta")
    sdk.sessions.cancel(session_id)
    events = until_idle(stream)

    assert events[-1].stop_reason.type == "cancelled"
    assert "agent.message" not in kinds(events)


@covers(Feature.SESSIONS_RUN)
def test_a_failure_is_reported_and_the_session_continues(sdk: Any, session_id: str) -> None:
    stream = sdk.sessions.events.stream(session_id)
    say(sdk, session_id, "/fail")
    events = until_idle(stream)

    assert kinds(events) == [*START, "session.error", "span.model_request_end", *END]
    assert sdk.sessions.retrieve(session_id).status == "idle"


@covers(Feature.SESSIONS_STREAM)
def test_a_dropped_stream_is_resumed_with_its_cursor(sdk: Any, session_id: str, emulator: EmulatorHandle) -> None:
    cursor = finished_turn(sdk, session_id)
    say(sdk, session_id, "hello")
    emulator.faults.add(Fault("drop", path="/stream", at_byte=700))
    found = []
    with sdk.sessions.events.resumable_stream(session_id, last_event_id=cursor) as stream:
        for event in stream:
            found.append(event.type)
            if event.type == "session.status_idle":
                break

    assert found == START + SAID + END
    assert not emulator.faults.waiting()


def test_deleting_the_session_ends_a_resumable_stream(sdk: Any, session_id: str) -> None:
    cursor = finished_turn(sdk, session_id)
    say(sdk, session_id, "hello")
    with sdk.sessions.events.resumable_stream(session_id, last_event_id=cursor) as stream:
        next(event for event in stream if event.type == "session.status_idle")
        sdk.sessions.delete(session_id)
        assert [event.type for event in stream] == ["session.deleted"]


def test_a_message_during_a_turn_is_a_conflict(sdk: Any, session_id: str) -> None:
    say(sdk, session_id, "/slow 100")
    with pytest.raises(qca.ConflictError):
        say(sdk, session_id, "and another thing")
    sdk.sessions.cancel(session_id)


def test_an_unknown_cursor_is_refused(sdk: Any, session_id: str) -> None:
    with pytest.raises(qca.BadRequestError):
        sdk.sessions.events.stream(session_id, last_event_id="evt_unknown")


@covers(Feature.SESSIONS_SEND_IMAGE, Feature.SESSIONS_SEND_DOCUMENT, Feature.SESSIONS_MESSAGES)
def test_images_and_documents_are_sent_and_listed(sdk: Any, session_id: str) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
    document = {"type": "document", "source": source, "title": "A"}
    text = {"type": "text", "text": "what is this?"}
    stream = sdk.sessions.events.stream(session_id)
    sdk.sessions.events.send(session_id, events=[{"type": "user.message", "content": [image, document, text]}])
    until_idle(stream)

    asked, answer = sdk.sessions.events.list(session_id, types=["user.message", "agent.message"])

    assert [part.to_dict() for part in asked.content] == [image, document, text]
    assert [part.type for part in answer.content] == ["text"]
