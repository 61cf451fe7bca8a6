"""What a test says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from polysession import Feature

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN: Final = "__polysession_shows__"


def shows(*features: Feature) -> Callable[[F], F]:
    """Say which features a test shows."""

    def mark(function: F) -> F:
        setattr(function, _SHOWN, features)
        return function

    return mark


def features_shown(function: Callable[..., Any]) -> tuple[Feature, ...]:
    """The features that a test shows: those of its `shows`, none for any other function."""
    shown: tuple[Feature, ...] = getattr(function, _SHOWN, ())
    return shown
