"""The only source of random ids and of the length of waits, so that a recorded program can be replayed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator


class EffectSource:
    """Source of random ids and of unchanged waits. A tape replaces it by a source that records or replays them."""

    def new_id(self) -> str:
        """A new id of 32 hexadecimal digits."""
        return uuid.uuid4().hex

    def wait_s(self, seconds: float) -> float:
        """Return how long to wait instead of this many seconds."""
        return seconds


_sources: list[EffectSource] = [EffectSource()]  # one for the process, not for a context: threads use it too


def new_id() -> str:
    """A new id: 32 hexadecimal digits, such as for a message or a turn."""
    return _sources[-1].new_id()


def new_key() -> str:
    """A new idempotency key: a UUID."""
    return str(uuid.UUID(new_id()))


def wait_s(seconds: float) -> float:
    """Return how long to wait instead of this many seconds: a replay may wait less than the recording."""
    return _sources[-1].wait_s(seconds)


@contextlib.contextmanager
def replaced_by(source: EffectSource) -> Iterator[None]:
    """Take all ids and waits of the process from another source while the context is open."""
    _sources.append(source)
    try:
        yield
    finally:
        _sources.remove(source)
