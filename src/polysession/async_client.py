"""The client for asyncio. `client` has the same methods, blocking."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from polysession._core.body import MAX_BODY_BYTES
from polysession._core.operations import Content, Operations, PageFlow
from polysession._core.paging import Item, PageWalk
from polysession._core.provider import Page
from polysession._core.retry import RetryPolicy
from polysession._drivers.async_driver import AsyncDriver
from polysession.change import UNSET, NativeBody, Unset
from polysession.feature import Feature, ResumeMode, Support
from polysession.plugins import open_provider
from polysession.resources import Agent
from polysession.session import AgentCapability, Cancellation, ModelConfig, Session, SessionStatus

if TYPE_CHECKING:
    import httpx  # noqa: TID251  (the type of an argument)

    from polysession._drivers.async_stream import AsyncEventStream, AsyncTurn
    from polysession.action import Answer, PendingAction
    from polysession.event import Event
    from polysession.message import Message


class AsyncClient:
    """Talks to one agent backend.

    Args:
        provider: Name of an installed provider; None takes the profile's, or reads `POLYSESSION_PROVIDER`.
        profile: Name of a profile of the user's configuration file; None reads `POLYSESSION_PROFILE`, and empty text
            means none.
        http_client: An `httpx.AsyncClient`, or one with the same methods, to send with: for a proxy, a transport or a
            certificate of your own. It stays open when this client closes, and its own time limits hold.
        timeout: Seconds for each wait on the network, None for no limit. By default 30, and 5 to connect.
        retry: How failed calls are tried again; None never does.
        max_body_bytes: Largest answer that is accepted, after decompression; 64 MiB by default. Of an error's no more
            than 256 KiB is read. A stream may be longer, and each of its events is bounded by 16 MiB.
        observers: Objects that look on: see `polysession.observing`, and `polysession.otel` for traces.
        settings: The provider's settings. What is not given is taken from the profile, then from the environment.

    Raises:
        UsageError: The provider is unknown, or a setting is unknown, missing or unusable; the message says which are
            accepted.
        PluginError: The provider is installed, and cannot be used.
    """

    def __init__(
        self,
        provider: str | None = None,
        *,
        profile: str | None = None,
        http_client: httpx.AsyncClient | None = None,
        timeout: float | Unset | None = UNSET,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008  (frozen)
        max_body_bytes: int = MAX_BODY_BYTES,
        observers: Sequence[object] = (),
        **settings: Any,
    ) -> None:
        self._provider = open_provider(provider, settings, os.environ, profile)
        self._driver = AsyncDriver(
            self._provider,
            http_client=http_client,
            timeout=timeout,
            retry=retry or RetryPolicy(attempts=1),
            max_body_bytes=max_body_bytes,
            observers=observers,
        )
        operations = Operations(self._provider)
        self.sessions = AsyncSessions(self._driver, operations)
        self.agents = AsyncAgents(self._driver, operations)

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self._provider.name

    @property
    def resume_mode(self) -> ResumeMode:
        """How the backend lets a broken stream go on."""
        return self._provider.resume_mode

    def supports(self, feature: Feature) -> Support:
        """How the provider offers a feature. `Support.UNSUPPORTED` is false in a condition."""
        return self._provider.support(feature).support

    async def backend_version(self) -> str | None:
        """Ask the backend for its version; None where it tells none."""
        return await self._driver.run("backend_version", self._provider.read_version())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider!r}, base_url={self._provider.settings.base_url!r})"


class AsyncPaginator(Generic[Item]):
    """A list that is read page by page, as it is looped over. Each loop starts anew."""

    def __init__(self, driver: AsyncDriver, operation: str, page_flow: PageFlow[Item], cursor: str | None) -> None:
        self._driver = driver
        self._operation = operation
        self._page_flow = page_flow
        self._cursor = cursor

    async def __aiter__(self) -> AsyncIterator[Item]:
        """Every item of every page.

        Raises:
            PolysessionError: A page could not be read.
        """
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[Item]]:
        """Every page.

        Raises:
            PolysessionError: A page could not be read.
        """
        walk = PageWalk(self._page_flow, self._cursor)
        while not walk.finished:
            yield await self._driver.run(self._operation, walk.next_page())

    async def page(self) -> Page[Item]:
        """The first page only. Its `next_cursor`, given to the same list as `cursor`, continues it.

        Raises:
            PolysessionError: The page could not be read.
        """
        return await self._driver.run(self._operation, self._page_flow(self._cursor))


class AsyncSessions:
    """The sessions of a backend.

    A `session` argument is a `Session` or an id. Where a backend needs the agent as well, a `Session` carries it, and
    for an id the setting `agent_id` is used.

    Every method may raise `UsageError` before anything is sent, `UnsupportedOperation` among them, and
    `TransportError`, `StatusError` or `MalformedResponse` after.
    """

    def __init__(self, driver: AsyncDriver, operations: Operations) -> None:
        self._driver = driver
        self._operations = operations

    async def create(
        self,
        *,
        agent: Agent | str | None = None,
        environment: str | None = None,
        workspace: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
        capabilities: Sequence[AgentCapability] | None = None,
        model: ModelConfig | str | None = None,
        permission_mode: str | None = None,
        native: NativeBody | None = None,
    ) -> Session:
        """Create a session.

        Args:
            agent: The agent to talk to, or its id.
            environment: Id of the environment that tools run in.
            workspace: Id of the workspace to work on.
            title: Label for people.
            metadata: Flat text keys and values.
            tags: Labels.
            capabilities: Abilities added on top of the agent's.
            model: The model that answers, or its id.
            permission_mode: How tool calls are approved, in the backend's word.
            native: Further fields of this backend, in its own words.

        Raises:
            UnsupportedOperation: The backend has no such field; nothing was sent.
            NotFound: There is no such agent, environment, workspace or credential.
            InvalidRequest: The backend refuses a value.
        """
        return await self._driver.run(
            Feature.SESSIONS_CREATE,
            self._operations.create_session(
                agent=agent,
                environment=environment,
                workspace=workspace,
                title=title,
                metadata=metadata,
                tags=tags,
                capabilities=capabilities,
                model=model,
                permission_mode=permission_mode,
                native=native,
            ),
        )

    async def get(self, session: Session | str) -> Session:
        """Read a session anew.

        Raises:
            NotFound: There is no such session.
        """
        return await self._driver.run(Feature.SESSIONS_GET, self._operations.get_session(session))

    def list(
        self,
        *,
        agent: Agent | str | None = None,
        statuses: Sequence[SessionStatus] = (),
        title_contains: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        include_archived: bool = False,
        oldest_first: bool = False,
        page_size: int | None = None,
        cursor: str | None = None,
        native: NativeBody | None = None,
    ) -> AsyncPaginator[Session]:
        """List sessions, newest first. Nothing is read until the result is looped over.

        Args:
            agent: Only sessions of this agent.
            statuses: Only sessions in one of these.
            title_contains: Only sessions with this text in their title, in upper or lower case.
            tags: Only sessions with all of these.
            metadata: Only sessions with all of these keys and values.
            created_after: Only sessions created later; a time without a zone is in UTC.
            created_before: Only sessions created earlier; a time without a zone is in UTC.
            include_archived: Archived sessions too.
            oldest_first: The other way round.
            page_size: Items in a page. A filter that is emulated leaves fewer.
            cursor: `next_cursor` of an earlier page of the same list, to continue there.
            native: Further filters of this backend, in its own words.

        Raises:
            UnsupportedOperation: The backend has no such filter; nothing was sent.
        """
        page_flow = self._operations.list_sessions(
            agent=agent,
            statuses=statuses,
            title_contains=title_contains,
            tags=tags,
            metadata=metadata,
            created_after=created_after,
            created_before=created_before,
            include_archived=include_archived,
            oldest_first=oldest_first,
            page_size=page_size,
            native=native,
        )
        return AsyncPaginator(self._driver, Feature.SESSIONS_LIST, page_flow, cursor)

    async def update(
        self,
        session: Session | str,
        *,
        title: str | Unset | None = UNSET,
        metadata: Mapping[str, str | None] | Unset | None = UNSET,
        tags: Sequence[str] | Unset | None = UNSET,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
        model: ModelConfig | str | Unset | None = UNSET,
        permission_mode: str | Unset | None = UNSET,
        native: NativeBody | None = None,
    ) -> Session:
        """Change what is given, and leave the rest alone. None clears a field.

        Args:
            session: The session, or its id.
            title: Label for people.
            metadata: Keys to set; a key with None is removed, and the others stay. None removes all.
            tags: Replaces the whole list.
            add_tags: Added to the list that is there: read, changed and written back, so the last writer wins.
            remove_tags: Taken from the list that is there, likewise.
            model: Replaces the whole model configuration.
            permission_mode: How tool calls are approved, in the backend's word.
            native: Further changes of this backend, in its own words.

        Raises:
            UnsupportedOperation: The backend cannot change or clear a field; nothing was sent.
            NotFound: There is no such session.
            Conflict: The session cannot be changed now, such as while a turn runs.
            InvalidRequest: The backend refuses a value.
        """
        return await self._driver.run(
            Feature.SESSIONS_UPDATE,
            self._operations.update_session(
                session,
                title=title,
                metadata=metadata,
                tags=tags,
                add_tags=add_tags,
                remove_tags=remove_tags,
                model=model,
                permission_mode=permission_mode,
                native=native,
            ),
        )

    async def archive(self, session: Session | str) -> Session:
        """Put a session away: readable, closed to new work, and not listed by default.

        Raises:
            UnsupportedOperation: The backend cannot archive; nothing was sent.
            NotFound: There is no such session.
        """
        return await self._driver.run(Feature.SESSIONS_ARCHIVE, self._operations.archive_session(session))

    async def delete(self, session: Session | str) -> None:
        """Delete a session for good.

        Raises:
            NotFound: There is no such session.
        """
        await self._driver.run(Feature.SESSIONS_DELETE, self._operations.delete_session(session))

    async def cancel(self, session: Session | str) -> Cancellation:
        """Stop the turn that is running. The session itself stays.

        Raises:
            NotFound: There is no such session.
        """
        return await self._driver.run(Feature.SESSIONS_CANCEL, self._operations.cancel_session(session))

    async def send(self, session: Session | str, content: Content) -> None:
        """Send a message, and leave the turn that it starts to itself; `run` follows it.

        Args:
            session: The session, or its id.
            content: Text, or a list of `TextBlock` and `MediaBlock`.

        Raises:
            UnsupportedOperation: The backend takes no such block; nothing was sent.
            Conflict: A turn is running, and the backend takes no message then.
        """
        await self._driver.run(Feature.SESSIONS_SEND, self._operations.send_message(session, content))

    def run(
        self, session: Session | str, content: Content | Sequence[Answer], *, deadline_s: float | None = None
    ) -> AsyncTurn:
        """Send a message, or answers to what the agent waits for, and follow the turn to its end.

        Open it with `async with`: the input is sent then, after the stream was opened. The events are those of
        this turn, and end with its `turn.ended`.

        Args:
            session: The session, or its id.
            content: Text, a list of `TextBlock` and `MediaBlock`, or a list of `Approve`, `Deny` and `ToolOutput`.
            deadline_s: Seconds from entering the block after which to stop waiting; None waits as long as it takes.

        Raises:
            DeadlineExceeded: While reading: the deadline has passed.
            StreamInterrupted: While reading: the connection broke, and could not be resumed.
        """
        from polysession._drivers.async_stream import AsyncTurn  # noqa: PLC0415  (others need no streams)

        flow = self._operations.start_turn(session, content)
        watch = self._driver.watch.turn(session, content)
        return AsyncTurn(self._driver, Feature.SESSIONS_RUN, flow, watch, deadline_s=deadline_s)

    def stream(
        self, session: Session | str, *, cursor: str | None = None, deadline_s: float | None = None
    ) -> AsyncEventStream:
        """Follow a session, turn after turn. Open it with `async with`.

        Args:
            session: The session, or its id.
            cursor: `cursor` of an earlier stream or of a `StreamInterrupted`, to go on after its last event; None
                begins with what happens next.
            deadline_s: Seconds from entering the block after which to stop waiting; None waits as long as it takes.

        Raises:
            DeadlineExceeded: While reading: the deadline has passed.
            StreamInterrupted: While reading: the connection broke, and could not be resumed.
        """
        from polysession._drivers.async_stream import AsyncEventStream  # noqa: PLC0415  (others need no streams)

        flow = self._operations.stream_events(session, cursor)
        return AsyncEventStream(self._driver, Feature.SESSIONS_STREAM, flow, deadline_s=deadline_s)

    def events(
        self, session: Session | str, *, page_size: int | None = None, cursor: str | None = None
    ) -> AsyncPaginator[Event]:
        """List what has happened, oldest first. Nothing is read until the result is looped over.

        Args:
            session: The session, or its id.
            page_size: Items in a page, counted as the backend counts them.
            cursor: `next_cursor` of an earlier page of the same list, to continue there.
        """
        return AsyncPaginator(
            self._driver, Feature.SESSIONS_EVENTS, self._operations.list_events(session, page_size), cursor
        )

    def messages(
        self, session: Session | str, *, page_size: int | None = None, cursor: str | None = None
    ) -> AsyncPaginator[Message]:
        """List what was said, oldest first. Nothing is read until the result is looped over.

        Args:
            session: The session, or its id.
            page_size: Items in a page.
            cursor: `next_cursor` of an earlier page of the same list, to continue there.
        """
        return AsyncPaginator(
            self._driver, Feature.SESSIONS_MESSAGES, self._operations.list_messages(session, page_size), cursor
        )

    async def answer(self, session: Session | str, answers: Sequence[Answer]) -> None:
        """Answer what the agent waits for, and leave the turn to itself; `run` with the same answers follows it.

        Args:
            session: The session, or its id.
            answers: An `Approve`, `Deny` or `ToolOutput` for each pending action.

        Raises:
            NotFound: The agent does not wait for one of them.
            Conflict: The agent waits for nothing.
        """
        await self._driver.run(Feature.SESSIONS_ANSWER, self._operations.answer_actions(session, answers))

    async def pending_actions(self, session: Session | str) -> tuple[PendingAction, ...]:
        """Read what the agent waits for, in any process."""
        return await self._driver.run(Feature.SESSIONS_PENDING_ACTIONS, self._operations.pending_actions(session))


class AsyncAgents:
    """The agents of a backend. Errors are as for `AsyncSessions`."""

    def __init__(self, driver: AsyncDriver, operations: Operations) -> None:
        self._driver = driver
        self._operations = operations

    async def create(
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
        return await self._driver.run(
            Feature.AGENTS_CREATE,
            self._operations.create_agent(
                name=name, model=model, system_prompt=system_prompt, description=description, native=native
            ),
        )

    async def get(self, agent: Agent | str) -> Agent:
        """Read an agent anew.

        Raises:
            NotFound: There is no such agent.
        """
        return await self._driver.run(Feature.AGENTS_GET, self._operations.get_agent(agent))

    def list(self, *, page_size: int | None = None, cursor: str | None = None) -> AsyncPaginator[Agent]:
        """List agents, newest first. Nothing is read until the result is looped over.

        Args:
            page_size: Items in a page.
            cursor: `next_cursor` of an earlier page, to continue there.
        """
        return AsyncPaginator(self._driver, Feature.AGENTS_LIST, self._operations.list_agents(page_size), cursor)
