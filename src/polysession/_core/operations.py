"""The public operations up to the start of a provider's flow: they check arguments, features and handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from polysession._core.exchange import checked_headers
from polysession._core.fields import (
    AGENT_CLEAR_FIELDS,
    AGENT_FIELDS,
    AGENT_UPDATE_FIELDS,
    CLEAR_FIELDS,
    CREATE_FIELDS,
    ENVIRONMENT_FIELDS,
    LIST_FIELDS,
    UPDATE_FIELDS,
)
from polysession._core.flow import Call, Flow, Response, json_body, path_segment, with_query
from polysession._core.handles import AnySession, Handles
from polysession._core.provider import Page, Provider
from polysession.change import (
    UNSET,
    AgentChanges,
    NativeBody,
    NewAgent,
    NewEnvironment,
    NewSession,
    Request,
    SessionChanges,
    SessionQuery,
    SessionRef,
    Unset,
    validate_request,
)
from polysession.errors import Conflict, MalformedResponse, NotFound, UnsupportedOperation, UsageError
from polysession.feature import Feature, TurnLife, WhenWaiting
from polysession.resources import Agent, Environment, Model
from polysession.session import Cancellation, Session

if TYPE_CHECKING:
    from polysession._core.plans import StreamPlan
    from polysession._core.turn import TurnControl
    from polysession.action import Answer, PendingAction
    from polysession.event import Event
    from polysession.message import Block, Message

T = TypeVar("T")
Rec = TypeVar("Rec", Session, Agent, Environment)

_FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that the HTTP library sets."""

Content: TypeAlias = "str | Sequence[Block]"
"""A caller's message: text, or blocks."""

PageFlow: TypeAlias = Callable[[str | None], Flow[Page[T]]]
"""Returns the flow that reads the page at a cursor; None stands for the first page."""


class Operations:
    """The operations of a client, as flows. Each raises `UsageError` before its first call."""

    def __init__(self, provider: Provider[Any]) -> None:
        self._provider = provider
        self._handles = Handles(provider)

    def create_session(self, **values: Any) -> Flow[Session]:
        """`sessions.create`."""
        self._provider.require(Feature.SESSIONS_CREATE)
        new = validate_request(NewSession, self._handles.plain(values))
        self._require_fields(new, CREATE_FIELDS)
        self._check_native(new.native, self._provider.new_session_type)
        return (yield from self._provider.create_session(self._handles.with_owner(new)))

    def get_session(self, session: AnySession) -> Flow[Session]:
        """`sessions.get`."""
        self._provider.require(Feature.SESSIONS_GET)
        ref = self._handles.ref(session)
        return _same(ref.id, (yield from self._provider.get_session(ref)))

    def list_sessions(self, **values: Any) -> PageFlow[Session]:
        """`sessions.list`. The arguments are checked now; pages are read later."""
        with self._naming(Feature.SESSIONS_LIST):
            self._provider.require(Feature.SESSIONS_LIST)
            limit = values.pop("limit", None)
            query = validate_request(SessionQuery, self._handles.plain(values))
            self._require_fields(query, LIST_FIELDS)
            self._check_native(query.native, self._provider.session_query_type)
            page_size = self._page_size(query.page_size, limit)
            if page_size != query.page_size and self._provider.support(Feature.SESSIONS_LIST_PAGE_SIZE).support:
                query = query.model_copy(update={"page_size": page_size})
            query = self._handles.with_owner(query)
        return lambda cursor: self._provider.list_sessions(query, cursor)

    def update_session(self, session: AnySession, **values: Any) -> Flow[Session]:
        """`sessions.update`."""
        self._provider.require(Feature.SESSIONS_UPDATE)
        changes = validate_request(SessionChanges, self._handles.plain(values))
        self._require_fields(changes, UPDATE_FIELDS)
        self._require_clearing(changes, CLEAR_FIELDS)
        if isinstance(changes.metadata, Mapping) and None in changes.metadata.values():
            self._provider.require(Feature.SESSIONS_UPDATE_METADATA_REMOVE)
        if changes.tags is not UNSET and (changes.add_tags or changes.remove_tags):
            raise UsageError("tags replaces all tags: pass either tags, or add_tags and remove_tags")
        self._check_native(changes.native, self._provider.session_changes_type)
        ref = self._handles.ref(session)
        return _same(ref.id, (yield from self._provider.update_session(ref, changes)))

    def archive_session(self, session: AnySession) -> Flow[Session]:
        """`sessions.archive`."""
        self._provider.require(Feature.SESSIONS_ARCHIVE)
        ref = self._handles.ref(session)
        return _same(ref.id, (yield from self._provider.archive_session(ref)))

    def delete_session(self, session: AnySession) -> Flow[None]:
        """`sessions.delete`."""
        self._provider.require(Feature.SESSIONS_DELETE)
        yield from _deleted(self._provider.delete_session(self._handles.ref(session)))

    def cancel_session(self, session: AnySession) -> Flow[Cancellation]:
        """`sessions.cancel`."""
        self._provider.require(Feature.SESSIONS_CANCEL)
        return (yield from self._provider.cancel_session(self._handles.ref(session)))

    def send_message(
        self,
        session: AnySession,
        content: Content,
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[None]:
        """`sessions.send`."""
        from polysession._core.turn_input import checked_blocks  # noqa: PLC0415  (others need no messages)

        self._provider.require(Feature.SESSIONS_SEND)
        ref = self._handles.ref(session)
        blocks = checked_blocks(self._provider, content)
        self._check_native(native, self._provider.message_type)
        options = self._options(Feature.SESSIONS_SEND_IDEMPOTENCY_KEY, native, idempotency_key)
        yield from self._refuse_while_waiting(ref)
        yield from self._provider.send_message(ref, blocks, **options)

    def stream_events(self, session: AnySession, cursor: str | None) -> Flow[StreamPlan]:
        """`sessions.stream`."""
        from polysession._core.cursors import plan_cursor  # noqa: PLC0415  (others need no events)

        self._provider.require(Feature.SESSIONS_STREAM)
        return (yield from self._provider.stream_events(self._handles.ref(session), plan_cursor(cursor)))

    def start_turn(
        self,
        session: AnySession,
        turn_input: Content | Sequence[Answer],
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[StreamPlan]:
        """`sessions.run`."""
        from polysession._core.turn_input import checked_turn_input, holds_answers  # noqa: PLC0415  (likewise)

        self._provider.require(Feature.SESSIONS_RUN)
        ref = self._handles.ref(session)
        checked_input = checked_turn_input(self._provider, turn_input)
        is_answer = holds_answers(turn_input)
        self._check_native(native, self._provider.answer_type if is_answer else self._provider.message_type)
        options = self._options(Feature.SESSIONS_RUN_IDEMPOTENCY_KEY, native, idempotency_key)
        if not is_answer:
            yield from self._refuse_while_waiting(ref)
        return (yield from self._provider.start_turn(ref, checked_input, **options))

    def turn_control(
        self,
        feature: Feature,
        session: AnySession,
        *,
        on_action: Callable[[PendingAction], Any] | None,
        on_cursor: Callable[[str | None], Any] | None = None,
        cancel_on_exit: bool | None,
    ) -> TurnControl:
        """Check and return the options of a turn for pending actions and for an early exit."""
        from polysession._core.turn import TurnControl  # noqa: PLC0415  (others need no turns)
        from polysession._core.turn_input import checked_answers  # noqa: PLC0415  (likewise)

        with self._naming(feature):
            if on_action is not None and not callable(on_action):
                raise UsageError(f"on_action must be a function of a pending action, not {on_action!r}")
            if on_cursor is not None and not callable(on_cursor):
                raise UsageError(f"on_cursor must be a function of a cursor, not {on_cursor!r}")
            if cancel_on_exit not in {None, True, False}:
                raise UsageError(f"cancel_on_exit must be True, False or None, not {cancel_on_exit!r}")
            is_attended = self._provider.turn_life is TurnLife.ATTENDED
            if cancel_on_exit and not is_attended:
                self._provider.require(Feature.SESSIONS_CANCEL)
            if cancel_on_exit is False and is_attended:
                hint = "turns of this backend end when their stream is closed"
                raise UnsupportedOperation(f"cancel_on_exit=False: {hint}", feature=feature.value, hint=hint)
        return TurnControl(
            on_action=on_action,
            on_cursor=on_cursor,
            check=partial(checked_answers, self._provider),
            start=partial(self.start_turn, session),
            cancel=partial(self.cancel_session, session) if cancel_on_exit and not is_attended else None,
        )

    def rejoin_turn(self, session: AnySession, cursor: str) -> Flow[StreamPlan]:
        """`sessions.rejoin`."""
        from polysession._core.cursors import plan_cursor  # noqa: PLC0415  (likewise)

        self._provider.require(Feature.SESSIONS_REJOIN)
        if not isinstance(cursor, str) or not cursor:
            raise UsageError(f"the cursor must be the text of `Turn.cursor`, not {cursor!r}")
        return (yield from self._provider.rejoin_turn(self._handles.ref(session), plan_cursor(cursor) or ""))

    def list_events(
        self, session: AnySession, page_size: int | None, *, limit: int | None = None, newest_first: bool = False
    ) -> PageFlow[Event]:
        """`sessions.events`. The arguments are checked now; pages are read later."""
        with self._naming(Feature.SESSIONS_EVENTS):
            self._provider.require(Feature.SESSIONS_EVENTS)
            order = self._order(Feature.SESSIONS_EVENTS_NEWEST_FIRST, newest_first=newest_first)
            page_size = self._page_size(page_size, limit)
            ref = self._handles.ref(session)
        return lambda cursor: self._provider.list_events(ref, page_size, cursor, **order)

    def list_messages(
        self, session: AnySession, page_size: int | None, *, limit: int | None = None, newest_first: bool = False
    ) -> PageFlow[Message]:
        """`sessions.messages`. The arguments are checked now; pages are read later."""
        with self._naming(Feature.SESSIONS_MESSAGES):
            self._provider.require(Feature.SESSIONS_MESSAGES)
            order = self._order(Feature.SESSIONS_MESSAGES_NEWEST_FIRST, newest_first=newest_first)
            page_size = self._page_size(page_size, limit)
            ref = self._handles.ref(session)
        return lambda cursor: self._provider.list_messages(ref, page_size, cursor, **order)

    def answer_actions(
        self, session: AnySession, answers: Sequence[Answer], *, native: NativeBody | None = None
    ) -> Flow[None]:
        """`sessions.answer`."""
        from polysession._core.turn_input import checked_answers  # noqa: PLC0415  (others need no messages)

        self._provider.require(Feature.SESSIONS_ANSWER)
        ref = self._handles.ref(session)
        checked = checked_answers(self._provider, answers)
        self._check_native(native, self._provider.answer_type)
        options = {} if native is None else {"native": native}
        yield from self._provider.answer_actions(ref, checked, **options)

    def pending_actions(self, session: AnySession) -> Flow[tuple[PendingAction, ...]]:
        """`sessions.pending_actions`."""
        self._provider.require(Feature.SESSIONS_PENDING_ACTIONS)
        return (yield from self._provider.pending_actions(self._handles.ref(session)))

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
        return _same(agent_id, (yield from self._provider.get_agent(agent_id)))

    def update_agent(self, agent: Agent | str, **values: Any) -> Flow[Agent]:
        """`agents.update`."""
        self._provider.require(Feature.AGENTS_UPDATE)
        version = agent.version if isinstance(agent, Agent) else None
        changes = validate_request(AgentChanges, {**values, "version": version})
        self._require_fields(changes, AGENT_UPDATE_FIELDS)
        self._require_clearing(changes, AGENT_CLEAR_FIELDS)
        self._check_native(changes.native, self._provider.agent_changes_type)
        agent_id = self._agent_id(agent)
        return _same(agent_id, (yield from self._provider.update_agent(agent_id, changes)))

    def archive_agent(self, agent: Agent | str) -> Flow[Agent]:
        """`agents.archive`."""
        self._provider.require(Feature.AGENTS_ARCHIVE)
        agent_id = self._agent_id(agent)
        return _same(agent_id, (yield from self._provider.archive_agent(agent_id)))

    def delete_agent(self, agent: Agent | str) -> Flow[None]:
        """`agents.delete`."""
        self._provider.require(Feature.AGENTS_DELETE)
        yield from _deleted(self._provider.delete_agent(self._agent_id(agent)))

    def list_agents(self, page_size: int | None, *, limit: int | None = None) -> PageFlow[Agent]:
        """`agents.list`. The arguments are checked now; pages are read later."""
        size = self._check_list(Feature.AGENTS_LIST, page_size, limit)
        return lambda cursor: self._provider.list_agents(size, cursor)

    def create_environment(self, **values: Any) -> Flow[Environment]:
        """`environments.create`."""
        self._provider.require(Feature.ENVIRONMENTS_CREATE)
        new = validate_request(NewEnvironment, values)
        self._require_fields(new, ENVIRONMENT_FIELDS)
        self._check_native(new.native, self._provider.new_environment_type)
        return (yield from self._provider.create_environment(new))

    def get_environment(self, environment: Environment | str) -> Flow[Environment]:
        """`environments.get`."""
        self._provider.require(Feature.ENVIRONMENTS_GET)
        environment_id = self._handles.id_of(environment, Environment)
        path_segment(environment_id, "environment id")
        return _same(environment_id, (yield from self._provider.get_environment(environment_id)))

    def list_environments(self, page_size: int | None, *, limit: int | None = None) -> PageFlow[Environment]:
        """`environments.list`. The arguments are checked now; pages are read later."""
        size = self._check_list(Feature.ENVIRONMENTS_LIST, page_size, limit)
        return lambda cursor: self._provider.list_environments(size, cursor)

    def list_models(self, page_size: int | None, *, limit: int | None = None) -> PageFlow[Model]:
        """`models.list`. The arguments are checked now; pages are read later."""
        size = self._check_list(Feature.MODELS_LIST, page_size, limit)
        return lambda cursor: self._provider.list_models(size, cursor)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        json: Any,
        content: bytes | str | None,
        headers: Mapping[str, str] | None,
        timeout: float | Unset | None,
        idempotent: bool,
    ) -> Flow[Response]:
        """`client.request`."""
        if not isinstance(method, str) or not method.isascii() or not method.isalpha():
            raise UsageError(f"the method must be a name such as GET, not {method!r}")
        if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
            raise UsageError(f"the path must begin with one slash, and is relative to base_url; not {path!r}")
        if json is not UNSET and content is not None:
            raise UsageError("a request has one body: pass either json or content")
        body = content.encode() if isinstance(content, str) else content
        call = Call(
            method.upper(),
            with_query(path, query or {}),
            headers=checked_headers(headers or {}, _FRAMING),
            body=body if json is UNSET else json_body(json),
            timeout_s=timeout,
            idempotent=idempotent,
        )
        return (yield call)

    @contextmanager
    def _naming(self, feature: Feature) -> Iterator[None]:
        """Add provider and operation to an error. For the errors of a flow, the driver does this."""
        try:
            yield
        except UsageError as error:
            error.provider, error.operation = self._provider.name, feature.value
            raise

    def _agent_id(self, agent: Agent | str) -> str:
        agent_id = self._handles.id_of(agent, Agent)
        path_segment(agent_id, "agent id")
        return agent_id

    def _check_list(self, feature: Feature, page_size: int | None, limit: int | None) -> int | None:
        with self._naming(feature):
            self._provider.require(feature)
            return self._page_size(page_size, limit)

    def _page_size(self, page_size: int | None, limit: int | None) -> int | None:
        """Return how many items one request asks for, so that as few pages as possible give the total."""
        _check_count("page_size", page_size)
        _check_count("limit", limit)
        largest = self._provider.largest_page
        return min(limit, largest) if page_size is None and limit is not None and largest is not None else page_size

    def _require_fields(self, request: Request, fields: Mapping[str, Feature]) -> None:
        given = request.model_fields_set
        for name, feature in fields.items():
            if name in given and _asked(request, name):
                self._provider.require(feature)

    def _require_clearing(self, changes: Request, fields: Mapping[str, Feature]) -> None:
        for name, feature in fields.items():
            if getattr(changes, name) is None:
                self._provider.require(feature)

    def _check_native(self, native: NativeBody | None, expected: type[NativeBody] | None) -> None:
        if native is None:
            return
        if expected is None:
            raise UsageError(
                f"{self._provider.name} accepts no native body for this operation", provider=self._provider.name
            )
        if not isinstance(native, expected):
            raise UsageError(
                f"native must be a {expected.__name__}, not a {type(native).__name__}", provider=self._provider.name
            )

    def _options(self, key_feature: Feature, native: NativeBody | None, idempotency_key: str | None) -> dict[str, Any]:
        """Return the options that the caller gave: a provider without these options needs no parameters for them."""
        if idempotency_key is not None:
            self._provider.require(key_feature)
            if not isinstance(idempotency_key, str) or not idempotency_key:
                raise UsageError(f"idempotency_key must be text, not {idempotency_key!r}")
        given = {"native": native, "idempotency_key": idempotency_key}
        return {name: value for name, value in given.items() if value is not None}

    def _order(self, feature: Feature, *, newest_first: bool) -> dict[str, bool]:
        if not newest_first:
            return {}
        self._provider.require(feature)
        return {"newest_first": True}

    def _refuse_while_waiting(self, ref: SessionRef) -> Flow[None]:
        """Refuse a message that the backend would take for an answer to a pending action."""
        if self._provider.when_waiting is not WhenWaiting.TAKEN_AS_ANSWER:
            return
        actions = yield from self._provider.pending_actions(ref)
        if actions:
            raise Conflict(
                f"the agent waits for an answer to {actions[0].id!r}, and would take this message as the answer. Answer"
                " the action, or cancel the turn, first"
            )


def _same(asked: str, record: Rec) -> Rec:
    """Return the record if it is the requested one: a response to another request is an error."""
    if record.id != asked:
        raise MalformedResponse(f"the response is about {record.id!r}, but {asked!r} was requested")
    return record


def _deleted(flow: Flow[None]) -> Flow[None]:
    """Run a deletion. If its response was lost, the repeated deletion finds nothing, which counts as success."""
    try:
        yield from flow
    except NotFound as error:
        if not error.outcome_unknown:
            raise


def _asked(request: Request, name: str) -> bool:
    """Return whether a given value sets its field: an empty list sets nothing, unless the field can be left unset."""
    value = getattr(request, name)
    return bool(value) or isinstance(value, str) or type(request).model_fields[name].default is UNSET


def _check_count(name: str, count: int | None) -> None:
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise UsageError(f"{name} must be a whole number above zero, not {count!r}")
