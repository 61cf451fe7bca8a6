"""Everruns' lists of sessions and agents: filters, pages and cursors, from stepped flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from polysession._core.fields import LIST_FIELDS
from polysession._core.flow import Flow, Response
from polysession._core.operations import Operations
from polysession._core.provider import Page
from polysession.errors import MalformedResponse, UnsupportedOperation, UsageError
from polysession.feature import Feature
from polysession.session import SessionStatus
from polysession_everruns import EverrunsProvider, EverrunsSessionQuery, EverrunsSettings
from support.flows import ok, step

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)
PROVIDER = EverrunsProvider(EverrunsSettings(api_key="evr_pat_test"))
OPERATIONS = Operations(PROVIDER)
REFUSED = {name: feature for name, feature in LIST_FIELDS.items() if not PROVIDER.support(feature).support}
VALUES: Mapping[str, Any] = {
    "metadata": {"team": "red"},
    "include_archived": True,
    "oldest_first": True,
    "owner": "alice",
}


def page(*items: Any, **envelope: Any) -> Response:
    return ok({"data": items, **envelope})


def many(count: int) -> Sequence[Mapping[str, Any]]:
    return [{"id": f"session_{number}"} for number in range(count)]


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        ({}, ""),
        ({"page_size": 1}, "?limit=1"),
        ({"page_size": 100}, "?limit=100"),
        ({"agent": "agent_1"}, "?agent_id=agent_1"),
        ({"title_contains": "Ticket 42&"}, "?search=Ticket+42%26"),
        ({"title_contains": ""}, ""),
        ({"tags": ["a"], "statuses": [SessionStatus.IDLE], "created_after": MOMENT, "created_before": MOMENT}, ""),
        ({"origin": "schedule"}, "?source=schedule"),
        ({"native": EverrunsSessionQuery(source=["chat", "api"])}, "?source=chat%2Capi"),
        ({"native": EverrunsSessionQuery(status=["running", "failed"])}, "?status=running%2Cfailed"),
        ({"native": EverrunsSessionQuery(status=None, source=[])}, ""),
        ({"native": EverrunsSessionQuery(mine=True)}, "?mine=true"),
        ({"native": EverrunsSessionQuery(include_archived=True)}, "?include_archived=true"),
        ({"native": EverrunsSessionQuery(archived_only=False)}, "?archived_only=false"),
        ({"native": EverrunsSessionQuery(created_after=MOMENT)}, "?created_after=2026-03-01T10%3A00%3A00Z"),
        ({"native": EverrunsSessionQuery(created_before=MOMENT)}, "?created_before=2026-03-01T10%3A00%3A00Z"),
        ({"native": EverrunsSessionQuery(order="last_activity")}, "?order=last_activity"),
        ({"native": EverrunsSessionQuery(side_chats_only=True)}, "?side_chats_only=true"),
        (
            {"agent": "agent_1", "page_size": 5, "native": EverrunsSessionQuery(mine=True)},
            "?agent_id=agent_1&mine=true&limit=5",
        ),
    ],
)
def test_list_sends_only_the_passed_parameters(asked: dict[str, Any], query: str) -> None:
    calls, found = step(OPERATIONS.list_sessions(**asked)(None), page())
    assert [(call.method, call.path, call.body) for call in calls] == [("GET", f"/v1/sessions{query}", None)]
    assert found.items == ()


@pytest.mark.parametrize(
    ("envelope", "limit", "cursor", "count", "next_cursor"),
    [
        pytest.param({"total": 3, "offset": 0, "limit": 2}, 2, None, 2, "2", id="legacy-first"),
        pytest.param({"total": 3, "offset": 2, "limit": 2}, 2, "2", 1, None, id="legacy-last"),
        pytest.param({"total": 2, "offset": 0, "limit": 2}, 2, None, 2, None, id="legacy-full-and-last"),
        pytest.param({"total": 3, "next_url": "https://x/?offset=2"}, 2, None, 2, "2", id="current-first"),
        pytest.param({"total": 3, "prev_url": "https://x/?offset=0"}, 2, "2", 1, None, id="current-last"),
        pytest.param({"total": 9}, 2, "4", 0, None, id="empty-although-total-says-more"),
        pytest.param({"next_url": "https://x/?offset=1"}, 2, None, 1, "1", id="link-without-total"),
        pytest.param({}, 2, None, 2, "2", id="bare-full"),
        pytest.param({}, 2, "2", 1, None, id="bare-short"),
        pytest.param({"limit": 1}, 2, None, 1, "1", id="bare-clamped"),
        pytest.param({}, None, None, 20, "20", id="bare-default-full"),
        pytest.param({}, None, "20", 19, None, id="bare-default-short"),
    ],
)
def test_every_envelope_leads_to_the_next_page(
    envelope: dict[str, Any], limit: int | None, cursor: str | None, count: int, next_cursor: str | None
) -> None:
    flows: Mapping[str, Flow[Page[Any]]] = {
        "/v1/sessions": OPERATIONS.list_sessions(page_size=limit)(cursor),
        "/v1/agents": OPERATIONS.list_agents(limit)(cursor),
    }
    for path, flow in flows.items():
        calls, found = step(flow, page(*({**item, "name": "helper"} for item in many(count)), **envelope))
        asked = [f"offset={cursor}"] * (cursor is not None) + [f"limit={limit}"] * (limit is not None)
        assert [call.path for call in calls] == [path + ("?" if asked else "") + "&".join(asked)]
        assert [item.id for item in found.items] == [item["id"] for item in many(count)]
        assert found.next_cursor == next_cursor


@pytest.mark.parametrize("cursor", ["", "-1", "x", "page=2", "٣"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="not a cursor"):
        step(OPERATIONS.list_sessions()(cursor))


@pytest.mark.parametrize("start", [lambda limit: OPERATIONS.list_sessions(page_size=limit), OPERATIONS.list_agents])
def test_a_page_size_that_the_server_would_lower_is_refused(start: Callable[[int], Any]) -> None:
    with pytest.raises(UsageError, match="at most 100"):
        step(start(101)(None))


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({}, ["1", "2", "3"]),
        ({"tags": ["b"]}, ["1", "2"]),
        ({"tags": ["a", "b"]}, ["1"]),
        ({"statuses": [SessionStatus.IDLE]}, ["1", "3"]),
        ({"statuses": [SessionStatus.UNKNOWN, SessionStatus.REQUIRES_ACTION]}, ["2"]),
        ({"created_after": MOMENT}, ["2", "3"]),
        ({"origin": "api"}, ["2"]),
        ({"origin": "slack"}, []),
        ({"created_before": datetime(2026, 3, 3, tzinfo=UTC)}, ["1", "2"]),
        # The server applies `search`, and the client does not filter its results again.
        ({"title_contains": "nowhere"}, ["1", "2", "3"]),
    ],
)
def test_other_filters_are_applied_in_the_client(asked: dict[str, Any], kept: list[str]) -> None:
    items = [
        {"id": "1", "status": "idle", "tags": ["a", "b"], "created_at": "2026-03-01T10:00:00Z"},
        {
            "id": "2",
            "status": "waitingfortoolresults",
            "tags": ["b"],
            "created_at": "2026-03-02T10:00:00Z",
            "source": "api",
        },
        {"id": "3", "status": "started", "tags": [], "created_at": "2026-03-03T10:00:00Z"},
    ]
    _, found = step(OPERATIONS.list_sessions(**asked)(None), page(*items, total=9))
    assert [session.id for session in found.items] == kept
    assert found.next_cursor == "3"


@pytest.mark.parametrize("status", [SessionStatus.TERMINATED, SessionStatus.RESCHEDULING])
def test_a_status_that_everruns_does_not_have_is_refused(status: SessionStatus) -> None:
    with pytest.raises(UsageError, match="idle, running, requires_action, paused, unknown"):
        step(OPERATIONS.list_sessions(statuses=[status])(None))


@pytest.mark.parametrize(("name", "feature"), REFUSED.items())
def test_list_refuses_unsupported_filters(name: str, feature: Feature) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        step(OPERATIONS.list_sessions(**{name: VALUES[name]})(None))
    assert caught.value.hint == PROVIDER.support(feature).note


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"data": None},
        {"data": {}},
        {"data": [], "total": "many"},
        {"data": [], "next_url": 7},
        {"data": [], "limit": []},
    ],
)
def test_a_page_that_cannot_be_read_is_malformed(answer: Any) -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.list_sessions()(None), ok(answer))


@pytest.mark.parametrize(
    "start", [OPERATIONS.list_sessions, lambda: OPERATIONS.list_agents(None)], ids=["sessions", "agents"]
)
def test_an_item_without_an_id_is_reported_and_the_others_are_kept(start: Callable[[], Any]) -> None:
    odd = {"id": "2", "name": 7, "title": 7, "created_at": ""}
    _, found = step(start()(None), page({"id": "1"}, {}, "x", odd, {"id": None}, total=9))
    assert [item.id for item in found.items] == ["1", "2"]
    assert found.items[1].problems[-1] == "created_at: not datetime"
    assert [problem.partition(":")[0] for problem in found.problems] == ["item 1", "item 2", "item 4"]
    assert found.next_cursor == "5"
