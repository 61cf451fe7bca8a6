"""The blocking client. `async_client` has the same methods, awaited."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx  # noqa: TID251  (the type of an argument)

from polysession._core.body import MAX_BODY_BYTES
from polysession._core.flow import Response
from polysession._core.operations import Operations
from polysession._core.retry import RetryPolicy
from polysession._drivers.connections import Connections
from polysession._drivers.http_client import HttpClient
from polysession._drivers.sync_driver import SyncDriver
from polysession._drivers.transport import checked_seconds
from polysession.change import UNSET, NativeBody, Unset
from polysession.feature import Feature, ResumeMode, Support, TurnLife, WhenBusy, WhenWaiting, find_feature
from polysession.paginator import Paginator
from polysession.plugins import open_provider
from polysession.resources import Agent, Environment, Model
from polysession.session_operations import Sessions

if TYPE_CHECKING:
    from polysession.result import UnfinishedTurn


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
            native: Further fields of this backend, in its own words.

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

    def list(
        self, *, limit: int | None = None, page_size: int | None = None, cursor: str | None = None
    ) -> Paginator[Agent]:
        """List agents, newest first. Nothing is read until the result is looped over.

        Args:
            limit: How many agents in all, over as many pages as it takes; None for all.
            page_size: How many one request asks for; None leaves it to the backend.
            cursor: `next_cursor` of an earlier page, to continue there.
        """
        page_flow = self._operations.list_agents(page_size, limit=limit)
        return Paginator(self._driver, Feature.AGENTS_LIST, page_flow, cursor=cursor, limit=limit)


class Environments:
    """The environments that sessions' tools run in. Errors are as for `Sessions`."""

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
            native: Further fields of this backend, in its own words.

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
        """List environments. Nothing is read until the result is looped over.

        Args:
            limit: How many environments in all, over as many pages as it takes; None for all.
            page_size: How many one request asks for; None leaves it to the backend.
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
        """List models. Nothing is read until the result is looped over.

        Args:
            limit: How many models in all, over as many pages as it takes; None for all.
            page_size: How many one request asks for; None leaves it to the backend.
            cursor: `next_cursor` of an earlier page, to continue there.
        """
        page_flow = self._operations.list_models(page_size, limit=limit)
        return Paginator(self._driver, Feature.MODELS_LIST, page_flow, cursor=cursor, limit=limit)


class Client:
    """Talks to one agent backend.

    Args:
        provider: Name of an installed provider; None takes the profile's, or reads `POLYSESSION_PROVIDER`.
        profile: Name of a profile of the user's configuration file; None reads `POLYSESSION_PROFILE`, and empty text
            means none.
        http_client: An `httpx.Client`, one of httpx2, or one with the same methods, to send with: for a proxy, a
            transport or a certificate of your own. It stays open when this client closes, and its own time limits hold.
        timeout: Seconds for each wait on the network, None for no limit. By default 30, and 5 to connect.
        retry: How failed calls are tried again; None never does.
        max_body_bytes: Largest answer that is accepted, after decompression; 64 MiB by default. Of an error's no more
            than 256 KiB is read. A stream may be longer, and each of its events is bounded by 16 MiB.
        observers: Objects that observe calls: see `polysession.observing`, and `polysession.otel` for traces.
        http: `"aiohttp"`, in asyncio only, sends over aiohttp's connections, which cost far less when many calls run at
            once. It needs the extra `aiohttp`.
        limits: Bounds of the connection pool. By default connections are not bounded, and 20 idle ones are kept.
        headers: Headers that are added to each request, such as those of a gateway. They are a setting of every
            provider, so that a profile may have them; their values are kept secret.
        user_agent: Text that is added to our `user-agent`.
        max_turns: How many turns of `run`, `ask` and `rejoin` may be open at once; another one waits for its place, at
            most for its `deadline_s`. None for any number.
        settings: The provider's settings. What is not given is taken from the profile, then from the environment.

    Raises:
        UsageError: The provider is unknown, a setting is unknown, missing or unusable, or an argument or an environment
            variable of the HTTP library cannot be used; the message says which are accepted.
        PluginError: The provider is installed, and cannot be used.

    Attributes:
        sessions: The backend's sessions.
        agents: Its agents.
        environments: Its environments.
        models: Its models.
    """

    # On the class itself they have no connection: `help` and `unittest.mock.create_autospec` see their methods so.
    sessions: Sessions = Sessions.__new__(Sessions)
    agents: Agents = Agents.__new__(Agents)
    environments: Environments = Environments.__new__(Environments)
    models: Models = Models.__new__(Models)

    def __init__(
        self,
        provider: str | None = None,
        *,
        profile: str | None = None,
        http_client: HttpClient | None = None,
        timeout: float | Unset | None = UNSET,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008  (frozen)
        max_body_bytes: int = MAX_BODY_BYTES,
        observers: Sequence[object] = (),
        http: Literal["aiohttp"] | None = None,
        limits: httpx.Limits | None = None,
        headers: Mapping[str, str] | None = None,
        user_agent: str | None = None,
        max_turns: int | None = None,
        **settings: Any,
    ) -> None:
        self._provider = open_provider(provider, {"headers": headers, **settings}, os.environ, profile)
        self._driver = SyncDriver(
            self._provider,
            http_client=http_client,
            timeout=timeout,
            retry=retry,
            max_body_bytes=max_body_bytes,
            observers=observers,
            connections=Connections(http=http, limits=limits, user_agent=user_agent),
            max_turns=max_turns,
        )
        self._owns_connections = True
        self._add_operations()

    def _add_operations(self) -> None:
        operations = self._operations = Operations(self._provider)
        self.sessions = Sessions(self._driver, operations)
        self.agents = Agents(self._driver, operations)
        self.environments = Environments(self._driver, operations)
        self.models = Models(self._driver, operations)

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self._provider.name

    @property
    def resume_mode(self) -> ResumeMode:
        """How the backend lets a broken stream continue."""
        return self._provider.resume_mode

    @property
    def turn_life(self) -> TurnLife:
        """Effect of leaving the stream of a running turn."""
        return self._provider.turn_life

    @property
    def when_busy(self) -> WhenBusy:
        """Reaction of the backend to a message while a turn runs."""
        return self._provider.when_busy

    @property
    def when_waiting(self) -> WhenWaiting:
        """Reaction of the backend to a message while the agent waits for an answer."""
        return self._provider.when_waiting

    def supports(self, feature: Feature | str) -> Support:
        """How the provider offers a feature. `Support.UNSUPPORTED` is false in a condition.

        Args:
            feature: A feature, or its value, such as `"sessions.create title"`.

        Raises:
            UsageError: There is no such feature.
        """
        return self._provider.support(find_feature(feature)).support

    def backend_version(self) -> str | None:
        """Ask the backend for its version; None where it does not give one."""
        return self._driver.run("backend_version", self._provider.read_version())

    def with_options(
        self,
        *,
        timeout: float | Unset | None = UNSET,
        retry: RetryPolicy | Unset | None = UNSET,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """A client with other options over the same connections, which it does not close.

        After this client is closed, every use of the other one is a `UsageError`.

        Args:
            timeout: Seconds for each wait on the network, None for no limit.
            retry: How failed calls are tried again; None never does.
            headers: Headers that are added to each request, besides those of this client.

        Raises:
            UsageError: An option cannot be used.
        """
        other = copy(self)
        other._driver = self._driver.with_options(timeout=timeout, retry=retry, headers=headers)  # noqa: SLF001  (a copy of this one)
        other._owns_connections = False  # noqa: SLF001  (a copy of this one)
        other._add_operations()  # noqa: SLF001  (a copy of this one)
        return other

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = UNSET,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Response:
        """Make a call of the backend's that is not modelled, with the same address, identity, retries and errors.

        Args:
            method: HTTP method.
            path: What follows the base URL, such as `"/v1/files"`, percent-encoded.
            query: Parameters; None leaves one out, and a list repeats it.
            json: Body to send as JSON.
            content: Body to send as it is, in place of `json`. Give its `content-type` in `headers`.
            headers: Further headers.
            timeout: Seconds for each wait on the network, None for no limit; by default the client's.
            idempotent: Sending it twice does no more than sending it once, so that a failed call may be repeated.

        Raises:
            UsageError: The path is an absolute address, or an argument cannot be sent.
            TransportError: There was no answer.
            StatusError: The answer was no success.
        """
        flow = self._operations.request(
            method,
            path,
            query=query,
            json=json,
            content=content,
            headers=headers,
            timeout=timeout,
            idempotent=idempotent,
        )
        return self._driver.run("request", flow)

    def drain(self, *, deadline_s: float | None = None) -> tuple[UnfinishedTurn, ...]:
        """Start no more turns, and wait for those that are open.

        For the end of a process: call it, store the cursors of what it gives, then close the client. It waits for the
        turns of clients of `with_options`, too.

        Args:
            deadline_s: Seconds to wait; None waits for all.

        Returns:
            The turns that are still open then.
        """
        return self._driver.open_turns.drain(checked_seconds(deadline_s, "deadline_s"))

    def close(self) -> None:
        """Close the connections; a client of `with_options` closes none."""
        if self._owns_connections:
            self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider!r}, base_url={self._provider.settings.base_url!r})"
