"""The provider for Anthropic's Managed Agents: settings, declared support and flows.

Backend: https://platform.claude.com/docs/en/managed-agents/overview (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, TypeVar

from polysession.provider_api import (
    BaseUrl,
    Cancellation,
    CancelState,
    ErrorDetail,
    Event,
    Feature,
    FeatureSupport,
    Flow,
    FromEnv,
    HeaderSecret,
    HeaderText,
    InvalidRequest,
    NewSession,
    Page,
    ProviderSettings,
    Response,
    ResumeMode,
    Session,
    SessionQuery,
    SessionRef,
    SessionStatus,
    WhenBusy,
    apply_filters,
    declared,
    decoder,
    read_response,
)
from polysession_anthropic import sessions
from polysession_anthropic.history import with_interruption
from polysession_anthropic.native import (
    AnthropicAgentChanges,
    AnthropicNewAgent,
    AnthropicNewEnvironment,
    AnthropicNewSession,
    AnthropicSessionChanges,
    AnthropicSessionQuery,
)
from polysession_anthropic.sessions import ANTHROPIC
from polysession_managed_agents.history import events_path
from polysession_managed_agents.provider import ManagedAgentsProvider
from polysession_managed_agents.wire import WireSent

if TYPE_CHECKING:
    from polysession_anthropic.turns import AnthropicStream, AnthropicTurn

T = TypeVar("T")

_BETA: Final = "managed-agents-2026-04-01"
_LARGEST_KNOWN_PAGE: Final = 100
"""The documented maximum for the list of agents.

That of other lists is larger or not documented.
"""
_POLLS: Final = 10
_POLL_EVERY_S: Final = 0.2
_BUSY: Final = frozenset({SessionStatus.RUNNING, SessionStatus.RESCHEDULING})

_read_sent: Final = decoder(WireSent)

_NO_TAGS: Final = "Anthropic's sessions have no tags; use metadata"
_NO_MODE: Final = "Anthropic keeps permission policies in the agent's tools"
_PINNED_MODEL: Final = "a session keeps the model of the agent version that it was created with"
_NO_KEYS: Final = "Anthropic documents no idempotency keys"
_NO_OWNER: Final = "Anthropic's sessions have no owner; they belong to the workspace of the API key"
_REFUSED_WHILE_RUNNING: Final = "refused while a turn runs: cancel the turn first"
_IN_CLIENT: Final = "filtered in the client, so a page may have fewer items"

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = declared(
    native={
        Feature.SESSIONS_CREATE: "",
        Feature.SESSIONS_GET: "",
        Feature.SESSIONS_LIST: "",
        Feature.SESSIONS_UPDATE: "",
        Feature.SESSIONS_ARCHIVE: f"cannot be undone; {_REFUSED_WHILE_RUNNING}",
        Feature.SESSIONS_DELETE: _REFUSED_WHILE_RUNNING,
        Feature.SESSIONS_SEND: "a message is queued while a turn runs",
        Feature.SESSIONS_STREAM: "one more call to find the start; after a break or with a cursor, the list is read",
        Feature.SESSIONS_RUN: "one more call before the input, to find the start; after a break, the list is read",
        Feature.SESSIONS_EVENTS: "one more call for a page that begins within a turn, to find an interrupt",
        Feature.SESSIONS_ANSWER: "one more call before the answer, to read the pending actions",
        Feature.SESSIONS_REJOIN: "",
        Feature.AGENTS_CREATE: "",
        Feature.AGENTS_GET: "",
        Feature.AGENTS_LIST: "",
        Feature.ENVIRONMENTS_CREATE: "",
        Feature.ENVIRONMENTS_GET: "",
        Feature.ENVIRONMENTS_LIST: "",
        Feature.MODELS_LIST: "",
        Feature.ENVIRONMENTS_CREATE_DESCRIPTION: "",
        Feature.ENVIRONMENTS_CREATE_METADATA: "text values only",
        Feature.SESSIONS_EVENTS_NEWEST_FIRST: "",
        Feature.SESSIONS_CREATE_AGENT: "",
        Feature.SESSIONS_CREATE_ENVIRONMENT: "",
        Feature.SESSIONS_CREATE_TITLE: "",
        Feature.SESSIONS_CREATE_METADATA: "text values only",
        Feature.SESSIONS_CREATE_MODEL: "sent as an override of the agent's model",
        Feature.SESSIONS_UPDATE_TITLE: "",
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: "",
        Feature.SESSIONS_UPDATE_METADATA: "text values only",
        Feature.SESSIONS_UPDATE_METADATA_REMOVE: "",
        Feature.SESSIONS_LIST_AGENT: "",
        Feature.SESSIONS_LIST_STATUSES: "",
        Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: "",
        Feature.SESSIONS_LIST_CREATED: "",
        Feature.SESSIONS_LIST_OLDEST_FIRST: "",
        Feature.SESSIONS_LIST_PAGE_SIZE: "",
        Feature.SESSIONS_SEND_IMAGE: "",
        Feature.SESSIONS_SEND_DOCUMENT: "",
        Feature.SESSIONS_ANSWER_APPROVAL: "",
        Feature.SESSIONS_ANSWER_OUTPUT: "",
        Feature.AGENTS_CREATE_MODEL: "",
        Feature.AGENTS_CREATE_SYSTEM_PROMPT: "",
        Feature.AGENTS_CREATE_DESCRIPTION: "",
        Feature.AGENTS_UPDATE: "creates a new version; an Agent argument must have the current version",
        Feature.AGENTS_ARCHIVE: "cannot be undone",
        Feature.AGENTS_UPDATE_NAME: "",
        Feature.AGENTS_UPDATE_MODEL: "",
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT: "",
        Feature.AGENTS_UPDATE_DESCRIPTION: "",
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR: "",
        Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR: "",
    },
    emulated={
        Feature.SESSIONS_CANCEL: "one more call to check whether a turn runs; then an interrupt is sent",
        Feature.SESSIONS_MESSAGES: "selected from the events by type; messages have no usage",
        Feature.SESSIONS_MESSAGES_NEWEST_FIRST: "selected from the events by type",
        Feature.SESSIONS_PENDING_ACTIONS: "found in the newest events; very many actions need more calls",
        Feature.SESSIONS_UPDATE_METADATA_CLEAR: "one more call to read the keys; keys added in the meantime stay",
        Feature.SESSIONS_LIST_TITLE_CONTAINS: _IN_CLIENT,
        Feature.SESSIONS_LIST_METADATA: _IN_CLIENT,
    },
    unsupported={
        Feature.AGENTS_DELETE: "Anthropic cannot delete agents; archive the agent instead",
        Feature.SESSIONS_CREATE_ID: "Anthropic chooses the id",
        Feature.SESSIONS_CREATE_OWNER: _NO_OWNER,
        Feature.SESSIONS_LIST_OWNER: _NO_OWNER,
        Feature.SESSIONS_LIST_ORIGIN: "AnthropicSessionQuery(deployment_id=...) lists the sessions of one deployment",
        Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY: _NO_KEYS,
        Feature.SESSIONS_SEND_IDEMPOTENCY_KEY: _NO_KEYS,
        Feature.SESSIONS_RUN_IDEMPOTENCY_KEY: _NO_KEYS,
        Feature.SESSIONS_ANSWER_ARGUMENTS: "Anthropic does not accept edited arguments",
        Feature.SESSIONS_ANSWER_QUESTION: "Anthropic's agents ask only for approvals and tool outputs",
        Feature.SESSIONS_CREATE_WORKSPACE: "the API key, or the setting workspace_id, decides the workspace",
        Feature.SESSIONS_CREATE_TAGS: _NO_TAGS,
        Feature.SESSIONS_CREATE_CAPABILITIES: "they belong to the agent; AnthropicNewSession(agent=...) overrides them",
        Feature.SESSIONS_CREATE_PERMISSION_MODE: _NO_MODE,
        Feature.SESSIONS_UPDATE_TAGS: _NO_TAGS,
        Feature.SESSIONS_UPDATE_TAGS_EDIT: _NO_TAGS,
        Feature.SESSIONS_UPDATE_TAGS_CLEAR: _NO_TAGS,
        Feature.SESSIONS_UPDATE_MODEL: _PINNED_MODEL,
        Feature.SESSIONS_UPDATE_MODEL_CLEAR: _PINNED_MODEL,
        Feature.SESSIONS_UPDATE_PERMISSION_MODE: _NO_MODE,
        Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR: _NO_MODE,
        Feature.SESSIONS_LIST_TAGS: _NO_TAGS,
    },
)


class AnthropicSettings(ProviderSettings):
    """Settings of a client for Anthropic's Managed Agents.

    Attributes:
        api_key: API key (`sk-ant-api...`), or a short-lived token.
        base_url: Base URL of the API, without `/v1`. The default is Anthropic's cloud.
        workspace_id: Workspace to use (`wrkspc_...`); None means the workspace of the key.
        version: API version. With `2026-10-21` the key is sent as a bearer token, with `2023-06-01` as `x-api-key`.
        betas: Names of additional betas, separated by commas.
    """

    api_key: Annotated[HeaderSecret, FromEnv("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")]
    base_url: Annotated[BaseUrl, FromEnv("ANTHROPIC_BASE_URL")] = "https://api.anthropic.com"
    workspace_id: HeaderText | None = None
    version: Literal["2026-10-21", "2023-06-01"] = "2026-10-21"
    betas: HeaderText | None = None


class AnthropicProvider(ManagedAgentsProvider[AnthropicSettings]):
    """The provider for Anthropic's Managed Agents, hosted or self-hosted."""

    name = ANTHROPIC.name
    docs_url = "https://platform.claude.com/docs/en/managed-agents/overview"
    settings_type = AnthropicSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    new_session_type = AnthropicNewSession
    session_changes_type = AnthropicSessionChanges
    session_query_type = AnthropicSessionQuery
    new_agent_type = AnthropicNewAgent
    agent_changes_type = AnthropicAgentChanges
    new_environment_type = AnthropicNewEnvironment
    largest_page = _LARGEST_KNOWN_PAGE
    when_busy = WhenBusy.QUEUED
    resume_mode = ResumeMode.LIST_AND_DEDUPE
    emulator = "polysession_anthropic.emulator:AnthropicEmulator"

    member = ANTHROPIC
    records = sessions.RECORDS

    @classmethod
    def plans(cls) -> tuple[type[AnthropicStream], type[AnthropicTurn]]:
        """Return the plan types for streams and turns."""
        from polysession_anthropic.turns import AnthropicStream, AnthropicTurn

        return AnthropicStream, AnthropicTurn

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """Return Anthropic's event types, each with the types of the common events that it becomes."""
        from polysession_anthropic.events import EVENT_TYPES

        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """Return the headers for the key, the API version, the betas and the workspace.

        Backend: https://platform.claude.com/docs/en/api/versioning and
        https://platform.claude.com/docs/en/manage-claude/authentication (read 2026-11-30)
        """
        settings = self.settings
        key = settings.api_key.get_secret_value()
        identity = {"x-api-key": key} if settings.version == "2023-06-01" else {"authorization": f"Bearer {key}"}
        betas = _BETA if settings.betas is None else f"{_BETA},{settings.betas}"
        headers = {**identity, "anthropic-version": settings.version, "anthropic-beta": betas}
        if settings.workspace_id is not None:
            headers["anthropic-workspace-id"] = settings.workspace_id
        return headers

    def read_error(self, response: Response) -> ErrorDetail:
        """Read an error body. An empty or unknown body gives an empty detail."""
        return sessions.to_error(response.content)

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a session."""
        reply = yield ANTHROPIC.post("/sessions", sessions.new_body(new))
        return read_response(self.records.session, reply)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page of sessions.

        The filters by title and metadata are applied here; the backend has none.
        """
        page = yield from super().list_sessions(query, cursor)
        emulated = {Feature.SESSIONS_LIST_TITLE_CONTAINS, Feature.SESSIONS_LIST_METADATA}
        return Page(apply_filters(page.items, query, emulated), page.next_cursor, page.problems)

    def archive_session(self, ref: SessionRef) -> Flow[Session]:
        """Archive a session. A refusal is retried as in `_once_idle`."""
        return self._once_idle(ref, super().archive_session)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session. A refusal is retried as in `_once_idle`."""
        return self._once_idle(ref, super().delete_session)

    def _once_idle(self, ref: SessionRef, act: Callable[[SessionRef], Flow[T]]) -> Flow[T]:
        """Run a flow, and once more if it is refused and the session becomes idle in 2 seconds.

        The backend refuses a running session, and a session reads as running for a moment after the end of its turn.

        Backend: https://platform.claude.com/docs/en/managed-agents/session-operations (read 2026-11-30)
        """
        try:
            return (yield from act(ref))
        except InvalidRequest as error:
            refusal = error
        for _ in range(_POLLS):
            reply = yield replace(ANTHROPIC.get(ANTHROPIC.session_path(ref)), after_s=_POLL_EVERY_S)
            if read_response(self.records.session, reply).status not in _BUSY:
                return (yield from act(ref))
        raise refusal

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Interrupt the running turn.

        An idle session gets no interrupt, because it would have no effect.

        Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming (read 2026-11-30)
        """
        session = yield from self.get_session(ref)
        if session.status in {SessionStatus.IDLE, SessionStatus.TERMINATED}:
            nothing = CancelState.NOTHING_RUNNING
            return Cancellation(provider=self.name, session_id=ref.id, state=nothing, source=session.source)
        reply = yield ANTHROPIC.post(events_path(ANTHROPIC, ref), {"events": [{"type": "user.interrupt"}]})
        read_response(_read_sent, reply)
        return Cancellation(provider=self.name, session_id=ref.id, state=CancelState.REQUESTED, source=reply.content)

    def list_events(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Event]]:
        """Read one page of events.

        One more call may find the interrupt of a turn that began on another page.
        """
        page = yield from super().list_events(ref, page_size, cursor, newest_first=newest_first)
        return (yield from with_interruption(ref, page, newest_first=newest_first))
