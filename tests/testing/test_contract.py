"""The contract keeps up with the features."""

from __future__ import annotations

from polysession import Feature
from polysession.testing import ProviderContract, features_shown
from polysession.testing.declarations import ATTEMPTS

TESTS = [getattr(ProviderContract, name) for name in dir(ProviderContract) if name.startswith("test_")]


def test_every_feature_is_shown_by_a_test() -> None:
    assert {feature for test in TESTS for feature in features_shown(test)} == set(Feature)


def test_every_feature_is_tried_where_it_may_be_refused() -> None:
    assert ATTEMPTS.keys() == set(Feature)


def test_every_test_speaks_of_itself() -> None:
    assert len(TESTS) > 100
    assert all(test.__module__.startswith("polysession.testing.") for test in TESTS)
