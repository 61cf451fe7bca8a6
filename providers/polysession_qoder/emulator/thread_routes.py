"""Routes for a session's threads in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/threads/list and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable

from polysession.emulation import ApiRequest, EventStream, Route
from polysession_managed_agents.emulator.requests import read_query
from polysession_managed_agents.emulator.validation import Json, only
from polysession_qoder.emulator.routes import QoderLists
from polysession_qoder.emulator.shapes import thread_shape
from polysession_qoder.emulator.state import Session, Sessions


class ThreadRoutes:
    """The routes for the threads of a session. The legacy generation has no threads."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lists = QoderLists("current")

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
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
        only(query, self._lists.fields)
        session = self._session(request)
        threads = session.threads.all
        return self._lists.page_of_parts(threads, query, lambda thread: thread_shape(session, thread))

    def _get(self, request: ApiRequest) -> Json:
        session = self._session(request)
        return thread_shape(session, session.threads.find(request.parameters["thread"]))

    def _archive(self, request: ApiRequest) -> Json:
        session = self._session(request)
        return thread_shape(session, session.threads.archive(request.parameters["thread"]))

    def _list_events(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, self._lists.fields)
        events = self._session(request).threads.events(request.parameters["thread"])
        rows = {event["id"]: event for event in events}
        return self._lists.page_of_parts(rows, query, dict)

    def _stream(self, request: ApiRequest) -> EventStream:
        session = self._session(request)
        session.threads.find(request.parameters["thread"])
        return EventStream(session.threads.frames(request.parameters["thread"]))
