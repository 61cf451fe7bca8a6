"""Routes for agents, environments, models and mounted resources in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/agents/create, /cloud-agents/api/environments/create,
/cloud-agents/api/sessions/schemas and the pages beside them (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from polysession.emulation import Generation, Route
from polysession_managed_agents.emulator.paging import cut
from polysession_managed_agents.emulator.routes import MountRoutes, ResourceRoutes
from polysession_managed_agents.emulator.validation import Json
from polysession_qoder.emulator.listing import WINDOW_FIELDS, read_window
from polysession_qoder.emulator.mounts import MOUNTS
from polysession_qoder.emulator.requests import read_body
from polysession_qoder.emulator.resources import Agents, Environments
from polysession_qoder.emulator.shapes import agent_shape, environment_shape, models_shape, mount_shape, page_shape
from polysession_qoder.emulator.state import Sessions

CREATED: Mapping[Generation, int] = {"current": 200, "legacy": 201}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QoderLists:
    """The list conventions of one generation."""

    generation: Generation

    @property
    def fields(self) -> frozenset[str]:
        """The query parameters that select a page."""
        return WINDOW_FIELDS

    def page(
        self, rows: Mapping[str, T], positions: Mapping[str, int], query: Json, shape: Callable[[T], Json]
    ) -> Json:
        """Return one page of a list that begins with the newest item."""
        return page_shape(cut(rows, positions, read_window(query)), shape, self.generation)

    def page_of_parts(self, rows: Mapping[str, T], query: Json, shape: Callable[[T], Json]) -> Json:
        """Return one page of a session's resources, threads or events, oldest first."""
        positions = {row_id: position for position, row_id in enumerate(rows)}
        return page_shape(cut(rows, positions, read_window(query, newest_first=False)), shape, self.generation)


def resource_routes(agents: Agents, environments: Environments, generation: Generation) -> Iterable[Route]:
    """Return the routes for models, agents and environments."""
    yield Route("GET", "/models", lambda _: models_shape())
    yield from ResourceRoutes(
        agents=agents,
        environments=environments,
        prefix="",
        created=CREATED[generation],
        lists=QoderLists(generation),
        read_body=read_body,
        agent_shape=agent_shape,
        environment_shape=lambda environment: environment_shape(environment, generation),
    ).routes()


def mount_routes(sessions: Sessions, generation: Generation) -> Iterable[Route]:
    """Return the routes for a session's resources. The legacy generation has only the list."""
    routes = MountRoutes(
        prefix="",
        rules=MOUNTS[generation],
        lists=QoderLists(generation),
        find=sessions.find,
        find_open=sessions.find,
        read_body=read_body,
        shape=lambda mount: mount_shape(mount, generation),
    )
    yield routes.list_route()
    if generation == "current":
        yield from routes.change_routes()
