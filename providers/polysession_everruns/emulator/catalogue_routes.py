"""Routes for agents, harnesses, models and capabilities in the Everruns emulator.

Backend: https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable

from polysession.emulation import Answer, ApiRequest, Route
from polysession_everruns.emulator import requests
from polysession_everruns.emulator.answers import CurrentAnswers, Json, Origin
from polysession_everruns.emulator.catalogue import CAPABILITIES
from polysession_everruns.emulator.records import Definition
from polysession_everruns.emulator.state import EverrunsState


class CatalogueRoutes:
    """The routes for agents, harnesses, models and capabilities."""

    def __init__(self, state: EverrunsState, answers: CurrentAnswers) -> None:
        self._state = state
        self._catalogue = state.catalogue
        self._answers = answers

    def routes(self) -> Iterable[Route]:
        """Return the routes, without their common base path."""
        yield Route("POST", "/agents", self._create_agent, 201)
        yield Route("GET", "/agents", self._list_agents)
        yield Route("GET", "/agents/{id}", self._get_agent)
        yield Route("PATCH", "/agents/{id}", self._update_agent)
        yield Route("PUT", "/agents/{id}", self._put_agent)
        yield Route("DELETE", "/agents/{id}", lambda ask: self._catalogue.archive_agent(ask.parameters["id"]), 204)
        yield Route("POST", "/harnesses", self._create_harness, 201)
        yield Route("GET", "/harnesses", self._list_harnesses)
        yield Route("GET", "/models", self._list_models)
        yield Route("GET", "/capabilities", self._list_capabilities)

    def _create_agent(self, request: ApiRequest) -> Json:
        agent = self._catalogue.create_agent(requests.read_body(request.content, requests.AGENT_CREATE))
        return self._answers.agent(agent, Origin.of(request))

    def _list_agents(self, request: ApiRequest) -> Json:
        with_archived = requests.read_switch(request.query, "include_archived")
        agents = reversed(self._catalogue.agents.values())
        shown = [agent for agent in agents if with_archived or agent.archived_at is None]
        return page(self._answers, request, [self._counted(request, agent) for agent in _matching(request, shown)])

    def _get_agent(self, request: ApiRequest) -> Json:
        return self._counted(request, self._catalogue.find_agent(request.parameters["id"]))

    def _update_agent(self, request: ApiRequest) -> Json:
        changes = requests.read_body(request.content, requests.AGENT_UPDATE)
        agent = self._catalogue.update_agent(request.parameters["id"], changes)
        return self._answers.agent(agent, Origin.of(request))

    def _put_agent(self, request: ApiRequest) -> Answer:
        values = requests.read_body(request.content, requests.AGENT_CREATE)
        agent, is_new = self._catalogue.put_agent(request.parameters["id"], values)
        return Answer(self._answers.agent(agent, Origin.of(request)), 201 if is_new else 200)

    def _create_harness(self, request: ApiRequest) -> Json:
        harness = self._catalogue.create_harness(requests.read_body(request.content, requests.HARNESS_CREATE))
        return self._answers.harness(harness, Origin.of(request))

    def _list_harnesses(self, request: ApiRequest) -> Json:
        harnesses = _matching(request, self._catalogue.harnesses.values())
        return {"data": [self._answers.harness(harness, Origin.of(request)) for harness in harnesses]}

    def _list_models(self, request: ApiRequest) -> Json:
        return {"data": [self._answers.linked(self._catalogue.model, Origin.of(request), "models")]}

    def _list_capabilities(self, request: ApiRequest) -> Json:
        wanted = request.query.get("search", "").casefold()
        found = [item for item in CAPABILITIES if wanted in f"{item['name']}\n{item['description']}".casefold()]
        bodies = [self._answers.linked(item, Origin.of(request), "capabilities") for item in found]
        return page(self._answers, request, bodies)

    def _counted(self, request: ApiRequest, agent: Definition) -> Json:
        return self._answers.agent(agent, Origin.of(request), session_count=self._state.count_of_agent(agent.id))


def page(answers: CurrentAnswers, request: ApiRequest, bodies: list[Json]) -> Json:
    """Return the page of a list that a request asks for."""
    window = requests.read_window(request.query)
    shown = bodies[window.offset : window.offset + window.limit]
    return answers.page(shown, len(bodies), window, request)


def _matching(request: ApiRequest, definitions: Iterable[Definition]) -> list[Definition]:
    wanted = request.query.get("search", "").casefold()
    return [
        definition
        for definition in definitions
        if wanted in f"{definition.name}\n{definition.values.get('description', '')}".casefold()
    ]
