"""Qoder's lists and searches, filter by filter, from flows that are stepped by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from polysession import MalformedResponse, Session, SessionStatus, UsageError
from polysession._core.fields import LIST_FIELDS
from polysession._core.flow import Call, Flow, Response
from polysession._core.operations import Operations
from polysession._core.provider import Page
from polysession_qoder import QoderProvider, QoderSessionQuery, QoderSettings
from support.flows import ok, step

JsonObject = dict[str, Any]

SESSION: JsonObject = {"id": "sess_1", "status": "idle"}
NOTHING_MORE: JsonObject = {"data": [], "next_page": None, "first_id": None, "last_id": None, "has_more": False}
MOMENT = datetime(2026, 10, 1, 10, 0, 0, 5, timezone(timedelta(hours=2)))

PROVIDER = QoderProvider(QoderSettings(token="pt-made-up"))
OPERATIONS = Operations(PROVIDER)


def sent(flow: Flow[Page[Session]]) -> tuple[Call, Any]:
    """Return the only call of a list without its body, and the decoded body."""
    calls, _ = step(flow, ok(NOTHING_MORE))
    assert len(calls) == 1
    return replace(calls[0], body=None), None if calls[0].body is None else json.loads(calls[0].body)


def first_page(**query: Any) -> Flow[Page[Session]]:
    return OPERATIONS.list_sessions(**query)(None)


IDLE, RUNNING = SessionStatus.IDLE, SessionStatus.RUNNING
FILTERED: dict[str, list[tuple[JsonObject, str]]] = {
    "agent": [({"agent": "agent_1"}, "agent_id=agent_1")],
    "statuses": [({"statuses": [IDLE, RUNNING]}, "statuses%5B%5D=idle&statuses%5B%5D=running")],
    "created_after": [({"created_after": MOMENT}, "created_at%5Bgt%5D=2026-10-01T08%3A00%3A00.000005Z")],
    "created_before": [
        ({"created_before": datetime(2026, 10, 1, tzinfo=UTC)}, "created_at%5Blt%5D=2026-10-01T00%3A00%3A00.000000Z")
    ],
    "include_archived": [({"include_archived": True}, "include_archived=true")],
    "oldest_first": [({"oldest_first": True}, "order=asc")],
    "page_size": [({"page_size": 1}, "limit=1"), ({"page_size": 100}, "limit=100")],
    "native": [
        (
            {"agent": "agent_1", "native": QoderSessionQuery(agent_version=3)},
            "agent_id=agent_1&agent_version=3",
        ),
        ({"native": QoderSessionQuery(deployment_id="dep_1")}, "deployment_id=dep_1"),
        ({"native": QoderSessionQuery(memory_store_id="memstore_1", deployment_id=None)}, "memory_store_id=memstore_1"),
    ],
}
SEARCHED: dict[str, tuple[JsonObject, JsonObject]] = {
    "title_contains": ({"title_contains": "42"}, {"name": "42"}),
    "metadata": ({"metadata": {"team": "red"}}, {"metadata": {"team": "red"}}),
    "both": ({"title_contains": "42", "metadata": {"a": "b"}}, {"name": "42", "metadata": {"a": "b"}}),
    "agent": ({"title_contains": "42", "agent": "agent_1"}, {"name": "42", "agent_id": "agent_1"}),
    "statuses": (
        {"title_contains": "42", "statuses": [IDLE, RUNNING]},
        {"name": "42", "statuses": ["idle", "running"]},
    ),
    "include_archived": ({"title_contains": "42", "include_archived": True}, {"name": "42", "include_archived": True}),
    "oldest_first": ({"title_contains": "42", "oldest_first": True}, {"name": "42", "order": "asc"}),
    "page_size": ({"title_contains": "42", "page_size": 100}, {"name": "42", "limit": 100}),
    "created_after": ({"title_contains": "42", "created_after": MOMENT}, {"name": "42"}),
    "created_before": ({"title_contains": "42", "created_before": MOMENT}, {"name": "42"}),
    "native": (
        {"title_contains": "42", "native": QoderSessionQuery(deployment_id="dep_1", memory_store_id=None)},
        {"name": "42", "deployment_id": "dep_1"},
    ),
}


def test_a_list_sends_only_the_passed_parameters() -> None:
    assert sent(first_page()) == (Call("GET", "/sessions"), None)
    assert sent(first_page(title_contains="", metadata={})) == (Call("GET", "/sessions"), None)


@pytest.mark.parametrize(("query", "written"), [case for cases in FILTERED.values() for case in cases])
def test_a_list_sends_each_filter(query: JsonObject, written: str) -> None:
    assert sent(first_page(**query)) == (Call("GET", f"/sessions?{written}"), None)


@pytest.mark.parametrize(("query", "body"), SEARCHED.values(), ids=SEARCHED)
def test_a_search_filter_is_sent_to_the_search_with_the_others(query: JsonObject, body: JsonObject) -> None:
    search = Call("POST", "/sessions/search", headers={"x-qoder-beta": "search-2026-08-31"}, read_only=True)
    assert sent(first_page(**query)) == (search, body)


def test_the_times_of_a_search_are_filtered_in_the_client() -> None:
    found = [{"id": f"sess_{hour}", "created_at": f"2026-10-01T0{hour}:00:00Z"} for hour in range(5)]
    times = [datetime(2026, 10, 1, hour, tzinfo=UTC) for hour in (1, 4)]
    _, page = step(
        first_page(title_contains="4", created_after=times[0], created_before=times[1]),
        ok({**NOTHING_MORE, "data": found, "total": 5}),
    )
    assert [session.id for session in page.items] == ["sess_2", "sess_3"]


ENVELOPES: dict[str, tuple[JsonObject, str | None]] = {
    "current": ({"next_page": "p/2", "last_id": "sess_2", "has_more": True}, "page=p/2"),
    "current, last": ({"next_page": None, "last_id": "sess_2", "has_more": False}, None),
    "older": ({"last_id": "sess_2", "has_more": True}, "after_id=sess_2"),
    "older, last": ({"last_id": "sess_2", "has_more": False}, None),
    "without has_more": ({"next_page": "p/2"}, "page=p/2"),
    "a cursor after the end": ({"next_page": "p/2", "has_more": False}, None),
    "bare": ({}, None),
}


@pytest.mark.parametrize(("envelope", "cursor"), ENVELOPES.values(), ids=ENVELOPES)
def test_the_envelope_of_every_generation_has_the_next_cursor(envelope: JsonObject, cursor: str | None) -> None:
    _, page = step(first_page(), ok({"data": [SESSION, {"id": "sess_2"}], **envelope}))
    assert ([session.id for session in page.items], page.next_cursor) == (["sess_1", "sess_2"], cursor)


def test_a_list_with_more_pages_but_no_cursor_is_malformed() -> None:
    with pytest.raises(MalformedResponse, match="there are more pages"):
        step(first_page(), ok({"data": [SESSION], "has_more": True}))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": 5}', b'{"data": {}}', b"<html>"])
def test_a_body_that_is_not_a_page_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        step(first_page(), Response(200, {}, body))


@pytest.mark.parametrize(
    ("cursor", "written"), [("page=p/2=", "page=p%2F2%3D"), ("after_id=sess_2", "after_id=sess_2")]
)
def test_the_next_page_has_the_same_filters(cursor: str, written: str) -> None:
    page_flow = OPERATIONS.list_sessions(agent="agent_1", page_size=2)
    assert sent(page_flow(cursor)) == (
        Call("GET", f"/sessions?agent_id=agent_1&limit=2&{written}"),
        None,
    )


def test_the_next_page_of_a_search_is_asked_for_in_the_body() -> None:
    page_flow = OPERATIONS.list_sessions(title_contains="42", page_size=2)
    assert sent(page_flow("page=p2"))[1] == {"name": "42", "limit": 2, "page": "p2"}


@pytest.mark.parametrize("cursor", ["", "sess_2", "page=", "before_id=sess_2"])
@pytest.mark.parametrize("query", [{}, {"title_contains": "42"}])
def test_a_foreign_cursor_raises_before_any_call(query: JsonObject, cursor: str) -> None:
    with pytest.raises(UsageError, match="is not a cursor"):
        next(OPERATIONS.list_sessions(**query)(cursor))


@pytest.mark.parametrize("query", [{}, {"title_contains": "42"}])
def test_a_limit_over_100_raises_before_any_call(query: JsonObject) -> None:
    with pytest.raises(UsageError, match="at most 100"):
        next(first_page(**query, page_size=101))


@pytest.mark.parametrize("status", [SessionStatus.PAUSED, SessionStatus.REQUIRES_ACTION, SessionStatus.UNKNOWN])
def test_a_status_that_qoder_does_not_have_raises_before_any_call(status: SessionStatus) -> None:
    with pytest.raises(UsageError, match="has no session status"):
        next(first_page(statuses=[SessionStatus.IDLE, status]))


def test_every_supported_filter_is_asserted_above() -> None:
    supported = {field for field, feature in LIST_FIELDS.items() if PROVIDER.support(feature).support}
    assert supported <= FILTERED.keys() | SEARCHED.keys()
