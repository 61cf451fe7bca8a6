"""A stream of an ADK session polls the session's history."""

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
    abort_event,
    answer,
    call,
    message,
    result,
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
    frames_response,
    marked,
    summaries,
    turn,
)
from support.flows import ok, step

# --- Streams


def follow(history: Sequence[bytes], cursor: str | None = None) -> AdkStream:
    _, plan = step(OPERATIONS.stream_events("s1", cursor), ok(stored(*history)))
    assert isinstance(plan, AdkStream)
    return plan


def poll(plan: AdkStream, *history: bytes) -> list[str]:
    """Return the text of the events, each from another poll, until the plan would wait."""
    delivered, reply = [], [ok(stored(*history))]
    while True:
        _, items = step(plan.poll(), *(reply if plan.every_s[0] else []))
        delivered += summaries(items)
        if not plan.every_s[0]:
            reply = []
            continue
        return delivered


HELLO = message(text("hello"))


def test_a_stream_delivers_new_events_and_the_end_one_poll_later() -> None:
    plan = follow([HELLO, SAID])
    new = [message(text("more"), id="ev-2", invocationId="e-2"), answer(text("More"), id="ev-3", invocationId="e-2")]

    assert poll(plan, HELLO, SAID) == []
    assert poll(plan, HELLO, SAID, *new) == ["turn.started", "message.completed", "message.completed", "usage"]
    assert poll(plan, HELLO, SAID, *new) == ["turn.ended completed"]
    assert poll(plan, HELLO, SAID, *new) == []
    assert plan.every_s == (2.0, 15.0)


def test_a_running_turn_is_not_ended_and_an_abort_ends_it() -> None:
    plan = follow([])
    called = answer(call("c1", "lookup"), id="ev-2")
    assert poll(plan, HELLO, called)[-1] == "usage"
    assert poll(plan, HELLO, called) == []
    assert poll(plan, HELLO, called, abort_event()) == []
    assert poll(plan, HELLO, called, abort_event()) == ["turn.ended cancelled"]


def test_an_event_stored_between_older_ones_is_delivered() -> None:
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
        expected += summaries(step(whole.poll(), *answers)[1])
        cursors[whole.cursor] = len(expected)
    assert expected == [
        *["turn.started", "message.completed", "message.completed", "usage"],
        *["turn.ended completed", "turn.started", "message.completed"],
    ]
    for cursor, number in cursors.items():
        assert expected[:number] + poll(follow(history, cursor), *history) == expected


def test_an_unreadable_stored_event_is_raw_and_does_not_end_the_stream() -> None:
    odd = [json.dumps(number).encode() for number in (5, 6)]
    assert poll(follow(odd[:1]), *odd, HELLO) == ["raw", "turn.started", "message.completed"]
    _, page = step(OPERATIONS.list_events("s1", None)(None), ok(stored(*odd, HELLO)))
    assert summaries(page.items) == ["raw", "raw", "turn.started", "message.completed"]
    (sent,), _ = step(OPERATIONS.send_message("s1", "hello"), frames_response(odd[0]))
    assert sent.path == "/run_sse"


def test_a_delivered_end_is_not_delivered_again() -> None:
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
def test_an_invalid_cursor_is_rejected(cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        decode_cursor(Cursor, cursor, "ADK")


def test_a_cursor_of_another_session_is_rejected() -> None:
    with pytest.raises(UsageError, match="cursor"):
        follow([HELLO], encode_cursor(Cursor("ev-77")))


def test_pending_actions_are_read_from_the_history() -> None:
    (look,), actions = step(OPERATIONS.pending_actions(SessionRef("s1")), ok(stored(HELLO, CLIENT_TOOL)))
    assert look.path == PATH
    assert actions == (
        ToolExecution(
            id="c1", author="assistant", reference="e-1", name="ask_caller", arguments={"question": "6 x 7?"}
        ),
    )


def test_the_history_is_read_in_pages() -> None:
    history = ok(stored(HELLO, SAID))
    _, page = step(OPERATIONS.list_events("s1", 2)(None), history)
    _, rest = step(OPERATIONS.list_events("s1", None)(page.next_cursor), history)
    assert summaries([*page.items, *rest.items]) == [
        *["turn.started", "message.completed", "message.completed", "usage", "turn.ended completed"]
    ]
    aborted = ok(stored(HELLO, SAID, abort_event(result("c1", "wait", {"error": "aborted"}))))
    _, messages = step(OPERATIONS.list_messages("s1", None)(None), aborted)
    assert [(each.role.value, each.text) for each in messages.items] == [
        ("user", "hello"),
        ("assistant", "You said: hello"),
    ]


def test_the_newest_events_come_first_if_requested() -> None:
    history = ok(stored(HELLO, SAID))
    _, page = step(OPERATIONS.list_events("s1", 2, newest_first=True)(None), history)
    _, rest = step(OPERATIONS.list_events("s1", None, newest_first=True)(page.next_cursor), history)
    assert summaries([*page.items, *rest.items]) == [
        *["turn.ended completed", "usage", "message.completed", "message.completed", "turn.started"]
    ]
    assert rest.next_cursor is None
    with pytest.raises(UsageError, match="cursor"):
        step(OPERATIONS.list_messages("s1", None, newest_first=True)("x"), history)


def test_finished_is_the_last_item_of_a_turn() -> None:
    assert isinstance(turn().ended(CLEAN)[-1], Finished)
    assert turn().ended(BROKEN) == (Reconcile(),)
    assert Outcome.COMPLETED.value == "completed"
