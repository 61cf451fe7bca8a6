"""Which tests of the contract a provider gets, and what becomes of a gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from polysession import Conflict, Feature, NotFound
from polysession.testing import covers, features_shown, never, not_done_here, not_offered_yet
from polysession.testing.arranging import Arranged


class Theme(Arranged):
    @covers(Feature.SESSIONS_GET)
    def test_reading(self) -> None:
        raise NotFound

    @covers(Feature.SESSIONS_GET, Feature.SESSIONS_ARCHIVE)
    def test_archiving(self) -> None:
        """Everruns cannot."""

    @covers(Feature.SESSIONS_CREATE)
    def test_creating(self) -> None:
        """Every provider can."""

    def test_everything(self) -> None:
        """Shows no feature."""


def marks(test: Callable[..., Any]) -> list[pytest.Mark]:
    return list(getattr(test, "pytestmark", []))


def test_a_theme_alone_keeps_its_tests() -> None:
    assert features_shown(Theme.test_archiving) == (Feature.SESSIONS_GET, Feature.SESSIONS_ARCHIVE)
    assert features_shown(Theme.test_everything) == ()


def test_what_is_unsupported_is_not_collected() -> None:
    class Everruns(Theme):
        provider = "everruns"

    class Qoder(Theme):
        provider = "qoder"

    assert vars(Everruns)["test_archiving"] is None
    assert Everruns.test_reading is Theme.test_reading
    assert Qoder.test_archiving is Theme.test_archiving


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (not_done_here("later", raises=NotFound), "not done here: later"),
        (not_offered_yet("later", raises=NotFound), "not offered yet: later"),
        (never("later", raises=NotFound), "never: later"),
    ],
)
def test_a_gap_must_fail_with_its_error(gap: Any, said: str) -> None:
    class Qoder(Theme):
        provider = "qoder"
        gaps = {"test_reading": gap}

    (mark,) = marks(Qoder.test_reading)
    assert (mark.name, mark.kwargs) == ("xfail", {"reason": said, "raises": (NotFound,), "strict": True})
    assert marks(Theme.test_reading) == []
    assert features_shown(Qoder.test_reading) == (Feature.SESSIONS_GET,)
    with pytest.raises(NotFound):
        Qoder().test_reading()


def test_a_gap_of_a_feature_is_one_of_all_its_tests() -> None:
    class Qoder(Theme):
        provider = "qoder"
        gaps = {
            Feature.SESSIONS_GET: not_offered_yet("no reading", raises=(NotFound, Conflict)),
            "test_archiving": never("no archive", raises=AssertionError),
        }

    (mark,) = marks(Qoder.test_archiving)
    assert mark.kwargs["raises"] == (NotFound, Conflict, AssertionError)
    assert "no reading; no archive" in mark.kwargs["reason"]
    assert len(marks(Qoder.test_reading)) == 1
    assert marks(Qoder.test_creating) == []


def test_a_gap_belongs_to_its_class_alone() -> None:
    class Older(Theme):
        provider = "qoder"
        gaps = {"test_reading": never("no", raises=NotFound)}

    class Newer(Older):
        gaps = {}

    assert Newer.test_reading is Theme.test_reading


@pytest.mark.parametrize("key", ["test_nothing", Feature.SESSIONS_DELETE, "test_archiving"])
def test_a_gap_that_names_no_test_of_the_provider_is_an_error(key: str | Feature) -> None:
    with pytest.raises(TypeError, match=rf"Everruns.gaps names unknown tests for provider 'everruns': {key}$"):
        type("Everruns", (Theme,), {"provider": "everruns", "gaps": {key: never("no", raises=NotFound)}})


def test_a_test_of_ones_own_replaces_that_of_the_contract() -> None:
    class Everruns(Theme):
        provider = "everruns"

        def test_archiving(self) -> None:
            """Of its own."""

    class Younger(Everruns):
        pass

    assert Everruns.test_archiving.__doc__ == Younger.test_archiving.__doc__ == "Of its own."


GAP_OF_CASE = """
import pytest
from polysession.testing import never
from polysession.testing.base import ContractBase

class Theme(ContractBase):
    @pytest.mark.parametrize("number", [1, 20])
    def test_numbers(self, number):
        assert number == 1

class TestCases(Theme):
    provider = "qoder"
    gaps = {"test_numbers[20]": never("it counts to one", raises=AssertionError)}

class TestClosed(Theme):
    provider = "qoder"
    gaps = {"test_numbers[1]": never("it counts to none", raises=AssertionError)}
"""


def test_a_gap_may_be_one_case_of_a_test(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must fail; a case that passes, or fails without a gap, fails."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins take a second to load
    pytester.makepyfile(GAP_OF_CASE)

    result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=1, xfailed=1, failed=2)


def test_a_gap_of_a_case_names_a_test() -> None:
    with pytest.raises(TypeError, match=r"names unknown tests for provider 'qoder': test_number\[20\]"):
        type("TestX", (Theme,), {"provider": "qoder", "gaps": {"test_number[20]": never("x", raises=KeyError)}})
