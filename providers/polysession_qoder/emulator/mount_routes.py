"""Routes of a session's resources in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable

from polysession.emulation import ApiRequest, Generation, Route
from polysession_managed_agents.emulator.mounts import Mount
from polysession_managed_agents.emulator.paging import cut
from polysession_managed_agents.emulator.requests import read_query
from polysession_managed_agents.emulator.validation import Json, not_found, only
from polysession_qoder.emulator.listing import WINDOW_FIELDS, read_window
from polysession_qoder.emulator.mounts import MOUNTS
from polysession_qoder.emulator.requests import read_body
from polysession_qoder.emulator.shapes import mount_shape, page_shape
from polysession_qoder.emulator.state import Session, Sessions


class MountRoutes:
    """The resources of a session. The legacy generation has the list only."""

    def __init__(self, sessions: Sessions, generation: Generation) -> None:
        self._sessions = sessions
        self._generation = generation

    def routes(self) -> Iterable[Route]:
        """The routes."""
        address = "/sessions/{id}/resources"
        yield Route("GET", address, self._list)
        if self._generation == "current":
            yield Route("POST", address, self._add)
            yield Route("GET", f"{address}/{{mount}}", lambda ask: self._shape(self._mount(ask)))
            yield Route("POST", f"{address}/{{mount}}", self._rotate)
            yield Route("DELETE", f"{address}/{{mount}}", self._remove)

    def _session(self, request: ApiRequest) -> Session:
        return self._sessions.find(request.parameters["id"])

    def _mount(self, request: ApiRequest) -> Mount:
        mounts, mount_id = self._session(request).resources, request.parameters["mount"]
        if mount_id not in mounts:
            raise not_found("Resource", mount_id)
        return mounts[mount_id]

    def _shape(self, mount: Mount) -> Json:
        return mount_shape(mount, self._generation)

    def _list(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, WINDOW_FIELDS)
        mounts = self._session(request).resources
        positions = {mount_id: position for position, mount_id in enumerate(mounts)}
        page = cut(mounts, positions, read_window(query, newest_first=False))
        return page_shape(page, self._shape, self._generation)

    def _add(self, request: ApiRequest) -> Json:
        session = self._session(request)
        mount = MOUNTS[self._generation].read_added(read_body(request))
        session.resources[mount.id] = mount
        return self._shape(mount)

    def _rotate(self, request: ApiRequest) -> Json:
        mount = self._mount(request)
        MOUNTS[self._generation].rotate_secret(mount, read_body(request))
        return self._shape(mount)

    def _remove(self, request: ApiRequest) -> Json:
        mount = self._mount(request)
        del self._session(request).resources[mount.id]
        return {"id": mount.id, "type": "session_resource_deleted"}
