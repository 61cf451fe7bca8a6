"""Lists of sessions: every page, in order, and each filter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from polysession import Client, Feature, Session, SessionStatus
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.faces import Face
from polysession.testing.fault_server import FaultServer
from polysession.testing.marks import covers
from polysession.testing.sessions import for_agent


class ListContract(ContractBase):
    """A list is lazy, complete and in order; a filter keeps the matching items."""

    def some(self, client: Client, backend: Backend, number: int, **values: Any) -> tuple[list[str], dict[str, Any]]:
        """Return the ids of new sessions, oldest first, and the filter that selects them.

        If the provider cannot create sessions, use the newest existing ones.
        """
        if not self.supports(Feature.SESSIONS_CREATE):
            found = [session.id for session in client.sessions.list(limit=number)]
            assert len(found) == number, f"the backend needs {number} sessions for this test"
            return found[::-1], {}
        agent = self.own_agent(client, backend)
        ids = [self.new_session(client, backend, **for_agent(agent), **values).id for _ in range(number)]
        return ids, for_agent(agent) if self.supports(Feature.SESSIONS_LIST_AGENT) else {}

    def listed(self, client: Client, among: list[str], **query: Any) -> list[str]:
        """Return the ids in a list of sessions that are among the given ids."""
        return [session.id for session in client.sessions.list(**query) if session.id in among]

    @covers(Feature.SESSIONS_LIST)
    def test_sessions_are_listed_newest_first(self, client: Client, backend: Backend) -> None:
        ids, mine = self.some(client, backend, 3)
        assert self.listed(client, ids, **mine) == ids[::-1]

    @covers(Feature.SESSIONS_LIST)
    def test_a_listed_session_says_what_a_read_one_says(self, client: Client, backend: Backend) -> None:
        (session_id,), mine = self.some(client, backend, 1)
        (listed,) = [session for session in client.sessions.list(**mine) if session.id == session_id]
        assert isinstance(listed, Session)
        assert listed.provider == self.provider
        in_lists = {SessionStatus.IDLE} if self.has_status_word else {SessionStatus.IDLE, SessionStatus.UNKNOWN}
        assert listed.status in in_lists
        if self.supports(Feature.SESSIONS_GET):
            read = client.sessions.get(listed)
            assert (read.title, read.agent_id, read.created_at) == (listed.title, listed.agent_id, listed.created_at)

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_PAGE_SIZE)
    @pytest.mark.parametrize("page_size", [1, 2, 5])
    def test_a_list_runs_over_all_its_pages(self, client: Client, backend: Backend, page_size: int) -> None:
        ids, mine = self.some(client, backend, 5)
        assert self.listed(client, ids, page_size=page_size, **mine) == ids[::-1]

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_PAGE_SIZE)
    def test_a_page_tells_how_to_go_on(self, client: Client, backend: Backend) -> None:
        ids, mine = self.some(client, backend, 3)
        pages = client.sessions.list(page_size=2, **mine)

        first = pages.page()
        rest = client.sessions.list(page_size=2, cursor=first.next_cursor, **mine)

        assert len(first.items) == 2
        seen = [session.id for session in [*first.items, *rest]]
        assert len(seen) == len(set(seen))
        assert [session_id for session_id in seen if session_id in ids] == ids[::-1]
        assert [page.next_cursor for page in pages.pages()][-1] is None

    @covers(Feature.SESSIONS_LIST)
    def test_a_list_can_be_read_twice(self, client: Client, backend: Backend) -> None:
        _, mine = self.some(client, backend, 2)
        sessions = client.sessions.list(**mine)
        assert [session.id for session in sessions] == [session.id for session in sessions]

    @covers(Feature.SESSIONS_LIST)
    def test_nothing_is_read_before_it_is_asked_for(self, face: Face, backend: Backend, nowhere: FaultServer) -> None:
        with self.open(face, {**backend.settings, "base_url": nowhere.url}) as client:
            client.sessions.list()
        assert nowhere.connections == 0

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_OLDEST_FIRST)
    def test_sessions_are_listed_oldest_first(self, client: Client, backend: Backend) -> None:
        ids, mine = self.some(client, backend, 3)
        assert self.listed(client, ids, oldest_first=True, **mine) == ids

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_AGENT, Feature.AGENTS_CREATE, Feature.SESSIONS_CREATE_AGENT)
    def test_a_list_is_of_one_agent(self, client: Client, backend: Backend) -> None:
        ids, mine = self.some(client, backend, 1)
        others, _ = self.some(client, backend, 1)
        assert self.listed(client, ids + others, **mine) == ids

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_STATUSES, Feature.SESSIONS_SEND)
    def test_a_list_is_of_some_statuses(self, client: Client, backend: Backend) -> None:
        (idle, busy), mine = self.some(client, backend, 2)
        (running,) = [session for session in client.sessions.list(**mine) if session.id == busy]
        client.sessions.send(running, self.script.slow)

        def found(*statuses: SessionStatus) -> list[str]:
            return self.listed(client, [idle, busy], statuses=list(statuses), **mine)

        self.eventually(lambda: found(SessionStatus.RUNNING) == [busy], "the running session is listed")
        assert found(SessionStatus.IDLE) == [idle]
        assert found(SessionStatus.IDLE, SessionStatus.RUNNING) == [busy, idle]
        if self.supports(Feature.SESSIONS_CANCEL):
            client.sessions.cancel(running)

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_TITLE_CONTAINS, Feature.SESSIONS_CREATE_TITLE)
    def test_a_list_is_of_some_titles(self, client: Client, backend: Backend) -> None:
        agent = for_agent(self.own_agent(client, backend))
        ids = [self.new_session(client, backend, **agent, title=title).id for title in ("Ticket one", "Other")]
        mine = agent if self.supports(Feature.SESSIONS_LIST_AGENT) else {}

        assert self.listed(client, ids, title_contains="tICKET", **mine) == [ids[0]]
        assert self.listed(client, ids, title_contains="no such title", **mine) == []

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_TAGS, Feature.SESSIONS_CREATE_TAGS)
    def test_a_list_is_of_some_tags(self, client: Client, backend: Backend) -> None:
        agent = for_agent(self.own_agent(client, backend))
        ids = [self.new_session(client, backend, **agent, tags=tags).id for tags in (["a", "b"], ["a"], [])]
        mine = agent if self.supports(Feature.SESSIONS_LIST_AGENT) else {}

        assert self.listed(client, ids, tags=["a"], **mine) == [ids[1], ids[0]]
        assert self.listed(client, ids, tags=["b", "a"], **mine) == [ids[0]]

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_METADATA, Feature.SESSIONS_CREATE_METADATA)
    def test_a_list_is_of_some_metadata(self, client: Client, backend: Backend) -> None:
        agent = for_agent(self.own_agent(client, backend))
        several = ({"odd": "1", "all": "x"}, {"odd": "0", "all": "x"})
        ids = [self.new_session(client, backend, **agent, metadata=metadata).id for metadata in several]
        mine = agent if self.supports(Feature.SESSIONS_LIST_AGENT) else {}

        assert self.listed(client, ids, metadata={"odd": "1"}, **mine) == [ids[0]]
        assert self.listed(client, ids, metadata={"odd": "0", "all": "x"}, **mine) == [ids[1]]
        assert self.listed(client, ids, metadata={"all": "x"}, **mine) == ids[::-1]

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_CREATED, Feature.SESSIONS_GET)
    def test_a_list_is_of_some_times(self, client: Client, backend: Backend) -> None:
        ids, mine = self.some(client, backend, 3)
        sessions = [session for session in client.sessions.list(**mine) if session.id in ids]
        first, second, third = (session.created_at for session in reversed(sessions))
        assert first
        assert second
        assert third

        assert self.listed(client, ids, created_after=second, **mine) == [ids[2]]
        assert self.listed(client, ids, created_before=second, **mine) == [ids[0]]
        assert self.listed(client, ids, created_after=first, created_before=third, **mine) == [ids[1]]
        assert self.listed(client, ids, created_after=third + timedelta(seconds=1), **mine) == []

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_ORIGIN)
    def test_a_list_is_of_one_origin(self, client: Client, backend: Backend) -> None:
        ids, mine = self.some(client, backend, 1)
        (session,) = [session for session in client.sessions.list(**mine) if session.id in ids]
        assert session.origin
        assert self.listed(client, ids, origin=session.origin, **mine) == ids
        assert self.listed(client, ids, origin="contract-none", **mine) == []

    @covers(Feature.SESSIONS_LIST)
    def test_a_list_ends_at_its_limit(self, client: Client, backend: Backend) -> None:
        self.some(client, backend, 3)
        everything = [session.id for session in client.sessions.list(limit=3)]
        for limit in (1, 2):
            pages = list(client.sessions.list(limit=limit).pages())
            assert [session.id for page in pages for session in page.items] == everything[:limit]
            assert pages[-1].next_cursor is None

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_INCLUDE_ARCHIVED, Feature.SESSIONS_ARCHIVE)
    def test_archived_sessions_are_listed_on_demand(self, client: Client, backend: Backend) -> None:
        ids, mine = self.some(client, backend, 2)
        (session,) = [session for session in client.sessions.list(**mine) if session.id == ids[0]]
        client.sessions.archive(session)

        assert self.listed(client, ids, **mine) == [ids[1]]
        assert self.listed(client, ids, include_archived=True, **mine) == ids[::-1]
