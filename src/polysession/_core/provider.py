"""The interface of a provider, which every backend's plugin implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

from polysession._core.authorising import NO_AUTHORISATION, Authorisation
from polysession._core.flow import Call, Flow, Response
from polysession.change import (
    AgentChanges,
    NativeBody,
    NewAgent,
    NewEnvironment,
    NewSession,
    SessionChanges,
    SessionQuery,
    SessionRef,
)
from polysession.errors import StatusError, UnsupportedOperation
from polysession.feature import (
    Feature,
    FeatureSupport,
    ResumeMode,
    Support,
    TurnLife,
    WhenBusy,
    WhenWaiting,
    unsupported,
)
from polysession.resources import Agent, Environment, Model
from polysession.session import Cancellation, Session
from polysession.settings import ProviderSettings

if TYPE_CHECKING:
    from polysession._core.plans import StreamPlan
    from polysession.action import Answer, PendingAction
    from polysession.event import Event
    from polysession.message import Block, Message

PROVIDER_API_VERSION = 2

T = TypeVar("T")
S = TypeVar("S", bound=ProviderSettings)

TurnInput: TypeAlias = "tuple[Block, ...] | tuple[Answer, ...]"
"""The input that starts a turn, or continues a waiting turn."""

_NOT_DECLARED = unsupported("")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The items of the page, in the backend's order.
        next_cursor: Opaque text that continues the list on the next page; None on the last page.
        problems: Describes each item that could not be read, such as an item without an id. The others are in `items`.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
    problems: tuple[str, ...] = ()


class ErrorDetail(NamedTuple):
    """The content of an error body.

    Attributes:
        message: The backend's own error message; empty if it sent none.
        code: The backend's error code or type.
        request_id: The backend's id of the request.
        status: HTTP status in the body, for a refusal inside a response with a 2xx status; None if the body has none.
    """

    message: str = ""
    code: str | None = None
    request_id: str | None = None
    status: int | None = None


class Provider(ABC, Generic[S]):
    """One backend. Builds calls and reads replies, in flows; never does I/O.

    A provider overrides the flows of the operations that it declares. The core checks `features` before it starts a
    flow, so a flow never sees a field that its provider declared unsupported.

    Attributes:
        name: Name of the provider, the same as its entry point.
        docs_url: Where the backend documents its API.
        api_version: The version of this interface that the provider was written for.
        settings_type: Model of the provider's settings.
        features: The declared support for each feature. A feature that is not declared is unsupported.
        new_session_type: Type of `native` in `sessions.create`; None if it takes none.
        session_changes_type: Type of `native` in `sessions.update`.
        session_query_type: Type of `native` in `sessions.list`.
        new_agent_type: Type of `native` in `agents.create`.
        agent_changes_type: Type of `native` in `agents.update`.
        new_environment_type: Type of `native` in `environments.create`.
        message_type: Type of `native` in `sessions.send`, and in `sessions.run` with a message.
        answer_type: Type of `native` in `sessions.answer`, and in `sessions.run` with answers.
        error_classes: Exceptions for the backend's own error codes, where the HTTP status is not enough.
        resume_mode: How streams continue after a broken connection.
        turn_life: Whether a turn continues when the caller leaves its stream.
        when_busy: How the backend treats a message that arrives while a turn runs.
        when_waiting: How the backend treats a message that arrives while the agent waits for an answer.
        largest_page: Maximum number of items on one page of a list; None if it is not known. The core uses it to read
            `limit` items in as few pages as possible.
        owner_setting: Name of the setting that holds the client's user, if the user is a part of a session's address;
            None if the credential alone decides. The core then fills in `SessionRef.owner_id`, `NewSession.owner` and
            `SessionQuery.owner` for each flow, with the owner that the caller named, or else the client's user. It
            refuses an owner who is not the client's user. The setting must be optional (`str | None = None`): a client
            without a user serves several users, and each call names its owner.
        agent_setting: Name of the setting that holds the agent for sessions that the caller names by id alone; None if
            the provider has no such setting.
        emulator: Location of the provider's emulator, as `"package.module:Class"`; None if it ships none.
    """

    name: ClassVar[str]
    docs_url: ClassVar[str]
    api_version: ClassVar[int] = PROVIDER_API_VERSION
    settings_type: ClassVar[type[ProviderSettings]]
    features: ClassVar[Mapping[Feature, FeatureSupport]]
    new_session_type: ClassVar[type[NativeBody] | None] = None
    session_changes_type: ClassVar[type[NativeBody] | None] = None
    session_query_type: ClassVar[type[NativeBody] | None] = None
    new_agent_type: ClassVar[type[NativeBody] | None] = None
    agent_changes_type: ClassVar[type[NativeBody] | None] = None
    new_environment_type: ClassVar[type[NativeBody] | None] = None
    message_type: ClassVar[type[NativeBody] | None] = None
    answer_type: ClassVar[type[NativeBody] | None] = None
    error_classes: ClassVar[Mapping[str, type[StatusError]]] = {}
    resume_mode: ClassVar[ResumeMode] = ResumeMode.NONE
    turn_life: ClassVar[TurnLife] = TurnLife.DETACHED
    when_busy: ClassVar[WhenBusy] = WhenBusy.UNKNOWN
    when_waiting: ClassVar[WhenWaiting] = WhenWaiting.UNKNOWN
    largest_page: ClassVar[int | None] = None
    owner_setting: ClassVar[str | None] = None
    agent_setting: ClassVar[str | None] = None
    emulator: ClassVar[str | None] = None

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """Return the backend's event types, each with the types of the common events that it is turned into.

        This is a method, so that a client that reads no events does not import the event reader.
        """
        return {}

    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Return the headers of every request: those that identify the client, and other constant headers."""

    @abstractmethod
    def read_error(self, response: Response) -> ErrorDetail:
        """Read an error body of any generation. It never fails: an empty or unknown body gives an empty detail."""

    def is_refusal(self, response: Response) -> bool:
        """Return whether a response with a 2xx status refuses the call in its body. If so, `read_error` reads it."""
        return False

    def authorise(self, call: Call, now: datetime) -> Flow[Authorisation]:
        """Fetch the headers that identify the client in later calls, such as a token in exchange for a key.

        The client keeps the result until shortly before it expires (60 seconds, or a tenth of its lifetime), runs one
        refresh at a time, and fetches once more after a 401. Clients made by `with_options` share the result. The calls
        of this flow carry only the constant headers. To send a call to another server, set `Call.base_url`. Mark calls
        that change nothing as `read_only`, so that they are retried. By default `headers` is enough.

        Args:
            call: The call that needs the authorisation.
            now: The time, aware UTC.
        """
        yield from ()
        return NO_AUTHORISATION

    def read_version(self) -> Flow[str | None]:
        """Ask the backend for its version. Gives None, without a request, if the backend has no version."""
        yield from ()
        return None

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a session."""
        raise self._missing(Feature.SESSIONS_CREATE)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session."""
        raise self._missing(Feature.SESSIONS_GET)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page of sessions: the first page, or the page at the `next_cursor` of another page."""
        raise self._missing(Feature.SESSIONS_LIST)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change only the fields that the caller named."""
        raise self._missing(Feature.SESSIONS_UPDATE)

    def archive_session(self, ref: SessionRef) -> Flow[Session]:
        """Archive a session."""
        raise self._missing(Feature.SESSIONS_ARCHIVE)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session."""
        raise self._missing(Feature.SESSIONS_DELETE)

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Stop the running turn."""
        raise self._missing(Feature.SESSIONS_CANCEL)

    def send_message(
        self,
        ref: SessionRef,
        content: tuple[Block, ...],
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[None]:
        """Send a message without following the turn that it starts.

        Args:
            ref: The session.
            content: The blocks of the message.
            native: A `message_type`; None if the caller gave none.
            idempotency_key: Key of the caller's; None if the caller gave none.
        """
        raise self._missing(Feature.SESSIONS_SEND)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        """Prepare a stream plan for a session. The stream starts now, or after `cursor`."""
        raise self._missing(Feature.SESSIONS_STREAM)

    def start_turn(
        self,
        ref: SessionRef,
        turn_input: TurnInput,
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[StreamPlan]:
        """Prepare a plan for a turn: a message starts it, or answers continue it.

        Args:
            ref: The session.
            turn_input: The blocks of a message, or answers.
            native: A `message_type`, or with answers an `answer_type`; None if the caller gave none.
            idempotency_key: Key of the caller's; None if the caller gave none.
        """
        raise self._missing(Feature.SESSIONS_RUN)

    def rejoin_turn(self, ref: SessionRef, cursor: str) -> Flow[StreamPlan]:
        """Prepare a plan that continues a turn after a cursor of its plan, in another process.

        The plan's `send` does nothing. The cursor names the turn, even if it was read before the input was sent.
        """
        raise self._missing(Feature.SESSIONS_REJOIN)

    def list_events(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Event]]:
        """Read one page of past events, oldest first or newest first.

        A user's message is a `MessageCompleted` with `Role.USER`, placed before the answer. The start and end of a turn
        are listed if the backend stores them or the history proves them; otherwise they are missing.
        """
        raise self._missing(Feature.SESSIONS_EVENTS)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Message]]:
        """Read one page of messages, oldest first or newest first."""
        raise self._missing(Feature.SESSIONS_MESSAGES)

    def answer_actions(
        self, ref: SessionRef, answers: tuple[Answer, ...], *, native: NativeBody | None = None
    ) -> Flow[None]:
        """Answer pending actions without following the turn that continues.

        Args:
            ref: The session.
            answers: Answers of one group are sent together, in their order.
            native: An `answer_type`; None if the caller gave none.
        """
        raise self._missing(Feature.SESSIONS_ANSWER)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read the actions that the agent waits for."""
        raise self._missing(Feature.SESSIONS_PENDING_ACTIONS)

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an agent."""
        raise self._missing(Feature.AGENTS_CREATE)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an agent."""
        raise self._missing(Feature.AGENTS_GET)

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read one page of agents."""
        raise self._missing(Feature.AGENTS_LIST)

    def update_agent(self, agent_id: str, changes: AgentChanges) -> Flow[Agent]:
        """Change only the fields that the caller named."""
        raise self._missing(Feature.AGENTS_UPDATE)

    def archive_agent(self, agent_id: str) -> Flow[Agent]:
        """Archive an agent."""
        raise self._missing(Feature.AGENTS_ARCHIVE)

    def delete_agent(self, agent_id: str) -> Flow[None]:
        """Delete an agent."""
        raise self._missing(Feature.AGENTS_DELETE)

    def create_environment(self, new: NewEnvironment) -> Flow[Environment]:
        """Create an environment."""
        raise self._missing(Feature.ENVIRONMENTS_CREATE)

    def get_environment(self, environment_id: str) -> Flow[Environment]:
        """Read an environment."""
        raise self._missing(Feature.ENVIRONMENTS_GET)

    def list_environments(self, page_size: int | None, cursor: str | None) -> Flow[Page[Environment]]:
        """Read one page of environments."""
        raise self._missing(Feature.ENVIRONMENTS_LIST)

    def list_models(self, page_size: int | None, cursor: str | None) -> Flow[Page[Model]]:
        """Read one page of the models that sessions and agents may name."""
        raise self._missing(Feature.MODELS_LIST)

    @classmethod
    def support(cls, feature: Feature) -> FeatureSupport:
        """Return the declaration for one feature."""
        return cls.features.get(feature, _NOT_DECLARED)

    @classmethod
    def require(cls, feature: Feature) -> None:
        """Raise unless the feature is supported.

        Raises:
            UnsupportedOperation: The feature is not supported.
        """
        if cls.support(feature).support is Support.UNSUPPORTED:
            raise cls._missing(feature)

    @classmethod
    def _missing(cls, feature: Feature) -> UnsupportedOperation:
        hint = cls.support(feature).note
        message = f"{feature.field} is not supported" if feature.field else "not supported"
        if hint:
            message += f": {hint}"
        return UnsupportedOperation(
            message, feature=feature.value, hint=hint, provider=cls.name, operation=feature.operation
        )
