from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest

from polysession._core.flow import Call, Flow
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession._core.stream import StreamPlan, StreamReader, TurnPlan, TurnTracker
from polysession.errors import (
    ConnectionLost,
    MalformedResponse,
    PolysessionError,
    RateLimited,
    ServerError,
    StreamInterrupted,
)
from polysession.event import Event, MessageCompleted, MessageDelta, Outcome, RawEvent, TurnEnded, TurnStarted
from polysession.message import Message, Role, TextBlock
from support.flows import step

PATIENT = RetryPolicy(attempts=5, first_wait_s=0.5, max_wait_s=3.0, deadline_s=60.0)
LOST = ConnectionLost("reset")


class Plan(StreamPlan):
    """Each frame is a list of texts; its number is the cursor."""

    def __init__(self, cursor: str | None = None) -> None:
        super().__init__()
        self._cursor = cursor
        self.frames_read = 0

    @property
    def cursor(self) -> str | None:
        return self._cursor

    def open(self) -> Call:
        return Call("GET", "/stream")

    def read(self, frame: Frame) -> Iterable[Event]:
        if frame.data == b"bad":
            raise MalformedResponse("a bad frame")
        self.frames_read += 1
        self._cursor = frame.id
        self.finished = frame.event == "gone"
        if frame.event == "closing":
            self.reopen_after_s = 0.1
        return [event_of(text) for text in json.loads(frame.data)]


class Run(Plan, TurnPlan):
    """A turn that the text `mine` belongs to."""

    def send(self) -> Flow[None]:
        yield Call("POST", "/messages")

    def begins(self, event: Event) -> bool:
        return event.turn_id == "mine" or (isinstance(event, MessageDelta) and event.text == "mine")


def event_of(text: str) -> Event:
    """An event: `<` starts a turn, `>` ends one, the rest is said; `<mine` names the turn."""
    if text.startswith("<"):
        return TurnStarted(session_id="s1", turn_id=text[1:] or None)
    if text.startswith(">"):
        return TurnEnded(session_id="s1", turn_id=text[1:] or None, outcome=Outcome.COMPLETED)
    return MessageDelta(session_id="s1", text=text)


def text_of(event: Event) -> str:
    if isinstance(event, TurnStarted | TurnEnded):
        return ("<" if isinstance(event, TurnStarted) else ">") + (event.turn_id or "")
    assert isinstance(event, MessageDelta)
    return event.text


def frame(number: int, *texts: str, event: str = "") -> bytes:
    return f"event: {event}\nid: {number}\ndata: {json.dumps(texts)}\n\n".encode()


def track(*texts: str) -> list[str]:
    tracker = TurnTracker(Run())
    return [text_of(event) for text in texts for event in tracker.take([event_of(text)])]


@pytest.mark.parametrize(
    ("said", "delivered"),
    [
        pytest.param("< mine a >", "< mine a >", id="our turn"),
        pytest.param("<mine a >mine", "<mine a >mine", id="our turn, known from its start"),
        pytest.param("< a mine b >", "< a mine b >", id="what was held back comes first"),
        pytest.param("> < mine >", "< mine >", id="a stale end"),
        pytest.param("< a > b < mine >", "< mine >", id="another turn before ours"),
        pytest.param("a > mine >", "mine >", id="the rest of another turn, and a backend that tells no starts"),
        pytest.param("< a < mine >", "< mine >", id="another turn that is told no end of"),
        pytest.param("a mine b >", "a mine b >", id="steering: our input joins a turn that runs"),
        pytest.param("mine < a >", "mine < a >", id="the start after the proof"),
        pytest.param(">mine", ">mine", id="an end that is the only thing told of our turn"),
        pytest.param("< mine > < b >", "< mine >", id="a turn after ours"),
        pytest.param("< a b", "", id="no proof yet"),
    ],
)
def test_only_our_turn_is_let_through(said: str, delivered: str) -> None:
    assert track(*said.split()) == delivered.split()


def test_one_batch_of_events_is_tracked_like_single_ones() -> None:
    tracker = TurnTracker(Run())

    events = tracker.take(event_of(text) for text in [">", "<", "mine", ">", "b"])

    assert [text_of(event) for event in events] == ["<", "mine", ">"]
    assert tracker.ended == events[-1]


def test_an_event_that_is_not_modelled_goes_through() -> None:
    tracker = TurnTracker(Run())
    native = RawEvent(session_id="s1", native_type="odd")

    assert tracker.take([event_of("mine"), native]) == [event_of("mine"), native]


def texts(reader: StreamReader, *chunks: bytes) -> list[str]:
    return [text_of(event) for chunk in chunks for event in reader.feed(chunk)]


def test_frames_become_events() -> None:
    reader = StreamReader(Plan(), PATIENT)

    assert texts(reader, frame(1, "a", "b") + frame(2) + frame(3, "c")) == ["a", "b", "c"]
    assert (reader.cursor, reader.events_seen, reader.is_finished()) == ("3", 3, False)


def test_any_cut_of_the_bytes_gives_the_same_events() -> None:
    data = frame(1, ">") + frame(2, "<") + frame(3, "é", "mine") + frame(4, ">")

    for at in range(len(data)):
        reader = StreamReader(Run(), PATIENT)
        assert texts(reader, data[:at], data[at:]) == ["<", "é", "mine", ">"]


def test_the_cursor_never_runs_ahead_of_what_was_delivered() -> None:
    reader = StreamReader(Plan("0"), PATIENT)
    cursors = [(text_of(event), reader.cursor) for event in reader.feed(frame(1, "a") + frame(2, "b", "c", "d"))]

    assert cursors == [("a", "1"), ("b", "1"), ("c", "1"), ("d", "2")]


def test_a_reader_that_stops_in_the_middle_of_a_chunk_leaves_the_rest_unread() -> None:
    plan = Plan()
    reader = StreamReader(plan, PATIENT)

    assert text_of(next(reader.feed(frame(1, "a") + frame(2, "b")))) == "a"
    assert (plan.frames_read, reader.cursor, reader.events_seen) == (1, "1", 1)


def test_the_cursor_stays_before_what_is_held_back() -> None:
    reader = StreamReader(Run("0"), PATIENT)
    cursors = []
    for number, text in enumerate(["<", "a", ">", "<", "mine"], 1):
        list(reader.feed(frame(number, text)))
        cursors.append(reader.cursor)

    assert cursors == ["0", "0", "3", "3", "5"]


def test_events_before_a_bad_frame_are_delivered() -> None:
    reader = StreamReader(Plan(), PATIENT)
    events = reader.feed(frame(1, "a") + b"data: bad\n\n")

    assert text_of(next(events)) == "a"
    with pytest.raises(MalformedResponse, match="a bad frame"):
        next(events)
    assert reader.cursor == "1"


class Live(Plan):
    """Tells pieces only while they come; each frame is one event."""

    not_replayed = ("message.delta",)

    def read(self, frame: Frame) -> Iterable[Event]:
        (event,) = super().read(frame)
        if frame.event == "whole" and isinstance(event, MessageDelta):
            message = Message(
                provider="acme", id="m1", session_id="s1", role=Role.ASSISTANT, content=(TextBlock(text=event.text),)
            )
            return (MessageCompleted(session_id="s1", message=message),)
        return (event,)


def test_a_gap_comes_before_the_event_whose_pieces_were_missed() -> None:
    reader = StreamReader(Live("0"), PATIENT)
    cursors = []
    for number, (text, kind) in enumerate([("a", ""), ("a", "whole"), ("b", ""), ("bc", "whole"), ("d", "")], 1):
        cursors += [(event.type, reader.cursor) for event in reader.feed(frame(number, text, event=kind))]
        if text == "b":
            reader.broke_off(None)

    assert cursors == [
        ("message.delta", "1"),
        ("message.completed", "2"),
        ("message.delta", "3"),
        ("stream.gap", "3"),
        ("message.completed", "4"),
        ("message.delta", "5"),
    ]
    assert reader.events_seen == len(cursors)


def test_a_turn_is_finished_by_its_end_and_nothing_is_read_after_it() -> None:
    plan = Run()
    reader = StreamReader(plan, PATIENT)

    assert texts(reader, frame(1, "mine", ">") + frame(2, "b")) == ["mine", ">"]
    assert reader.is_finished()
    assert plan.frames_read == 1


def test_a_stream_is_finished_when_the_plan_says_so() -> None:
    reader = StreamReader(Plan(), PATIENT)

    assert texts(reader, frame(1, "a", event="gone") + frame(2, "b")) == ["a"]
    assert reader.is_finished()
    assert texts(reader, frame(3, "c")) == []


def test_a_probe_may_find_the_end_of_the_turn() -> None:
    reader = StreamReader(Run(), PATIENT)

    assert [text_of(event) for event in reader.take([event_of("mine"), event_of(">")])] == ["mine", ">"]
    assert reader.is_finished()
    assert reader.events_seen == 2


def test_the_cursor_in_the_middle_of_what_a_probe_found_is_the_one_before_it() -> None:
    class Probed(Plan):
        def probe(self) -> Flow[Sequence[Event]]:
            self._cursor = "9"
            yield from ()
            return [event_of("a"), event_of("b")]

    reader = opened(Probed("1"))
    texts(reader, frame(2, "x"))
    _, found = step(reader.probe())
    events = reader.take(found)
    assert (text_of(next(events)), reader.cursor) == ("a", "2")
    assert (text_of(next(events)), reader.cursor) == ("b", "9")


@pytest.mark.parametrize(("second", "gaps"), [("lo", 0), ("l", 1)])
def test_what_was_heard_before_a_break_is_compared_with_the_whole(second: str, gaps: int) -> None:
    class Whole(Plan):
        not_replayed = ("message.delta",)

        def read(self, frame: Frame) -> Iterable[Event]:
            if frame.event != "whole":
                return super().read(frame)
            blocks = (TextBlock(text="Hello"),)
            message = Message(provider="acme", id="m", session_id="s1", role=Role.ASSISTANT, content=blocks)
            return [MessageCompleted(session_id="s1", message=message)]

    reader = opened(Whole())
    told = list(reader.feed(frame(1, "Hel")))
    reader.broke_off(LOST)
    reader.opened()
    told += reader.feed(frame(2, second) + b"event: whole\ndata: {}\n\n")
    assert [event.type for event in told].count("stream.gap") == gaps


def test_a_plan_finds_nothing_by_default_and_does_not_look() -> None:
    plan = Plan()
    opened(plan).broke_off(LOST)
    found: tuple[list[Call], Sequence[Event]] = step(plan.probe())

    assert (found, plan.probe_due) == (([], ()), False)


def test_half_a_frame_is_forgotten_at_a_reopening() -> None:
    reader = StreamReader(Plan(), PATIENT)

    assert texts(reader, frame(1, "a")[:-1]) == []
    reader.opened()
    assert texts(reader, b"\n\n", frame(2, "b")) == ["b"]


def opened(plan: StreamPlan, retry: RetryPolicy = PATIENT) -> StreamReader:
    reader = StreamReader(plan, retry)
    reader.opened()
    return reader


def waits(reader: StreamReader, *failures: PolysessionError | None) -> list[float]:
    """The longest of each wait."""
    return [reader.interrupted(failure).most_s for failure in failures]


@pytest.mark.parametrize("failure", [None, LOST, ServerError("down", status=503)], ids=repr)
def test_reopening_waits_longer_each_time_and_gives_up(failure: PolysessionError | None) -> None:
    reader = opened(Plan())
    texts(reader, frame(7, "a"))

    assert waits(reader, *[failure] * 4) == [0.5, 1.0, 2.0, 3.0]
    with pytest.raises(StreamInterrupted) as caught:
        reader.interrupted(failure)

    assert (caught.value.cursor, caught.value.events_seen, caught.value.retryable) == ("7", 1, True)
    assert caught.value.__cause__ is failure
    assert caught.value.message.endswith(failure.message if failure else "the backend closed it")


def test_an_event_restores_the_budget_and_a_mere_connection_does_not() -> None:
    reader = StreamReader(Plan(), PATIENT)

    assert waits(reader, None) == [0.5]
    reader.opened()
    assert waits(reader, None) == [1.0]
    reader.opened()
    texts(reader, b": ping\n\n", frame(1))
    assert waits(reader, None) == [2.0]
    texts(reader, frame(2, "a"))
    assert waits(reader, None) == [0.5]


def test_an_announced_closing_costs_nothing() -> None:
    reader = StreamReader(Plan(), PATIENT)
    for _ in range(9):
        reader.opened()
        texts(reader, frame(1, event="closing"))
        assert waits(reader, None) == [0.1]


def test_an_announced_closing_is_free_once() -> None:
    reader = StreamReader(Plan(), PATIENT)
    reader.opened()
    texts(reader, frame(1, event="closing"))

    assert waits(reader, None, LOST, LOST, LOST, LOST) == [0.1, 0.5, 1.0, 2.0, 3.0]
    with pytest.raises(StreamInterrupted):
        reader.interrupted(LOST)


def test_an_announcement_is_forgotten_when_the_stream_is_open_again() -> None:
    reader = StreamReader(Plan(), PATIENT)
    texts(reader, frame(1, event="closing"))
    reader.opened()

    assert waits(reader, None) == [0.5]


def test_the_first_wait_is_the_one_that_the_server_suggests() -> None:
    reader = StreamReader(Plan(), PATIENT)
    texts(reader, b"retry: 40\n")
    assert reader.interrupted(None) == (0.04, 0.04)
    reader.opened()

    assert reader.interrupted(None) == (0.04, 0.08)


@pytest.mark.parametrize(("asked_s", "wait_s"), [(None, 0.5), (0.0, 0.0), (42.0, 42.0)])
def test_a_wait_that_the_backend_asks_for_is_kept(asked_s: float | None, wait_s: float) -> None:
    least_s = 0.0 if asked_s is None else wait_s
    assert StreamReader(Plan(), PATIENT).interrupted(rate_limited(asked_s)) == (least_s, wait_s)


def test_a_wait_is_drawn_from_nothing_to_the_bound_but_never_beside_what_was_asked_for() -> None:
    reader = opened(Plan())
    assert [reader.interrupted(LOST) for _ in range(3)] == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0)]
    texts(reader, frame(1, event="closing"))
    assert reader.interrupted(None) == (0.1, 0.1)


def test_a_wait_beyond_the_policy_ends_the_stream() -> None:
    with pytest.raises(StreamInterrupted, match="too many"):
        opened(Plan()).interrupted(rate_limited(61.0))


def test_a_stream_that_was_never_open_ends_in_what_went_wrong() -> None:
    reader = StreamReader(Plan(), PATIENT)
    assert waits(reader, *[LOST] * 4) == [0.5, 1.0, 2.0, 3.0]
    with pytest.raises(ConnectionLost) as caught:
        reader.interrupted(LOST)
    assert caught.value is LOST


def test_a_thousand_attempts_are_no_overflow() -> None:
    reader = opened(Plan(), RetryPolicy(attempts=2000, max_wait_s=9.0))

    assert waits(reader, *[None] * 1999)[-1] == 9.0


def test_without_retries_the_first_break_is_the_end() -> None:
    with pytest.raises(StreamInterrupted) as caught:
        opened(Plan("5"), RetryPolicy(attempts=1)).interrupted(LOST)

    assert (caught.value.cursor, caught.value.events_seen) == ("5", 0)


def rate_limited(asked_s: float | None) -> RateLimited:
    error = RateLimited("too many", status=429)
    error.retry_after_s = asked_s
    return error
