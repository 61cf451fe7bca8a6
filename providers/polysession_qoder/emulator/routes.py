"""Routes of agents, environments and models in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/agents/create, /cloud-agents/api/environments/create and the pages
beside them (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from polysession.emulation import ApiRequest, Generation, Route
from polysession_managed_agents.emulator.paging import cut
from polysession_managed_agents.emulator.requests import read_query
from polysession_managed_agents.emulator.resources import Environment
from polysession_managed_agents.emulator.shelf import R, Shelf, read_plain_filter
from polysession_managed_agents.emulator.validation import Json, only, take
from polysession_qoder.emulator.listing import WINDOW_FIELDS, read_window
from polysession_qoder.emulator.requests import read_body
from polysession_qoder.emulator.resources import Agents, Environments
from polysession_qoder.emulator.shapes import agent_shape, deleted_shape, environment_shape, models_shape, page_shape

CREATED: Mapping[Generation, int] = {"current": 200, "legacy": 201}

_LIST_FIELDS = WINDOW_FIELDS | {"created_at[gte]", "created_at[lte]", "include_archived"}


def resource_routes(agents: Agents, environments: Environments, generation: Generation) -> Iterable[Route]:
    """The routes of everything that is no session."""
    yield Route("GET", "/models", lambda _: models_shape())
    yield from _agent_routes(agents, generation)
    yield from _environment_routes(environments, generation)


def _agent_routes(agents: Agents, generation: Generation) -> Iterable[Route]:
    def get_agent(request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, {"version"})
        return agent_shape(agents.find(request.parameters["id"]), take(query, "version", int))

    def list_versions(request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, WINDOW_FIELDS)
        agent = agents.find(request.parameters["id"])
        numbers = {str(fields["version"]): fields["version"] for fields in agent.versions}
        page = cut(numbers, numbers, read_window(query))
        return page_shape(page, lambda version: agent_shape(agent, version), generation)

    yield Route("POST", "/agents", lambda ask: agent_shape(agents.create(read_body(ask))), CREATED[generation])
    yield Route("GET", "/agents", _lister(agents, agent_shape, generation))
    yield Route("GET", "/agents/{id}", get_agent)
    yield Route("POST", "/agents/{id}", lambda ask: agent_shape(agents.update(ask.parameters["id"], read_body(ask))))
    yield Route("GET", "/agents/{id}/versions", list_versions)
    yield Route("POST", "/agents/{id}/archive", lambda ask: agent_shape(agents.archive(ask.parameters["id"])))


def _environment_routes(environments: Environments, generation: Generation) -> Iterable[Route]:
    def shape(environment: Environment) -> Json:
        return environment_shape(environment, generation)

    def delete(request: ApiRequest) -> Json:
        environments.delete(request.parameters["id"])
        return deleted_shape(request.parameters["id"], "environment")

    address = "/environments/{id}"
    yield Route("POST", "/environments", lambda ask: shape(environments.create(read_body(ask))), CREATED[generation])
    yield Route("GET", "/environments", _lister(environments, shape, generation))
    yield Route("GET", address, lambda ask: shape(environments.find(ask.parameters["id"])))
    yield Route("POST", address, lambda ask: shape(environments.update(ask.parameters["id"], read_body(ask))))
    yield Route("DELETE", address, delete)
    yield Route("POST", f"{address}/archive", lambda ask: shape(environments.archive(ask.parameters["id"])))


def _lister(shelf: Shelf[R], shape: Callable[[R], Json], generation: Generation) -> Callable[[ApiRequest], Json]:
    def respond(request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, _LIST_FIELDS)
        page = cut(shelf.select(read_plain_filter(query)), shelf.positions, read_window(query))
        return page_shape(page, shape, generation)

    return respond
