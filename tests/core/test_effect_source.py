"""Random ids and the length of waits come from one source."""

from __future__ import annotations

import re
import threading

from polysession._core.effect_source import EffectSource, new_id, replaced_by, wait_s


class Recorded(EffectSource):
    def __init__(self, *ids: str) -> None:
        self._ids = iter(ids)

    def new_id(self) -> str:
        return next(self._ids)

    def wait_s(self, seconds: float) -> float:
        return seconds / 10


def test_ids_are_hexadecimal_and_differ() -> None:
    first, second = new_id(), new_id()

    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


def test_a_source_replaces_ids_and_waits_in_all_threads() -> None:
    found: list[str] = []
    with replaced_by(Recorded("a", "b")):
        thread = threading.Thread(target=lambda: found.append(new_id()))
        thread.start()
        thread.join()
        assert (found, new_id(), wait_s(5)) == (["a"], "b", 0.5)
    assert wait_s(5) == 5
