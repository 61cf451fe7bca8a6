"""The provider for Everruns: settings, declared support and flows.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, and https://docs.everruns.com (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, TypeVar

from polysession.provider_api import (
    Agent,
    AgentChanges,
    Answer,
    BaseUrl,
    Block,
    Call,
    Cancellation,
    CancelState,
    ConnectedStream,
    ErrorDetail,
    Event,
    Feature,
    FeatureSupport,
    Flow,
    FromEnv,
    HeaderSecret,
    HeaderText,
    MalformedResponse,
    Message,
    Model,
    NativeBody,
    NewAgent,
    NewSession,
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
    TurnInput,
    UsageError,
    WhenBusy,
    WhenWaiting,
    apply_filters,
    cursor_number,
    declared,
    decoder,
    json_body,
    one_page,
    path_segment,
    read_json_or_nothing,
    read_list,
    read_response,
    read_whole,
    with_query,
)
from polysession_everruns import history, messages, sessions, turns
from polysession_everruns.events import EVENT_TYPES
from polysession_everruns.native import (
    EverrunsAgentChanges,
    EverrunsMessage,
    EverrunsNewAgent,
    EverrunsNewSession,
    EverrunsSessionChanges,
    EverrunsSessionQuery,
)
from polysession_everruns.wire import WireList, WireStatus

T = TypeVar("T")

_DEFAULT_PAGE_SIZE: Final = 20
_MAX_PAGE_SIZE: Final = 100
_NOTHING_TO_CANCEL: Final = "no_op"
_FILTERED_HERE: Final = frozenset(
    {
        Feature.SESSIONS_LIST_STATUSES,
        Feature.SESSIONS_LIST_TAGS,
        Feature.SESSIONS_LIST_CREATED,
        Feature.SESSIONS_LIST_ORIGIN,  # older servers ignore this filter
    }
)

_read_list: Final = decoder(WireList)
_read_status: Final = decoder(WireStatus)

_NO_METADATA: Final = "Everruns sessions have no metadata; use tags"
_NO_MODE: Final = "Everruns sessions have no permission mode"
_NO_ENVIRONMENT: Final = "Everruns has no environments; a session runs on a harness: EverrunsNewSession(harness_id=...)"
_NO_OWNER: Final = "the API key decides whose sessions are created and listed"
_NO_KEY: Final = "Everruns' management API has no idempotency keys"
_NULL_IGNORED: Final = "the server ignores null; pass another value instead"
_FIXED_MODEL: Final = (
    "the model is chosen when the session is created; the server ignores a later change without an error"
)
_FILTER: Final = "filtered in the client, so a page may have fewer items or none"

_FEATURES: Final = declared(
    native={
        Feature.SESSIONS_CREATE: "",
        Feature.SESSIONS_GET: "",
        Feature.SESSIONS_LIST: "",
        Feature.SESSIONS_UPDATE: "",
        Feature.SESSIONS_DELETE: "cannot be undone",
        Feature.SESSIONS_CANCEL: "",
        Feature.SESSIONS_SEND: "a message during a turn steers that turn",
        Feature.SESSIONS_STREAM: "one more call to find the start, because older servers replay all events",
        Feature.SESSIONS_RUN: "one more call before the input, to find the start",
        Feature.SESSIONS_REJOIN: "if the cursor is older than the input, the message is found by its content",
        Feature.SESSIONS_EVENTS: "with a page size, each page reads all later events",
        Feature.SESSIONS_EVENTS_NEWEST_FIRST: "",
        Feature.SESSIONS_MESSAGES: "with a page size, each page reads all messages",
        Feature.SESSIONS_ANSWER: "one more call before the answer: the server does not check which actions are pending",
        Feature.AGENTS_CREATE: "",
        Feature.AGENTS_GET: "",
        Feature.AGENTS_LIST: "",
        Feature.MODELS_LIST: "",
        Feature.SESSIONS_CREATE_AGENT: "optional; EverrunsNewSession(agent_name=...) finds the agent by name",
        Feature.SESSIONS_CREATE_WORKSPACE: "",
        Feature.SESSIONS_CREATE_TITLE: "",
        Feature.SESSIONS_CREATE_TAGS: "",
        Feature.SESSIONS_CREATE_CAPABILITIES: "",
        Feature.SESSIONS_CREATE_MODEL: "only the id of the model",
        Feature.SESSIONS_UPDATE_TITLE: "",
        Feature.SESSIONS_UPDATE_TAGS: "",
        Feature.SESSIONS_UPDATE_TAGS_CLEAR: "",
        Feature.SESSIONS_LIST_AGENT: "",
        Feature.SESSIONS_LIST_TITLE_CONTAINS: "not case-sensitive",
        Feature.SESSIONS_LIST_ORIGIN: "newer servers only; sessions of older servers have no origin",
        Feature.SESSIONS_LIST_PAGE_SIZE: "1 to 100",
        Feature.SESSIONS_SEND_IMAGE: "an uploaded image (file_id) is stored, but the model does not get it",
        Feature.SESSIONS_ANSWER_APPROVAL: "newer servers only; all of a request together; a denial has no reason",
        Feature.SESSIONS_ANSWER_OUTPUT: "all of a request together",
        Feature.SESSIONS_ANSWER_QUESTION: "newer servers only; all of a call together",
        Feature.AGENTS_CREATE_MODEL: "",
        Feature.AGENTS_CREATE_SYSTEM_PROMPT: "required",
        Feature.AGENTS_CREATE_DESCRIPTION: "",
        Feature.AGENTS_UPDATE: "",
        Feature.AGENTS_ARCHIVE: "one more call to read the archived agent",
        Feature.AGENTS_UPDATE_NAME: "lower-case letters, digits and hyphens; must be unique",
        Feature.AGENTS_UPDATE_MODEL: "",
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT: "",
        Feature.AGENTS_UPDATE_DESCRIPTION: "",
    },
    emulated={
        Feature.SESSIONS_PENDING_ACTIONS: "found in the newest 50 events",
        Feature.SESSIONS_MESSAGES_NEWEST_FIRST: "each page reads all messages",
        Feature.SESSIONS_UPDATE_TAGS_EDIT: "one more call to read the tags; of two concurrent edits, the last one wins",
        Feature.SESSIONS_LIST_STATUSES: _FILTER,
        Feature.SESSIONS_LIST_TAGS: _FILTER,
        Feature.SESSIONS_LIST_CREATED: _FILTER,
    },
    unsupported={
        Feature.SESSIONS_ARCHIVE: "the published API archives only agents; sessions.delete is permanent",
        Feature.AGENTS_DELETE: "the server's DELETE archives an agent: use agents.archive",
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR: "an agent always has a system prompt",
        Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR: _NULL_IGNORED,
        Feature.ENVIRONMENTS_CREATE: _NO_ENVIRONMENT,
        Feature.ENVIRONMENTS_CREATE_DESCRIPTION: _NO_ENVIRONMENT,
        Feature.ENVIRONMENTS_CREATE_METADATA: _NO_ENVIRONMENT,
        Feature.ENVIRONMENTS_GET: _NO_ENVIRONMENT,
        Feature.ENVIRONMENTS_LIST: _NO_ENVIRONMENT,
        Feature.SESSIONS_CREATE_ID: "the server chooses the id of a session",
        Feature.SESSIONS_CREATE_OWNER: _NO_OWNER,
        Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY: _NO_KEY,
        Feature.SESSIONS_SEND_IDEMPOTENCY_KEY: _NO_KEY,
        Feature.SESSIONS_RUN_IDEMPOTENCY_KEY: _NO_KEY,
        Feature.SESSIONS_CREATE_ENVIRONMENT: _NO_ENVIRONMENT,
        Feature.SESSIONS_CREATE_METADATA: _NO_METADATA,
        Feature.SESSIONS_CREATE_PERMISSION_MODE: _NO_MODE,
        Feature.SESSIONS_UPDATE_METADATA: _NO_METADATA,
        Feature.SESSIONS_UPDATE_METADATA_CLEAR: _NO_METADATA,
        Feature.SESSIONS_UPDATE_METADATA_REMOVE: _NO_METADATA,
        Feature.SESSIONS_UPDATE_MODEL: _FIXED_MODEL,
        Feature.SESSIONS_UPDATE_MODEL_CLEAR: _FIXED_MODEL,
        Feature.SESSIONS_UPDATE_PERMISSION_MODE: _NO_MODE,
        Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR: _NO_MODE,
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: _NULL_IGNORED,
        Feature.SESSIONS_LIST_METADATA: _NO_METADATA,
        Feature.SESSIONS_LIST_OWNER: _NO_OWNER,
        Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: (
            "only newer servers have it, and older ones ignore it: EverrunsSessionQuery(include_archived=True)"
        ),
        Feature.SESSIONS_LIST_OLDEST_FIRST: "the server always lists the newest sessions first",
        Feature.SESSIONS_SEND_DOCUMENT: "only text and images can be sent; EverrunsNewSession(initial_files=...)",
        Feature.SESSIONS_ANSWER_ARGUMENTS: "an approved call runs with the agent's arguments",
    },
)


class EverrunsSettings(ProviderSettings):
    """Settings of a client for Everruns.

    Attributes:
        api_key: Personal access token (`evr_pat_...`), sent unchanged in `Authorization`. It may begin with a scheme:
            `Bearer ...` or `ApiKey ...`.
        base_url: Base URL of the API, without `/v1`. The default is the hosted service.
        org_id: Organization to use. Required only if the token can access several.
    """

    api_key: Annotated[HeaderSecret, FromEnv("EVERRUNS_API_KEY")]
    base_url: Annotated[BaseUrl, FromEnv("EVERRUNS_API_URL")] = "https://app.everruns.com/api"
    org_id: Annotated[HeaderText | None, FromEnv("EVERRUNS_ORG_ID")] = None

    def secrets(self) -> tuple[str, ...]:
        """Return the texts to redact: the key, and the token without its scheme."""
        return (*super().secrets(), self.api_key.get_secret_value().split(maxsplit=1)[-1])


class EverrunsProvider(Provider[EverrunsSettings]):
    """The provider for Everruns."""

    name = sessions.NAME
    docs_url = "https://docs.everruns.com"
    settings_type = EverrunsSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    new_session_type = EverrunsNewSession
    session_changes_type = EverrunsSessionChanges
    session_query_type = EverrunsSessionQuery
    new_agent_type = EverrunsNewAgent
    agent_changes_type = EverrunsAgentChanges
    message_type = EverrunsMessage
    resume_mode = ResumeMode.SERVER_REPLAY
    when_busy = WhenBusy.STEERS
    when_waiting = WhenWaiting.DROPS_QUESTION
    largest_page = _MAX_PAGE_SIZE
    emulator = "polysession_everruns.emulator:EverrunsEmulator"

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """Return Everruns' event types, each with the types of the common events that it becomes."""
        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """Return the headers for the key and the organization."""
        headers = {"authorization": self.settings.api_key.get_secret_value()}
        if self.settings.org_id is not None:
            headers["x-org-id"] = self.settings.org_id
        return headers

    def read_error(self, response: Response) -> ErrorDetail:
        """Read an error body of any generation. An empty or unknown body gives an empty detail."""
        return sessions.to_error(response.content)

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a session.

        Raises:
            MalformedResponse: The server created the session, but ignored a field. `already_done` names the session.
        """
        response = yield Call("POST", "/v1/sessions", body=json_body(sessions.new_session_body(new)))
        session = read_response(sessions.to_session, response)
        ignored = sessions.ignored_fields(new, session)
        if ignored:
            error = MalformedResponse(
                f"the server created the session but ignored {', '.join(ignored)}; it may not support these fields"
            )
            error.already_done = f"session {session.id!r} was created"
            raise error
        return session

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session."""
        return read_response(sessions.to_session, (yield Call("GET", sessions.session_path(ref))))

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page of sessions. Filters that the server does not have are applied here."""
        sessions.check_statuses(query.statuses)
        filters = {"agent_id": query.agent, "search": query.title_contains or None, "source": query.origin}
        filters |= query.native.to_body() if query.native else {}
        page = yield from _page("/v1/sessions", filters, query.page_size, cursor, sessions.to_session)
        return Page(apply_filters(page.items, query, _FILTERED_HERE), page.next_cursor, page.problems)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change only the fields that the caller named.

        The server only replaces the whole list of tags, so an edit of tags reads the session first. There is no version
        check: of two concurrent edits, the last one wins. If the tags need no change, no change is sent.
        """
        body = sessions.changes_body(changes)
        if changes.add_tags or changes.remove_tags:
            before = yield from self.get_session(ref)
            tags = sessions.edited_tags(before.tags, changes)
            if tags is not None:
                body["tags"] = tags
            elif not body:
                return before
        response = yield Call("PATCH", sessions.session_path(ref), body=json_body(body))
        return read_response(sessions.to_session, response)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session permanently."""
        read_json_or_nothing((yield Call("DELETE", sessions.session_path(ref))))

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Cancel the running turn. An unknown status in the response counts as requested."""
        response = yield Call("POST", f"{sessions.session_path(ref)}/cancel")
        answer, problems = read_response(_read_status, response)
        idle = answer.status == _NOTHING_TO_CANCEL
        state = CancelState.NOTHING_RUNNING if idle else CancelState.REQUESTED
        return Cancellation(
            provider=self.name, session_id=ref.id, state=state, source=response.content, problems=problems
        )

    def send_message(
        self,
        ref: SessionRef,
        content: tuple[Block, ...],
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,  # noqa: ARG002  (unsupported, so the core passes none)
    ) -> Flow[None]:
        """Send a message."""
        return messages.send_message(ref, content, native)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[ConnectedStream]:
        """Prepare a stream plan for a session."""
        return turns.stream_events(ref, cursor)

    def start_turn(
        self,
        ref: SessionRef,
        turn_input: TurnInput,
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,  # noqa: ARG002  (unsupported, so the core passes none)
    ) -> Flow[ConnectedStream]:
        """Prepare a plan for a turn: a message starts it, or answers continue it."""
        return turns.start_turn(ref, turn_input, native)

    def rejoin_turn(self, ref: SessionRef, cursor: str) -> Flow[ConnectedStream]:
        """Prepare a plan that continues a turn after a cursor."""
        return turns.rejoin_turn(ref, cursor)

    def list_events(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Event]]:
        """Read one page of past events."""
        read = history.list_newest_events if newest_first else history.list_events
        return read(ref, page_size, cursor)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Message]]:
        """Read one page of messages."""
        return messages.list_messages(ref, page_size, cursor, newest_first=newest_first)

    def answer_actions(
        self,
        ref: SessionRef,
        answers: tuple[Answer, ...],
        *,
        native: NativeBody | None = None,  # noqa: ARG002  (`answer_type` is None, so the core passes none)
    ) -> Flow[None]:
        """Answer pending actions."""
        return history.answer_actions(ref, answers)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read the pending actions."""
        return history.pending_actions(ref)

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an agent."""
        response = yield Call("POST", "/v1/agents", body=json_body(sessions.new_agent_body(new)))
        return read_response(sessions.to_agent, response)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an agent."""
        response = yield Call("GET", _agent_path(agent_id))
        return read_response(sessions.to_agent, response)

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read one page of agents."""
        return (yield from _page("/v1/agents", {}, page_size, cursor, sessions.to_agent))

    def update_agent(self, agent_id: str, changes: AgentChanges) -> Flow[Agent]:
        """Change only the fields that the caller named."""
        body = sessions.agent_changes_body(changes)
        response = yield Call("PATCH", _agent_path(agent_id), body=json_body(body))
        return read_response(sessions.to_agent, response)

    def archive_agent(self, agent_id: str) -> Flow[Agent]:
        """Archive an agent, then read it, because the response is empty."""
        read_json_or_nothing((yield Call("DELETE", _agent_path(agent_id))))
        return (yield from self.get_agent(agent_id))

    def list_models(self, page_size: int | None, cursor: str | None) -> Flow[Page[Model]]:
        """Read one page of models. The server returns all models at once."""
        items = read_whole(_read_list, (yield Call("GET", "/v1/models"))).data
        page = one_page(items, page_size, cursor)
        return read_list(page.items, sessions.to_model, next_cursor=page.next_cursor)


def _agent_path(agent_id: str) -> str:
    return f"/v1/agents/{path_segment(agent_id, 'agent id')}"


def _page(
    path: str,
    filters: Mapping[str, Any],
    page_size: int | None,
    cursor: str | None,
    read: Callable[[bytes], T],
) -> Flow[Page[T]]:
    """Read one page of a list. The cursor is the offset of its first item, as text.

    Raises:
        UsageError: `page_size` is over the limit, or the cursor is not one of this list.
    """
    if page_size is not None and page_size > _MAX_PAGE_SIZE:
        # The server would silently return fewer items.
        raise UsageError(f"page_size is {page_size}; Everruns accepts at most {_MAX_PAGE_SIZE} items on a page")
    offset = None if cursor is None else cursor_number(cursor)
    response = yield Call("GET", with_query(path, {**filters, "offset": offset, "limit": page_size}))
    page = read_whole(_read_list, response)
    return read_list(page.data, read, next_cursor=_next_cursor(page, offset or 0, page_size))


def _next_cursor(page: WireList, offset: int, page_size: int | None) -> str | None:
    """Return the offset of the next page.

    Without a `total`, a link or a full page shows that there is one.
    """
    count = len(page.data)
    if page.total is not None:
        more = offset + count < page.total
    else:
        more = page.next_url is not None or count >= (page.limit or page_size or _DEFAULT_PAGE_SIZE)
    return str(offset + count) if more and count else None
