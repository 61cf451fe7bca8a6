"""Ids that came before."""

from __future__ import annotations

from polysession._core.recent import RecentIds


def test_an_id_is_new_once() -> None:
    recent = RecentIds(10)
    assert not recent
    assert [recent.add(each) for each in ("a", "b", "a", "b", "c")] == [True, True, False, False, True]
    assert recent
    assert "a" in recent
    assert None not in recent


def test_at_least_the_last_ids_are_remembered_and_not_many_more() -> None:
    recent = RecentIds(3)
    for number in range(100):
        assert recent.add(str(number))
        known = [each for each in range(number + 1) if str(each) in recent]
        assert known == list(range(known[0], number + 1))
        assert min(number + 1, 3) <= len(known) <= 7
    assert recent.add("0")
    assert not recent.add("99")
