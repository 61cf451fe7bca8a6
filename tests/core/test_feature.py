from __future__ import annotations

import re

import pytest

from polysession.feature import Feature

OPERATIONS = {feature.value for feature in Feature if " " not in feature.value}


@pytest.mark.parametrize("feature", Feature)
def test_a_feature_is_an_operation_or_a_field_of_one(feature: Feature) -> None:
    operation, _, field = feature.value.partition(" ")

    assert operation in OPERATIONS
    assert re.fullmatch(r"(sessions|agents)\.[a-z_]+", operation)
    assert field == field.strip()


def test_a_feature_is_named_like_its_value() -> None:
    assert f"{Feature.SESSIONS_GET}" == "sessions.get"
    assert Feature("sessions.update title=None") is Feature.SESSIONS_UPDATE_TITLE_CLEAR
