from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from polysession._core.flow import Call, Response
from polysession._core.retry import Outcome, RetryPolicy, is_retryable, retry_after_s, tenacity_settings
from polysession.errors import ConnectError, ConnectionLost, TransportError, UsageError

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
READ, WRITE, KEYED = Call("GET", "/"), Call("POST", "/"), Call("POST", "/", idempotency_header="key")
BUSY = Response(503, {}, b"")


def in_doubt(error: TransportError) -> TransportError:
    error.outcome_unknown = True
    return error


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": -1},
        {"first_wait_s": -0.1},
        {"max_wait_s": -1},
        {"deadline_s": -1},
        {"first_wait_s": 1.0, "deadline_s": float("nan")},
        {"attempts": 2.5},
        {"max_wait_s": "3"},
    ],
)
def test_a_policy_with_impossible_numbers_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        RetryPolicy(**wrong)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_passing_troubles_are_retryable(status: int) -> None:
    assert is_retryable(Response(status, {}, b""))


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 409, 422, 500, 501])
def test_other_answers_are_not(status: int) -> None:
    assert not is_retryable(Response(status, {}, b""))


@pytest.mark.parametrize(
    ("policy", "call", "outcome", "wanted"),
    [
        (RetryPolicy(), READ, BUSY, True),
        (RetryPolicy(), KEYED, ConnectError(), True),
        (RetryPolicy(), WRITE, BUSY, False),
        (RetryPolicy(), WRITE, ConnectError(), True),
        (RetryPolicy(), WRITE, Response(429, {}, b""), True),
        (RetryPolicy(), WRITE, in_doubt(ConnectionLost()), False),
        (RetryPolicy(attempts=1), WRITE, ConnectError(), False),
        (RetryPolicy(attempts=1), READ, BUSY, False),
        (RetryPolicy(), READ, Response(404, {}, b""), False),
    ],
)
def test_only_a_call_that_may_be_repeated_is(policy: RetryPolicy, call: Call, outcome: Outcome, wanted: bool) -> None:  # noqa: FBT001
    assert policy.wants_retry(call, outcome) is wanted


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 1.5 ", 1.5),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30),
        ("Sun, 22 Nov 2026 12:00:05 -0000", 5),
        ("Sun, 22 Nov 2026 13:00:05 +0100", 5),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("inf", None),
        ("1" * 9, 111_111_111),
        ("9" * 30, 1e9),
        ("9" * 5000, 1e9),
        ("\u0661\u0662", None),
        ("Mon, 99 Foo 2026 12:00:00 GMT", None),
        ("Jan 0 99999999999999999999 1.5 0 Sun 99999999999999999999 1.5", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": header}, NOW) == seconds


@pytest.mark.parametrize("offset_s", [-3600, 0, 3600])
def test_a_date_is_read_by_the_clock_of_the_server(offset_s: int) -> None:
    server_now = NOW + timedelta(seconds=offset_s)
    headers = {
        "date": format_datetime(server_now, usegmt=True),
        "retry-after": format_datetime(server_now + timedelta(seconds=30), usegmt=True),
    }
    assert retry_after_s(headers, NOW) == 30


def test_no_retry_after_says_nothing() -> None:
    assert retry_after_s({}, NOW) is None


DATE_PARTS = st.sampled_from(
    ["Mon,", "01", "Jan", "Foo", "2026", "9" * 20, "-1", "00:00:00", "25:61:61", "GMT", "+9999", "-0000", "1.5", "²"]
)


@given(st.text(max_size=30) | st.lists(DATE_PARTS, max_size=8).map(" ".join))
def test_no_retry_after_breaks_the_reader(header: str) -> None:
    seconds = retry_after_s({"retry-after": header}, NOW)

    assert seconds is None or seconds >= 0


class Waits(list[float]):
    """Runs tenacity's own loop over prepared outcomes, and records its waits in place of sleeping."""

    def __init__(self, call: Call = READ) -> None:
        super().__init__()
        self._call = call

    def outcome_of(self, policy: RetryPolicy, *outcomes: Outcome, elapsed_s: float = 0.0) -> tuple[Outcome, int]:
        remaining = iter(outcomes)
        loop = tenacity.Retrying(
            **tenacity_settings(policy, self._call, policy.deadline_s - elapsed_s, lambda: NOW), sleep=self.append
        )
        return loop(lambda: next(remaining)), loop.statistics["attempt_number"]


def busy_for(retry_after: str) -> Response:
    return Response(429, {"retry-after": retry_after}, b"")


def test_the_wait_doubles_up_to_its_limit_and_is_drawn_evenly_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lows = set()

    def highest(low: float, high: float) -> float:
        lows.add(low)
        return high

    monkeypatch.setattr(random, "uniform", highest)

    waits = Waits()
    waits.outcome_of(RetryPolicy(attempts=6, first_wait_s=0.5, max_wait_s=3), *[BUSY] * 6)

    assert (lows, waits) == ({0}, [0.5, 1, 2, 3, 3])


@pytest.mark.parametrize("header", ["7", format_datetime(NOW + timedelta(seconds=7), usegmt=True)])
def test_the_wait_is_the_one_that_the_backend_asks_for(header: str) -> None:
    waits = Waits()

    last, attempts = waits.outcome_of(RetryPolicy(), busy_for(header), Response(200, {}, b""))

    assert (waits, attempts) == ([7], 2)
    assert isinstance(last, Response)
    assert last.status == 200


def test_a_wish_of_zero_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, high: high)
    waits = Waits()

    waits.outcome_of(RetryPolicy(first_wait_s=0.5), *[busy_for("0")] * 4)

    assert waits == [0.5, 1, 2]


def test_a_write_is_not_repeated_after_an_attempt_that_may_have_done_something() -> None:
    waits = Waits(call=WRITE)
    lost = in_doubt(ConnectionLost())

    assert waits.outcome_of(RetryPolicy(first_wait_s=0), ConnectError(), lost, Response(200, {}, b"")) == (lost, 2)


@pytest.mark.parametrize("header", ["soon", ""])
def test_an_unreadable_retry_after_leaves_the_wait_to_us(header: str) -> None:
    waits = Waits()

    waits.outcome_of(RetryPolicy(first_wait_s=0.0), busy_for(header), Response(200, {}, b""))

    assert waits == [0]


def test_attempts_end_the_loop_with_the_last_outcome() -> None:
    first, last = ConnectError("first"), ConnectError("last")

    assert Waits().outcome_of(RetryPolicy(attempts=2, first_wait_s=0), first, last) == (last, 2)


@pytest.mark.parametrize(("elapsed_s", "attempts"), [(0.0, 2), (40.0, 1)])
def test_no_attempt_starts_after_the_deadline(elapsed_s: float, attempts: int) -> None:
    waits = Waits()

    _, made = waits.outcome_of(RetryPolicy(deadline_s=60), busy_for("30"), Response(200, {}, b""), elapsed_s=elapsed_s)

    assert (made, len(waits)) == (attempts, attempts - 1)


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    waits = Waits()
    asked = busy_for("3600")

    assert waits.outcome_of(RetryPolicy(deadline_s=60), asked) == (asked, 1)
    assert waits == []


def test_a_first_attempt_longer_than_the_deadline_is_the_last() -> None:
    assert Waits().outcome_of(RetryPolicy(deadline_s=5, first_wait_s=0), BUSY, elapsed_s=9) == (BUSY, 1)


def test_tenacity_may_not_ask_before_an_attempt() -> None:
    settings = tenacity_settings(RetryPolicy(), READ, 60.0, lambda: NOW)
    untried = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})

    with pytest.raises(AssertionError, match="before the first attempt"):
        settings["wait"](untried)
