"""The client for asyncio. `client` has the same methods without `await`."""

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
from polysession._drivers.async_driver import AsyncDriver
from polysession._drivers.connections import Connections
from polysession._drivers.http_client import AsyncHttpClient
from polysession._drivers.transport import checked_seconds
from polysession.async_resource_operations import AsyncAgents, AsyncEnvironments, AsyncModels
from polysession.async_session_operations import AsyncSessions
from polysession.change import UNSET, Unset
from polysession.feature import Feature, ResumeMode, Support, TurnLife, WhenBusy, WhenWaiting, find_feature
from polysession.plugins import open_provider

if TYPE_CHECKING:
    from polysession.result import UnfinishedTurn


class AsyncClient:
    """Client of one agent backend.

    Args:
        provider: Name of an installed provider. None uses the provider of the profile, or reads `POLYSESSION_PROVIDER`.
        profile: Name of a profile in the user's configuration file. None reads `POLYSESSION_PROFILE`; empty text uses
            no profile.
        http_client: An `httpx.AsyncClient`, an `httpx2.AsyncClient`, or an object with the same methods, for your own
            proxy, transport or certificate. This client does not close it, and its own timeouts apply.
        timeout: Seconds for each wait on the network, None for no limit. By default 30, and 5 to connect.
        retry: How failed calls are retried. None disables retries.
        max_body_bytes: Largest accepted response body after decompression; 64 MiB by default. Of the body of an error,
            256 KiB are read. A stream may be longer; each of its events is limited to 16 MiB.
        observers: Objects that observe calls: see `polysession.observing`, and `polysession.otel` for traces and
            metrics.
        http: `"aiohttp"`, in asyncio only, sends over aiohttp's connections, which cost far less when many calls run at
            once. It needs the extra `aiohttp`.
        limits: Limits of the connection pool. By default the number of connections is not limited, and 20 idle ones are
            kept.
        headers: Headers that are added to each request, such as those of a gateway. They are a setting of every
            provider, so that a profile may have them; their values are kept secret.
        user_agent: Text that is added to our `user-agent`.
        max_turns: How many turns of `run`, `ask` and `rejoin` may be open at once. A further turn waits for a free
            place, at most for its `deadline_s`. None for no limit.
        settings: The provider's settings. Omitted settings are read from the profile, then from the environment.

    Raises:
        UsageError: The provider is unknown, a setting is unknown, missing or invalid, or an argument or an environment
            variable of the HTTP library is invalid. The message lists the accepted ones.
        PluginError: The provider is installed but cannot be used.

    Attributes:
        sessions: The backend's sessions.
        agents: Its agents.
        environments: Its environments.
        models: Its models.
    """

    # On the class itself they have no connection: `help` and `unittest.mock.create_autospec` see their methods so.
    sessions: AsyncSessions = AsyncSessions.__new__(AsyncSessions)
    agents: AsyncAgents = AsyncAgents.__new__(AsyncAgents)
    environments: AsyncEnvironments = AsyncEnvironments.__new__(AsyncEnvironments)
    models: AsyncModels = AsyncModels.__new__(AsyncModels)

    def __init__(
        self,
        provider: str | None = None,
        *,
        profile: str | None = None,
        http_client: AsyncHttpClient | None = None,
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
        self._driver = AsyncDriver(
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
        self.sessions = AsyncSessions(self._driver, operations)
        self.agents = AsyncAgents(self._driver, operations)
        self.environments = AsyncEnvironments(self._driver, operations)
        self.models = AsyncModels(self._driver, operations)

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self._provider.name

    @property
    def resume_mode(self) -> ResumeMode:
        """How the backend resumes a broken stream."""
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
        """How the provider supports a feature. `Support.UNSUPPORTED` is false in a condition.

        Args:
            feature: A feature, or its value, such as `"sessions.create title"`.

        Raises:
            UsageError: There is no such feature.
        """
        return self._provider.support(find_feature(feature)).support

    async def backend_version(self) -> str | None:
        """Read the version of the backend; None if the backend does not report one."""
        return await self._driver.run("backend_version", self._provider.read_version())

    def with_options(
        self,
        *,
        timeout: float | Unset | None = UNSET,
        retry: RetryPolicy | Unset | None = UNSET,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Return a client with other options over the same connections, which it does not close.

        After this client is closed, every use of the other one raises `UsageError`.

        Args:
            timeout: Seconds for each wait on the network, None for no limit.
            retry: How failed calls are retried. None disables retries.
            headers: Headers that are added to each request, besides those of this client.

        Raises:
            UsageError: An option is invalid.
        """
        other = copy(self)
        other._driver = self._driver.with_options(timeout=timeout, retry=retry, headers=headers)  # noqa: SLF001  (a copy of this one)
        other._owns_connections = False  # noqa: SLF001  (a copy of this one)
        other._add_operations()  # noqa: SLF001  (a copy of this one)
        return other

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = UNSET,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | Unset | None = UNSET,  # noqa: ASYNC109  (of each wait on the network)
        idempotent: bool = False,
    ) -> Response:
        """Send a request to a route of the backend that has no method here.

        Address, credential, retries and errors are those of the client's own calls.

        Args:
            method: HTTP method.
            path: Path after the base URL, such as `"/v1/files"`, percent-encoded.
            query: Parameters; None leaves one out, and a list repeats it.
            json: Body to send as JSON.
            content: Body to send unchanged, instead of `json`. Set its `content-type` in `headers`.
            headers: Further headers.
            timeout: Seconds for each wait on the network, None for no limit; by default the client's.
            idempotent: Whether sending the request twice has the same effect as sending it once, so that a failed call
                may be retried.

        Raises:
            UsageError: The path is an absolute address, or an argument cannot be sent.
            TransportError: The backend gave no complete response.
            StatusError: The status was not a success.
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
        return await self._driver.run("request", flow)

    async def drain(self, *, deadline_s: float | None = None) -> tuple[UnfinishedTurn, ...]:
        """Refuse new turns, and wait for the open ones.

        Call it at the end of a process, store the cursors of the returned turns, then close the client. It also waits
        for turns of clients from `with_options`.

        Args:
            deadline_s: Seconds to wait; None waits for all.

        Returns:
            The turns that were still open at the deadline.
        """
        return await self._driver.open_turns.drain(checked_seconds(deadline_s, "deadline_s"))

    async def aclose(self) -> None:
        """Close the connections. On a client from `with_options` this does nothing."""
        if self._owns_connections:
            await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider!r}, base_url={self._provider.settings.base_url!r})"
