"""Chooses, for one provider, the tests of the contract that apply to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from polysession.feature import Feature
from polysession.plugins import load_provider
from polysession.testing.marks import Gap, applies_to, features_shown


class Arranged:
    """Base of all parts of the contract. A subclass with a `provider` keeps only the tests of supported features.

    Attributes:
        provider: Name of the provider. The only attribute that must be set.
        gaps: The tests that must fail, and the reason. A key is the name of a test, one case of it such as
            `"test_x[sync-503]"`, or a feature for all tests that cover it. A part of the case's name is enough:
            `"test_x[503]"`.
    """

    provider: ClassVar[str]
    gaps: ClassVar[Mapping[str | Feature, Gap]] = {}
    _arranged: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "provider"):
            return  # one part of the contract, or several
        declared = load_provider(cls.provider)
        arranged, used = set(), set()
        cases: set[str | Feature] = set()
        for name, test in _tests(cls).items():
            shown = features_shown(test)
            cases |= {key for key in cls.gaps if key.startswith(f"{name}[")}
            keys = {name, *shown} & set(cls.gaps)
            if applies_to(test, declared):
                used |= keys
                chosen: Callable[..., Any] | None = _with_gaps(test, [cls.gaps[key] for key in sorted(keys)])
            else:
                chosen = None  # pytest does not collect it
            if chosen is not getattr(cls, name):
                setattr(cls, name, chosen)
                arranged.add(name)
        cls._arranged = frozenset(arranged)
        if unused := set(cls.gaps) - used - cases:
            listed = ", ".join(sorted(unused))
            raise TypeError(f"{cls.__name__}.gaps names unknown tests for provider {cls.provider!r}: {listed}")


def _tests(cls: type[Arranged]) -> dict[str, Callable[..., Any]]:
    """Return the contract tests of a class, except tests that a class with a provider has overridden."""
    tests: dict[str, Callable[..., Any]] = {}
    own: set[str] = set()
    for each in cls.__mro__:
        if hasattr(each, "provider"):
            own |= set(vars(each)) - vars(each).get("_arranged", frozenset())
        else:
            found = {name: value for name, value in vars(each).items() if name.startswith("test_") and name not in own}
            tests = found | tests
    return tests


def _with_gaps(test: Callable[..., Any], gaps: list[Gap]) -> Callable[..., Any]:
    """Return the test, or a copy of it that must fail. If there are several gaps, any of them may be the reason."""
    if not gaps:
        return test
    raises = tuple(error for gap in gaps for error in (gap.raises if isinstance(gap.raises, tuple) else (gap.raises,)))
    return Gap(gaps[0].kind, "; ".join(dict.fromkeys(gap.reason for gap in gaps)), raises).of(test)
