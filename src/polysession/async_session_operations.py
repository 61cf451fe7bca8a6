"""The operations on sessions for asyncio. `session_operations` has the same methods, sync."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from pydantic import JsonValue

from polysession._core.handles import AnySession
from polysession._core.operations import Content, Operations
from polysession._drivers.async_driver import AsyncDriver
from polysession.async_paginator import AsyncPaginator
from polysession.change import UNSET, NativeBody, Unset
from polysession.errors import PolysessionError
from polysession.feature import Feature
from polysession.resources import Agent, Environment, Model
from polysession.session import AgentCapability, Cancellation, ModelConfig, Session, SessionStatus

if TYPE_CHECKING:
    from polysession._drivers.async_stream import AsyncEventStream, AsyncTurn
    from polysession.action import Answer, PendingAction
    from polysession.event import Event
    from polysession.message import Message
    from polysession.result import TurnResult

AsyncOnAction: TypeAlias = "Callable[[PendingAction], Answer | Awaitable[Answer | None] | None]"
"""Returns the answer to a pending action; None leaves its group unanswered."""
AsyncOnCursor: TypeAlias = Callable[[str | None], object]
"""Receives the cursor of a turn, to store it; what it gives is awaited if it can be."""


class AsyncSessions:
    """The sessions of a backend.

    A `session` argument is a `Session`, a `SessionRef` or an id. Some backends also need the agent or the owner of a
    session: a `Session` carries both, a `SessionRef` may carry them, and for an id the client's settings are used.

    Before it sends anything, every method may raise `UsageError`, and its subclass `UnsupportedOperation`. Afterwards
    it may raise `TransportError`, `StatusError` or `MalformedResponse`.
    """

    def __init__(self, driver: AsyncDriver, operations: Operations) -> None:
        self._driver = driver
        self._operations = operations

    async def create(
        self,
        *,
        agent: Agent | str | None = None,
        environment: Environment | str | None = None,
        workspace: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        tags: Sequence[str] | None = None,
        capabilities: Sequence[AgentCapability] | None = None,
        model: ModelConfig | Model | str | None = None,
        permission_mode: str | None = None,
        id: str | None = None,  # noqa: A002  (the backend's own word)
        owner: str | None = None,
        idempotency_key: str | None = None,
        native: NativeBody | None = None,
    ) -> Session:
        """Create a session.

        Args:
            agent: The agent to talk to, or its id.
            environment: The environment that tools run in, or its id.
            workspace: Id of the workspace to work on.
            title: Label for people.
            metadata: Keys and JSON values; many backends take text values only.
            tags: Labels.
            capabilities: Abilities added on top of the agent's.
            model: The model that answers, or its id.
            permission_mode: How tool calls are approved, as a word of the backend.
            id: Id of the new session; None lets the backend choose.
            owner: User who owns the session; None for the client's user.
            idempotency_key: The backend creates only one session for the same key, also across processes.
            native: Further fields that only this backend has.

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
                id=id,
                owner=owner,
                idempotency_key=idempotency_key,
                native=native,
            ),
        )

    async def get(self, session: AnySession) -> Session:
        """Read a session.

        Raises:
            NotFound: There is no such session.
        """
        return await self._driver.run(Feature.SESSIONS_GET, self._operations.get_session(session))

    def list(
        self,
        *,
        agent: Agent | str | None = None,
        owner: str | None = None,
        origin: str | None = None,
        statuses: Sequence[SessionStatus | str] = (),
        title_contains: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        include_archived: bool = False,
        oldest_first: bool = False,
        limit: int | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
        native: NativeBody | None = None,
    ) -> AsyncPaginator[Session]:
        """List sessions, newest first. Nothing is read until you iterate over the result.

        Args:
            agent: Only sessions of this agent.
            owner: Only sessions of this user; None for the client's user.
            origin: Only sessions with this origin, as a word of the backend.
            statuses: Only sessions in one of these, as `SessionStatus` or as its text.
            title_contains: Only sessions with this text in their title, in upper or lower case.
            tags: Only sessions with all of these.
            metadata: Only sessions with all of these keys and values.
            created_after: Only sessions created later; a time without a zone is in UTC.
            created_before: Only sessions created earlier; a time without a zone is in UTC.
            include_archived: Archived sessions too.
            oldest_first: Oldest first.
            limit: Total number of sessions, from as many pages as needed; None for all.
            page_size: Number of sessions that one request asks for; None for the backend's default. An emulated filter
                returns fewer.
            cursor: `next_cursor` of an earlier page of the same list, to continue there.
            native: Further filters that only this backend has.

        Raises:
            UnsupportedOperation: The backend has no such filter; nothing was sent.
        """
        page_flow = self._operations.list_sessions(
            agent=agent,
            owner=owner,
            origin=origin,
            statuses=statuses,
            title_contains=title_contains,
            tags=tags,
            metadata=metadata,
            created_after=created_after,
            created_before=created_before,
            include_archived=include_archived,
            oldest_first=oldest_first,
            limit=limit,
            page_size=page_size,
            native=native,
        )
        return AsyncPaginator(self._driver, Feature.SESSIONS_LIST, page_flow, cursor=cursor, limit=limit)

    async def update(
        self,
        session: AnySession,
        *,
        title: str | Unset | None = UNSET,
        metadata: Mapping[str, JsonValue] | Unset | None = UNSET,
        tags: Sequence[str] | Unset | None = UNSET,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
        model: ModelConfig | Model | str | Unset | None = UNSET,
        permission_mode: str | Unset | None = UNSET,
        native: NativeBody | None = None,
    ) -> Session:
        """Change the given fields. Omitted fields keep their values, and None clears a field.

        Args:
            session: The session, or its id.
            title: Label for people.
            metadata: Keys to set; a key with None is removed, and the others stay. None removes all.
            tags: Replaces the whole list.
            add_tags: Tags to add. The list is read, changed and written back, so the last of two writers wins.
            remove_tags: Tags to remove, in the same way.
            model: Replaces the whole model configuration.
            permission_mode: How tool calls are approved, as a word of the backend.
            native: Further changes that only this backend has.

        Raises:
            UnsupportedOperation: The backend cannot change or clear a field; nothing was sent.
            NotFound: There is no such session.
            Conflict: The session cannot be changed now, for example while a turn runs.
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

    async def archive(self, session: AnySession) -> Session:
        """Archive a session: it becomes read-only, and lists leave it out by default.

        Raises:
            UnsupportedOperation: The backend cannot archive; nothing was sent.
            NotFound: There is no such session.
        """
        return await self._driver.run(Feature.SESSIONS_ARCHIVE, self._operations.archive_session(session))

    async def delete(self, session: AnySession) -> None:
        """Delete a session permanently.

        Raises:
            NotFound: There is no such session.
        """
        await self._driver.run(Feature.SESSIONS_DELETE, self._operations.delete_session(session))

    async def cancel(self, session: AnySession) -> Cancellation:
        """Stop the turn that is running. The session itself stays.

        Raises:
            NotFound: There is no such session.
        """
        return await self._driver.run(Feature.SESSIONS_CANCEL, self._operations.cancel_session(session))

    async def send(
        self,
        session: AnySession,
        content: Content,
        *,
        idempotency_key: str | None = None,
        native: NativeBody | None = None,
    ) -> None:
        """Send a message without following the turn that it starts; `run` follows it.

        Args:
            session: The session, or its id.
            content: Text, or a list of `TextBlock` and `MediaBlock`.
            idempotency_key: The backend takes no second message with the same key, also from another process.
            native: Further fields of the message that only this backend has.

        Raises:
            UnsupportedOperation: The backend does not accept such a block; nothing was sent.
            Conflict: A turn is running, and the backend refuses messages during a turn; or the agent waits for an
                answer, and the backend would treat the message as the answer.
        """
        await self._driver.run(
            Feature.SESSIONS_SEND,
            self._operations.send_message(session, content, native=native, idempotency_key=idempotency_key),
        )

    def run(
        self,
        session: AnySession,
        content: Content | Sequence[Answer],
        *,
        on_action: AsyncOnAction | None = None,
        on_cursor: AsyncOnCursor | None = None,
        cancel_on_exit: bool | None = None,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        native: NativeBody | None = None,
    ) -> AsyncTurn:
        """Send a message, or answers to pending actions, and follow the turn to its end.

        Use it in a `with` block: entering the block opens the stream and then sends the input. The events are those of
            this turn, and end with its `turn.ended`. With `on_action` a turn has a part for each round of answers; each
            part but the last ends with `turn.ended` and `continues=True`.

        Args:
            session: The session, or its id.
            content: Text, a list of `TextBlock` and `MediaBlock`, or a list of `Approve`, `Deny`, `ToolOutput` and
                `Reply`.
            on_action: Called once for each pending action, after the part has ended and its connection is closed, in
                the thread or task that reads the events. It returns an answer, with which the turn continues, or None,
                which leaves the actions of that group unanswered. If it raises an exception, the session keeps waiting.
            on_cursor: Called with the turn's cursor before its input is sent, and again for each later part. Another
                process that has the cursor can `rejoin` the turn if this process stops. If it raises an exception,
                nothing is sent.
            cancel_on_exit: Whether to cancel the turn if the block is left before its end; this takes at most 5
                seconds. With None the backend decides: see `client.turn_life`. Where that is `attended`, leaving the
                block ends the turn, and True needs no cancellation. A turn that waits for an answer is not cancelled.
            deadline_s: Seconds from entering the block after which to stop waiting; None for no limit. The
                time in `on_action` does not count.
            idempotency_key: The backend takes no second message with the same key, also from another process.
            native: Further fields of the message or the answers that only this backend has.

        Raises:
            DeadlineExceeded: While reading: the deadline has passed.
            StreamInterrupted: While reading: the connection broke, and could not be resumed.
            UnsupportedOperation: `cancel_on_exit` is False, but the backend ends a turn when its stream is left; or
                True, but the backend neither does so nor can cancel.
        """
        from polysession._drivers.async_stream import AsyncTurn  # noqa: PLC0415  (others need no streams)

        control = self._operations.turn_control(
            Feature.SESSIONS_RUN, session, on_action=on_action, on_cursor=on_cursor, cancel_on_exit=cancel_on_exit
        )
        flow = self._operations.start_turn(session, content, native=native, idempotency_key=idempotency_key)
        watch = self._driver.observation.turn(session, content)
        return AsyncTurn(self._driver, Feature.SESSIONS_RUN, flow, watch, deadline_s=deadline_s, control=control)

    def stream(
        self, session: AnySession, *, cursor: str | None = None, deadline_s: float | None = None
    ) -> AsyncEventStream:
        """Follow a session, turn after turn. Use it in a `with` block.

        Args:
            session: The session, or its id.
            cursor: `cursor` of an earlier stream or of a `StreamInterrupted`, to continue after its last event; None
                begins with the next event.
            deadline_s: Seconds from entering the block after which to stop waiting; None for no limit.

        Raises:
            DeadlineExceeded: While reading: the deadline has passed.
            StreamInterrupted: While reading: the connection broke, and could not be resumed.
        """
        from polysession._drivers.async_stream import AsyncEventStream  # noqa: PLC0415  (others need no streams)

        flow = self._operations.stream_events(session, cursor)
        return AsyncEventStream(self._driver, Feature.SESSIONS_STREAM, flow, deadline_s=deadline_s, cursor=cursor)

    async def ask(
        self,
        session: AnySession,
        content: Content | Sequence[Answer],
        *,
        on_action: AsyncOnAction | None = None,
        deadline_s: float | None = None,
    ) -> TurnResult:
        """Send a message, or answers to pending actions, and wait until the turn has completed.

        Args:
            session: The session, or its id.
            content: As for `run`.
            on_action: As for `run`.
            deadline_s: Seconds after which to stop waiting; None for no limit. The time in `on_action`
                does not count.

        Returns:
            The result of the turn; its outcome is `completed`.

        Raises:
            TurnFailed: The turn failed.
            TurnCancelled: It was cancelled.
            TurnLimitReached: It was stopped at a limit of the backend.
            ActionRequiredError: It waits for answers to pending actions.
            DeadlineExceeded: The deadline has passed.
            StreamInterrupted: The connection broke, and could not be resumed.
        """
        async with self.run(session, content, on_action=on_action, deadline_s=deadline_s) as turn:
            result = await turn.wait()
        try:
            result.raise_for_outcome()
        except PolysessionError as error:
            self._driver.add_context(error, Feature.SESSIONS_RUN)
            raise
        return result

    def rejoin(
        self,
        session: AnySession,
        cursor: str,
        *,
        on_action: AsyncOnAction | None = None,
        cancel_on_exit: bool | None = None,
        deadline_s: float | None = None,
    ) -> AsyncTurn:
        """Follow a turn of another process to its end. Use it in a `with` block.

        Args:
            session: The session, or its id.
            cursor: `cursor` of the turn. It identifies the turn, even if it was read before the input was sent.
            on_action: As for `run`.
            cancel_on_exit: As for `run`.
            deadline_s: Seconds from entering the block after which to stop waiting; None for no limit.

        Raises:
            UnsupportedOperation: Turns of the backend end with their connection.
            DeadlineExceeded: While reading: the deadline has passed.
            StreamInterrupted: While reading: the connection broke, and could not be resumed.
        """
        from polysession._drivers.async_stream import AsyncTurn  # noqa: PLC0415  (others need no streams)

        control = self._operations.turn_control(
            Feature.SESSIONS_REJOIN, session, on_action=on_action, cancel_on_exit=cancel_on_exit
        )
        flow = self._operations.rejoin_turn(session, cursor)
        watch = self._driver.observation.turn(session, ())
        return AsyncTurn(
            self._driver, Feature.SESSIONS_REJOIN, flow, watch, deadline_s=deadline_s, control=control, cursor=cursor
        )

    def events(
        self,
        session: AnySession,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
    ) -> AsyncPaginator[Event]:
        """List past events, oldest first. Nothing is read until you iterate over the result.

        Args:
            session: The session, or its id.
            newest_first: Newest first.
            limit: Total number of events, from as many pages as needed; None for all.
            page_size: Number of events that one request asks for, as the backend counts them; None for the backend's
                default.
            cursor: `next_cursor` of an earlier page of the same list, to continue there.

        Raises:
            UnsupportedOperation: The backend does not list events, or not in this order; nothing was sent.
        """
        page_flow = self._operations.list_events(session, page_size, limit=limit, newest_first=newest_first)
        return AsyncPaginator(self._driver, Feature.SESSIONS_EVENTS, page_flow, cursor=cursor, limit=limit)

    def messages(
        self,
        session: AnySession,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
    ) -> AsyncPaginator[Message]:
        """List messages, oldest first. Nothing is read until you iterate over the result.

        Args:
            session: The session, or its id.
            newest_first: Newest first.
            limit: Total number of messages, from as many pages as needed; None for all.
            page_size: Number of items that one request asks for; None for the backend's default.
            cursor: `next_cursor` of an earlier page of the same list, to continue there.

        Raises:
            UnsupportedOperation: The backend does not list messages, or not in this order; nothing was sent.
        """
        page_flow = self._operations.list_messages(session, page_size, limit=limit, newest_first=newest_first)
        return AsyncPaginator(self._driver, Feature.SESSIONS_MESSAGES, page_flow, cursor=cursor, limit=limit)

    async def answer(self, session: AnySession, answers: Sequence[Answer], *, native: NativeBody | None = None) -> None:
        """Answer pending actions and do not follow the continued turn; `run` with the same answers follows it.

        Args:
            session: The session, or its id.
            answers: An `Approve`, `Deny`, `ToolOutput` or `Reply` for each pending action.
            native: Further fields of the answers that only this backend has.

        Raises:
            NotFound: One of the actions is not pending.
            Conflict: No action is pending.
        """
        await self._driver.run(
            Feature.SESSIONS_ANSWER, self._operations.answer_actions(session, answers, native=native)
        )

    async def pending_actions(self, session: AnySession) -> tuple[PendingAction, ...]:
        """Read the pending actions, in any process."""
        return await self._driver.run(Feature.SESSIONS_PENDING_ACTIONS, self._operations.pending_actions(session))
