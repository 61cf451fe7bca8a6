"""What the public verbs do before a provider's flow starts: check arguments, features and handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from polysession._core.flow import Flow, path_segment
from polysession._core.provider import Page, Provider
from polysession.change import (
    UNSET,
    NativeBody,
    NewAgent,
    NewSession,
    Request,
    SessionChanges,
    SessionQuery,
    SessionRef,
    validate_request,
)
from polysession.errors import NotFound, UsageError
from polysession.feature import Feature
from polysession.resources import Agent
from polysession.session import Cancellation, ModelConfig, Session

if TYPE_CHECKING:
    from polysession._core.stream import StreamPlan, TurnPlan
    from polysession.action import Answer, PendingAction
    from polysession.event import Event
    from polysession.message import Block, Message

T = TypeVar("T")

Content: TypeAlias = "str | Sequence[Block]"
"""What a caller says: text, or blocks."""

PageFlow: TypeAlias = Callable[[str | None], Flow[Page[T]]]
"""Given a cursor, or None for the start, the flow that reads that page."""

CREATE_FIELDS: Final[Mapping[str, Feature]] = {
    "agent": Feature.SESSIONS_CREATE_AGENT,
    "environment": Feature.SESSIONS_CREATE_ENVIRONMENT,
    "workspace": Feature.SESSIONS_CREATE_WORKSPACE,
    "title": Feature.SESSIONS_CREATE_TITLE,
    "metadata": Feature.SESSIONS_CREATE_METADATA,
    "tags": Feature.SESSIONS_CREATE_TAGS,
    "capabilities": Feature.SESSIONS_CREATE_CAPABILITIES,
    "model": Feature.SESSIONS_CREATE_MODEL,
    "permission_mode": Feature.SESSIONS_CREATE_PERMISSION_MODE,
}
UPDATE_FIELDS: Final[Mapping[str, Feature]] = {
    "title": Feature.SESSIONS_UPDATE_TITLE,
    "metadata": Feature.SESSIONS_UPDATE_METADATA,
    "tags": Feature.SESSIONS_UPDATE_TAGS,
    "add_tags": Feature.SESSIONS_UPDATE_TAGS_EDIT,
    "remove_tags": Feature.SESSIONS_UPDATE_TAGS_EDIT,
    "model": Feature.SESSIONS_UPDATE_MODEL,
    "permission_mode": Feature.SESSIONS_UPDATE_PERMISSION_MODE,
}
CLEAR_FIELDS: Final[Mapping[str, Feature]] = {
    "title": Feature.SESSIONS_UPDATE_TITLE_CLEAR,
    "metadata": Feature.SESSIONS_UPDATE_METADATA_CLEAR,
    "tags": Feature.SESSIONS_UPDATE_TAGS_CLEAR,
    "model": Feature.SESSIONS_UPDATE_MODEL_CLEAR,
    "permission_mode": Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR,
}
LIST_FIELDS: Final[Mapping[str, Feature]] = {
    "agent": Feature.SESSIONS_LIST_AGENT,
    "statuses": Feature.SESSIONS_LIST_STATUSES,
    "title_contains": Feature.SESSIONS_LIST_TITLE_CONTAINS,
    "tags": Feature.SESSIONS_LIST_TAGS,
    "metadata": Feature.SESSIONS_LIST_METADATA,
    "created_after": Feature.SESSIONS_LIST_CREATED,
    "created_before": Feature.SESSIONS_LIST_CREATED,
    "include_archived": Feature.SESSIONS_LIST_INCLUDE_ARCHIVED,
    "oldest_first": Feature.SESSIONS_LIST_OLDEST_FIRST,
    "page_size": Feature.SESSIONS_LIST_PAGE_SIZE,
}
AGENT_FIELDS: Final[Mapping[str, Feature]] = {
    "model": Feature.AGENTS_CREATE_MODEL,
    "system_prompt": Feature.AGENTS_CREATE_SYSTEM_PROMPT,
    "description": Feature.AGENTS_CREATE_DESCRIPTION,
}


class Operations:
    """The verbs on sessions and agents, as flows. Each raises `UsageError` before its first call."""

    def __init__(self, provider: Provider[Any]) -> None:
        self._provider = provider

    def create_session(self, **values: Any) -> Flow[Session]:
        """`sessions.create`."""
        self._provider.require(Feature.SESSIONS_CREATE)
        new = validate_request(NewSession, self._plain(values))
        self._require_fields(new, CREATE_FIELDS)
        self._check_native(new.native, self._provider.new_session_type)
        return (yield from self._provider.create_session(new))

    def get_session(self, session: Session | str) -> Flow[Session]:
        """`sessions.get`."""
        self._provider.require(Feature.SESSIONS_GET)
        return (yield from self._provider.get_session(self._ref(session)))

    def list_sessions(self, **values: Any) -> PageFlow[Session]:
        """`sessions.list`. Checked at once, although nothing is read yet."""
        with self._naming(Feature.SESSIONS_LIST):
            self._provider.require(Feature.SESSIONS_LIST)
            query = validate_request(SessionQuery, self._plain(values))
            self._require_fields(query, LIST_FIELDS)
            self._check_native(query.native, self._provider.session_query_type)
            _check_page_size(query.page_size)
        return lambda cursor: self._provider.list_sessions(query, cursor)

    def update_session(self, session: Session | str, **values: Any) -> Flow[Session]:
        """`sessions.update`."""
        self._provider.require(Feature.SESSIONS_UPDATE)
        changes = validate_request(SessionChanges, self._plain(values))
        self._require_fields(changes, UPDATE_FIELDS)
        for name, feature in CLEAR_FIELDS.items():
            if getattr(changes, name) is None:
                self._provider.require(feature)
        if changes.tags is not UNSET and (changes.add_tags or changes.remove_tags):
            raise UsageError("tags replaces the whole list: give either it, or add_tags and remove_tags")
        self._check_native(changes.native, self._provider.session_changes_type)
        return (yield from self._provider.update_session(self._ref(session), changes))

    def archive_session(self, session: Session | str) -> Flow[Session]:
        """`sessions.archive`."""
        self._provider.require(Feature.SESSIONS_ARCHIVE)
        return (yield from self._provider.archive_session(self._ref(session)))

    def delete_session(self, session: Session | str) -> Flow[None]:
        """`sessions.delete`."""
        self._provider.require(Feature.SESSIONS_DELETE)
        try:
            yield from self._provider.delete_session(self._ref(session))
        except NotFound as error:
            # A deletion whose answer was lost is repeated, and then finds nothing: that is what was asked for.
            if not error.outcome_unknown:
                raise

    def cancel_session(self, session: Session | str) -> Flow[Cancellation]:
        """`sessions.cancel`."""
        self._provider.require(Feature.SESSIONS_CANCEL)
        return (yield from self._provider.cancel_session(self._ref(session)))

    def send_message(self, session: Session | str, content: Content) -> Flow[None]:
        """`sessions.send`."""
        from polysession._core.turn_input import checked_blocks  # noqa: PLC0415  (others need no messages)

        self._provider.require(Feature.SESSIONS_SEND)
        ref = self._ref(session)
        return (yield from self._provider.send_message(ref, checked_blocks(self._provider, content)))

    def stream_events(self, session: Session | str, cursor: str | None) -> Flow[StreamPlan]:
        """`sessions.stream`."""
        self._provider.require(Feature.SESSIONS_STREAM)
        return (yield from self._provider.stream_events(self._ref(session), cursor))

    def start_turn(self, session: Session | str, turn_input: Content | Sequence[Answer]) -> Flow[TurnPlan]:
        """`sessions.run`."""
        from polysession._core.turn_input import checked_turn_input  # noqa: PLC0415  (others need no messages)

        self._provider.require(Feature.SESSIONS_RUN)
        checked_input = checked_turn_input(self._provider, turn_input)
        return (yield from self._provider.start_turn(self._ref(session), checked_input))

    def list_events(self, session: Session | str, page_size: int | None) -> PageFlow[Event]:
        """`sessions.events`. Checked at once, although nothing is read yet."""
        with self._naming(Feature.SESSIONS_EVENTS):
            self._provider.require(Feature.SESSIONS_EVENTS)
            _check_page_size(page_size)
            ref = self._ref(session)
        return lambda cursor: self._provider.list_events(ref, page_size, cursor)

    def list_messages(self, session: Session | str, page_size: int | None) -> PageFlow[Message]:
        """`sessions.messages`. Checked at once, although nothing is read yet."""
        with self._naming(Feature.SESSIONS_MESSAGES):
            self._provider.require(Feature.SESSIONS_MESSAGES)
            _check_page_size(page_size)
            ref = self._ref(session)
        return lambda cursor: self._provider.list_messages(ref, page_size, cursor)

    def answer_actions(self, session: Session | str, answers: Sequence[Answer]) -> Flow[None]:
        """`sessions.answer`."""
        from polysession._core.turn_input import checked_answers  # noqa: PLC0415  (others need no messages)

        self._provider.require(Feature.SESSIONS_ANSWER)
        ref = self._ref(session)
        return (yield from self._provider.answer_actions(ref, checked_answers(self._provider, answers)))

    def pending_actions(self, session: Session | str) -> Flow[tuple[PendingAction, ...]]:
        """`sessions.pending_actions`."""
        self._provider.require(Feature.SESSIONS_PENDING_ACTIONS)
        return (yield from self._provider.pending_actions(self._ref(session)))

    def create_agent(self, **values: Any) -> Flow[Agent]:
        """`agents.create`."""
        self._provider.require(Feature.AGENTS_CREATE)
        new = validate_request(NewAgent, values)
        self._require_fields(new, AGENT_FIELDS)
        self._check_native(new.native, self._provider.new_agent_type)
        return (yield from self._provider.create_agent(new))

    def get_agent(self, agent: Agent | str) -> Flow[Agent]:
        """`agents.get`."""
        self._provider.require(Feature.AGENTS_GET)
        agent_id = self._agent_id(agent)
        path_segment(agent_id, "agent id")
        return (yield from self._provider.get_agent(agent_id))

    def list_agents(self, page_size: int | None) -> PageFlow[Agent]:
        """`agents.list`. Checked at once, although nothing is read yet."""
        with self._naming(Feature.AGENTS_LIST):
            self._provider.require(Feature.AGENTS_LIST)
            _check_page_size(page_size)
        return lambda cursor: self._provider.list_agents(page_size, cursor)

    @contextmanager
    def _naming(self, feature: Feature) -> Iterator[None]:
        """Say in an error what it is about. A flow's errors are told by the driver that runs it."""
        try:
            yield
        except UsageError as error:
            error.provider, error.operation = self._provider.name, feature.value
            raise

    def _require_fields(self, request: Request, fields: Mapping[str, Feature]) -> None:
        for name, feature in fields.items():
            if _asked(request, name):
                self._provider.require(feature)

    def _check_native(self, native: NativeBody | None, expected: type[NativeBody] | None) -> None:
        if native is None:
            return
        if expected is None:
            raise UsageError(f"{self._provider.name} takes no native body here", provider=self._provider.name)
        if not isinstance(native, expected):
            raise UsageError(
                f"native must be a {expected.__name__}, not a {type(native).__name__}", provider=self._provider.name
            )

    def _ref(self, session: Session | str) -> SessionRef:
        if isinstance(session, Session):
            self._check_owner(session)
            ref = SessionRef(session.id, session.agent_id)
        else:
            ref = SessionRef(session)
        path_segment(ref.id, "session id")
        return ref

    def _plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments with the short forms written out: an agent's id for an `Agent`, a `ModelConfig` for a model id."""
        plain = dict(values)
        if isinstance(plain.get("agent"), Agent):
            plain["agent"] = self._agent_id(plain["agent"])
        if isinstance(plain.get("model"), str):
            plain["model"] = ModelConfig(id=plain["model"])
        return plain

    def _agent_id(self, agent: Agent | str) -> str:
        if not isinstance(agent, Agent):
            return agent
        self._check_owner(agent)
        return agent.id

    def _check_owner(self, record: Session | Agent) -> None:
        if record.provider != self._provider.name:
            raise UsageError(
                f"{type(record).__name__} {record.id!r} comes from provider {record.provider!r};"
                f" this client speaks to {self._provider.name!r}"
            )


def _asked(request: Request, name: str) -> bool:
    """Whether the caller asked for something: an empty list asks for nothing, unless the field can be left unset."""
    value, default = getattr(request, name), _defaults(type(request))[name]
    return value is not default and (default is UNSET or bool(value) or isinstance(value, str))


@cache
def _defaults(request_type: type[Request]) -> dict[str, Any]:
    return {name: info.default for name, info in request_type.model_fields.items()}


def _check_page_size(page_size: int | None) -> None:
    if page_size is not None and (not isinstance(page_size, int) or page_size < 1):
        raise UsageError(f"page_size is {page_size!r}; it counts the items of a page and must be at least 1")
