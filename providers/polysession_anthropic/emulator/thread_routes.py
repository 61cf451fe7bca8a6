"""Routes for a session's threads in the Anthropic emulator.

Backend: https://platform.claude.com/docs/en/api/beta/sessions/threads/list and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable

from polysession.emulation import ApiRequest, EventStream, Route
from polysession_anthropic.emulator.events import list_thread_events, stream
from polysession_anthropic.emulator.paging import LISTS, PAGE_FIELDS
from polysession_anthropic.emulator.requests import read_query
from polysession_anthropic.emulator.shapes import thread_shape
from polysession_anthropic.emulator.state import Session, Sessions
from polysession_anthropic.emulator.threads import Thread
from polysession_managed_agents.emulator.validation import Json, only, take_all


class ThreadRoutes:
    """The routes for the threads of a session."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        address = "/v1/sessions/{id}/threads"
        yield Route("GET", address, self._list)
        yield Route("GET", f"{address}/{{thread}}", lambda ask: thread_shape(*self._thread(ask)))
        yield Route("POST", f"{address}/{{thread}}/archive", self._archive)
        yield Route("GET", f"{address}/{{thread}}/events", self._list_events)
        yield Route("GET", f"{address}/{{thread}}/stream", self._stream)

    def _thread(self, request: ApiRequest) -> tuple[Session, Thread]:
        session = self._sessions.find(request.parameters["id"])
        return session, session.threads.find(request.parameters["thread"])

    def _list(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, PAGE_FIELDS | {"statuses"})
        session = self._sessions.find(request.parameters["id"])
        statuses = take_all(query, "statuses", str)
        shapes = {thread.id: thread_shape(session, thread) for thread in session.threads.all.values()}
        rows = {thread_id: shape for thread_id, shape in shapes.items() if not statuses or shape["status"] in statuses}
        positions = {thread_id: position for position, thread_id in enumerate(shapes)}
        return LISTS.page_among_parts(rows, positions, query, dict)

    def _archive(self, request: ApiRequest) -> Json:
        session, thread = self._thread(request)
        return thread_shape(session, session.threads.archive(thread.id))

    def _list_events(self, request: ApiRequest) -> Json:
        session, thread = self._thread(request)
        return list_thread_events(thread.writer, session.threads.events(thread), read_query(request))

    def _stream(self, request: ApiRequest) -> EventStream:
        return stream(self._thread(request)[1].writer, read_query(request))
