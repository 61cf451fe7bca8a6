from __future__ import annotations

import time

import pytest

from polysession.emulation import TurnClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless it is moved."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_turn_ends_when_its_time_is_over(clock: list[float]) -> None:
    turn = TurnClock()
    looks = [turn.running]

    turn.start(5)
    looks.append(turn.running)
    clock[0] = 105
    looks.append(turn.running)

    assert looks == [False, True, False]


@pytest.mark.usefixtures("clock")
def test_a_turn_can_be_stopped_once() -> None:
    turn = TurnClock()
    turn.start(5)

    assert [turn.stop(), turn.running, turn.stop()] == [True, False, False]
