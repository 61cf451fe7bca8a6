"""The one source of random ids, so that a recorded exchange can be replayed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

ID_SOURCE: Final[ContextVar[Callable[[], str]]] = ContextVar("polysession id source")
"""Makes ids in place of `uuid4` while it is set: a tape records them, and gives them again."""


def new_id() -> str:
    """A new id: 32 hexadecimal digits, such as for a message, a turn or an idempotency key."""
    return ID_SOURCE.get(_random_id)()


def _random_id() -> str:
    return uuid.uuid4().hex
