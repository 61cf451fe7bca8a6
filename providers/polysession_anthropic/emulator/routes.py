"""Routes of agents, environments and models in the Anthropic emulator.

Backend: https://platform.claude.com/docs/en/api/beta/agents/create, /docs/en/api/beta/environments/create and the
pages beside them (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from polysession.emulation import ApiRequest, Route
from polysession_anthropic.emulator.paging import PAGE_FIELDS, page_of, read_window
from polysession_anthropic.emulator.requests import read_body, read_query
from polysession_anthropic.emulator.resources import Agents, Environments
from polysession_anthropic.emulator.shapes import agent_shape, deleted_shape, environment_shape, models_shape
from polysession_managed_agents.emulator.shelf import R, Shelf, read_plain_filter
from polysession_managed_agents.emulator.validation import Json, only, take

_LIST_FIELDS = PAGE_FIELDS | {"created_at[gte]", "created_at[lte]", "include_archived"}


def resource_routes(agents: Agents, environments: Environments) -> Iterable[Route]:
    """The routes of everything in the beta that is no session."""
    yield from _agent_routes(agents)
    yield from _environment_routes(environments)


def model_routes() -> Iterable[Route]:
    """The routes of models, which are not part of the beta."""
    yield Route("GET", "/v1/models", lambda _: models_shape())


def _agent_routes(agents: Agents) -> Iterable[Route]:
    def get_agent(request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, {"version"})
        return agent_shape(agents.find(request.parameters["id"]), take(query, "version", int))

    def list_versions(request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, PAGE_FIELDS)
        agent = agents.find(request.parameters["id"])
        numbers = {str(fields["version"]): fields["version"] for fields in agent.versions}
        window = read_window(query, default=20, most=100, newest_first=True)
        return page_of(numbers, numbers, window, lambda version: agent_shape(agent, version))

    address = "/v1/agents/{id}"
    yield Route("POST", "/v1/agents", lambda ask: agent_shape(agents.create(read_body(ask))))
    yield Route("GET", "/v1/agents", _lister(agents, agent_shape))
    yield Route("GET", address, get_agent)
    yield Route("POST", address, lambda ask: agent_shape(agents.update(ask.parameters["id"], read_body(ask))))
    yield Route("GET", f"{address}/versions", list_versions)
    yield Route("POST", f"{address}/archive", lambda ask: agent_shape(agents.archive(ask.parameters["id"])))


def _environment_routes(environments: Environments) -> Iterable[Route]:
    def delete(request: ApiRequest) -> Json:
        environments.delete(request.parameters["id"])
        return deleted_shape(request.parameters["id"], "environment")

    shape, address = environment_shape, "/v1/environments/{id}"
    yield Route("POST", "/v1/environments", lambda ask: shape(environments.create(read_body(ask))))
    yield Route("GET", "/v1/environments", _lister(environments, shape))
    yield Route("GET", address, lambda ask: shape(environments.find(ask.parameters["id"])))
    yield Route("POST", address, lambda ask: shape(environments.update(ask.parameters["id"], read_body(ask))))
    yield Route("DELETE", address, delete)
    yield Route("POST", f"{address}/archive", lambda ask: shape(environments.archive(ask.parameters["id"])))


def _lister(shelf: Shelf[R], shape: Callable[[R], Json]) -> Callable[[ApiRequest], Json]:
    def respond(request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, _LIST_FIELDS)
        window = read_window(query, default=20, most=100, newest_first=True)
        return page_of(shelf.select(read_plain_filter(query)), shelf.positions, window, shape)

    return respond
