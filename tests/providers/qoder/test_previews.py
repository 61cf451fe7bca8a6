"""Previews of messages and thoughts, and their replays."""

from __future__ import annotations

import pytest

from polysession import (
    Role,
)
from polysession_managed_agents import events as family_events
from polysession_qoder.events import EventReader
from support.qoder_readings import (
    MESSAGE_STARTED,
    MODELLED,
    JsonObject,
    delta,
    idle,
    raw,
    read,
    says,
    start,
    summary,
    texts,
    wrote,
)

# Previews and replays.

WHOLE = raw("agent.message", "evt_9", content=[{"type": "text", "text": "Hello"}])


def test_a_message_is_announced_written_and_completed_under_one_id() -> None:
    events = read(EventReader("sess_1"), start(), delta("Hel"), delta("lo"), WHOLE)

    assert [summary(event) for event in events] == [
        MESSAGE_STARTED,
        wrote("Hel"),
        wrote("lo"),
        says(Role.ASSISTANT, "Hello", "evt_9"),
    ]
    assert [event.id for event in events] == [None, None, None, "evt_9"]


def test_a_missed_preview_start_is_inferred() -> None:
    events = read(EventReader("sess_1"), delta("lo"))

    assert [event.synthetic for event in events] == [True, False]


@pytest.mark.parametrize(
    ("replayed", "fresh"),
    [
        (["Hel", "lo"], []),
        (["He", "l", "lo, ", "you"], [", ", "you"]),
        (["Hello, you"], [", you"]),
        (["H"], []),
    ],
)
def test_a_replay_adds_only_what_was_not_delivered(replayed: list[str], fresh: list[str]) -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"), delta("lo"))

    events = read(reader, start(), *map(delta, replayed))

    assert texts(events) == fresh
    assert len(events) == len(fresh)


def test_a_second_replay_adds_only_what_was_not_delivered() -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hello"), start(), delta("He"))

    assert texts(read(reader, start(), delta("Hello"), delta("!"))) == ["!"]


def test_a_preview_without_its_start_is_delivered() -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"))

    assert texts(read(reader, delta("lo"))) == ["lo"]


def test_blocks_are_counted_separately() -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("ab"), delta("x", index=1))

    assert texts(read(reader, start(), delta("ab"), delta("xy", index=1))) == ["y"]


@pytest.mark.parametrize("late", [start(), delta("lo")])
def test_a_preview_after_its_whole_event_adds_nothing(late: JsonObject) -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"), WHOLE)

    assert read(reader, late) == []


@pytest.mark.parametrize("closing", [raw("span.model_request_end"), idle("cancelled")])
def test_a_preview_without_its_whole_event_is_dropped(closing: JsonObject) -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"), closing)

    assert texts(read(reader, start(), delta("Hel"))) == ["Hel"]


@pytest.mark.parametrize("event", [event for _, event, _ in MODELLED if "id" in event][:20])
def test_an_event_comes_once(event: JsonObject) -> None:
    reader = EventReader("sess_1")

    assert read(reader, event)
    assert read(reader, event) == []


def test_ids_are_forgotten_after_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family_events, "REMEMBERED_IDS", 2)
    reader = EventReader("sess_1")
    events = [raw("user.interrupt", f"evt_{number}") for number in range(6)]
    read(reader, *events)

    assert read(reader, *events[-2:]) == []
    assert len(read(reader, events[0])) == 1
