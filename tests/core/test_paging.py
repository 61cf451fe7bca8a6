from __future__ import annotations

from collections.abc import Mapping

import pytest

from polysession._core.flow import Flow
from polysession._core.paging import PageWalk
from polysession._core.provider import Page
from polysession.errors import MalformedResponse
from polysession.event import Event, ToolCallCompleted, TurnStarted
from polysession.resources import Agent
from support.flows import step


def agent(agent_id: str) -> Agent:
    return Agent(provider="acme", id=agent_id, name=agent_id)


def walk_over(
    pages: Mapping[str | None, tuple[str, str | None]], start: str | None = None, limit: int | None = None
) -> PageWalk[Agent]:
    """A walk over prepared pages: by cursor, the ids on the page and the next cursor."""

    def page_flow(cursor: str | None) -> Flow[Page[Agent]]:
        yield from ()
        ids, next_cursor = pages[cursor]
        return Page(tuple(agent(agent_id) for agent_id in ids), next_cursor)

    return PageWalk(page_flow, start, limit)


def read(walk: PageWalk[Agent]) -> list[str]:
    """The ids of each page."""
    found = []
    while not walk.finished:
        _, page = step(walk.next_page())
        found.append("".join(item.id for item in page.items))
    return found


def test_pages_are_read_to_the_end() -> None:
    assert read(walk_over({None: ("ab", "2"), "2": ("cd", "3"), "3": ("e", None)})) == ["ab", "cd", "e"]


def test_a_walk_may_begin_at_a_cursor() -> None:
    assert read(walk_over({"2": ("cd", None)}, start="2")) == ["cd"]


def test_an_empty_page_is_not_the_end() -> None:
    assert read(walk_over({None: ("", "2"), "2": ("a", None)})) == ["", "a"]


def test_items_that_moved_to_the_next_page_are_given_once() -> None:
    assert read(walk_over({None: ("abc", "2"), "2": ("cd", None)})) == ["abc", "d"]


def test_a_page_keeps_its_cursor() -> None:
    _, page = step(walk_over({None: ("a", "2")}).next_page())

    assert page == Page((agent("a"),), "2")


@pytest.mark.parametrize(
    "pages",
    [
        {"1": ("a", "1")},
        {"1": ("a", "2"), "2": ("b", "1")},
        {"1": ("a", "2"), "2": ("b", "3"), "3": ("c", "2")},
    ],
)
def test_a_list_that_turns_in_a_circle_is_malformed(pages: Mapping[str | None, tuple[str, str | None]]) -> None:
    with pytest.raises(MalformedResponse, match="does not advance"):
        read(walk_over(pages, start="1"))


def test_a_list_that_brings_nothing_new_for_many_pages_is_not_read_for_ever() -> None:
    pages: dict[str | None, tuple[str, str | None]] = {str(number): ("ab", str(number + 1)) for number in range(100)}
    walk = walk_over({None: ("ab", "0"), **pages})

    with pytest.raises(MalformedResponse, match="10 pages in a row repeat the page before them"):
        read(walk)


def test_a_list_that_grows_by_whole_pages_is_read_on() -> None:
    walk = walk_over({None: ("a", "1"), "1": ("a", "2"), "2": ("a", "3"), "3": ("b", "4"), "4": ("b", None)})

    assert read(walk) == ["a", "", "", "b", ""]


@pytest.mark.parametrize(
    ("limit", "pages"), [(1, ["a"]), (2, ["ab"]), (3, ["ab", "c"]), (5, ["ab", "cd", "e"]), (9, ["ab", "cd", "e"])]
)
def test_a_limit_ends_a_walk_within_a_page(limit: int, pages: list[str]) -> None:
    walk = walk_over({None: ("ab", "2"), "2": ("cd", "3"), "3": ("e", None)}, limit=limit)

    assert read(walk) == pages


def test_the_page_that_a_limit_cuts_has_no_cursor() -> None:
    walk = walk_over({None: ("ab", "2"), "2": ("cd", "3")}, limit=3)

    assert [step(walk.next_page())[1].next_cursor for _ in range(2)] == ["2", None]
    assert walk.finished


def test_items_that_moved_do_not_count_against_a_limit() -> None:
    assert read(walk_over({None: ("abc", "2"), "2": ("cd", "3"), "3": ("e", None)}, limit=4)) == ["abc", "d"]


def test_events_that_share_the_id_of_one_backend_event_may_be_on_two_pages() -> None:
    started = TurnStarted(session_id="s", id="e1")
    calls = [ToolCallCompleted(session_id="s", id="e1", tool_call_id=call, name="add", arguments={}) for call in "ab"]
    pages: dict[str | None, Page[Event]] = {None: Page((started, calls[0]), "2"), "2": Page((calls[0], calls[1]))}

    def page_flow(cursor: str | None) -> Flow[Page[Event]]:
        yield from ()
        return pages[cursor]

    walk = PageWalk(page_flow, None)
    assert [step(walk.next_page())[1].items for _ in pages] == [(started, calls[0]), (calls[1],)]
