"""Anthropic's events where they differ from the family's, and state across several events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polysession import Event, Outcome, TurnEnded, Usage
from polysession_anthropic.events import EventReader
from support.anthropic_events import event, idle, running, says, usage, user

JsonObject = dict[str, Any]


def read(reader: EventReader, *raws: JsonObject) -> list[Event]:
    return [event for raw in raws for event in reader.read(json.dumps(raw).encode())]


def end_of(*raws: JsonObject) -> TurnEnded:
    (end,) = [event for event in read(EventReader("sesn_1"), *raws) if isinstance(event, TurnEnded)]
    return end


INTERRUPT = event("", "user.interrupt")  # its id may be empty
CHILD = event("sevt_t", "session.thread_created", session_thread_id="sthr_child", agent_name="helper")
FAILED = event("sevt_e", "session.error", error={"type": "billing_error", "message": "no money"})


def stop(thread_id: str) -> JsonObject:
    return event("sevt_x", "user.interrupt", session_thread_id=thread_id)


@pytest.mark.parametrize(
    ("before", "end", "outcome", "error"),
    [
        ([], idle("i"), Outcome.COMPLETED, None),
        ([INTERRUPT], idle("i"), Outcome.CANCELLED, None),
        ([event("sevt_x", "user.interrupt", None), INTERRUPT], idle("i"), Outcome.CANCELLED, None),
        ([event("sevt_x", "user.interrupt", None)], idle("i"), Outcome.COMPLETED, None),
        ([event("sevt_x", "user.interrupt", session_thread_id="sthr_main")], idle("i"), Outcome.CANCELLED, None),
        (
            [CHILD, event("sevt_x", "user.interrupt", session_thread_id="sthr_child")],
            idle("i"),
            Outcome.COMPLETED,
            None,
        ),
        ([event("sevt_t", "session.thread_created"), INTERRUPT], idle("i"), Outcome.CANCELLED, None),
        ([INTERRUPT], idle("i", "budget_reached"), Outcome.LIMIT_REACHED, None),
        ([INTERRUPT, idle("i0"), running("r2")], idle("i"), Outcome.COMPLETED, None),
        ([FAILED], idle("i", "retries_exhausted"), Outcome.FAILED, "no money"),
        ([], idle("i", "refusal", stop_details={"explanation": "not that"}), Outcome.FAILED, "not that"),
        ([], idle("i", "refusal", stop_details=None), Outcome.FAILED, "the turn stopped: refusal"),
        ([], idle("i", "new_word"), Outcome.FAILED, "the turn stopped: new_word"),
    ],
)
def test_a_turn_ends(before: list[JsonObject], end: JsonObject, outcome: Outcome, error: str | None) -> None:
    found = [each for each in read(EventReader("sesn_1"), running("r"), *before, end) if isinstance(each, TurnEnded)]
    assert (found[-1].outcome, found[-1].error) == (outcome, error)


def test_a_rescheduled_turn_stays_interrupted() -> None:
    rescheduled = event("sevt_s", "session.status_rescheduled")
    assert end_of(running("r"), rescheduled, INTERRUPT, running("r2"), idle("i")).outcome is Outcome.CANCELLED


def test_input_is_read_when_queued_and_when_processed_but_not_again() -> None:
    queued, processed = user("sevt_1", "Hi", None), user("sevt_1", "Hi", 5)
    reader = EventReader("sesn_1")

    received = [read(reader, raw) for raw in (queued, queued, processed, processed, queued)]

    assert [len(events) for events in received] == [1, 0, 1, 0, 0]
    assert [events[0].created_at for events in received if events] == [
        None,
        datetime(2026, 11, 30, 12, 0, 5, tzinfo=UTC),
    ]
    assert read(reader, says("sevt_2", "Hello"), says("sevt_2", "Hello"))[1:] == []
    assert len(read(EventReader("sesn_1"), processed, queued)) == 1, "the list had it first"


def test_usage_is_a_running_total_in_tokens_and_dollars() -> None:
    wire = event(
        "sevt_u",
        "session.usage",
        usage={
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_read_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
            "list_cost": {"amount": "1234", "currency": "USD"},
        },
    )
    (received,) = read(EventReader("sesn_1"), wire)

    assert received.type == "usage"
    assert not received.is_delta
    assert received.usage == Usage(
        input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_creation_tokens=9, cost_usd=Decimal("12.34")
    )
    assert read(EventReader("sesn_1"), event("sevt_u", "session.usage"))[0].type == "raw"


def test_the_usage_of_a_turn_is_the_difference_of_two_reports() -> None:
    first, second = (usage("u1", 10, "3"), idle("i1")), (running("r"), usage("u2", 25, "7"), idle("i2"))
    unmeasured, measured = EventReader("sesn_1"), EventReader("sesn_1")
    measured.report_usage(is_empty=False)

    assert [end.usage for end in read(unmeasured, *first, *second) if isinstance(end, TurnEnded)] == [None, None]
    assert [end.usage for end in read(measured, *first, *second) if isinstance(end, TurnEnded)] == [
        None,
        Usage(input_tokens=15, output_tokens=15, cost_usd=Decimal("0.04")),
    ]


def test_an_unknown_event_type_and_invalid_values_are_kept() -> None:
    unknown, odd = read(
        EventReader("sesn_1"),
        event("sevt_1", "agent.dreamt", dream=True),
        {**says("sevt_2", "Hi"), "processed_at": "soon"},
    )
    assert (unknown.type, unknown.native_type, unknown.raw["dream"]) == ("raw", "agent.dreamt", True)
    assert (odd.type, odd.created_at) == ("message.completed", None)
    assert any("processed_at" in problem for problem in odd.problems)
