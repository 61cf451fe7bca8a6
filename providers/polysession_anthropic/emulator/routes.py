"""Routes for agents, environments, models and mounted resources in the Anthropic emulator.

Backend: https://platform.claude.com/docs/en/api/beta/agents/create, /docs/en/api/beta/environments/create,
/docs/en/api/beta/sessions/resources/list and the pages beside them (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable

from polysession.emulation import Route
from polysession_anthropic.emulator.paging import LISTS
from polysession_anthropic.emulator.requests import read_body
from polysession_anthropic.emulator.resources import MOUNTS, Agents, Environments
from polysession_anthropic.emulator.shapes import agent_shape, environment_shape, models_shape, mount_shape
from polysession_anthropic.emulator.state import Sessions
from polysession_managed_agents.emulator.routes import MountRoutes, ResourceRoutes


def resource_routes(agents: Agents, environments: Environments) -> Iterable[Route]:
    """Return the routes for agents and environments."""
    return ResourceRoutes(
        agents=agents,
        environments=environments,
        prefix="/v1",
        created=200,
        lists=LISTS,
        read_body=read_body,
        agent_shape=agent_shape,
        environment_shape=environment_shape,
    ).routes()


def mount_routes(sessions: Sessions) -> Iterable[Route]:
    """Return the routes for a session's mounted resources."""
    routes = MountRoutes(
        prefix="/v1",
        rules=MOUNTS,
        lists=LISTS,
        find=sessions.find,
        find_open=sessions.find_open,
        read_body=read_body,
        shape=mount_shape,
    )
    yield routes.list_route()
    yield from routes.change_routes()


def model_routes() -> Iterable[Route]:
    """Return the routes for models, which are not part of the beta."""
    yield Route("GET", "/v1/models", lambda _: models_shape())
