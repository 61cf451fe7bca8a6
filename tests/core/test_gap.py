"""Where a reopened stream lacks pieces, it says so, once, before the first whole that they belong to."""

from __future__ import annotations

import pytest

from polysession._core.gap import GapWatch
from polysession.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    RawEvent,
    StreamGap,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
)
from polysession.message import Message, Role, TextBlock

LOST = ("message.delta", "thinking.delta")
BREAK = "|"


def event_of(word: str) -> Event:
    """An event: `-x` is a piece, `=x` a whole message, `?x` and `!x` the same of a thought.

    `s` is the start of a thought, `u` a message of the user's.
    """
    kind, text = word[0], word[1:]
    if kind == "-":
        return MessageDelta(session_id="s1", turn_id="t1", text=text)
    if kind == "?":
        return ThinkingDelta(session_id="s1", turn_id="t1", text=text)
    if kind == "s":
        return ThinkingStarted(session_id="s1", turn_id="t1")
    if kind == "!":
        return ThinkingCompleted(session_id="s1", turn_id="t1", text=text)
    if kind in "=u":
        role = Role.ASSISTANT if kind == "=" else Role.USER
        message = Message(provider="acme", id="m", session_id="s1", role=role, content=(TextBlock(text=text),))
        return MessageCompleted(session_id="s1", turn_id="t1", message=message)
    return RawEvent(session_id="s1")


def watched(script: str, watch: GapWatch) -> str:
    """The words that are delivered, with `*` for a gap."""
    out: list[str] = []
    for word in script.split():
        if word == BREAK:
            watch.connection_ended()
            continue
        gap = watch.gap_before(event_of(word))
        assert gap is None or isinstance(gap, StreamGap)
        out += [word] if gap is None else ["*", word]
    return " ".join(out)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("-a -b =ab", "-a -b =ab", id="no break"),
        pytest.param("-a =ab", "-a =ab", id="a backend that streams only some of it, and no break"),
        pytest.param("-a | =ab", "-a * =ab", id="the rest of a message"),
        pytest.param("| n =ab", "n * =ab", id="all of a message"),
        pytest.param("-a | -b =ab", "-a -b =ab", id="nothing lost"),
        pytest.param("-a -b | =ab =cd", "-a -b =ab * =cd", id="the message after the one that was heard whole"),
        pytest.param("| =ab =cd", "* =ab =cd", id="once for each break"),
        pytest.param("| =ab | =cd", "* =ab * =cd", id="again after another break"),
        pytest.param("| -a -b =ab =cd", "-a -b =ab =cd", id="live again"),
        pytest.param("| uhi -a =ab", "uhi -a * =ab", id="what the user says has no pieces"),
        pytest.param("?a | !ab", "?a * !ab", id="a thought"),
        pytest.param("| !  =", "!  =".replace("  ", " "), id="an empty message"),
    ],
)
def test_a_gap_comes_before_what_lacks_its_pieces(script: str, expected: str) -> None:
    assert watched(script, GapWatch(LOST)) == expected


@pytest.mark.parametrize(
    ("script", "delivered"),
    [
        pytest.param("! =a", "! =a", id="no break"),
        pytest.param("| !", "* !", id="its start is missing"),
        pytest.param("| s !", "s !", id="its start came after the break"),
        pytest.param("s | !", "s !", id="its start came before the break"),
        pytest.param("s ! | ! s !", "s ! * ! s !", id="the start of the second"),
        pytest.param("| ! !", "* ! !", id="once for each break"),
    ],
)
def test_a_thought_without_pieces_lacks_its_start(script: str, delivered: str) -> None:
    assert watched(script, GapWatch((*LOST, "thinking.started"))) == delivered


def test_an_empty_piece_is_no_piece() -> None:
    assert watched("- | =a =b", GapWatch(LOST)) == "- * =a =b"


def test_a_gap_says_what_is_lost_and_where() -> None:
    watch = GapWatch(LOST)
    watch.connection_ended()
    gap = watch.gap_before(event_of("=ab"))
    assert gap == StreamGap(session_id="s1", turn_id="t1", lost=LOST, synthetic=True)


def test_a_backend_that_replays_everything_has_no_gaps() -> None:
    assert watched("-a | =ab", GapWatch(())) == "-a =ab"


def test_a_stream_that_goes_on_after_a_cursor_may_lack_the_beginning() -> None:
    assert watched("-b =ab =cd", GapWatch(LOST, may_lack=True)) == "-b * =ab =cd"
