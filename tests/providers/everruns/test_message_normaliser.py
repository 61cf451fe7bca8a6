from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from polysession.message import (
    MediaBlock,
    RawBlock,
    Role,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from polysession_everruns.event_normaliser import to_events
from polysession_everruns.message_normaliser import to_message
from polysession_everruns.wire_events import WireEvent

SESSION_ID = "session_0195e0c0000070008000000000000001"
MESSAGE = {
    "id": "message_1",
    "role": "agent",
    "content": [{"type": "text", "text": "Hi"}],
    "created_at": "2026-03-01T10:00:00.000Z",
}
CALL = {"id": "call_1", "name": "look_up", "arguments": {"word": "x"}}


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
    assert to_message({**MESSAGE, "content": [part]}, SESSION_ID).content == (block,)


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
def test_who_said_it(role: str | None, expected: Role) -> None:
    assert to_message({**MESSAGE, "role": role}, SESSION_ID).role is expected


def test_both_shapes_of_a_message_are_read() -> None:
    listed = {**MESSAGE, "session_id": SESSION_ID, "sequence": 3, "phase": "FinalAnswer"}
    told = {**MESSAGE, "thinking": "So", "thinking_signature": "s"}
    assert to_message(listed, SESSION_ID).content == (TextBlock(text="Hi"),)
    assert to_message(told, SESSION_ID).content == (ThinkingBlock(text="So"), TextBlock(text="Hi"))
    bare = to_message({"id": "message_1", "content": None}, SESSION_ID)
    assert (bare.content, bare.created_at, bare.usage) == ((), None, None)
    assert to_message(listed, SESSION_ID).created_at == datetime(2026, 3, 1, 10, tzinfo=UTC)


def sent(data: dict[str, Any]) -> WireEvent:
    envelope = {"id": "event_1", "type": "conversation.message", "ts": "2026-03-01T10:00:00Z", "session_id": SESSION_ID}
    return WireEvent.of({**envelope, "data": data})


def test_a_message_that_the_agent_sent_on_purpose_is_a_message() -> None:
    data = {"message_id": "message_1", "text": "**Hi**", "tool_call_id": "call_1"}

    (event,) = to_events(sent(data))

    assert event.type == "message.completed"
    message = event.message
    assert (message.id, message.role, message.text) == ("message_1", Role.ASSISTANT, "**Hi**")
    assert (message.session_id, message.created_at) == (SESSION_ID, datetime(2026, 3, 1, 10, tzinfo=UTC))
    assert message.raw == data
    with pytest.raises(ValidationError):
        to_events(sent({"text": "Hi"}))
