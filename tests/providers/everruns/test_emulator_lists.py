"""Lists of sessions of the Everruns emulator: order, pages and filters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from providers.everruns.test_emulator import HEX, Api, conforms, served


@pytest.fixture
def fresh() -> Iterator[Api]:
    yield from served()


def test_sessions_come_newest_first_page_by_page(fresh: Api) -> None:
    newest_first = [fresh.session(title=f"n{number}")["id"] for number in range(5)][::-1]
    url, seen, pages = "sessions?limit=2&search=N", [], []
    while url:
        pages.append(conforms(fresh.ok("GET", url), "PaginatedResponse"))
        seen += [session["id"] for session in pages[-1]["data"]]
        url = pages[-1].get("next_url", "")
    assert seen == newest_first
    assert [(page["total"], page["offset"], page["limit"]) for page in pages] == [(5, 0, 2), (5, 2, 2), (5, 4, 2)]
    base = f"{fresh.handle.base_url}/v1/sessions?limit=2&search=N&offset="
    assert [page.get("next_url") for page in pages] == [f"{base}2", f"{base}4", None]
    assert [page.get("prev_url") for page in pages] == [None, f"{base}0", f"{base}2"]


@pytest.mark.parametrize(
    ("query", "offset", "limit", "count"),
    [
        ("", 0, 20, 20),
        ("?limit=100", 0, 100, 21),
        ("?limit=1000", 0, 100, 21),
        ("?limit=0", 0, 1, 1),
        ("?offset=20", 20, 20, 1),
        ("?offset=500&limit=5", 500, 5, 0),
    ],
)
def test_limits_are_clamped_and_reported(many: Api, query: str, offset: int, limit: int, count: int) -> None:
    page = many.ok("GET", f"sessions{query}")
    assert (page["offset"], page["limit"], len(page["data"]), page["total"]) == (offset, limit, count, 21)


@pytest.fixture(scope="module")
def many() -> Iterator[Api]:
    for api in served():
        for _ in range(21):
            api.session()
        yield api


def test_sessions_are_found_by_agent_and_by_part_of_the_title(fresh: Api) -> None:
    agent_id = fresh.handle.agent_id
    one = fresh.session(agent_id=agent_id, title="Fix LOGIN")["id"]
    two = fresh.session(title="login again")["id"]
    three = fresh.session(agent_id=agent_id)["id"]
    for query, expected in [
        (f"agent_id={agent_id}", [three, one]),
        ("search=Login", [two, one]),
        (f"search=login&agent_id={agent_id}", [one]),
        ("search=nothing", []),
        (f"agent_id=agent_{HEX}", []),
        ("tags=x&status=active", [three, two, one]),
    ]:
        page = fresh.ok("GET", f"sessions?{query}")
        assert ([session["id"] for session in page["data"]], page["total"]) == (expected, len(expected))
    assert "Invalid agent ID" in fresh.refused("GET", "sessions?agent_id=agent_1", 400)["detail"]
