"""Reading and listing AgentScope's sessions.

The client paginates and filters, because the server does neither.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from polysession._core.flow import Response
from polysession._core.provider import Page
from polysession.errors import MalformedResponse, NotFound, UnsupportedOperation, UsageError
from polysession.session import SessionStatus
from polysession_agentscope.sessions import to_session
from support.agentscope_reading import text_of
from support.agentscope_sessions import LEGACY, LIST, OPERATIONS, RECORD, listed, outcome, summaries, view
from support.flows import ok, step


@pytest.mark.parametrize("item", [view("running"), LEGACY, {**view(), "session": {**RECORD, "agent_id": None}}])
def test_get_finds_the_session_in_its_agents_list(item: dict[str, Any]) -> None:
    broken = {"session": {"id": "s0", "config": "of tomorrow"}}
    calls, session = step(OPERATIONS.get_session("s1"), listed(broken, item))
    assert summaries(calls) == [LIST]
    assert session == to_session(text_of(item))


@pytest.mark.parametrize("answer", [ok({}), ok({"sessions": None}), ok([]), Response(200, {}, b"")])
def test_a_list_that_cannot_be_read_is_reported(answer: Response) -> None:
    for flow in (OPERATIONS.get_session("s1"), OPERATIONS.list_sessions()(None)):
        assert type(step(outcome(flow), answer)[1]) is MalformedResponse


ODD_ITEMS = [view(id="s3"), 1, {"session": {}}, {"session": {**RECORD, "id": "s2", "config": "odd"}}, view()]


def test_an_unreadable_item_does_not_affect_others_and_is_reported() -> None:
    _, page = step(OPERATIONS.list_sessions()(None), listed(*ODD_ITEMS))
    assert [(session.id, session.problems) for session in page.items] == [
        ("s3", ()),
        ("s2", ("session.config: not an object",)),
        ("s1", ()),
    ]
    assert page.problems == (
        "item 1: the body is not a JSON object",
        "item 2: the backend's JSON has no valid id of the session",
    )


def test_a_session_is_found_beside_items_that_cannot_be_read() -> None:
    _, session = step(OPERATIONS.get_session("s1"), listed(*ODD_ITEMS))
    assert session.id == "s1"
    _, error = step(outcome(OPERATIONS.get_session("s9")), listed(*ODD_ITEMS))
    assert type(error) is NotFound


FIVE = tuple(
    view(status, id=f"s{number}", created_at=f"2026-11-22T0{number}:00:00", config={"name": name})
    for number, status, name in (
        (5, "idle", "Report"),
        (4, "running", "ticket 4"),
        (3, "awaiting_permission", "Ticket 3"),
        (2, "awaiting_external_result", ""),
        (1, "of_tomorrow", "Ticket 1"),
    )
)


def at(hour: int) -> datetime:
    return datetime(2026, 11, 22, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({}, ["s5", "s4", "s3", "s2", "s1"]),
        ({"agent": "a1"}, ["s5", "s4", "s3", "s2", "s1"]),
        ({"statuses": [SessionStatus.IDLE, SessionStatus.RUNNING]}, ["s5", "s4"]),
        ({"statuses": [SessionStatus.REQUIRES_ACTION]}, ["s3", "s2"]),
        ({"statuses": [SessionStatus.UNKNOWN]}, ["s1"]),
        ({"title_contains": "TICKET"}, ["s4", "s3", "s1"]),
        ({"created_after": at(2), "created_before": at(4)}, ["s3"]),
        ({"title_contains": "ticket", "statuses": [SessionStatus.RUNNING], "created_after": at(1)}, ["s4"]),
        ({"title_contains": "ticket", "page_size": 3}, ["s4", "s3"]),
    ],
)
def test_list_reads_the_agents_sessions_and_filters_them(asked: dict[str, Any], ids: list[str]) -> None:
    calls, page = step(OPERATIONS.list_sessions(**asked)(None), listed(*FIVE))
    assert summaries(calls) == [LIST]
    assert [session.id for session in page.items] == ids


def test_list_prefers_its_agent_to_the_setting() -> None:
    calls, page = step(OPERATIONS.list_sessions(agent="a 2")(None), listed())
    assert summaries(calls) == [("GET", "/sessions/?agent_id=a+2", None)]
    assert page == Page(())


@pytest.mark.parametrize(
    ("limit", "cursor", "ids", "next_cursor"),
    [
        (2, None, ["s5", "s4"], "2"),
        (2, "2", ["s3", "s2"], "4"),
        (2, "4", ["s1"], None),
        (5, None, ["s5", "s4", "s3", "s2", "s1"], None),
        (2, "5", [], None),
        (2, "999999999", [], None),
        (None, "3", ["s2", "s1"], None),
    ],
)
def test_a_page_is_a_part_of_the_whole_list(
    limit: int | None, cursor: str | None, ids: list[str], next_cursor: str | None
) -> None:
    calls, page = step(OPERATIONS.list_sessions(page_size=limit)(cursor), listed(*FIVE))
    assert summaries(calls) == [LIST]
    assert ([session.id for session in page.items], page.next_cursor) == (ids, next_cursor)


@pytest.mark.parametrize("cursor", ["", "-1", "1.5", "page=2", "٣", "9" * 5000])
def test_a_cursor_of_another_list_is_rejected(cursor: str) -> None:
    for flow, answer in (
        (OPERATIONS.list_sessions()(cursor), listed()),
        (OPERATIONS.list_agents(None)(cursor), ok({"agents": []})),
    ):
        assert "is not a cursor of this list" in str(step(outcome(flow), answer)[1])


@pytest.mark.parametrize("status", [SessionStatus.PAUSED, SessionStatus.RESCHEDULING, SessionStatus.TERMINATED])
def test_a_status_that_no_session_has_is_rejected(status: SessionStatus) -> None:
    with pytest.raises(UsageError, match=f"never '{status}'; it is one of idle, requires_action, running, unknown"):
        step(OPERATIONS.list_sessions(statuses=[SessionStatus.IDLE, status])(None))


@pytest.mark.parametrize("old", [LEGACY, {"session": RECORD, "is_running": False}], ids=["2.0.0", "2.0.1 to 2.0.5"])
def test_statuses_are_not_filtered_if_the_server_does_not_list_them(old: dict[str, Any]) -> None:
    _, error = step(outcome(OPERATIONS.list_sessions(statuses=[SessionStatus.IDLE])(None)), listed(old))
    assert isinstance(error, UnsupportedOperation)
    assert (error.feature, error.hint) == ("sessions.list statuses", "use 2.0.6 or later")
    _, page = step(OPERATIONS.list_sessions(statuses=[SessionStatus.UNKNOWN])(None), listed(old))
    assert [session.id for session in page.items] == ["s1"]
