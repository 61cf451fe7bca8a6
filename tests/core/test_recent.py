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


def test_only_the_last_ids_are_remembered_in_the_order_in_which_they_first_came() -> None:
    recent = RecentIds(2)
    assert [recent.add(each) for each in ("a", "b", "a", "c")] == [True, True, False, True]
    assert [each in recent for each in ("a", "b", "c")] == [False, True, True]
    assert [recent.add(each) for each in ("b", "a", "b")] == [False, True, True]
