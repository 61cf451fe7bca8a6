"""The synchronous operations on agents, environments and models."""

from __future__ import annotations

from collections.abc import Mapping

from polysession._core.operations import Operations
from polysession._drivers.sync_driver import SyncDriver
from polysession.change import UNSET, NativeBody, Unset
from polysession.feature import Feature
from polysession.paginator import Paginator
from polysession.resources import Agent, Environment, Model


class Agents:
    """The agents of a backend. Errors are as for `Sessions`."""

    def __init__(self, driver: SyncDriver, operations: Operations) -> None:
        self._driver = driver
        self._operations = operations

    def create(
        self,
        *,
        name: str,
        model: str | None = None,
        system_prompt: str | None = None,
        description: str | None = None,
        native: NativeBody | None = None,
    ) -> Agent:
        """Create an agent.

        Args:
            name: Its name.
            model: Id of the model that answers.
            system_prompt: Instructions that precede every conversation.
            description: What it is for.
            native: Further fields that only this backend has.

        Raises:
            UnsupportedOperation: The backend has no such field; nothing was sent.
            InvalidRequest: The backend refuses a value.
        """
        return self._driver.run(
            Feature.AGENTS_CREATE,
            self._operations.create_agent(
                name=name, model=model, system_prompt=system_prompt, description=description, native=native
            ),
        )

    def get(self, agent: Agent | str) -> Agent:
        """Read an agent.

        Raises:
            NotFound: There is no such agent.
        """
        return self._driver.run(Feature.AGENTS_GET, self._operations.get_agent(agent))

    def update(
        self,
        agent: Agent | str,
        *,
        name: str | Unset = UNSET,
        model: str | Unset = UNSET,
        system_prompt: str | Unset | None = UNSET,
        description: str | Unset | None = UNSET,
        native: NativeBody | None = None,
    ) -> Agent:
        """Change what is given, and leave the rest alone. None clears a field.

        On a backend that guards agents by their version (Anthropic, Qoder), an `Agent` is changed only if its version
        is the current one; given an id, the change is made in any case.

        Args:
            agent: The agent, or its id.
            name: Its name. It cannot be cleared.
            model: Id of the model that answers. It cannot be cleared.
            system_prompt: Instructions that precede every conversation.
            description: What it is for.
            native: Further changes that only this backend has.

        Raises:
            UnsupportedOperation: The backend cannot change or clear a field; nothing was sent.
            NotFound: There is no such agent.
            Conflict: The version of the given `Agent` is not the current one, or the agent cannot be changed.
            InvalidRequest: The backend refuses a value.
        """
        return self._driver.run(
            Feature.AGENTS_UPDATE,
            self._operations.update_agent(
                agent, name=name, model=model, system_prompt=system_prompt, description=description, native=native
            ),
        )

    def archive(self, agent: Agent | str) -> Agent:
        """Archive an agent: it can be read, and new sessions cannot use it.

        Raises:
            UnsupportedOperation: The backend has no archive of agents; nothing was sent.
            NotFound: There is no such agent.
        """
        return self._driver.run(Feature.AGENTS_ARCHIVE, self._operations.archive_agent(agent))

    def delete(self, agent: Agent | str) -> None:
        """Delete an agent permanently. Some backends delete its sessions too.

        Raises:
            UnsupportedOperation: The backend keeps agents, or archives them: see `archive`; nothing was sent.
            NotFound: There is no such agent.
        """
        self._driver.run(Feature.AGENTS_DELETE, self._operations.delete_agent(agent))

    def list(
        self, *, limit: int | None = None, page_size: int | None = None, cursor: str | None = None
    ) -> Paginator[Agent]:
        """List agents, newest first. Nothing is read until you iterate over the result.

        Args:
            limit: Total number of agents, from as many pages as needed; None for all.
            page_size: Number of items that one request asks for; None for the backend's default.
            cursor: `next_cursor` of an earlier page, to continue there.
        """
        page_flow = self._operations.list_agents(page_size, limit=limit)
        return Paginator(self._driver, Feature.AGENTS_LIST, page_flow, cursor=cursor, limit=limit)


class Environments:
    """The environments in which the tools of sessions run. Errors are as for `Sessions`."""

    def __init__(self, driver: SyncDriver, operations: Operations) -> None:
        self._driver = driver
        self._operations = operations

    def create(
        self,
        *,
        name: str,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
        native: NativeBody | None = None,
    ) -> Environment:
        """Create an environment.

        Args:
            name: Its name.
            description: What it is for.
            metadata: Flat text keys and values.
            native: Further fields that only this backend has.

        Raises:
            UnsupportedOperation: The backend has no environments, or no such field; nothing was sent.
            InvalidRequest: The backend refuses a value.
        """
        return self._driver.run(
            Feature.ENVIRONMENTS_CREATE,
            self._operations.create_environment(name=name, description=description, metadata=metadata, native=native),
        )

    def get(self, environment: Environment | str) -> Environment:
        """Read an environment.

        Raises:
            NotFound: There is no such environment.
        """
        return self._driver.run(Feature.ENVIRONMENTS_GET, self._operations.get_environment(environment))

    def list(
        self, *, limit: int | None = None, page_size: int | None = None, cursor: str | None = None
    ) -> Paginator[Environment]:
        """List environments. Nothing is read until you iterate over the result.

        Args:
            limit: Total number of environments, from as many pages as needed; None for all.
            page_size: Number of items that one request asks for; None for the backend's default.
            cursor: `next_cursor` of an earlier page, to continue there.
        """
        page_flow = self._operations.list_environments(page_size, limit=limit)
        return Paginator(self._driver, Feature.ENVIRONMENTS_LIST, page_flow, cursor=cursor, limit=limit)


class Models:
    """The models that sessions and agents may name. Errors are as for `Sessions`."""

    def __init__(self, driver: SyncDriver, operations: Operations) -> None:
        self._driver = driver
        self._operations = operations

    def list(
        self, *, limit: int | None = None, page_size: int | None = None, cursor: str | None = None
    ) -> Paginator[Model]:
        """List models. Nothing is read until you iterate over the result.

        Args:
            limit: Total number of models, from as many pages as needed; None for all.
            page_size: Number of items that one request asks for; None for the backend's default.
            cursor: `next_cursor` of an earlier page, to continue there.
        """
        page_flow = self._operations.list_models(page_size, limit=limit)
        return Paginator(self._driver, Feature.MODELS_LIST, page_flow, cursor=cursor, limit=limit)
