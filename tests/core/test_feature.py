from __future__ import annotations

from typing import Any

import pytest

from polysession.errors import UsageError
from polysession.feature import Feature, Support, declared, emulated, find_feature, native, unsupported


def test_what_is_named_nowhere_is_unsupported() -> None:
    features = declared(native=[Feature.SESSIONS_GET], otherwise="the server has no such thing")

    assert list(features) == list(Feature)
    assert features[Feature.SESSIONS_GET] == native()
    assert {support for feature, support in features.items() if feature is not Feature.SESSIONS_GET} == {
        unsupported("the server has no such thing")
    }


def test_each_group_has_its_notes() -> None:
    features = declared(
        native={Feature.SESSIONS_GET: "one call"},
        emulated={Feature.SESSIONS_LIST: "all are read"},
        unsupported={Feature.SESSIONS_DELETE: "sessions expire"},
    )

    assert features[Feature.SESSIONS_GET] == native("one call")
    assert features[Feature.SESSIONS_LIST] == emulated("all are read")
    assert features[Feature.SESSIONS_DELETE] == unsupported("sessions expire")
    assert features[Feature.AGENTS_GET] == unsupported("")


def test_a_feature_is_declared_once() -> None:
    with pytest.raises(ValueError, match="SESSIONS_GET is declared twice"):
        declared(native=[Feature.SESSIONS_GET], unsupported={Feature.SESSIONS_GET: "no"})


def test_only_unsupported_is_false() -> None:
    assert [support for support in Support if not support] == [Support.UNSUPPORTED]


@pytest.mark.parametrize(
    ("feature", "operation", "field"),
    [
        (Feature.SESSIONS_CREATE, "sessions.create", ""),
        (Feature.SESSIONS_CREATE_AGENT, "sessions.create", "agent"),
        (Feature.SESSIONS_UPDATE_METADATA_REMOVE, "sessions.update", "metadata[key]=None"),
    ],
)
def test_a_feature_has_an_operation_and_a_field(feature: Feature, operation: str, field: str) -> None:
    assert (feature.operation, feature.field) == (operation, field)
    assert f"{feature}" == f"{operation} {field}".strip()


def test_the_operation_of_each_feature_is_a_feature() -> None:
    assert {feature.operation for feature in Feature} <= {feature.value for feature in Feature}


@pytest.mark.parametrize("feature", [Feature.SESSIONS_CREATE_AGENT, "sessions.create agent"])
def test_a_feature_is_given_as_such_or_by_its_value(feature: Any) -> None:
    assert find_feature(feature) is Feature.SESSIONS_CREATE_AGENT


@pytest.mark.parametrize(
    ("feature", "guess"),
    [
        ("sessions.create agnt", "Did you mean 'sessions.create agent'?"),
        ("SESSIONS_CREATE_AGENT", "Did you mean 'sessions.create agent'?"),
        ("", "unknown feature ''."),
        (None, "unknown feature None."),
        (5, "unknown feature 5."),
    ],
)
def test_another_feature_is_a_usage_error_with_a_suggestion(feature: Any, guess: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_feature(feature)
    assert guess in caught.value.message
