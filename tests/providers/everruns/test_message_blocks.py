"""Everruns' messages and their parts, read into the common records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from polysession.errors import MalformedResponse
from polysession.message import (
    MediaBlock,
    Message,
    RawBlock,
    Role,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from polysession_everruns.messages import message_reader
from support.everruns_events import CALL, MESSAGE, SESSION_ID, to_events, wire


def to_message(wire_message: dict[str, Any]) -> Message:
    return message_reader(SESSION_ID)(json.dumps(wire_message).encode())


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "text", "text": "Hi"}, TextBlock(text="Hi")),
        ({"type": "image", "url": "https://a/b"}, MediaBlock(type="image", url="https://a/b")),
        (
            {"type": "image", "base64": "AA==", "media_type": "image/png"},
            MediaBlock(type="image", data="AA==", media_type="image/png"),
        ),
        (
            {"type": "image_file", "image_id": "img_1", "filename": "a.png"},
            MediaBlock(type="image", file_id="img_1", title="a.png"),
        ),
        (
            {"type": "file", "file_id": "file_1", "filename": "a.pdf"},
            MediaBlock(type="document", file_id="file_1", title="a.pdf"),
        ),
        ({"type": "reasoning", "text": {"kind": "plain", "text": "So"}}, ThinkingBlock(text="So")),
        ({"type": "reasoning", "text": {"kind": "summary", "parts": ["a", "b"]}}, ThinkingBlock(text="a\n\nb")),
        ({"type": "tool_call", **CALL}, ToolCallBlock(id="call_1", name="look_up", arguments={"word": "x"})),
        ({"type": "tool_call", **CALL, "arguments": "x"}, ToolCallBlock(id="call_1", name="look_up")),
        (
            {"type": "tool_result", "tool_call_id": "call_1", "result": {"a": 1}},
            ToolResultBlock(tool_call_id="call_1", text='{"a": 1}'),
        ),
        (
            {"type": "tool_result", "tool_call_id": "call_1", "error": "Boom"},
            ToolResultBlock(tool_call_id="call_1", text="Boom", is_error=True),
        ),
        *[
            (part, RawBlock(payload=part))
            for part in (
                {"type": "reasoning", "provider": "p", "text": {"kind": "redacted"}},
                {"type": "reasoning", "provider": "p"},
                {"type": "reasoning", "summary": "x", "text": "of-tomorrow"},
                {"type": "provider_opaque"},
                {"type": "tool_call", "name": "look_up"},
                {"type": "tool_result", "result": "of no call"},
                {"type": "file"},
                {"type": "text"},
                {"type": "text", "text": 7},
                {"type": "image"},
                {"no": "type"},
            )
        ],
    ],
)
def test_a_part_becomes_a_block(part: dict[str, Any], block: Any) -> None:
    assert to_message({**MESSAGE, "content": [part]}).content == (block,)


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("user", Role.USER),
        ("agent", Role.ASSISTANT),
        ("assistant", Role.ASSISTANT),
        ("system", Role.SYSTEM),
        ("tool_result", Role.UNKNOWN),
        (None, Role.UNKNOWN),
    ],
)
def test_roles_are_read(role: str | None, expected: Role) -> None:
    assert to_message({**MESSAGE, "role": role}).role is expected


def test_both_shapes_of_a_message_are_read() -> None:
    listed = {**MESSAGE, "session_id": SESSION_ID, "sequence": 3, "phase": "FinalAnswer"}
    received = {**MESSAGE, "thinking": "So", "thinking_signature": "s"}
    assert to_message(listed).content == (TextBlock(text="Hi"),)
    assert to_message(received).content == (ThinkingBlock(text="So"), TextBlock(text="Hi"))
    bare = to_message({"id": "message_1", "content": None})
    assert (bare.content, bare.created_at, bare.usage) == ((), None, None)
    assert to_message(listed).created_at == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("odd", "content", "problems"),
    [
        ({"content": "Hi"}, (), ("content: not a list",)),
        ({"content": ["Hi", *MESSAGE["content"]]}, (TextBlock(text="Hi"),), ("content[0]: not an object",)),
        (
            {"content": [{"type": "image", "url": "https://a/b", "media_type": 5}]},
            (MediaBlock(type="image", url="https://a/b"),),
            ("content[0].media_type: not text",),
        ),
        (
            {"content": [{"type": "tool_call", **CALL, "arguments": "{}"}]},
            (ToolCallBlock(id="call_1", name="look_up"),),
            ("content[0].arguments: not an object",),
        ),
        ({"content": [{"type": "text", "text": "\ud83d"}]}, (TextBlock(text="\ufffd"),), ()),
        ({"thinking": 7}, (TextBlock(text="Hi"),), ("thinking: not text",)),
        ({"created_at": ""}, (TextBlock(text="Hi"),), ("created_at: not datetime",)),
    ],
)
def test_an_invalid_value_affects_only_itself(odd: dict[str, Any], content: Any, problems: tuple[str, ...]) -> None:
    message = to_message({**MESSAGE, **odd})
    assert (message.id, message.content, message.problems) == ("message_1", content, problems)
    assert message.raw == json.loads(json.dumps({**MESSAGE, **odd}).replace("\\ud83d", "\ufffd"))
    assert Message.model_validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"id": 7}'])
def test_a_value_that_is_not_a_message_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedResponse):
        message_reader(SESSION_ID)(content)


def test_a_conversation_message_is_a_message() -> None:
    data = {"message_id": "message_1", "text": "**Hi**", "tool_call_id": "call_1"}

    (event,) = to_events(wire("conversation.message", data, ts="2026-03-01T10:00:00Z"))

    assert event.type == "message.completed"
    message = event.message
    assert (message.id, message.role, message.text) == ("message_1", Role.ASSISTANT, "**Hi**")
    assert (message.session_id, message.created_at) == (SESSION_ID, datetime(2026, 3, 1, 10, tzinfo=UTC))
    assert message.raw == data


def test_a_conversation_message_without_an_id_is_delivered_raw() -> None:
    (event,) = to_events(wire("conversation.message", {"text": "Hi"}))
    assert event.type == "raw"
    assert event.payload["data"] == {"text": "Hi"}
