"""Anthropic's streams and turns: the plans on the real loop, over scripted connections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from polysession import Approve, Event, MessageCompleted, NotFound, Outcome, StreamGap, TextBlock, TurnEnded, Usage
from polysession._core.flow import Call, Response
from polysession.change import SessionRef
from polysession.errors import PolysessionError
from polysession_anthropic import AnthropicProvider, AnthropicSettings, turns
from support.anthropic_events import JsonObject, event, idle, page, running, says, usage, user
from support.flows import ok, step
from support.plan_runner import Followed, follow

REF = SessionRef("sesn_1")
PROVIDER = AnthropicProvider(AnthropicSettings(api_key="sk-ant-made-up"))
EVENTS = "/v1/sessions/sesn_1/events"
STREAM = f"{EVENTS}/stream?event_deltas%5B%5D=agent.message&event_deltas%5B%5D=agent.thinking"
NEWEST = f"{EVENTS}?order=desc&limit=10"
BACK = f"{EVENTS}?order=desc&limit=1000"
BEFORE = idle("sevt_before")
OURS, MINE = "sevt_ours", "mine"


def tape(*events: JsonObject) -> bytes:
    return b"".join(f"event: {wire['type']}\ndata: {json.dumps(wire)}\n\n".encode() for wire in events)


def shown(events: Sequence[Event]) -> list[str]:
    words = []
    for each in events:
        if isinstance(each, TurnEnded):
            words.append(f"ended {each.outcome.value}")
        elif isinstance(each, MessageCompleted):
            words.append(each.message.text)
        elif each.type not in {"session.status", "raw", "usage"} and not _is_of_previews(each):
            words.append(each.type)
    return words


def end_of(events: Sequence[Event]) -> TurnEnded:
    assert isinstance(events[-1], TurnEnded)
    return events[-1]


def _is_of_previews(each: Event) -> bool:
    """Return whether an event is the gap of previews that every break causes."""
    return isinstance(each, StreamGap) and "message.completed" not in each.lost


def stream(
    *connections: bytes, newest: Sequence[JsonObject] = (BEFORE,), replies: Sequence[Response] = (), **options: Any
) -> Followed:
    first = [] if "cursor" in options else [ok(page(*newest))]
    cursor = options.pop("cursor", None)
    parts = [[part] for part in connections]
    return follow(lambda: PROVIDER.stream_events(REF, cursor), [*first, *replies], parts, **options)


def turn(
    *connections: bytes | PolysessionError,
    newest: Sequence[JsonObject] = (BEFORE,),
    replies: Sequence[Response] = (),
    **options: Any,
) -> Followed:
    """Follow a turn of ours whose message the backend accepts as queued."""
    first = [ok(page(*newest)), ok({"data": [user(OURS, MINE, None)]})]
    parts = [[part] if isinstance(part, bytes) else part for part in connections]
    return follow(lambda: PROVIDER.start_turn(REF, (TextBlock(text=MINE),)), [*first, *replies], parts, **options)


def listed(*oldest_first: JsonObject, next_page: str | None = None) -> Response:
    return ok(page(*reversed(oldest_first), next_page=next_page))


def paths(followed: Followed) -> list[str]:
    return [call.path for call in followed.calls]


OWN_TURN = (running("r1", 1), user(OURS, MINE, 1), says("a1", "Yes", 2), idle("i1", second=3))


def test_a_turn_needs_one_call_before_it_and_none_after_it() -> None:
    followed = turn(tape(*OWN_TURN))

    assert followed.calls[:2] == [Call("GET", NEWEST), Call("GET", STREAM, {"accept": "text/event-stream"})]
    assert paths(followed)[2:] == [EVENTS]
    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]
    assert followed.finished


def test_after_a_break_the_list_is_read_back_to_the_last_known_event() -> None:
    stored = [BEFORE, *OWN_TURN]
    followed = turn(tape(*stored[1:3]), tape(*stored[3:]), replies=[listed(*stored)])

    assert paths(followed)[3:] == [STREAM, BACK]
    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]


def test_the_list_is_read_over_several_pages_and_only_as_far_as_needed() -> None:
    middle = [says(f"a{number}", str(number), 2) for number in range(3)]
    first, second = listed(*middle[1:], idle("i1", second=3), next_page="p2"), listed(BEFORE, *OWN_TURN[:2], middle[0])
    followed = turn(tape(*OWN_TURN[:2]), b"", replies=[first, second])

    assert paths(followed)[4:] == [BACK, f"{BACK}&page=p2"]
    assert shown(followed.events) == ["turn.started", MINE, "0", "1", "2", "ended completed"]


def test_a_list_that_lags_behind_the_stream_repeats_no_event() -> None:
    followed = turn(tape(*OWN_TURN[:3]), tape(OWN_TURN[3]), replies=[listed(BEFORE, *OWN_TURN[:2])])
    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]


def test_events_too_far_back_are_reported_as_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_MAX_PAGES", 1)
    end = listed(usage("u1", 30, "3", 3), *OWN_TURN[3:], next_page="older")
    followed = turn(tape(*OWN_TURN[:2]), b"", newest=(BEFORE, usage("u0", 10, "1")), replies=[end])

    gap = next(each for each in followed.events if isinstance(each, StreamGap))
    assert {"message.completed", "tool_call.completed", "raw"} <= set(gap.lost)
    assert shown(followed.events) == ["turn.started", MINE, "stream.gap", "ended completed"]
    assert end_of(followed.events).usage is None, "it may include the usage of other turns"


def test_a_stream_of_a_new_session_has_a_cursor_and_starts_from_its_first_event() -> None:
    cursor = step(PROVIDER.stream_events(REF, None), ok(page()))[1].cursor

    followed = stream(b"", cursor=cursor, replies=[listed(*OWN_TURN)])
    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]


def test_a_cursor_at_a_missing_event_is_not_found() -> None:
    cursor = step(PROVIDER.stream_events(REF, None), ok(page(BEFORE)))[1].cursor

    followed = stream(b"", cursor=cursor, replies=[listed(*OWN_TURN)])
    assert isinstance(followed.error, NotFound)


def test_the_last_event_of_a_session_ends_its_stream_without_another_call() -> None:
    followed = turn(tape(event("d", "session.deleted")))

    assert shown(followed.events) == ["ended failed"]
    assert followed.finished


# Queued input.

THEIRS = (running("r0", 1), user("sevt_theirs", "theirs", 1), says("a0", "To you", 2))
THEIR_END = idle("i0", second=3)
QUEUED = user(OURS, MINE, None)
OUR_PART = (running("r1", 4), user(OURS, MINE, 4), says("a1", "Yes", 5), idle("i1", second=6))


@pytest.mark.parametrize("behind", [False, True], ids=["live", "from the list"])
def test_the_end_of_another_turn_is_not_ours(*, behind: bool) -> None:
    look = listed(THEIRS[1], THEIR_END, QUEUED)
    if behind:
        missed = listed(*THEIRS, THEIR_END, *OUR_PART)
        followed = turn(tape(*THEIRS[:2], QUEUED), b"", replies=[missed, listed(THEIRS[1], THEIR_END, *OUR_PART)])
    else:
        followed = turn(tape(*THEIRS, QUEUED, THEIR_END, *OUR_PART), replies=[look, look])

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]
    assert followed.finished


def test_input_without_a_time_counts_as_not_processed() -> None:
    look = listed(QUEUED, THEIRS[1], THEIR_END)
    followed = turn(tape(*THEIRS, QUEUED, THEIR_END, *OUR_PART), replies=[look, look])

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]


def test_a_session_that_ends_while_input_is_queued_fails_the_turn() -> None:
    end = event("d", "session.deleted", 4)
    followed = turn(tape(*THEIRS, QUEUED, THEIR_END, end), replies=[listed(THEIRS[1], THEIR_END, QUEUED)])

    assert shown(followed.events) == ["ended failed"]


def test_the_list_may_show_our_processed_input_first() -> None:
    """At the end of the other turn, our input is already processed in the next turn."""
    look = listed(THEIRS[1], THEIR_END, *OUR_PART[:2])
    followed = turn(tape(*THEIRS, QUEUED, THEIR_END, *OUR_PART), replies=[look, look])

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]


def test_a_turn_is_recognised_from_the_list_alone() -> None:
    """The stream does not have the second echo."""
    silent = [OUR_PART[0], *OUR_PART[2:]]
    followed = turn(tape(QUEUED, *silent), replies=[listed(BEFORE, *OUR_PART[:2])])

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]
    assert len(followed.calls) == 4, "one call for the list, at the start"


def test_a_lagging_list_is_read_again_at_the_end() -> None:
    silent = [OUR_PART[0], *OUR_PART[2:]]
    followed = turn(
        tape(QUEUED, *silent), replies=[listed(user("sevt_old", "old"), BEFORE), listed(BEFORE, *OUR_PART[:2])]
    )
    assert shown(followed.events) == ["turn.started", "Yes", MINE, "ended completed"]


def test_a_server_without_times_of_input_is_supported() -> None:
    untimed = listed(BEFORE, QUEUED, OUR_PART[0])
    followed = turn(tape(QUEUED, OUR_PART[0], *OUR_PART[2:]), replies=[untimed])

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]


def test_input_that_joins_a_turn_starts_ours_at_that_point() -> None:
    joined = (user(OURS, MINE, 3), says("a1", "Yes", 4), usage("u1", 30, "3", 5), idle("i0", second=5))
    followed = turn(tape(*THEIRS, QUEUED, *joined), newest=(BEFORE, usage("u0", 10, "1")))

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]
    assert followed.events[0].synthetic
    assert end_of(followed.events).usage is None, "it includes the part of the other client"


# Input while the agent waits for an answer that another client sends.

WAITED = idle("i-waits", "requires_action", event_ids=["sevt_a"])
ANSWERED = (
    event("sevt_yes", "user.tool_confirmation", 1, tool_use_id="sevt_a", result="allow"),
    running("r0", 1),
    event("sevt_result", "agent.tool_result", 1, tool_use_id="sevt_a", content=[]),
    event("s0", "span.model_request_start", 1),
    says("a0", "The tool has run", 2),
)


@pytest.mark.parametrize("joins", [True, False])
def test_the_turn_of_an_answer_is_not_ours_although_our_message_came_first(*, joins: bool) -> None:
    ours = (*OUR_PART[1:3], usage("u1", 30, "3", 6), OUR_PART[3])
    rest = ours if joins else (usage("u0", 10, "1", 3), THEIR_END, OUR_PART[0], *ours)
    looks = [] if joins else [listed(WAITED, *ANSWERED[:2], THEIR_END, QUEUED)] * 2
    followed = turn(tape(QUEUED, *ANSWERED, *rest), newest=(WAITED, usage("u", 5, "1")), replies=looks)

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]
    assert followed.events[0].synthetic is joins
    consumed = end_of(followed.events).usage
    assert (consumed and consumed.input_tokens) == (None if joins else 20), (
        "the usage of the other client's turn is not counted"
    )


def test_events_before_our_message_joined_the_turn_are_not_ours() -> None:
    """The list shows our message as processed when the other turn starts."""
    theirs = (*THEIRS[:2], event("s0", "span.model_request_start", 1), says("a0", "To you", 2))
    look = listed(BEFORE, *theirs, *OUR_PART[1:3])
    followed = turn(tape(QUEUED, *theirs, *OUR_PART[1:]), replies=[look])

    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]
    assert followed.events[0].synthetic


def test_events_before_our_message_in_the_list_survive_a_break() -> None:
    """The list shows our message as processed when the turn starts, after another event."""
    between = event("sevt_between", "agent.thinking", 4)
    whole = (BEFORE, OUR_PART[0], between, *OUR_PART[1:])
    look, rest = listed(*whole[:-2]), listed(*whole)
    followed = turn(tape(QUEUED, OUR_PART[0]), b"", replies=[look, rest])
    left = turn(tape(QUEUED, OUR_PART[0]), replies=[look])
    resumed = stream(b"", cursor=left.cursors[-1], replies=[rest])

    assert shown(followed.events) == ["turn.started", MINE, "thinking.completed", "Yes", "ended completed"]
    assert shown(resumed.events) == ["thinking.completed", "Yes", "ended completed"]


def test_a_turn_that_only_the_list_proves_ours_is_delivered_whole() -> None:
    """Another client sends input meanwhile, and the stream does not repeat ours."""
    stop = event("sevt_stop", "user.interrupt", 4)
    rest = (OUR_PART[0], stop, *OUR_PART[2:])
    looks = [listed(BEFORE, OUR_PART[0]), listed(BEFORE, *OUR_PART[:2], OUR_PART[-1])]
    followed = turn(tape(QUEUED, *rest), replies=looks)

    assert shown(followed.events) == ["turn.started", "Yes", MINE, "ended cancelled"]


def test_discarded_input_fails() -> None:
    error = event("e0", "session.error", error={"type": "billing_error", "message": "no money"})
    end = idle("i0", "retries_exhausted", 3)
    followed = turn(tape(*THEIRS, QUEUED, error, end), replies=[listed(THEIRS[1], end)])

    assert shown(followed.events) == ["turn.started", MINE, "ended failed"]
    assert end_of(followed.events).error == "no money"


def test_a_cursor_remembers_input_that_was_delivered_while_it_was_queued() -> None:
    first = stream(tape(*THEIRS, QUEUED))
    rest = stream(b"", cursor=first.cursors[-1], replies=[listed(*THEIRS, says("a2", "More", 3), THEIR_END, *OUR_PART)])

    waiting = stream(b"", cursor=first.cursors[-1], replies=[listed(*THEIRS, QUEUED)])

    assert waiting.events == []
    assert shown([*first.events, *rest.events]).count(MINE) == 1
    assert shown(rest.events) == ["More", "ended completed", "turn.started", "Yes", "ended completed"]


def test_queued_input_of_other_clients_is_not_part_of_our_turn() -> None:
    followed = turn(tape(*OWN_TURN[:2], user("sevt_later", "later", None), *OWN_TURN[2:]))
    assert shown(followed.events) == ["turn.started", MINE, "Yes", "ended completed"]


# Answers.

ASK = event("sevt_a", "agent.tool_use", name="Bash", input={"command": "ls"}, evaluated_permission="ask")
WAITS = idle("i0", "requires_action", event_ids=["sevt_a"])


@pytest.mark.parametrize("is_reported", [True, False], ids=["reported", "not reported"])
def test_the_usage_after_an_answer_is_the_difference_of_its_reports(*, is_reported: bool) -> None:
    before = [usage("u0", 10, "1")] if is_reported else []
    confirmed = event(OURS, "user.tool_confirmation", 1, tool_use_id="sevt_a", result="allow")
    (action,) = step(PROVIDER.pending_actions(REF), listed(ASK, *before, WAITS))[1]
    followed = follow(
        lambda: PROVIDER.start_turn(REF, (Approve(action),)),
        [listed(ASK, *before, WAITS), ok({"data": [confirmed]})],
        [[tape(confirmed, running("r1", 1), says("a1", "Done", 2), usage("u1", 30, "3", 3), idle("i1", second=3))]],
    )

    assert shown(followed.events) == ["turn.started", "Done", "ended completed"]
    consumed = Usage(input_tokens=20, output_tokens=20, cost_usd=Decimal("0.02"))
    assert end_of(followed.events).usage == (consumed if is_reported else None)


@pytest.mark.parametrize(
    ("permission", "kind", "answered_by"),
    [
        ("ask", "approval", "user.tool_confirmation"),
        (None, "approval", "user.tool_confirmation"),
        ("allow", "execution", "user.tool_result"),
    ],
)
def test_a_self_hosted_tool_is_executed_not_approved(permission: str | None, kind: str, answered_by: str) -> None:
    waiting = listed({**ASK, "evaluated_permission": permission, "session_thread_id": "sthr_1"}, WAITS)
    (action,) = step(PROVIDER.pending_actions(REF), waiting)[1]

    assert action.type == kind
    assert json.loads(action.reference) == {"type": answered_by, "tool_use_id": "sevt_a"}


STOP = event("x", "user.interrupt")


@pytest.mark.parametrize(
    ("page_events", "older", "outcome"),
    [
        (
            (says("a", "Hi"), idle("i")),
            (running("r"), event("x", "user.interrupt"), says("a", "Hi"), idle("i")),
            "cancelled",
        ),
        ((idle("i"),), (event("x", "user.interrupt"), idle("i0"), running("r"), idle("i")), "completed"),
        ((idle("i"),), (running("r"), event("x", "user.interrupt", None), idle("i")), "completed"),
        ((idle("i"),), (idle("i"),), "completed"),
        (
            (idle("i"),),
            (
                running("r"),
                event("x", "user.interrupt"),
                event("s", "session.status_rescheduled"),
                running("r2"),
                idle("i"),
            ),
            "cancelled",
        ),
    ],
)
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_page_reads_back_to_find_an_interrupt(
    page_events: Sequence[JsonObject], older: Sequence[JsonObject], outcome: str, *, newest_first: bool
) -> None:
    first = listed(*page_events) if newest_first else ok(page(*page_events))
    flow = PROVIDER.list_events(REF, None, None, newest_first=newest_first)
    calls, found = step(flow, first, listed(*older))

    assert len(calls) == 2
    assert [each.outcome for each in found.items if isinstance(each, TurnEnded)] == [Outcome(outcome)]


def test_a_page_with_the_start_of_its_turn_needs_no_further_call() -> None:
    calls, found = step(PROVIDER.list_events(REF, None, None), ok(page(running("r"), idle("i"))))
    assert (len(calls), end_of(found.items).outcome) == (1, Outcome.COMPLETED)
