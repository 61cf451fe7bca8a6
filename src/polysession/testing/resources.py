"""Environments and models: created, read and listed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from polysession import Client, Environment, Feature, NotFound
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.marks import covers


class ResourceContract(ContractBase):
    """Environments can be listed and created, and models listed, so that a first session needs no other tool."""

    def new_environment(self, client: Client, **values: Any) -> Environment:
        """Create an environment with a unique name."""
        return client.environments.create(name=f"contract-{uuid.uuid4().hex[:12]}", **values)

    @covers(Feature.ENVIRONMENTS_CREATE)
    def test_an_environment_is_created(self, client: Client) -> None:
        environment = self.new_environment(client)

        assert environment.provider == self.provider
        assert environment.id
        assert environment.name.startswith("contract-")
        assert environment.raw

    @covers(Feature.ENVIRONMENTS_CREATE, Feature.ENVIRONMENTS_CREATE_DESCRIPTION)
    def test_an_environment_has_a_description(self, client: Client) -> None:
        assert self.new_environment(client, description="Builds").description == "Builds"

    @covers(Feature.ENVIRONMENTS_CREATE, Feature.ENVIRONMENTS_CREATE_METADATA)
    def test_an_environment_has_metadata(self, client: Client) -> None:
        assert self.new_environment(client, metadata={"team": "red"}).metadata == {"team": "red"}

    @covers(Feature.ENVIRONMENTS_GET)
    def test_the_environment_of_the_backend_is_read(self, client: Client, backend: Backend) -> None:
        assert backend.environment_id is not None, "Backend.environment_id is None, and the provider reads environments"
        environment = client.environments.get(backend.environment_id)
        assert (environment.provider, environment.id) == (self.provider, backend.environment_id)
        assert client.environments.get(environment) == environment

    @covers(Feature.ENVIRONMENTS_GET)
    def test_an_environment_that_is_not_there_is_not_found(self, client: Client, backend: Backend) -> None:
        with pytest.raises(NotFound) as caught:
            client.environments.get(f"{backend.environment_id}"[:-4] + "0000")
        assert (caught.value.provider, caught.value.operation) == (self.provider, Feature.ENVIRONMENTS_GET)

    @covers(Feature.ENVIRONMENTS_LIST)
    def test_the_environment_of_the_backend_is_listed(self, client: Client, backend: Backend) -> None:
        listed = [environment.id for environment in client.environments.list()]
        assert backend.environment_id in listed
        assert len(listed) == len(set(listed))

    @covers(Feature.ENVIRONMENTS_LIST, Feature.ENVIRONMENTS_CREATE)
    def test_environments_are_listed_over_all_pages(self, client: Client) -> None:
        created = {self.new_environment(client).id for _ in range(3)}

        for page_size in (None, 2):
            assert created <= {environment.id for environment in client.environments.list(page_size=page_size)}

    @covers(Feature.ENVIRONMENTS_LIST, Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_ENVIRONMENT)
    def test_a_session_is_created_in_an_environment_that_was_listed(self, client: Client, backend: Backend) -> None:
        (environment,) = (each for each in client.environments.list() if each.id == backend.environment_id)
        assert self.new_session(client, backend, environment=environment).environment_id == environment.id

    @covers(Feature.MODELS_LIST)
    def test_models_are_listed(self, client: Client, backend: Backend) -> None:
        listed = list(client.models.list())

        assert listed
        assert {model.provider for model in listed} == {self.provider}
        assert len({(model.id, model.credential_id) for model in listed}) == len(listed)
        if backend.model is not None:
            assert backend.model.id in {model.id for model in listed}

    @covers(Feature.MODELS_LIST, Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_MODEL)
    def test_a_session_is_created_with_a_model_that_was_listed(self, client: Client, backend: Backend) -> None:
        model = next(iter(client.models.list()))
        created = self.new_session(client, backend, model=model).model
        assert created is not None
        assert created.id == model.id
