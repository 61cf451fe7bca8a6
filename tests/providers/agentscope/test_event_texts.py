"""Pieces read straight from their text are what the decoded objects give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession import Event
from polysession_agentscope.event_normaliser import EventNormaliser
from polysession_agentscope.wire_events import WireEventHead, read_piece
from support.agentscope_events import event
from support.usual import spoilt

PIECES = ["TEXT_BLOCK_DELTA", "THINKING_BLOCK_DELTA", "TOOL_CALL_DELTA", "TOOL_RESULT_TEXT_DELTA"]
KINDS = st.sampled_from([*PIECES, "TEXT_BLOCK_START", "TEXT_BLOCK_END", "TOOL_RESULT_DATA_DELTA", "OF_TOMORROW"])
FIELDS = {
    "block_id": st.sampled_from(["b1", "b2"]),
    "tool_call_id": st.sampled_from(["c1", None]),
    "delta": st.sampled_from(["", "Hel", "lo"]),
    "more": st.just([1]),
}
EVENTS = st.builds(
    lambda kind, reply_id, fields: event(kind, reply_id, **fields),
    KINDS,
    st.sampled_from(["r1", "r2", None]),
    st.fixed_dictionaries({}, optional=FIELDS),
)


def told(normaliser: EventNormaliser, head: WireEventHead | None, raw: dict[str, Any]) -> list[Event] | None:
    try:
        return normaliser.read(raw) if head is None else normaliser.read_body(head, raw)
    except ValidationError:
        return None


@given(st.lists(EVENTS | spoilt(EVENTS), max_size=8))
def test_text_and_object_tell_the_same(raws: list[dict[str, Any]]) -> None:
    one, other = EventNormaliser("s1"), EventNormaliser("s1")
    for raw in raws:
        assert told(one, read_piece(json.dumps(raw).encode()), raw) == told(other, None, raw)


@pytest.mark.parametrize("kind", PIECES)
def test_a_piece_is_read_at_once_and_nothing_else_is(kind: str) -> None:
    piece = read_piece(json.dumps(event(kind, "r1", block_id="b1", tool_call_id="c1", delta="a")).encode())
    assert piece is not None
    assert (piece.type, piece.reply_id, piece.block_id, piece.tool_call_id, piece.delta) == (
        kind,
        "r1",
        "b1",
        "c1",
        "a",
    )
    assert read_piece(json.dumps(event(kind, "r1", delta=5)).encode()) is None
    assert read_piece(json.dumps(event("REPLY_START", "r1")).encode()) is None
    assert read_piece(b"no JSON") is None
