"""Routes of a session's threads and mounted resources in the Anthropic emulator.

Backend: https://platform.claude.com/docs/en/api/beta/sessions/threads/list, /docs/en/api/beta/sessions/resources/list
and the pages beside them (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable

from polysession.emulation import ApiRequest, EventStream, Route
from polysession_anthropic.emulator.events import list_thread_events, stream
from polysession_anthropic.emulator.paging import PAGE_FIELDS, page_of, read_window
from polysession_anthropic.emulator.requests import read_body, read_query
from polysession_anthropic.emulator.resources import MOUNTS, mounted
from polysession_anthropic.emulator.shapes import deleted_shape, mount_shape, thread_shape
from polysession_anthropic.emulator.state import Session, Sessions, check_open
from polysession_anthropic.emulator.threads import Thread
from polysession_managed_agents.emulator.mounts import Mount
from polysession_managed_agents.emulator.validation import Json, not_found, only, take_all

_MOST = 1000


class ThreadRoutes:
    """The threads of a session."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> Iterable[Route]:
        """The routes."""
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
        return page_of(rows, positions, read_window(query, default=_MOST, most=_MOST, newest_first=False), dict)

    def _archive(self, request: ApiRequest) -> Json:
        session, thread = self._thread(request)
        return thread_shape(session, session.threads.archive(thread.id))

    def _list_events(self, request: ApiRequest) -> Json:
        session, thread = self._thread(request)
        return list_thread_events(session.threads.events(thread), read_query(request))

    def _stream(self, request: ApiRequest) -> EventStream:
        return stream(self._thread(request)[1].writer, read_query(request))


class MountRoutes:
    """The resources of a session."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> Iterable[Route]:
        """The routes."""
        address = "/v1/sessions/{id}/resources"
        yield Route("GET", address, self._list)
        yield Route("POST", address, self._add)
        yield Route("GET", f"{address}/{{mount}}", lambda ask: mount_shape(self._mount(ask)))
        yield Route("POST", f"{address}/{{mount}}", self._rotate)
        yield Route("DELETE", f"{address}/{{mount}}", self._remove)

    def _session(self, request: ApiRequest) -> Session:
        return self._sessions.find(request.parameters["id"])

    def _mount(self, request: ApiRequest) -> Mount:
        mounts, mount_id = self._session(request).resources, request.parameters["mount"]
        if mount_id not in mounts or mounts[mount_id].fields["type"] == "memory_store":
            raise not_found("Resource", mount_id)
        return mounts[mount_id]

    def _list(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, PAGE_FIELDS)
        mounts = self._session(request).resources
        positions = {mount_id: position for position, mount_id in enumerate(mounts)}
        window = read_window(query, default=_MOST, most=_MOST, newest_first=False)
        return page_of(mounts, positions, window, mount_shape)

    def _add(self, request: ApiRequest) -> Json:
        session = self._session(request)
        check_open(session)
        mount = MOUNTS.read_added(read_body(request))
        session.resources |= mounted({mount.id: mount})
        return mount_shape(mount)

    def _rotate(self, request: ApiRequest) -> Json:
        mount = self._mount(request)
        MOUNTS.rotate_secret(mount, read_body(request))
        return mount_shape(mount)

    def _remove(self, request: ApiRequest) -> Json:
        mount = self._mount(request)
        del self._session(request).resources[mount.id]
        return deleted_shape(mount.id, "session_resource")
