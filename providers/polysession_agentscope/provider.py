"""AgentScope's agent service: settings, declared support, calls and flows.

Paths of collections end with a slash, and paths of items do not. The server redirects the other form.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and its siblings, and the OpenAPI document
that every server publishes at `/openapi.json` (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final

from polysession.provider_api import (
    Agent,
    AgentChanges,
    Answer,
    AnsweredTurn,
    BaseUrl,
    Block,
    Call,
    Cancellation,
    Conflict,
    ErrorDetail,
    Event,
    Feature,
    FeatureSupport,
    Flow,
    FromEnv,
    HeaderText,
    MalformedResponse,
    Message,
    Model,
    NativeBody,
    NewAgent,
    NewSession,
    NotFound,
    Page,
    PendingAction,
    Provider,
    ProviderSettings,
    Response,
    ResumeMode,
    Session,
    SessionChanges,
    SessionQuery,
    SessionRef,
    SessionStatus,
    StreamPlan,
    TurnInput,
    TurnPlan,
    UsageError,
    WhenBusy,
    WhenWaiting,
    apply_filters,
    declared,
    decoder,
    fastapi_error,
    json_body,
    one_page,
    path_segment,
    read_json_or_nothing,
    read_list,
    read_response,
)
from polysession_agentscope import history, sessions, turns
from polysession_agentscope.events import EVENT_TYPES
from polysession_agentscope.native import (
    AgentScopeAgentChanges,
    AgentScopeAnswer,
    AgentScopeMessage,
    AgentScopeNewAgent,
    AgentScopeNewSession,
    AgentScopeSessionChanges,
)
from polysession_agentscope.sessions import NAME, SessionAddress
from polysession_agentscope.wire import WireAgents, WireNewAgent, WireNewSession

_USER_HEADER: Final = "x-user-id"
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

_read_new_session = decoder(WireNewSession)
_read_new_agent = decoder(WireNewAgent)
_read_agent_list = decoder(WireAgents)

_CONFLICT_WAITS_S: Final = (0.05, 0.1, 0.2, 0.4)
"""Seconds before each retry of a change. The server sends the end of a turn before it stores the turn, and rejects
changes in between."""

_NO_METADATA: Final = "AgentScope sessions have no metadata"
_NO_TAGS: Final = "AgentScope sessions have no tags"
_ALL_ARE_READ: Final = "all sessions of the agent are read and filtered by the client"
_OWNER_CHECK: Final = "one more call if you pass an id instead of a Session: the server does not check the agent"
_ONE_USER: Final = "a client has one user, the setting user_id"
_NO_DESCRIPTION: Final = "AgentScope agents have no description"
_MODEL_OF_SESSION: Final = "the model belongs to the session"
_NO_KEYS: Final = "AgentScope has no idempotency keys"

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = declared(
    native={
        Feature.SESSIONS_CREATE: "one more call, to read the new session",
        Feature.SESSIONS_LIST: "",
        Feature.SESSIONS_UPDATE: f"one more call, for the status; {_OWNER_CHECK}",
        Feature.SESSIONS_DELETE: _OWNER_CHECK,
        Feature.SESSIONS_CANCEL: f"a few more calls, to read the status before and after it; {_OWNER_CHECK}",
        Feature.SESSIONS_SEND: "one more call, to check that the session exists; needs server 2.0.1 or later",
        Feature.SESSIONS_STREAM: "one more call, to find the start of a running turn; needs server 2.0.1 or later",
        Feature.SESSIONS_RUN: (
            "two more calls, to find the start and to recognise the reply; after a silence, one to read the status"
        ),
        Feature.SESSIONS_ANSWER: "two more calls, to read the pending actions; needs server 2.0.1 or later",
        Feature.AGENTS_CREATE: "one more call, to read the new agent",
        Feature.SESSIONS_CREATE_AGENT: "",
        Feature.SESSIONS_CREATE_WORKSPACE: "",
        Feature.SESSIONS_CREATE_TITLE: "without a title the server sets one, and later asks the model for one",
        Feature.SESSIONS_CREATE_MODEL: "needs type and credential_id; model_class needs server 2.0.11 or later",
        Feature.SESSIONS_UPDATE_TITLE: "",
        Feature.SESSIONS_UPDATE_MODEL: "needs type and credential_id; model_class needs server 2.0.11 or later",
        Feature.SESSIONS_UPDATE_PERMISSION_MODE: "",
        Feature.SESSIONS_UPDATE_MODEL_CLEAR: "one more call, to recognise an older server; needs server 2.0.1 or later",
        Feature.SESSIONS_LIST_AGENT: "required, here or as the setting agent_id",
        Feature.SESSIONS_SEND_IMAGE: "by url or data, with its media_type",
        Feature.SESSIONS_SEND_DOCUMENT: "by url or data, with its media_type",
        Feature.SESSIONS_MESSAGES_NEWEST_FIRST: "servers before 2.0.6: all messages are read",
        Feature.SESSIONS_ANSWER_APPROVAL: "a denial cannot have a reason",
        Feature.SESSIONS_ANSWER_ARGUMENTS: "",
        Feature.SESSIONS_ANSWER_OUTPUT: "not together with approvals",
        Feature.AGENTS_CREATE_SYSTEM_PROMPT: "",
        Feature.AGENTS_UPDATE: "",
        Feature.AGENTS_DELETE: "the server also deletes the agent's sessions",
        Feature.AGENTS_UPDATE_NAME: "",
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT: "",
    },
    emulated={
        Feature.SESSIONS_GET: "all sessions of the agent are listed to find it; raw has no state.context",
        Feature.SESSIONS_EVENTS: "all messages are read for each page; they become events without turns and deltas",
        Feature.SESSIONS_MESSAGES: "all messages are read for each page: the server lists the newest first",
        Feature.SESSIONS_PENDING_ACTIONS: "read from the newest messages, after a check of the status",
        Feature.AGENTS_GET: "all agents are listed to find it",
        Feature.AGENTS_LIST: "all agents are read for each page, and sorted by the client",
        Feature.MODELS_LIST: "one call for the credentials, and one for each kind of credential",
        Feature.SESSIONS_CREATE_PERMISSION_MODE: "one more call, after the creation",
        Feature.SESSIONS_LIST_STATUSES: _ALL_ARE_READ,
        Feature.SESSIONS_LIST_TITLE_CONTAINS: _ALL_ARE_READ,
        Feature.SESSIONS_LIST_CREATED: _ALL_ARE_READ,
        Feature.SESSIONS_LIST_ORIGIN: _ALL_ARE_READ,
        Feature.SESSIONS_LIST_PAGE_SIZE: "all sessions of the agent are read for each page",
    },
    unsupported={
        Feature.SESSIONS_ARCHIVE: "AgentScope keeps a session until it is deleted",
        Feature.SESSIONS_REJOIN: "follow the session from the turn's cursor: stream(session, cursor=turn.cursor)",
        Feature.SESSIONS_CREATE_ENVIRONMENT: "tools run where the service runs; choose the directory with workspace=",
        Feature.SESSIONS_CREATE_METADATA: _NO_METADATA,
        Feature.SESSIONS_CREATE_TAGS: _NO_TAGS,
        Feature.SESSIONS_CREATE_CAPABILITIES: "capabilities belong to the service and its workspaces",
        Feature.SESSIONS_CREATE_ID: "the server chooses the id of a session",
        Feature.SESSIONS_CREATE_OWNER: _ONE_USER,
        Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY: _NO_KEYS,
        Feature.SESSIONS_SEND_IDEMPOTENCY_KEY: _NO_KEYS,
        Feature.SESSIONS_RUN_IDEMPOTENCY_KEY: _NO_KEYS,
        Feature.SESSIONS_UPDATE_METADATA: _NO_METADATA,
        Feature.SESSIONS_UPDATE_METADATA_REMOVE: _NO_METADATA,
        Feature.SESSIONS_UPDATE_METADATA_CLEAR: _NO_METADATA,
        Feature.SESSIONS_UPDATE_TAGS: _NO_TAGS,
        Feature.SESSIONS_UPDATE_TAGS_EDIT: _NO_TAGS,
        Feature.SESSIONS_UPDATE_TAGS_CLEAR: _NO_TAGS,
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: "an AgentScope session always has a name; it may be empty",
        Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR: "an AgentScope session always has a mode; set 'default'",
        Feature.SESSIONS_LIST_OWNER: _ONE_USER,
        Feature.SESSIONS_LIST_TAGS: _NO_TAGS,
        Feature.SESSIONS_LIST_METADATA: _NO_METADATA,
        Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: "AgentScope has no archive",
        Feature.SESSIONS_LIST_OLDEST_FIRST: "AgentScope lists the newest first; reverse the list in your code",
        Feature.SESSIONS_EVENTS_NEWEST_FIRST: "use messages with newest_first=",
        Feature.SESSIONS_ANSWER_QUESTION: "AgentScope asks no questions",
        Feature.AGENTS_CREATE_MODEL: _MODEL_OF_SESSION,
        Feature.AGENTS_CREATE_DESCRIPTION: _NO_DESCRIPTION,
        Feature.AGENTS_ARCHIVE: "AgentScope keeps an agent until it is deleted",
        Feature.AGENTS_UPDATE_MODEL: _MODEL_OF_SESSION,
        Feature.AGENTS_UPDATE_DESCRIPTION: _NO_DESCRIPTION,
        Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR: _NO_DESCRIPTION,
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR: ("the server reads null as no change; set another prompt instead"),
    },
    otherwise="AgentScope has no environments: tools run where the service runs",
)
_FILTERED_HERE: Final = frozenset(
    {
        Feature.SESSIONS_LIST_STATUSES,
        Feature.SESSIONS_LIST_TITLE_CONTAINS,
        Feature.SESSIONS_LIST_CREATED,
        Feature.SESSIONS_LIST_ORIGIN,
    }
)


class AgentScopeSettings(ProviderSettings):
    """Settings of a client for AgentScope.

    Attributes:
        base_url: URL of the service, with the path at which it is mounted.
        user_id: User who owns the sessions. The service does not verify it: it is not a credential.
        agent_id: Agent for calls that pass only a session's id, and for lists without `agent=`. None: such calls are a
            `UsageError`.
    """

    base_url: Annotated[BaseUrl, FromEnv("AGENTSCOPE_BASE_URL")]
    user_id: Annotated[HeaderText, FromEnv("AGENTSCOPE_USER_ID")]
    agent_id: Annotated[str | None, FromEnv("AGENTSCOPE_AGENT_ID")] = None


class AgentScopeProvider(Provider[AgentScopeSettings]):
    """AgentScope's agent service."""

    name = NAME
    docs_url = "https://docs.agentscope.io/deploy/agent-service"
    settings_type = AgentScopeSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    new_session_type = AgentScopeNewSession
    session_changes_type = AgentScopeSessionChanges
    new_agent_type = AgentScopeNewAgent
    agent_changes_type = AgentScopeAgentChanges
    resume_mode = ResumeMode.CURRENT_RUN_REPLAY
    message_type = AgentScopeMessage
    answer_type = AgentScopeAnswer
    agent_setting = "agent_id"
    when_busy = WhenBusy.REFUSED
    when_waiting = WhenWaiting.REFUSED
    emulator = "polysession_agentscope.emulator:AgentScopeEmulator"

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """Return the backend's event types, each with the common event types that it is read as."""
        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """Return the header with the user's id."""
        return {_USER_HEADER: self.settings.user_id}

    def read_error(self, response: Response) -> ErrorDetail:
        """Read an error body: a sentence, or a list of problems.

        Values of the request are left out.
        """
        return fastapi_error(response)

    def read_version(self) -> Flow[str | None]:
        """Read the version of the server."""
        return sessions.read_version()

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a session, set its permission mode, and read it.

        The server answers the creation with an id only.
        """
        agent_id = self._agent_id(new.agent, "agent=...")
        body = sessions.build_new_session(new, agent_id)
        mode = None if new.permission_mode is None else sessions.require_mode(new.permission_mode)
        response = yield Call("POST", "/sessions/", body=json_body(body))
        session_id = read_response(_read_new_session, response)[0].session_id
        with sessions.already_done(f"session {session_id!r} was created"):
            if mode is not None:
                yield from _patch(session_id, agent_id, {"permission_mode": mode})
            session = yield from sessions.find_session(session_id, agent_id)
            _check_taken([*sessions.ignored_fields(body, session), *sessions.ignored_parts(body, session)])
            return session

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session from its agent's list: the server has no call that only reads one session."""
        return (yield from sessions.find_session(ref.id, self._agent_of(ref)))

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read all sessions of an agent, and return one page of them.

        Raises:
            UsageError: There is no agent, or a status that a session never has.
            UnsupportedOperation: The server is older than 2.0.6 and lists no statuses to filter by.
        """
        agent_id = self._agent_id(query.agent, "agent=...")
        sessions.check_statuses(query.statuses)
        page = one_page((yield from sessions.list_items(agent_id)), query.page_size, cursor)
        found = read_list(page.items, sessions.to_session, next_cursor=page.next_cursor)
        _check_statuses_shown(found.items, query)
        return replace(found, items=apply_filters(found.items, query, _FILTERED_HERE))

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change the given fields, and read the status, which the response lacks.

        Raises:
            UnsupportedOperation: The server is too old for a field. Nothing was changed.
            MalformedResponse: The server ignored a part of the model.

        Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session (read 2026-11)
        """
        agent_id = self._agent_of(ref)
        body = sessions.build_changes(changes)
        if ref.agent_id is None or sessions.depends_on_version(body):
            before = yield from sessions.find_session(ref.id, agent_id)
            _check_understood(sessions.ignored_fields(body, before))
        response = yield from _patch(ref.id, agent_id, body)
        with sessions.already_done("the change was made"):
            session = read_response(sessions.to_session, response)
            if session.agent_id not in {agent_id, None}:
                raise sessions.no_session(ref.id, agent_id)
            _check_taken(sessions.ignored_parts(body, session))
            status = yield from sessions.request_status(SessionAddress(ref.id, agent_id))
            return session if status is None else sessions.with_status(session, sessions.status_word(status))

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session, and stop its turn."""
        address = yield from self._checked_address(ref)
        sessions.check_answer((yield Call("DELETE", address.path())))

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Interrupt a turn that runs or waits for answers."""
        answer, state = yield from turns.cancel((yield from self._checked_address(ref)))
        return Cancellation(provider=self.name, session_id=ref.id, state=state, source=answer.content)

    def send_message(
        self,
        ref: SessionRef,
        content: tuple[Block, ...],
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,  # noqa: ARG002  (declared unsupported)
    ) -> Flow[None]:
        """Send a message without following the turn."""
        yield from turns.send_message((yield from self._checked_address(ref)), content, native)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        """Prepare a stream plan for a session."""
        return (yield from turns.stream_events(self._address(ref), cursor))

    def start_turn(
        self,
        ref: SessionRef,
        turn_input: TurnInput,
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,  # noqa: ARG002  (declared unsupported)
    ) -> Flow[TurnPlan | AnsweredTurn]:
        """Prepare a stream plan for a turn."""
        return (yield from turns.start_turn((yield from self._checked_address(ref)), turn_input, native))

    def list_events(
        self,
        ref: SessionRef,
        page_size: int | None,
        cursor: str | None,
        *,
        newest_first: bool = False,  # noqa: ARG002  (declared unsupported)
    ) -> Flow[Page[Event]]:
        """Read one page of messages as events."""
        return (yield from history.list_events(self._address(ref), page_size, cursor))

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Message]]:
        """Read one page of messages. With the oldest first, all messages are read for each page."""
        read = history.list_newest if newest_first else history.list_messages
        return (yield from read(self._address(ref), page_size, cursor))

    def answer_actions(
        self, ref: SessionRef, answers: tuple[Answer, ...], *, native: NativeBody | None = None
    ) -> Flow[None]:
        """Answer pending actions without following the turn."""
        yield from turns.answer_actions((yield from self._checked_address(ref)), answers, native)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read the pending actions."""
        return (yield from turns.pending_actions(self._address(ref)))

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an agent, and read it: the server answers with an id only."""
        body = sessions.build_new_agent(new)
        response = yield Call("POST", "/agent/", body=json_body(body))
        agent_id = read_response(_read_new_agent, response)[0].agent_id
        with sessions.already_done(f"agent {agent_id!r} was created"):
            agent = yield from self.get_agent(agent_id)
            known = agent.raw.get("data") or {}
            _check_taken([name for name in body if name not in known])
            return agent

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an agent from the list of all agents: the server has no call for a single agent."""
        agents = yield from _read_agents()
        agent = next((agent for agent in agents.items if agent.id == agent_id), None)
        if agent is None:
            raise NotFound(f"user {self.settings.user_id!r} has no agent {agent_id!r}")
        return agent

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read all agents, and return one page of them, newest first.

        The server lists them in no fixed order.
        """
        agents = yield from _read_agents()
        newest_first = sorted(agents.items, key=lambda agent: agent.created_at or _LONG_AGO, reverse=True)
        return replace(one_page(newest_first, page_size, cursor), problems=agents.problems)

    def update_agent(self, agent_id: str, changes: AgentChanges) -> Flow[Agent]:
        """Change the given fields of an agent.

        Raises:
            MalformedResponse: The server ignored a field that it does not know.
        """
        body = sessions.build_agent_changes(changes)
        response = yield Call("PATCH", _agent_path(agent_id), body=json_body(body))
        agent = read_response(sessions.to_agent, response)
        _check_taken([name for name in body if name not in (agent.raw.get("data") or {})])
        return agent

    def delete_agent(self, agent_id: str) -> Flow[None]:
        """Delete an agent and its sessions."""
        read_json_or_nothing((yield Call("DELETE", _agent_path(agent_id))))

    def list_models(self, page_size: int | None, cursor: str | None) -> Flow[Page[Model]]:
        """Read the models of the user's credentials: one record for each model and credential."""
        found = yield from sessions.list_models()
        return replace(one_page(found.items, page_size, cursor), problems=found.problems)

    def _agent_id(self, agent: str | None, advice: str) -> str:
        agent_id = self.settings.agent_id if agent is None else agent
        if agent_id is None:
            raise UsageError(
                "AgentScope needs the agent of a session:"
                f" pass {advice}, or set agent_id (or AGENTSCOPE_AGENT_ID) for this client"
            )
        return agent_id

    def _agent_of(self, ref: SessionRef) -> str:
        return self._agent_id(ref.agent_id, "the Session instead of its id")

    def _address(self, ref: SessionRef) -> SessionAddress:
        return SessionAddress(ref.id, self._agent_of(ref))

    def _checked_address(self, ref: SessionRef) -> Flow[SessionAddress]:
        """Return the session's address.

        An agent from the settings is checked: the server accepts any agent's id.
        """
        address = self._address(ref)
        if ref.agent_id is None:
            yield from sessions.find_session(ref.id, address.agent_id)
        return address


def _agent_path(agent_id: str) -> str:
    return f"/agent/{path_segment(agent_id, 'agent id')}"


def _read_agents() -> Flow[Page[Agent]]:
    listed, _ = read_response(_read_agent_list, (yield Call("GET", "/agent/")))
    return read_list(listed.agents, sessions.to_agent)


def _patch(session_id: str, agent_id: str, body: Mapping[str, object]) -> Flow[Response]:
    """Change a session.

    A conflict is retried for a short time, because the server may still be storing a turn.
    """
    call = Call("PATCH", SessionAddress(session_id, agent_id).path(), body=json_body(body))
    for wait_s in _CONFLICT_WAITS_S:
        try:
            return (yield call)
        except Conflict:
            call = replace(call, after_s=wait_s)
    return (yield call)


def _check_statuses_shown(found: Sequence[Session], query: SessionQuery) -> None:
    """Raise an error if the server does not list the status to filter by."""
    if not query.statuses or SessionStatus.UNKNOWN in query.statuses:
        return
    if not all(session.native_status for session in found):
        raise sessions.too_old(Feature.SESSIONS_LIST_STATUSES, "to list statuses", "use 2.0.6 or later")


def _check_understood(ignored: list[str]) -> None:
    if ignored:
        feature = Feature.SESSIONS_UPDATE_MODEL_CLEAR if "chat_model_config" in ignored else Feature.SESSIONS_UPDATE
        raise sessions.too_old(
            feature, f"to change {', '.join(ignored)}", "it would ignore the change and report success"
        )


def _check_taken(ignored: list[str]) -> None:
    if ignored:
        raise MalformedResponse(
            f"the server ignored {', '.join(ignored)} and reported success: use a newer server, or leave it out"
        )
