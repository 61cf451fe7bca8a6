"""The features that a contract test covers, and the three kinds of gaps that a provider may declare."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import pytest

from polysession.feature import Feature

if TYPE_CHECKING:
    from polysession.provider_api import Provider

F = TypeVar("F", bound=Callable[..., Any])
Raises: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]

Declared: TypeAlias = "type[Provider[Any]]"

_SHOWN: Final = "__polysession_shows__"
_NEEDS: Final = "__polysession_needs__"


def covers(*features: Feature, needs: Callable[[Declared], bool] | None = None) -> Callable[[F], F]:
    """Declare the features of a test. The test is collected for providers that declare all of them as supported.

    Args:
        features: The features.
        needs: Returns whether a provider fulfils further conditions of the test; None for any provider.
    """

    def mark(function: F) -> F:
        setattr(function, _SHOWN, features)
        setattr(function, _NEEDS, needs)
        return function

    return mark


def supports_one_of(features: Iterable[Feature]) -> Callable[[Declared], bool]:
    """Return a condition for `covers(needs=...)`: the provider supports at least one of the features."""
    return lambda declared: any(declared.support(feature).support for feature in features)


def applies_to(function: Callable[..., Any], declared: Declared) -> bool:
    """Return whether a test applies to a provider."""
    needs: Callable[[Declared], bool] | None = getattr(function, _NEEDS, None)
    supported = all(declared.support(feature).support for feature in features_shown(function))
    return supported and (needs is None or needs(declared))


def features_shown(function: Callable[..., Any]) -> tuple[Feature, ...]:
    """Return the features that a test covers: those given to `covers`, or no features for other functions."""
    shown: tuple[Feature, ...] = getattr(function, _SHOWN, ())
    return shown


@dataclass(frozen=True, slots=True)
class Gap:
    """A reason why a test must fail.

    Attributes:
        kind: `not done here`, `not offered yet` or `never`.
        reason: The missing feature or behaviour.
        raises: The exception class, or classes, with which the test must fail.
    """

    kind: str
    reason: str
    raises: Raises

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a copy of a test that must fail with this gap. If it passes, it counts as failed: remove the gap."""
        copy = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__annotations__ = function.__annotations__
        copy.__doc__ = function.__doc__
        copy.__dict__.update(function.__dict__)
        copy.__dict__["pytestmark"] = [*getattr(function, "pytestmark", [])]
        marked: Callable[..., Any] = self.mark(copy)
        return marked

    @property
    def mark(self) -> pytest.MarkDecorator:
        """The pytest mark of a test that must fail with this gap."""
        return pytest.mark.xfail(reason=f"{self.kind}: {self.reason}", raises=self.raises, strict=True)


def not_done_here(reason: str, *, raises: Raises) -> Gap:
    """The backend has the feature, but our provider does not support it yet."""
    return Gap("not done here", reason, raises)


def not_offered_yet(reason: str, *, raises: Raises) -> Gap:
    """The backend, or this generation of it, does not have the feature; a later one may."""
    return Gap("not offered yet", reason, raises)


def never(reason: str, *, raises: Raises) -> Gap:
    """The backend will never have the feature, because of its design."""
    return Gap("never", reason, raises)
