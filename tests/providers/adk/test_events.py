"""Events of the ADK API server as common events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polysession.event import ErrorReported, Event, MessageCompleted, RawEvent, ThinkingCompleted, ToolResultCompleted
from polysession.message import MediaBlock, RawBlock, Role, TextBlock, ThinkingBlock, ToolCallBlock, ToolResultBlock
from polysession_adk.events import EVENT_TYPES, EventReader
from support.adk_events import (
    USAGE,
    abort_event,
    answer,
    call,
    confirmation,
    event,
    failure,
    fragment,
    message,
    result,
    text,
    thought,
)


def read(*contents: bytes) -> list[Event]:
    reader = EventReader("s1")
    return [each for content in contents for each in reader.read(content).events]


def types(*contents: bytes) -> list[str]:
    return [each.type for each in read(*contents)]


def only(kind: type[Any], *contents: bytes) -> Any:
    (found,) = [each for each in read(*contents) if isinstance(each, kind)]
    return found


def test_text_comes_as_deltas_and_as_a_whole_message_with_one_id() -> None:
    events = read(fragment(text("You ")), fragment(text("wrote")), answer(text("You wrote")))

    assert [each.type for each in events] == ["message.delta", "message.delta", "message.completed", "usage"]
    assert [each.id for each in events] == [None, None, "ev-1", "ev-1"]
    whole = only(MessageCompleted, answer(text("You wrote")))
    assert (whole.message.id, whole.message.text, whole.message.role) == ("ev-1", "You wrote", Role.ASSISTANT)
    assert (whole.author, whole.turn_id, whole.session_id) == ("assistant", "e-1", "s1")
    assert whole.created_at.isoformat() == "2026-11-30T10:37:55.647017+00:00"
    assert whole.message.usage.model_dump(exclude_none=True) == {
        "input_tokens": 11,
        "output_tokens": 10,
        "cache_read_tokens": 4,
    }


def test_a_complete_thought_comes_once_and_before_the_text() -> None:
    whole = answer(thought("Let me see."), text("42."))
    frames = [fragment(thought("Let me ")), fragment(thought("see.")), fragment(text("42."))]

    assert types(*frames, whole) == [
        *["thinking.delta", "thinking.delta", "thinking.completed", "message.delta"],
        *["message.completed", "usage"],
    ]
    early = only(ThinkingCompleted, *frames, whole)
    assert (early.text, early.synthetic, early.id) == ("Let me see.", True, None)
    assert types(whole) == ["thinking.completed", "message.completed", "usage"]


def test_a_thought_before_a_tool_call_is_completed_with_the_call() -> None:
    whole = answer(thought("Hm."), call("c1", "lookup", query="a"))
    assert types(fragment(thought("Hm.")), whole) == [
        *["thinking.delta", "thinking.completed", "tool_call.completed", "usage"]
    ]


def test_thoughts_of_parallel_agents_are_not_mixed() -> None:
    frames = [
        fragment(thought("L"), author="left", id="l"),
        fragment(thought("R"), author="right", id="r"),
        fragment(text("l"), author="left", id="l"),
        answer(thought("R"), text("r"), author="right", id="r"),
        answer(thought("L"), text("l"), author="left", id="l"),
    ]
    thoughts = [(each.author, each.text) for each in read(*frames) if isinstance(each, ThinkingCompleted)]
    assert thoughts == [("left", "L"), ("right", "R")]


def test_tool_calls_and_results() -> None:
    calls = answer(text("One moment."), call("c1", "lookup", query="a"), call("c2", "lookup", query="b"))
    results = event(result("c1", "lookup", {"result": "A"}), result("c2", "lookup", {"error": "no"}), id="ev-2")

    events = read(calls, results)

    assert [each.type for each in events] == [
        *["message.completed", "tool_call.completed", "tool_call.completed", "usage"],
        *["tool_result.completed", "tool_result.completed"],
    ]
    delivered = [(e.tool_call_id, e.text, e.is_error) for e in events if isinstance(e, ToolResultCompleted)]
    assert delivered == [("c1", "A", False), ("c2", "no", True)]


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ({"result": "A"}, "A"),
        ({"result": None}, ""),
        ({"result": {"a": 1}}, '{"a": 1}'),
        ({"status": "pending", "ticket": "T1"}, '{"status": "pending", "ticket": "T1"}'),
        ({"error": "no", "result": "yes"}, '{"error": "no", "result": "yes"}'),
        (None, "{}"),
    ],
)
def test_the_text_of_a_tool_result(response: Any, words: str) -> None:
    found = only(ToolResultCompleted, event(result("c1", "lookup", response)))
    assert (found.text, found.is_error) == (words, False)


def test_call_ids_in_fragments_are_not_used() -> None:
    piece = fragment({"functionCall": {"id": "adk-throwaway", "name": "lookup", "partialArgs": [{"jsonPath": "$.q"}]}})
    (event_,) = read(piece)
    assert (event_.type, event_.id, event_.native_type) == ("raw", None, "partial")


def test_requests_become_actions_at_the_end_and_placeholders_are_not_results() -> None:
    hint = {"c1": {"hint": "?", "confirmed": False}}
    asked = event(confirmation("r1", "c1", "lookup", query="a"), longRunningToolIds=["r1"], id="ev-2")
    placeholder = event(
        result("c1", "lookup", {"error": "requires confirmation"}),
        result("c2", "lookup", {"result": "B"}),
        id="ev-3",
        actions={"requestedToolConfirmations": hint, "skipSummarization": True},
    )
    assert types(asked) == []
    assert types(placeholder) == ["tool_result.completed", "raw"]


def test_answers_to_requests_are_raw_and_client_outputs_are_results() -> None:
    assert types(message(result("r1", "adk_request_confirmation", {"confirmed": True}))) == ["raw"]
    assert types(message(result("c1", "ask_caller", {"result": "42"}))) == ["tool_result.completed"]


def test_an_artifact_is_one_result_and_one_raw_event_in_both_forms() -> None:
    saved = {"artifactDelta": {"note.txt": 0}}
    twice = [event(result("c1", "note", {"result": "version 0"})), event(actions=saved)]
    once = [event(result("c1", "note", {"result": "version 0"}), actions=saved)]

    assert types(*twice) == types(*once) == ["tool_result.completed", "raw"]


def test_events_without_content_are_raw() -> None:
    changed = event(actions={"stateDelta": {"heard": "x"}})
    patched = message(id="ev-5", invocationId="p-1", actions={"stateDelta": {"a": 1}})
    silent = event(content={"parts": [], "role": "model"}, finishReason="STOP", errorCode="MODEL_RETURNED_NO_CONTENT")

    assert types(changed) == types(patched) == ["raw"]
    assert read(changed)[0].raw["actions"]["stateDelta"] == {"heard": "x"}
    assert types(silent) == []


def test_a_repeated_error_is_reported_once() -> None:
    kept = event(errorCode="RuntimeError", errorMessage="out of order")
    frame = failure("RuntimeError", "out of order")

    for frames in ([kept, frame], [kept], [frame]):
        error = only(ErrorReported, *frames)
        assert (error.message, error.code) == ("out of order", "RuntimeError")
    old = only(ErrorReported, b'{"error":"out of order"}')
    assert (old.message, old.code) == ("out of order", None)


def test_an_abort_is_not_an_error() -> None:
    assert types(abort_event()) == []
    assert types(abort_event(result("c1", "wait", {"error": "Invocation was aborted by client."}))) == [
        "tool_result.completed"
    ]


def test_media_are_read_from_the_url_safe_alphabet() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBOR_v_", "displayName": "a.png"}}
    unpadded = {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0-LQ"}}
    linked = {"fileData": {"mimeType": "image/png", "fileUri": "https://files.example/a.png"}}

    content = only(MessageCompleted, answer(picture, unpadded, linked)).message.content

    assert content == (
        MediaBlock(type="image", data="iVBOR/v/", media_type="image/png", title="a.png"),
        MediaBlock(type="document", data="JVBERi0+LQ==", media_type="application/pdf"),
        MediaBlock(type="image", url="https://files.example/a.png", media_type="image/png"),
    )


def test_unknown_parts_are_kept_and_unreadable_ones_are_problems() -> None:
    code = {"executableCode": {"code": "1 + 1", "language": "PYTHON"}}
    content = {"parts": [code, 5, {"text": "2", "thought": "perhaps"}, {"text": ""}], "role": "model"}

    found = only(MessageCompleted, answer(content=content))

    assert found.message.content == (RawBlock(payload=code), TextBlock(text="2"))
    assert found.problems == ("content.parts[1]: not an object", "content.parts[2].thought: not true or false")


@pytest.mark.parametrize("content", [b"5", b"not json", b"[]", b'{"a":'])
def test_a_frame_that_is_not_an_object_is_raw(content: bytes) -> None:
    (found,) = read(content)
    assert isinstance(found, RawEvent)
    assert found.problems


def test_unreadable_members_do_not_affect_the_others() -> None:
    found = only(MessageCompleted, answer(text("hi"), timestamp=1e300, longRunningToolIds=5, usageMetadata="many"))
    assert found.created_at is None
    assert len(found.problems) == 3


def test_a_time_outside_the_valid_range_is_left_out() -> None:
    found = only(MessageCompleted, answer(text("hi"), timestamp="9999-12-31T23:59:59-12:00"))
    assert (found.created_at, found.message.created_at) == (None, None)
    assert found.problems == ("timestamp: not a time within the years 1 to 9999 in UTC",)


def test_deeply_nested_values_do_not_affect_the_others() -> None:
    deep: Any = "x"
    for _ in range(600):
        deep = [deep]
    content = answer({"executableCode": deep}, call("c1", "lookup", query=deep), text("hi"), customMetadata={"d": deep})
    assert {"message.completed", "tool_call.completed"} <= set(types(content))

    bottomless = b'{"id":"ev-1","author":"assistant","content":{"parts":[{"text":"hi"},%b]}}'
    assert types(bottomless % (b"[" * 9000 + b"]" * 9000))
    assert types(bottomless % (b'{"executableCode":' + b"[" * 9000 + b"]" * 9000 + b"}"))


def test_an_error_after_an_empty_event_is_reported() -> None:
    silent = event(content={"parts": [], "role": "model"}, errorCode="MODEL_RETURNED_NO_CONTENT")
    assert types(silent, failure("StaleSessionError", "changed meanwhile")) == ["error"]


def test_complete_events_become_messages() -> None:
    reader = EventReader("s1")

    def blocks(content: bytes) -> list[tuple[Role, tuple[Any, ...]]]:
        read = reader.read(content).message
        return [] if read is None else [(read.role, read.content)]

    assert blocks(message(text("hi"))) == [(Role.USER, (TextBlock(text="hi"),))]
    assert blocks(answer(thought("Hm."), text("Yo"), call("c1", "lookup", query="a"))) == [
        (
            Role.ASSISTANT,
            (
                ThinkingBlock(text="Hm."),
                TextBlock(text="Yo"),
                ToolCallBlock(id="c1", name="lookup", arguments={"query": "a"}),
            ),
        )
    ]
    assert blocks(event(result("c1", "lookup", {"result": "A"}))) == [
        (Role.ASSISTANT, (ToolResultBlock(tool_call_id="c1", text="A"),))
    ]
    for hidden in (
        event(confirmation("r1", "c1", "lookup"), longRunningToolIds=["r1"]),
        message(result("r1", "adk_request_confirmation", {"confirmed": True})),
        fragment(text("Y")),
        message(actions={"stateDelta": {"a": 1}}),
    ):
        assert blocks(hidden) == []


def test_the_table_lists_all_delivered_event_types() -> None:
    contents = [
        *[
            fragment(thought("a")),
            fragment(text("b")),
            fragment(call("c", "d")),
            answer(thought("a"), text("b"), id="2"),
        ],
        *[answer(call("c1", "lookup"), id="3"), event(result("c1", "lookup", {}), id="4"), event(id="5")],
        *[event(errorCode="SAFETY", id="6"), failure("E", "e")],
    ]
    for each in read(*contents):
        assert each.type in EVENT_TYPES[each.native_type]
    assert json.loads(answer(text("a")))["usageMetadata"] == USAGE
