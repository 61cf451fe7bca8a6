from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from polysession._core.filtering import apply_filters
from polysession.change import SessionQuery
from polysession.feature import Feature
from polysession.session import Session, SessionStatus

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FILTERED = {
    Feature.SESSIONS_LIST_STATUSES,
    Feature.SESSIONS_LIST_TITLE_CONTAINS,
    Feature.SESSIONS_LIST_TAGS,
    Feature.SESSIONS_LIST_CREATED,
    Feature.SESSIONS_LIST_ORIGIN,
}


def session(session_id: str, **fields: Any) -> Session:
    return Session(provider="acme", id=session_id, **fields)


SESSIONS = (
    session("a", title="Straße 7", tags=("red", "new"), created_at=NOON - SECOND, status=SessionStatus.IDLE),
    session("b", title="other", tags=("red",), created_at=NOON, status=SessionStatus.RUNNING, origin="schedule"),
    session("c", created_at=NOON + SECOND, status=SessionStatus.PAUSED),
    session("d"),
)


def kept(filters: set[Feature], **wanted: Any) -> str:
    return "".join(session.id for session in apply_filters(SESSIONS, SessionQuery(**wanted), filters))


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, "abcd"),
        ({"statuses": [SessionStatus.PAUSED, SessionStatus.IDLE]}, "ac"),
        ({"statuses": [SessionStatus.TERMINATED]}, ""),
        ({"title_contains": "STRASSE"}, "a"),
        ({"title_contains": ""}, "abcd"),
        ({"tags": ["red"]}, "ab"),
        ({"tags": ["new", "red"]}, "a"),
        ({"created_after": NOON}, "c"),
        ({"created_before": NOON}, "a"),
        ({"created_after": NOON - SECOND, "created_before": NOON + SECOND}, "b"),
        ({"created_after": datetime(2026, 3, 1, 12)}, "c"),  # noqa: DTZ001  (a time without a zone is in UTC)
        ({"origin": "schedule"}, "b"),
        ({"tags": ["red"], "statuses": [SessionStatus.RUNNING]}, "b"),
    ],
)
def test_sessions_pass_every_filter_in_their_order(wanted: dict[str, Any], ids: str) -> None:
    assert kept(FILTERED, **wanted) == ids


@pytest.mark.parametrize("feature", sorted(FILTERED))
def test_a_filter_of_the_backend_is_not_applied_again(feature: Feature) -> None:
    nothing: dict[Feature, dict[str, Any]] = {
        Feature.SESSIONS_LIST_STATUSES: {"statuses": [SessionStatus.TERMINATED]},
        Feature.SESSIONS_LIST_TITLE_CONTAINS: {"title_contains": "nowhere"},
        Feature.SESSIONS_LIST_TAGS: {"tags": ["nowhere"]},
        Feature.SESSIONS_LIST_CREATED: {"created_after": NOON + timedelta(days=1)},
        Feature.SESSIONS_LIST_ORIGIN: {"origin": "nowhere"},
    }

    assert kept({feature}, **nothing[feature]) == ""
    assert kept(FILTERED - {feature}, **nothing[feature]) == "abcd"
