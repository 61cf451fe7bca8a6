"""Routes of a session's threads in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/threads/list and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable

from polysession.emulation import ApiRequest, EventStream, Route
from polysession_managed_agents.emulator.paging import cut
from polysession_managed_agents.emulator.requests import read_query
from polysession_managed_agents.emulator.validation import Json, only
from polysession_qoder.emulator.listing import WINDOW_FIELDS, read_window
from polysession_qoder.emulator.shapes import page_shape, thread_shape
from polysession_qoder.emulator.state import Session, Sessions


class ThreadRoutes:
    """The threads of a session. The legacy generation has no threads."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> Iterable[Route]:
        """The routes."""
        address = "/sessions/{id}/threads"
        yield Route("GET", address, self._list)
        yield Route("GET", f"{address}/{{thread}}", self._get)
        yield Route("POST", f"{address}/{{thread}}/archive", self._archive)
        yield Route("GET", f"{address}/{{thread}}/events", self._list_events)
        yield Route("GET", f"{address}/{{thread}}/stream", self._stream)

    def _session(self, request: ApiRequest) -> Session:
        return self._sessions.find(request.parameters["id"])

    def _list(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, WINDOW_FIELDS)
        session = self._session(request)
        threads = session.threads.all
        positions = {thread_id: position for position, thread_id in enumerate(threads)}
        page = cut(threads, positions, read_window(query, newest_first=False))
        return page_shape(page, lambda thread: thread_shape(session, thread), "current")

    def _get(self, request: ApiRequest) -> Json:
        session = self._session(request)
        return thread_shape(session, session.threads.find(request.parameters["thread"]))

    def _archive(self, request: ApiRequest) -> Json:
        session = self._session(request)
        return thread_shape(session, session.threads.archive(request.parameters["thread"]))

    def _list_events(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, WINDOW_FIELDS)
        events = self._session(request).threads.events(request.parameters["thread"])
        rows = {event["id"]: event for event in events}
        positions = {event_id: position for position, event_id in enumerate(rows)}
        page = cut(rows, positions, read_window(query, newest_first=False))
        return page_shape(page, lambda event: event, "current")

    def _stream(self, request: ApiRequest) -> EventStream:
        session = self._session(request)
        session.threads.find(request.parameters["thread"])
        return EventStream(session.threads.frames(request.parameters["thread"]))
