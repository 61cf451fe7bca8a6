"""Routes for agents, environments, and a session's mounted resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from polysession.emulation import ApiRequest, Route
from polysession_managed_agents.emulator.mounts import Mount, MountRules
from polysession_managed_agents.emulator.record_store import R, RecordStore, read_plain_filter
from polysession_managed_agents.emulator.requests import read_query
from polysession_managed_agents.emulator.resources import Agent, Agents, Environment, Environments
from polysession_managed_agents.emulator.validation import Json, not_found, only, take

_FILTERS = frozenset({"created_at[gte]", "created_at[lte]", "include_archived"})

T = TypeVar("T")


class Lists(Protocol):
    """The list conventions of one backend."""

    @property
    def fields(self) -> frozenset[str]:
        """The query parameters that select a page."""

    def page(
        self, rows: Mapping[str, T], positions: Mapping[str, int], query: Json, shape: Callable[[T], Json]
    ) -> Json:
        """Return one page of a list that begins with the newest item."""

    def page_of_parts(self, rows: Mapping[str, T], query: Json, shape: Callable[[T], Json]) -> Json:
        """Return one page of a session's resources or threads, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRoutes:
    """The routes for agents and environments.

    Attributes:
        prefix: Prefix of every path.
        created: HTTP status of the response to a creation.
        read_body: Reads the body of a request.
        agent_shape: Returns the JSON of an agent at a version; None means the latest.
        environment_shape: Returns the JSON of an environment.
    """

    agents: Agents
    environments: Environments
    prefix: str
    created: int
    lists: Lists
    read_body: Callable[[ApiRequest], Json]
    agent_shape: Callable[[Agent, int | None], Json]
    environment_shape: Callable[[Environment], Json]

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        agents, read, shape = self.agents, self.read_body, self._latest
        many = f"{self.prefix}/agents"
        one = f"{many}/{{id}}"
        yield Route("POST", many, lambda ask: shape(agents.create(read(ask))), self.created)
        yield Route("GET", many, self._lister(agents, shape))
        yield Route("GET", one, self._get_agent)
        yield Route("POST", one, lambda ask: shape(agents.update(ask.parameters["id"], read(ask))))
        yield Route("GET", f"{one}/versions", self._list_versions)
        yield Route("POST", f"{one}/archive", lambda ask: shape(agents.archive(ask.parameters["id"])))
        yield from self._environment_routes()

    def _environment_routes(self) -> Iterable[Route]:
        environments, read, shape = self.environments, self.read_body, self.environment_shape
        many = f"{self.prefix}/environments"
        one = f"{many}/{{id}}"
        yield Route("POST", many, lambda ask: shape(environments.create(read(ask))), self.created)
        yield Route("GET", many, self._lister(environments, shape))
        yield Route("GET", one, lambda ask: shape(environments.find(ask.parameters["id"])))
        yield Route("POST", one, lambda ask: shape(environments.update(ask.parameters["id"], read(ask))))
        yield Route("DELETE", one, self._delete_environment)
        yield Route("POST", f"{one}/archive", lambda ask: shape(environments.archive(ask.parameters["id"])))

    def _latest(self, agent: Agent) -> Json:
        return self.agent_shape(agent, None)

    def _get_agent(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, {"version"})
        return self.agent_shape(self.agents.find(request.parameters["id"]), take(query, "version", int))

    def _list_versions(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, self.lists.fields)
        agent = self.agents.find(request.parameters["id"])
        numbers = {str(fields["version"]): fields["version"] for fields in agent.versions}
        return self.lists.page(numbers, numbers, query, lambda version: self.agent_shape(agent, version))

    def _delete_environment(self, request: ApiRequest) -> Json:
        self.environments.delete(request.parameters["id"])
        return {"id": request.parameters["id"], "type": "environment_deleted"}

    def _lister(self, store: RecordStore[R], shape: Callable[[R], Json]) -> Callable[[ApiRequest], Json]:
        def respond(request: ApiRequest) -> Json:
            query = read_query(request)
            only(query, self.lists.fields | _FILTERS)
            return self.lists.page(store.select(read_plain_filter(query)), store.positions, query, shape)

        return respond


class HasResources(Protocol):
    """A session with mounted resources."""

    resources: dict[str, Mount]


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRoutes:
    """The routes for a session's mounted resources.

    Attributes:
        prefix: Prefix of every path.
        rules: The backend's rules for resources.
        lists: The backend's list conventions.
        find: Returns the session with an id.
        find_open: Returns the session with an id, and refuses it if its resources can no longer change.
        read_body: Reads the body of a request.
        shape: Returns the JSON of a resource.
    """

    prefix: str
    rules: MountRules
    lists: Lists
    find: Callable[[str], HasResources]
    find_open: Callable[[str], HasResources]
    read_body: Callable[[ApiRequest], Json]
    shape: Callable[[Mount], Json]

    def list_route(self) -> Route:
        """Return the route that lists the resources."""
        return Route("GET", f"{self.prefix}/sessions/{{id}}/resources", self._list)

    def change_routes(self) -> Iterable[Route]:
        """Return the routes that add, read, change and remove a resource."""
        many = f"{self.prefix}/sessions/{{id}}/resources"
        one = f"{many}/{{mount}}"
        yield Route("POST", many, self._add)
        yield Route("GET", one, lambda ask: self.shape(self._mount(ask)))
        yield Route("POST", one, self._rotate)
        yield Route("DELETE", one, self._remove)

    def _mount(self, request: ApiRequest) -> Mount:
        mounts, mount_id = self.find(request.parameters["id"]).resources, request.parameters["mount"]
        if mount_id not in mounts:
            raise not_found("Resource", mount_id)
        return mounts[mount_id]

    def _list(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, self.lists.fields)
        return self.lists.page_of_parts(self.find(request.parameters["id"]).resources, query, self.shape)

    def _add(self, request: ApiRequest) -> Json:
        session = self.find_open(request.parameters["id"])
        mount = self.rules.read_added(self.read_body(request))
        session.resources[mount.id] = mount
        return self.shape(mount)

    def _rotate(self, request: ApiRequest) -> Json:
        mount = self._mount(request)
        self.rules.rotate_secret(mount, self.read_body(request))
        return self.shape(mount)

    def _remove(self, request: ApiRequest) -> Json:
        mount = self._mount(request)
        del self.find(request.parameters["id"]).resources[mount.id]
        return {"id": mount.id, "type": "session_resource_deleted"}
