from __future__ import annotations

import pytest

from polysession.feature import Feature, Support, declared, emulated, native, unsupported


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
