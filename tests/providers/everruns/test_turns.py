"""Everruns' turns on a stream: which events belong to a turn, and where it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from polysession._core.flow import Call, Response
from polysession.action import Answer, Approve, ToolOutput
from polysession.change import SessionRef
from polysession.errors import UsageError
from polysession.message import TextBlock
from support.everruns_streams import (
    ACCEPTED,
    ACTION,
    BOTH,
    CALL,
    DONE,
    HI,
    HISTORY,
    ID,
    NEWEST,
    OPERATIONS,
    PATH,
    PROVIDER,
    REQUESTED,
    RESULTS,
    after,
    conflict,
    event,
    listed,
    live,
    message,
    opened,
    place_of,
    summary,
)
from support.flows import ok, step
from support.stepped_streams import STAYS_OPEN, Connection, Followed, follow

TURN = {"turn_id": "turn_1", "input_message_id": "message_1"}


def written(raws: Sequence[dict[str, Any]]) -> bytes:
    """Return the bytes of a connection with these events."""
    parts = ['event: connected\ndata: {"status":"connected"}\n\n']
    for raw in raws:
        head = f"id: {raw['id']}\n" if "sequence" in raw else ""
        parts.append(f"event: {raw['type']}\n{head}retry: 100\ndata: {json.dumps(raw, ensure_ascii=False)}\n\n")
    return ": heartbeat\n\n".join(parts).encode()


def names(followed: Followed) -> list[str]:
    """Return the native types of the delivered events, or the common types of synthetic events."""
    return [event.native_type or event.type for event in followed.events if event.type != "stream.gap"]


# --- A turn that a message starts


def message_turn(*connections: Connection, looks: Sequence[Response] = (), **stored: Any) -> Followed:
    """Follow a turn. The server stores its message as `message_1`."""
    posted = ok({"id": "message_1", "role": "user", "content": HI, **stored}, 201)
    followed = follow(
        lambda: PROVIDER.start_turn(SessionRef(ID), (TextBlock(text="Hi"),)), [listed(), posted, *looks], *connections
    )
    message = {"message": {"role": "user", "content": HI}}
    assert [summary(call) for call in followed.calls[:2]] == [
        ("GET", f"{PATH}/events?limit=1", None, 0.0),
        ("POST", f"{PATH}/messages", message, 0.0),
    ]
    return followed


@pytest.mark.parametrize("looks", [1, 3, 7])
def test_a_message_is_sent_after_the_session_waits(looks: int) -> None:
    """After seven reads of the session in 6.3 seconds, the message is sent in any case."""
    asked = event(10, "tool.call_requested", {"tool_calls": []})
    answers = [ok({"id": ID, "status": "active"})] * (looks - 1)
    answers.append(ok({"id": ID, "status": "waitingfortoolresults" if looks < 7 else "active"}))

    calls, _ = step(PROVIDER.start_turn(SessionRef(ID), (TextBlock(text="Hi"),)), listed(asked), *answers)

    waits_s = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2][:looks]
    assert [summary(call) for call in calls[1:]] == [("GET", PATH, None, wait_s) for wait_s in waits_s]


def delivered(*raws: dict[str, Any], **stored: Any) -> list[str]:
    return names(message_turn([written(raws), STAYS_OPEN], **stored))


OURS = [
    event(11, "input.message", message()),
    event(12, "session.activated", TURN),
    event(13, "turn.started", TURN),
    event(14, "reason.started"),
    event(15, "output.message.started", {"turn_id": "turn_1"}),
    live("H"),
    live("Hi é\u2028"),
    event(16, "output.message.completed", message("message_2", "agent")),
    event(17, "turn.completed", {"turn_id": "turn_1", "usage": {"input_tokens": 1, "output_tokens": 2}}),
]
NAMES = [raw["type"] for raw in OURS]
STALE = [
    event(7, "turn.started", {"turn_id": "turn_0", "input_message_id": "message_0"}),
    event(8, "turn.cancelled", {"turn_id": "turn_0"}),
    event(9, "output.message.completed", message("message_9", "agent")),
    event(10, "session.idled", {"turn_id": "turn_0"}),
]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="nothing"),
        pytest.param(STALE, id="a-whole-turn"),
        pytest.param(STALE[1:], id="its-end"),
        pytest.param(STALE[2:], id="events-after-its-end"),
    ],
)
def test_a_turn_is_ours_from_its_message_to_its_end(before: list[dict[str, Any]]) -> None:
    followed = message_turn([written([*before, *OURS, event(18, "session.idled")])])
    assert names(followed) == NAMES
    assert followed.is_finished
    assert place_of(followed.cursor) == f"event_{17:032x}"


@pytest.mark.parametrize(
    "first",
    [
        event(12, "session.activated", TURN),
        event(12, "turn.started", TURN),
        event(12, "reason.started", context={"input_message_id": "message_1"}),
    ],
)
def test_a_turn_is_ours_also_if_its_work_comes_before_the_message(first: dict[str, Any]) -> None:
    assert delivered(*STALE, first, OURS[0], OURS[-1]) == [first["type"], "input.message", "turn.completed"]


def test_a_turn_is_ours_without_an_echo_of_its_message() -> None:
    assert delivered(*STALE, *OURS[1:]) == NAMES[1:]


THEIRS = [
    event(1, "input.message", message("message_0")),
    event(2, "session.activated", {"turn_id": "turn_0", "input_message_id": "message_0"}),
    event(3, "turn.started", {"turn_id": "turn_0", "input_message_id": "message_0"}),
    event(4, "reason.started", context={"turn_id": "turn_0"}),
    event(5, "output.message.completed", message("message_8", "agent")),
    event(6, "turn.completed", {"turn_id": "turn_0"}),
]


def test_a_whole_turn_of_another_client_after_our_opening_is_not_ours() -> None:
    assert delivered(*THEIRS, *OURS) == NAMES


STEERED = [
    event(9, "llm.generation"),
    event(11, "input.message", message()),
    event(12, "reason.started", context={"turn_id": "turn_0", "input_message_id": "message_0"}),
    event(13, "turn.completed", {"turn_id": "turn_0"}),
]


@pytest.mark.parametrize("answered", [{}, {"delivery": "steered"}, {"delivery": "resumed"}])
def test_a_message_that_steers_a_turn_ends_with_it(answered: dict[str, str]) -> None:
    assert delivered(*STEERED, **answered) == ["input.message", "reason.started", "turn.completed"]


def test_the_delivery_steered_is_trusted() -> None:
    """The steered turn may end without another model call."""
    assert delivered(STEERED[1], STEERED[3], delivery="steered") == ["input.message", "turn.completed"]


@pytest.mark.parametrize("answered", [{}, {"delivery": "started"}])
def test_a_turn_does_not_end_with_the_one_before(answered: dict[str, str]) -> None:
    late = event(12, "turn.completed", {"turn_id": "turn_0"})
    began = [event(number + 1, raw["type"], raw["data"]) for number, raw in enumerate(OURS[1:3], 12)]
    ended = event(17, "turn.completed", {"turn_id": "turn_1"})
    assert delivered(*STALE[:1], OURS[0], late, *began, ended, **answered) == [
        "session.activated",
        "turn.started",
        "turn.completed",
    ]


def test_another_turn_that_continues_after_our_message_is_not_ours_if_a_new_turn_was_started() -> None:
    works = event(30, "reason.started", context={"turn_id": "turn_0"})
    late = event(31, "turn.completed", {"turn_id": "turn_0"})
    assert delivered(OURS[0], works, late, *OURS[1:], delivery="started") == NAMES[1:]


def test_a_new_turn_begins_with_its_message() -> None:
    assert delivered(*STALE[1:], *OURS, delivery="started") == NAMES


def session(status: str) -> Response:
    return ok({"id": ID, "status": status})


CANCELLED = [STALE[0], OURS[0], event(30, "turn.cancelled", {"turn_id": "turn_0"})]


def test_the_end_of_another_turn_is_ours_if_the_session_stays_settled() -> None:
    """The other turn was cancelled before it included the message, and no turn follows."""
    looks = [session("active"), session("idle"), session("idle")]
    followed = message_turn([written(CANCELLED), STAYS_OPEN], looks=looks)
    assert names(followed) == ["turn.cancelled"]
    assert followed.is_finished
    assert [summary(call)[:2] for call in followed.calls[2:]] == [("GET", PATH)] * 3


def test_a_turn_that_waits_before_it_includes_the_message_ends_ours_too() -> None:
    """The message is not processed before the actions are answered."""
    asked = event(30, "tool.call_requested", {"tool_calls": [CALL]}, context={"turn_id": "turn_0"})
    waits = session("waitingfortoolresults")
    followed = message_turn([written([STALE[0], OURS[0], asked]), STAYS_OPEN], looks=[waits, waits])
    assert [event.type for event in followed.events] == ["tool_call.completed", "action.required", "turn.ended"]
    assert followed.is_finished


def test_the_end_of_another_turn_is_not_ours_if_our_own_follows() -> None:
    followed = message_turn([written(CANCELLED), written(OURS[1:])], looks=[session("idle")])
    assert names(followed) == NAMES[1:]
    assert followed.is_finished


def test_the_status_is_not_read_again_when_our_turn_follows() -> None:
    began = [event(31, "turn.started", TURN)]
    followed = message_turn([written(CANCELLED), written(began), STAYS_OPEN], looks=[session("idle")] * 9)
    assert names(followed) == ["turn.started"]
    assert len(followed.calls) == 2


def test_a_turn_that_needs_the_client_ends_with_required_actions() -> None:
    followed = message_turn([written([*OURS[:3], event(14, "tool.call_requested", {"tool_calls": [CALL]})])])
    *_, called, asked, ended = followed.events
    assert called.type == "tool_call.completed"
    assert asked.type == "action.required"
    assert asked.actions == (ACTION.model_copy(update={"group": f"event_{14:032x}/outputs"}),)
    assert ended.type == "turn.ended"
    assert (ended.outcome.value, ended.synthetic) == ("requires_action", True)
    assert (followed.is_finished, place_of(followed.cursor)) == (True, f"event_{14:032x}")


def slim(raw: dict[str, Any]) -> dict[str, Any]:
    """Return an event with few fields, because the test reads the stream once for each byte."""
    return {name: raw[name] for name in ("id", "type", "sequence", "data") if name in raw}


SHORT = [slim(raw) for raw in (STALE[1], *OURS[:2], *OURS[5:7], OURS[8])]
SHORT_NAMES = [raw["type"] for raw in SHORT[1:]]


def test_any_cut_of_the_bytes_gives_the_same_events() -> None:
    content = written(SHORT)
    whole = message_turn([content]).events
    assert [found.native_type for found in whole] == SHORT_NAMES
    for place in range(1, len(content)):
        followed = message_turn([content[:place], content[place:]])
        assert followed.events == whole
        assert followed.is_finished


def test_a_connection_that_breaks_at_any_byte_is_opened_again_after_its_cursor() -> None:
    """The server replays the stored events after the cursor; unread deltas are lost."""
    content = written(SHORT)
    stored = [raw for raw in SHORT if "sequence" in raw]
    ids = [raw["id"] for raw in stored]

    def rest(call: Call) -> list[bytes]:
        after = call.path.rpartition("since_id=")[2]
        return [written(stored[ids.index(after) + 1 :] if after in ids else stored)]

    for place in range(len(content)):
        followed = message_turn([content[:place]] if place else [], rest, looks=[listed()])
        kept = [found.native_type for found in followed.events if found.type not in {"message.delta", "stream.gap"}]
        assert kept == [name for name in SHORT_NAMES if name != "output.message.delta"]
        texts = "".join(found.text for found in followed.events if found.type == "message.delta")
        assert "Hi é\u2028".startswith(texts)
        assert followed.is_finished


# --- A turn that continues


def answer_turn(
    *raws: dict[str, Any],
    requested: dict[str, Any] = REQUESTED,
    ids: Sequence[str] = ("call_1",),
    looks: Sequence[Response] = (),
) -> Followed:
    answers: tuple[Answer, ...] = tuple(ToolOutput(action_id, "found") for action_id in ids)
    followed = follow(
        lambda: PROVIDER.start_turn(SessionRef(ID), answers),
        [listed(HISTORY[0], requested), conflict(), ACCEPTED, *looks],
        [written(raws), STAYS_OPEN],
    )
    results = [{"tool_call_id": action_id, "result": "found"} for action_id in ids]
    assert [summary(call) for call in followed.calls[:3]] == [
        NEWEST,
        *(("POST", RESULTS, {"tool_results": results}, wait_s) for wait_s in (0.0, 0.1)),
    ]
    assert [call.path for call in followed.openings] == [f"{PATH}/sse?since_id={requested['id']}"]
    return followed


FOREIGN = {"turn_id": "turn_of_the_session", "input_message_id": "message_of_the_session"}
ENDED = event(7, "turn.completed", {"turn_id": "turn_1"})


def test_a_turn_that_continues_starts_with_our_output() -> None:
    done = {**DONE, "context": FOREIGN}
    for requested in (REQUESTED, {**REQUESTED, "context": {}}):
        followed = answer_turn(done, event(6, "reason.started"), ENDED, event(8, "session.idled"), requested=requested)
        assert names(followed) == ["turn.started", "tool.completed", "reason.started", "turn.completed"]


def test_a_turn_that_continues_is_recognised_by_its_id() -> None:
    works = event(5, "reason.started", context={"turn_id": "turn_1"})
    failed = event(7, "turn.failed", {"turn_id": "turn_1", "error": "Broken"})
    assert names(answer_turn(works, failed)) == ["turn.started", "reason.started", "turn.failed"]


def test_another_turn_is_not_the_one_that_continues() -> None:
    anonymous = event(4, "tool.call_requested", {"tool_calls": [CALL]})
    other = event(5, "turn.completed", {"turn_id": "turn_0"})
    nameless = event(6, "turn.completed")
    foreign = event(7, "tool.completed", {"tool_call_id": "call_9"})
    for requested in (REQUESTED, anonymous):
        assert names(answer_turn(other, nameless, foreign, requested=requested)) == []


@pytest.mark.parametrize("unreadable", [5, {"type": "file.written", "data": {}}], ids=["not an object", "no id"])
def test_an_answered_turn_is_followed_from_the_newest_readable_event(unreadable: Any) -> None:
    _, plan = step(
        PROVIDER.start_turn(SessionRef(ID), (ToolOutput("call_1", "found"),)),
        ok({"data": [HISTORY[0], REQUESTED, unreadable]}),
    )
    assert plan.open().path == f"{PATH}/sse?since_id={REQUESTED['id']}"


def test_the_outputs_of_several_tools_start_the_turn_once() -> None:
    both = [DONE, {**DONE, **event(6, "tool.completed", {"tool_call_id": "call_2", "result": []})}]
    followed = answer_turn(*both, ENDED, requested=BOTH, ids=("call_1", "call_2"))
    assert names(followed) == ["turn.started", "tool.completed", "tool.completed", "turn.completed"]
    assert len(followed.calls) == 3  # no event is read between the two results


# --- Mixed rounds

HELD = {"code": "tool_approval_required", "tool": "send", "arguments": {"to": "a"}}
ASKING = {"id": "tool_approval_call_2", "name": "approve_tool_call", "arguments": HELD}
MIXED = event(4, "tool.call_requested", {"tool_calls": [ASKING, CALL]}, context={"turn_id": "turn_1"})
DECIDED = event(
    5,
    "tool.completed",
    {"tool_call_id": "tool_approval_call_2", "tool_name": "approve_tool_call", "success": True},
    context={"turn_id": "turn_1"},
)
IN_WORDS = event(6, "input.message", message("message_5"), context={"turn_id": "turn_1"})
SETTLED = event(7, "tool.completed", {"tool_call_id": "call_1", "success": False}, context={"turn_id": "turn_1"})


def decision(*raws: dict[str, Any], looks: Sequence[Response] = (), **more: Any) -> Followed:
    answers: tuple[Answer, ...] = (Approve("tool_approval_call_2"),)
    decided = ok({"resolved": [], "status": "active"})
    return follow(
        lambda: PROVIDER.start_turn(SessionRef(ID), answers),
        [listed(MIXED), decided, *looks],
        [written(raws), STAYS_OPEN],
        **more,
    )


@pytest.mark.parametrize("status", ["waitingfortoolresults", "waiting_for_tool_results"])
def test_a_partly_answered_round_ends_again_with_the_other_actions(status: str) -> None:
    """The engine writes the decision and a message about it, then waits for the client tool."""
    followed = decision(DECIDED, IN_WORDS, looks=[session("active"), session(status)])
    assert [event.type for event in followed.events] == [
        *("turn.started", "raw", "message.completed", "action.required", "turn.ended"),
    ]
    *_, asked, ended = followed.events
    assert asked.type == "action.required"
    assert [action.id for action in asked.actions] == ["call_1"]
    assert ended.type == "turn.ended"
    assert (ended.outcome.value, ended.turn_id) == ("requires_action", "turn_1")
    assert followed.is_finished
    assert [summary(call)[:2] for call in followed.calls[2:]] == [("GET", PATH)] * 2


def test_a_round_continues_if_the_server_ends_the_other_actions() -> None:
    works = event(8, "reason.started", context={"turn_id": "turn_1"})
    followed = decision(DECIDED, IN_WORDS, SETTLED, works, event(9, "turn.completed", {"turn_id": "turn_1"}))
    assert [event.type for event in followed.events] == [
        *("turn.started", "raw", "message.completed", "tool_result.completed", "raw", "turn.ended"),
    ]
    assert len(followed.calls) == 2


def test_the_other_actions_of_a_round_are_still_pending() -> None:
    _, actions = step(OPERATIONS.pending_actions(ID), listed(MIXED, DECIDED, IN_WORDS))
    assert [action.id for action in actions] == ["call_1"]


def test_a_message_of_the_user_ends_the_wait_for_the_other_actions() -> None:
    own = event(6, "input.message", message("message_5"), context={})
    _, actions = step(OPERATIONS.pending_actions(ID), listed(MIXED, DECIDED, own))
    assert actions == ()


# --- Rejoining


def rejoined(cursor: str | None, recent: Sequence[dict[str, Any]], *connections: Connection) -> Followed:
    assert cursor is not None
    followed = follow(lambda: PROVIDER.rejoin_turn(SessionRef(ID), cursor), [listed(*recent)], *connections)
    assert [summary(call) for call in followed.calls] == [NEWEST]
    return followed


@pytest.mark.parametrize("seen", range(2, 7))
def test_a_turn_is_rejoined_after_any_of_its_events(seen: int) -> None:
    """The server replays the events after the cursor."""
    stored = [raw for raw in OURS if "sequence" in raw]
    cursor = message_turn([written(stored[:seen]), STAYS_OPEN]).cursor
    place = next(number for number, raw in enumerate(stored) if raw["id"] == place_of(cursor))
    followed = rejoined(cursor, stored, [written([*stored[place + 1 :], event(18, "session.idled")])])
    assert names(followed) == [raw["type"] for raw in stored[place + 1 :]]
    assert followed.is_finished


def test_the_first_turn_of_a_session_is_rejoined_from_its_start() -> None:
    """A session without events has a cursor, but the server replays no events after it."""
    stored = [raw for raw in OURS if "sequence" in raw]
    cursor = message_turn([written(stored[:1]), STAYS_OPEN]).cursor
    assert place_of(cursor) is None
    assert cursor is not None
    followed = follow(lambda: PROVIDER.rejoin_turn(SessionRef(ID), cursor), [listed(*stored)], [STAYS_OPEN])
    assert [summary(call)[1] for call in followed.calls] == [f"{PATH}/events"]
    assert names(followed) == [raw["type"] for raw in stored]
    assert followed.is_finished


def test_a_turn_is_rejoined_from_before_its_message_was_stored() -> None:
    """The message is found by its content, because it has no id yet."""
    plan = step(PROVIDER.start_turn(SessionRef(ID), (TextBlock(text="Hi"),)), listed(STALE[0]))[1]
    other = event(10, "input.message", {"message": {"id": "message_8", "content": [{"type": "text", "text": "Bye"}]}})
    theirs = [STALE[1], other, event(11, "turn.completed", {"turn_id": "turn_0"})]
    ours = [{**raw, "id": f"event_{number + 20}", "sequence": number + 20} for number, raw in enumerate(OURS)]
    followed = rejoined(plan.cursor, [STALE[0]], [written([*theirs, *ours])])
    assert names(followed) == NAMES


def test_a_turn_that_steers_is_rejoined_by_the_id_of_the_turn() -> None:
    cursor = message_turn([written(STEERED[:3]), STAYS_OPEN], delivery="steered").cursor
    rest = [event(20, "llm.generation"), {**STEERED[3], "id": "event_21", "sequence": 21}]
    rest = [{**raw, "context": {"turn_id": "turn_0"}} for raw in rest]
    followed = rejoined(cursor, STEERED[:3], [written(rest)])
    assert names(followed) == ["llm.generation", "turn.completed"]
    assert followed.is_finished


def test_a_turn_that_continues_is_rejoined() -> None:
    works = event(6, "reason.started", context={"turn_id": "turn_1"})
    begun = answer_turn(DONE)
    followed = rejoined(begun.cursor, [REQUESTED, DONE], [written([works, ENDED])])
    assert names(followed) == ["reason.started", "turn.completed"]


def test_a_mixed_round_is_rejoined_and_still_ends_with_the_other_actions() -> None:
    begun = decision(DECIDED)
    cursor = begun.cursor
    assert cursor is not None
    followed = follow(
        lambda: PROVIDER.rejoin_turn(SessionRef(ID), cursor),
        [listed(MIXED, DECIDED, IN_WORDS), session("waitingfortoolresults")],
        [written([IN_WORDS]), STAYS_OPEN],
    )
    assert [event.type for event in followed.events] == ["message.completed", "action.required", "turn.ended"]


def test_the_cursor_of_a_stream_names_no_turn() -> None:
    with pytest.raises(UsageError, match="rejoin needs a cursor of a turn"):
        step(OPERATIONS.rejoin_turn(ID, after("event_1")))


def test_the_cursor_of_a_turn_continues_a_stream_of_the_session() -> None:
    cursor = message_turn([written(OURS[:3]), STAYS_OPEN]).cursor
    _, plan = step(PROVIDER.stream_events(SessionRef(ID), cursor))
    assert opened(plan) == f"{PATH}/sse?since_id=event_{13:032x}"
