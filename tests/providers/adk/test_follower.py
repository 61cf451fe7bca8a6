"""A session of ADK is followed by its history, which is polled."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from polysession._core.plans import Finished, Reconcile
from polysession.action import ToolExecution
from polysession.change import SessionRef
from polysession.errors import UsageError
from polysession.event import Outcome
from polysession.provider_api import decode_cursor, encode_cursor
from polysession_adk.turns import AdkStream, Cursor
from support.adk_events import (
    answer,
    call,
    message,
    result,
    seal,
    stored,
    text,
)
from support.adk_turns import (
    BROKEN,
    CLEAN,
    CLIENT_TOOL,
    OPERATIONS,
    PATH,
    SAID,
    frame,
    marked,
    refused,
    turn,
    words,
)
from support.flows import ok, step

# --- Following by the history


def follow(history: Sequence[bytes], cursor: str | None = None) -> AdkStream:
    _, plan = step(OPERATIONS.stream_events("s1", cursor), ok(stored(*history)))
    assert isinstance(plan, AdkStream)
    return plan


def poll(plan: AdkStream, *history: bytes) -> list[str]:
    """Text of the events that come until the plan would wait, each with the next poll."""
    told, reply = [], [ok(stored(*history))]
    while True:
        _, items = step(plan.poll(), *(reply if plan.every_s[0] else []))
        told += words(items)
        if not plan.every_s[0]:
            reply = []
            continue
        return told


HELLO = message(text("hello"))


def test_a_follower_is_told_what_is_new_and_an_end_one_look_later() -> None:
    plan = follow([HELLO, SAID])
    new = [message(text("more"), id="ev-2", invocationId="e-2"), answer(text("More"), id="ev-3", invocationId="e-2")]

    assert poll(plan, HELLO, SAID) == []
    assert poll(plan, HELLO, SAID, *new) == ["turn.started", "message.completed", "message.completed", "usage"]
    assert poll(plan, HELLO, SAID, *new) == ["turn.ended completed"]
    assert poll(plan, HELLO, SAID, *new) == []
    assert plan.every_s == (2.0, 15.0)


def test_a_turn_that_works_is_not_ended_and_an_abort_ends_it() -> None:
    plan = follow([])
    called = answer(call("c1", "lookup"), id="ev-2")
    assert poll(plan, HELLO, called)[-1] == "usage"
    assert poll(plan, HELLO, called) == []
    assert poll(plan, HELLO, called, seal()) == []
    assert poll(plan, HELLO, called, seal()) == ["turn.ended cancelled"]


def test_an_event_that_is_put_between_older_ones_is_told() -> None:
    plan = follow([])
    late = answer(text("late"), id="ev-late", timestamp=1796035075.5)
    assert poll(plan, HELLO, SAID)[-1] == "usage"
    assert poll(plan, HELLO, late, SAID) == ["message.completed", "usage"]


def test_a_cursor_continues_after_any_stored_event() -> None:
    history = [HELLO, SAID, message(text("more"), id="ev-2", invocationId="e-2")]
    whole = follow([], encode_cursor(Cursor()))
    expected: list[str] = []
    cursors: dict[str, int] = {}
    for answers in ([ok(stored(*history))], [], [], []):
        expected += words(step(whole.poll(), *answers)[1])
        cursors[whole.cursor] = len(expected)
    assert expected == [
        *["turn.started", "message.completed", "message.completed", "usage"],
        *["turn.ended completed", "turn.started", "message.completed"],
    ]
    for cursor, number in cursors.items():
        assert expected[:number] + poll(follow(history, cursor), *history) == expected


def test_an_odd_stored_event_is_raw_and_ends_nothing() -> None:
    odd = [json.dumps(number).encode() for number in (5, 6)]
    assert poll(follow(odd[:1]), *odd, HELLO) == ["raw", "turn.started", "message.completed"]
    _, page = step(OPERATIONS.list_events("s1", None)(None), ok(stored(*odd, HELLO)))
    assert words(page.items) == ["raw", "raw", "turn.started", "message.completed"]
    (sent,), _ = step(OPERATIONS.send_message("s1", "hello"), refused(odd[0]))
    assert sent.path == "/run_sse"


def test_an_end_that_was_told_is_not_told_again() -> None:
    plan = follow([], encode_cursor(Cursor()))
    poll(plan, HELLO, SAID)
    assert poll(plan, HELLO, SAID) == ["turn.ended completed"]
    assert poll(follow([HELLO, SAID], plan.cursor), HELLO, SAID) == []


def test_the_cursor_of_a_turn_continues_its_events() -> None:
    plan = turn()
    mine = (message(text("hello"), id="ev-5"), answer(text("Yes"), id="ev-6"))
    history = [HELLO, *[marked(plan, each) for each in mine]]
    at_start = plan.cursor
    assert poll(follow(history, at_start), *history)[:2] == ["turn.started", "message.completed"]

    plan.read(frame(history[2]))
    assert poll(follow(history, plan.cursor), *history) == ["turn.ended completed"]
    plan.ended(CLEAN)
    assert poll(follow(history, plan.cursor), *history) == []


def test_the_cursor_of_a_turn_without_events_continues_after_it() -> None:
    plan = turn()
    plan.ended(CLEAN)
    mine = marked(plan, message(text("hello"), id="ev-5"))
    assert poll(follow([HELLO, SAID, mine], plan.cursor), HELLO, SAID, mine) == []
    assert poll(follow([HELLO], turn().cursor), HELLO) == []


@pytest.mark.parametrize("cursor", ["nonsense", "W10", "NQ", "ä"])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        decode_cursor(Cursor, cursor, "ADK")


def test_a_cursor_of_another_session_is_refused() -> None:
    with pytest.raises(UsageError, match="cursor"):
        follow([HELLO], encode_cursor(Cursor("ev-77")))


def test_what_a_session_waits_for_is_read_from_its_history() -> None:
    (look,), actions = step(OPERATIONS.pending_actions(SessionRef("s1")), ok(stored(HELLO, CLIENT_TOOL)))
    assert look.path == PATH
    assert actions == (
        ToolExecution(
            id="c1", author="assistant", reference="e-1", name="ask_caller", arguments={"question": "6 x 7?"}
        ),
    )


def test_histories_are_read_in_pages() -> None:
    history = ok(stored(HELLO, SAID))
    _, page = step(OPERATIONS.list_events("s1", 2)(None), history)
    _, rest = step(OPERATIONS.list_events("s1", None)(page.next_cursor), history)
    assert words([*page.items, *rest.items]) == [
        *["turn.started", "message.completed", "message.completed", "usage", "turn.ended completed"]
    ]
    aborted = ok(stored(HELLO, SAID, seal(result("c1", "wait", {"error": "aborted"}))))
    _, messages = step(OPERATIONS.list_messages("s1", None)(None), aborted)
    assert [(each.role.value, each.text) for each in messages.items] == [
        ("user", "hello"),
        ("assistant", "You said: hello"),
    ]


def test_the_newest_come_first_if_asked_for() -> None:
    history = ok(stored(HELLO, SAID))
    _, page = step(OPERATIONS.list_events("s1", 2, newest_first=True)(None), history)
    _, rest = step(OPERATIONS.list_events("s1", None, newest_first=True)(page.next_cursor), history)
    assert words([*page.items, *rest.items]) == [
        *["turn.ended completed", "usage", "message.completed", "message.completed", "turn.started"]
    ]
    assert rest.next_cursor is None
    with pytest.raises(UsageError, match="cursor"):
        step(OPERATIONS.list_messages("s1", None, newest_first=True)("x"), history)


def test_finished_is_the_last_word() -> None:
    assert isinstance(turn().ended(CLEAN)[-1], Finished)
    assert turn().ended(BROKEN) == (Reconcile(),)
    assert Outcome.COMPLETED.value == "completed"
