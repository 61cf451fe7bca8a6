"""Agents: created, read, listed, changed, archived and deleted."""

from __future__ import annotations

import pytest

from polysession import Agent, Client, Feature, NotFound
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.marks import covers


class AgentContract(ContractBase):
    """An agent has the requested values."""

    @covers(Feature.AGENTS_CREATE)
    def test_an_agent_is_created(self, client: Client, backend: Backend) -> None:
        values = self.agent_values(backend)
        agent = client.agents.create(**values)

        assert (agent.provider, agent.name) == (self.provider, values["name"])
        assert agent.id
        assert agent.raw

    @covers(Feature.AGENTS_CREATE, Feature.AGENTS_CREATE_MODEL)
    def test_an_agent_has_the_model_that_was_asked_for(self, client: Client, backend: Backend) -> None:
        assert backend.model is not None, "Backend.model is None, and the provider supports it in an agent"
        values = {**self.agent_values(backend), "model": backend.model.id}
        assert client.agents.create(**values).model == backend.model.id

    @covers(Feature.AGENTS_CREATE, Feature.AGENTS_CREATE_SYSTEM_PROMPT)
    def test_an_agent_has_its_instructions(self, client: Client, backend: Backend) -> None:
        values = {**self.agent_values(backend), "system_prompt": "Be brief."}
        assert client.agents.create(**values).system_prompt == "Be brief."

    @covers(Feature.AGENTS_CREATE, Feature.AGENTS_CREATE_DESCRIPTION)
    def test_an_agent_has_a_description(self, client: Client, backend: Backend) -> None:
        values = {**self.agent_values(backend), "description": "Mends what is broken"}
        assert client.agents.create(**values).description == "Mends what is broken"

    @covers(Feature.AGENTS_GET)
    def test_the_agent_of_the_backend_is_read(self, client: Client, backend: Backend) -> None:
        assert backend.agent_id is not None, "Backend.agent_id is None, and the provider supports agents"
        agent = client.agents.get(backend.agent_id)
        assert (agent.provider, agent.id) == (self.provider, backend.agent_id)
        assert agent.name

    @covers(Feature.AGENTS_GET, Feature.AGENTS_CREATE)
    def test_an_agent_is_read_anew(self, client: Client, backend: Backend) -> None:
        created = client.agents.create(**self.agent_values(backend))
        read = client.agents.get(created)
        assert {**read.model_dump(), "raw": None} == {**created.model_dump(), "raw": None}

    @covers(Feature.AGENTS_GET)
    def test_an_agent_that_is_not_there_is_not_found(self, client: Client, backend: Backend) -> None:
        with pytest.raises(NotFound) as caught:
            client.agents.get(f"{backend.agent_id}"[:-4] + "0000")
        assert (caught.value.provider, caught.value.operation) == (self.provider, Feature.AGENTS_GET)

    @covers(Feature.AGENTS_LIST, Feature.AGENTS_CREATE)
    def test_agents_are_listed_newest_first_over_all_pages(self, client: Client, backend: Backend) -> None:
        created = [client.agents.create(**self.agent_values(backend)).id for _ in range(3)]

        for page_size in (None, 2):
            listed = [agent.id for agent in client.agents.list(page_size=page_size)]
            assert [agent_id for agent_id in listed if agent_id in created] == created[::-1]
            assert len(listed) == len(set(listed))

    @covers(Feature.AGENTS_UPDATE, Feature.AGENTS_UPDATE_NAME, Feature.AGENTS_CREATE)
    def test_an_agent_is_renamed_and_the_rest_stays(self, client: Client, backend: Backend) -> None:
        self._check_change(client, backend, {"name": self.agent_values(backend)["name"]})

    @covers(Feature.AGENTS_UPDATE, Feature.AGENTS_UPDATE_MODEL, Feature.AGENTS_CREATE, Feature.MODELS_LIST)
    def test_the_model_of_an_agent_is_changed(self, client: Client, backend: Backend) -> None:
        """Before the change the agent has another model, or no model if the backend has only one."""
        assert backend.model is not None, "Backend.model is None, and the provider supports it in an agent"
        others = [model.id for model in client.models.list() if model.id != backend.model.id]
        self._check_change(client, backend, {"model": backend.model.id}, model=others[0] if others else None)

    @covers(Feature.AGENTS_UPDATE, Feature.AGENTS_UPDATE_SYSTEM_PROMPT, Feature.AGENTS_CREATE)
    def test_the_instructions_of_an_agent_are_changed(self, client: Client, backend: Backend) -> None:
        self._check_change(client, backend, {"system_prompt": "Be briefer."})

    @covers(Feature.AGENTS_UPDATE, Feature.AGENTS_UPDATE_DESCRIPTION, Feature.AGENTS_CREATE)
    def test_the_description_of_an_agent_is_changed(self, client: Client, backend: Backend) -> None:
        self._check_change(client, backend, {"description": "Fixes more"})

    @covers(Feature.AGENTS_UPDATE, Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR, Feature.AGENTS_CREATE)
    def test_the_instructions_of_an_agent_are_cleared(self, client: Client, backend: Backend) -> None:
        self._check_change(client, backend, {"system_prompt": None}, system_prompt="Be brief.")

    @covers(Feature.AGENTS_UPDATE, Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR, Feature.AGENTS_CREATE)
    def test_the_description_of_an_agent_is_cleared(self, client: Client, backend: Backend) -> None:
        self._check_change(client, backend, {"description": None}, description="Mends what is broken")

    @covers(Feature.AGENTS_UPDATE)
    def test_an_agent_that_is_not_there_is_not_changed(self, client: Client, backend: Backend) -> None:
        with pytest.raises(NotFound) as caught:
            client.agents.update(f"{backend.agent_id}"[:-4] + "0000", name="contract")
        assert caught.value.operation == Feature.AGENTS_UPDATE

    @covers(Feature.AGENTS_ARCHIVE, Feature.AGENTS_CREATE)
    def test_an_archived_agent_can_be_read(self, client: Client, backend: Backend) -> None:
        agent = client.agents.create(**self.agent_values(backend))
        archived = client.agents.archive(agent)
        assert archived.archived_at is not None
        assert _changeable(archived) == _changeable(agent)
        assert client.agents.get(agent).archived_at == archived.archived_at

    @covers(Feature.AGENTS_DELETE, Feature.AGENTS_CREATE)
    def test_a_deleted_agent_is_gone(self, client: Client, backend: Backend) -> None:
        agent = client.agents.create(**self.agent_values(backend))
        client.agents.delete(agent)
        for use in (client.agents.get, client.agents.delete):
            with pytest.raises(NotFound):
                use(agent)

    def _check_change(
        self, client: Client, backend: Backend, changes: dict[str, str | None], **created_with: str | None
    ) -> None:
        """Check that a change is stored, and that the other fields stay unchanged."""
        agent = client.agents.create(**{**self.agent_values(backend), **created_with})
        assert _changeable(agent) != {**_changeable(agent), **changes}
        changed = client.agents.update(agent, **changes)  # type: ignore[arg-type]  # some cannot be None
        assert _changeable(changed) == {**_changeable(agent), **changes}
        assert _changeable(client.agents.get(agent)) == _changeable(changed)


def _changeable(agent: Agent) -> dict[str, str | None]:
    """Return the fields of an agent that a caller may change."""
    return {name: getattr(agent, name) for name in ("name", "model", "system_prompt", "description")}
