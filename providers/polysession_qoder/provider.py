"""The provider for Qoder Cloud Agents: settings, declared support and flows.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview and
https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from polysession.provider_api import (
    Authorisation,
    BaseUrl,
    Call,
    Cancellation,
    CancelState,
    ErrorDetail,
    Feature,
    FeatureSupport,
    Flow,
    FromEnv,
    HeaderSecret,
    HeaderText,
    Model,
    Page,
    ProviderSettings,
    Response,
    ResumeMode,
    Session,
    SessionQuery,
    SessionRef,
    UsageError,
    WhenBusy,
    apply_filters,
    declared,
    decoder,
    json_body,
    one_page,
    read_response,
)
from polysession_managed_agents.provider import ManagedAgentsProvider
from polysession_managed_agents.sessions import session_filters, to_page
from polysession_managed_agents.wire import WireObject
from polysession_qoder import sessions
from polysession_qoder.native import (
    QoderAgentChanges,
    QoderNewAgent,
    QoderNewEnvironment,
    QoderNewSession,
    QoderSessionChanges,
    QoderSessionQuery,
)
from polysession_qoder.service_account import exchange, exchange_of
from polysession_qoder.sessions import QODER

if TYPE_CHECKING:
    from polysession_qoder.turns import QoderStream, QoderTurn

_SEARCH_BETA: Final[Mapping[str, str]] = {"x-qoder-beta": "search-2026-08-31"}
_TURN_WAS_RUNNING: Final = 202

_read_object: Final = decoder(WireObject)

_NO_TAGS: Final = "Qoder sessions have no tags; use metadata"
_NO_MODE: Final = "Qoder keeps permission policies in the agent's tools"
_PINNED_MODEL: Final = "a session keeps the model of the agent version that it was created with"
_NO_OWNER: Final = "Qoder's sessions have no owner; they belong to the account of the token"
_SEARCH: Final = "uses POST /sessions/search, a beta endpoint"

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = declared(
    native={
        Feature.SESSIONS_CREATE: "",
        Feature.SESSIONS_GET: "",
        Feature.SESSIONS_LIST: "",
        Feature.SESSIONS_UPDATE: "",
        Feature.SESSIONS_ARCHIVE: "cannot be undone",
        Feature.SESSIONS_DELETE: "",
        Feature.SESSIONS_CANCEL: "",
        Feature.SESSIONS_SEND: "",
        Feature.SESSIONS_STREAM: "one more call to find the start; none with a cursor",
        Feature.SESSIONS_RUN: "one more call before the input, to find the start",
        Feature.SESSIONS_EVENTS: "",
        Feature.SESSIONS_ANSWER: "one more call before the answer, to read the pending actions",
        Feature.AGENTS_CREATE: "",
        Feature.AGENTS_GET: "",
        Feature.SESSIONS_REJOIN: "",
        Feature.AGENTS_LIST: "",
        Feature.ENVIRONMENTS_CREATE: "creates a cloud environment unless QoderNewEnvironment(config=...) is passed",
        Feature.ENVIRONMENTS_GET: "",
        Feature.ENVIRONMENTS_LIST: "",
        Feature.MODELS_LIST: "the backend returns all models at once",
        Feature.ENVIRONMENTS_CREATE_DESCRIPTION: "",
        Feature.ENVIRONMENTS_CREATE_METADATA: "text values only",
        Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY: "the backend keeps a key for 24 hours",
        Feature.SESSIONS_SEND_IDEMPOTENCY_KEY: "the backend keeps a key for 24 hours",
        Feature.SESSIONS_RUN_IDEMPOTENCY_KEY: "the backend keeps a key for 24 hours",
        Feature.SESSIONS_EVENTS_NEWEST_FIRST: "",
        Feature.SESSIONS_CREATE_AGENT: "",
        Feature.SESSIONS_CREATE_ENVIRONMENT: "",
        Feature.SESSIONS_CREATE_TITLE: "",
        Feature.SESSIONS_CREATE_METADATA: "text values only",
        Feature.SESSIONS_UPDATE_TITLE: "",
        Feature.SESSIONS_UPDATE_METADATA: "text values only",
        Feature.SESSIONS_UPDATE_METADATA_REMOVE: "",
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: "",
        Feature.SESSIONS_LIST_AGENT: "",
        Feature.SESSIONS_LIST_STATUSES: "",
        Feature.SESSIONS_LIST_TITLE_CONTAINS: _SEARCH,
        Feature.SESSIONS_LIST_METADATA: _SEARCH,
        Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: "",
        Feature.SESSIONS_LIST_CREATED: "filtered in the client if combined with title_contains or metadata",
        Feature.SESSIONS_LIST_OLDEST_FIRST: "",
        Feature.SESSIONS_LIST_PAGE_SIZE: "1 to 100",
        Feature.SESSIONS_SEND_IMAGE: "",
        Feature.SESSIONS_SEND_DOCUMENT: "",
        Feature.SESSIONS_ANSWER_APPROVAL: "",
        Feature.SESSIONS_ANSWER_OUTPUT: "",
        Feature.AGENTS_CREATE_MODEL: "",
        Feature.AGENTS_CREATE_SYSTEM_PROMPT: "",
        Feature.AGENTS_CREATE_DESCRIPTION: "",
        Feature.AGENTS_UPDATE: (
            "creates a new version; an Agent argument must have the current version; an id needs one more call"
        ),
        Feature.AGENTS_ARCHIVE: "cannot be undone",
        Feature.AGENTS_UPDATE_NAME: "",
        Feature.AGENTS_UPDATE_MODEL: "",
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT: "",
        Feature.AGENTS_UPDATE_DESCRIPTION: "",
        Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR: "",
        Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR: "",
    },
    emulated={
        Feature.SESSIONS_MESSAGES: "selected from the events by type; messages have no usage",
        Feature.SESSIONS_MESSAGES_NEWEST_FIRST: "selected from the events by type",
        Feature.SESSIONS_PENDING_ACTIONS: "found in the newest events; very many actions need more calls",
        Feature.SESSIONS_UPDATE_METADATA_CLEAR: "one more call to read the keys; keys added in the meantime stay",
    },
    unsupported={
        Feature.AGENTS_DELETE: "Qoder cannot delete agents; archive the agent instead",
        Feature.SESSIONS_CREATE_ID: "Qoder chooses the id",
        Feature.SESSIONS_CREATE_OWNER: _NO_OWNER,
        Feature.SESSIONS_LIST_OWNER: _NO_OWNER,
        Feature.SESSIONS_LIST_ORIGIN: "QoderSessionQuery(deployment_id=...) lists the sessions of one deployment",
        Feature.SESSIONS_ANSWER_ARGUMENTS: "Qoder does not accept edited arguments",
        Feature.SESSIONS_ANSWER_QUESTION: "Qoder's agents ask only for approvals and tool outputs",
        Feature.SESSIONS_CREATE_WORKSPACE: "the setting workspace_id decides the workspace",
        Feature.SESSIONS_CREATE_TAGS: _NO_TAGS,
        Feature.SESSIONS_CREATE_CAPABILITIES: "capabilities belong to the agent",
        Feature.SESSIONS_CREATE_MODEL: "the model belongs to the agent; QoderNewSession(agent=...) can override it",
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


class QoderSettings(ProviderSettings):
    """Settings of a client for Qoder.

    Attributes:
        token: Personal access token (`pt-...`) or service access token; None if `service_account_key` is set.
        service_account_key: Key of a service account. The client exchanges it for tokens that are valid for one hour.
        base_url: Base URL of the API. The default is the global site.
        openapi_url: URL of the server that exchanges keys; None means the server that belongs to `base_url`.
        workspace_id: Workspace to use; None means the workspace of the token.
    """

    one_of: ClassVar[tuple[str, ...]] = ("token", "service_account_key")

    token: Annotated[HeaderSecret | None, FromEnv("QODER_ACCESS_TOKEN", "QODER_PAT")] = None
    service_account_key: Annotated[HeaderSecret | None, FromEnv("QODER_SA_KEY")] = None
    base_url: Annotated[BaseUrl, FromEnv("QODER_MANAGED_BASE_URL")] = "https://api.qoder.com/api/v1/cloud"
    openapi_url: Annotated[BaseUrl | None, FromEnv("QODER_OPENAPI_BASE_URL")] = None
    workspace_id: HeaderText | None = None


class QoderProvider(ManagedAgentsProvider[QoderSettings]):
    """The provider for Qoder Cloud Agents."""

    name = QODER.name
    docs_url = "https://docs.qoder.com/cloud-agents/sessions"
    settings_type = QoderSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    new_session_type = QoderNewSession
    session_changes_type = QoderSessionChanges
    session_query_type = QoderSessionQuery
    new_agent_type = QoderNewAgent
    agent_changes_type = QoderAgentChanges
    new_environment_type = QoderNewEnvironment
    largest_page = QODER.largest_page
    when_busy = WhenBusy.REFUSED
    resume_mode = ResumeMode.SERVER_REPLAY
    emulator = "polysession_qoder.emulator:QoderEmulator"

    member = QODER
    records = sessions.RECORDS

    @classmethod
    def plans(cls) -> tuple[type[QoderStream], type[QoderTurn]]:
        """Return the plan types for streams and turns."""
        from polysession_qoder.turns import QoderStream, QoderTurn

        return QoderStream, QoderTurn

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """Return Qoder's event types, each with the types of the common events that it becomes."""
        from polysession_qoder.events import EVENT_TYPES

        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """Return the headers for the token and the workspace.

        With a service account, `authorise` adds the token.
        """
        headers: dict[str, str] = {}
        if self.settings.token is not None:
            headers["authorization"] = f"Bearer {self.settings.token.get_secret_value()}"
        if self.settings.workspace_id is not None:
            headers["qoder-workspace-id"] = self.settings.workspace_id
        return headers

    def authorise(self, call: Call, now: datetime) -> Flow[Authorisation]:
        """Exchange the key of a service account for a token, if the client has a key.

        Raises:
            UsageError: `openapi_url` is not set, and `base_url` is not one of Qoder's sites.
        """
        key = self.settings.service_account_key
        if key is None:
            return super().authorise(call, now)
        openapi_url = self.settings.openapi_url or exchange_of(self.settings.base_url)
        if openapi_url is None:
            raise UsageError(
                f"service_account_key also needs openapi_url, because {self.settings.base_url!r} is not a Qoder site"
            )
        return exchange(key.get_secret_value(), openapi_url, now)

    def read_error(self, response: Response) -> ErrorDetail:
        """Read an error body of any generation. An empty or unknown body gives an empty detail."""
        return sessions.to_error(response.content)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page of sessions. Filters by title or metadata use the search endpoint."""
        if query.title_contains or query.metadata:
            return _search(query, cursor)
        return super().list_sessions(query, cursor)

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Cancel the running turn.

        The response has the status 202 if a turn was running, otherwise 200.

        Backend: https://docs.qoder.com/cloud-agents/api/sessions/cancel (read 2026-11)
        """
        reply = yield QODER.post(f"{QODER.session_path(ref)}/cancel", {})
        read_response(_read_object, reply)
        running = reply.status == _TURN_WAS_RUNNING
        state = CancelState.REQUESTED if running else CancelState.NOTHING_RUNNING
        return Cancellation(provider=self.name, session_id=ref.id, state=state, source=reply.content)

    def list_models(self, page_size: int | None, cursor: str | None) -> Flow[Page[Model]]:
        """Read one page of models. The backend returns all models at once."""
        reply = yield QODER.get("/models")
        found = to_page(reply, self.records.model)
        return replace(one_page(found.items, page_size, cursor), problems=found.problems)


def _search(query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
    """Search sessions by title or metadata: the only endpoint with these filters.

    Its filters by time are not documented, so the flow filters by time itself.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/search (read 2026-11)
    """
    wanted = {"name": query.title_contains or None, "metadata": dict(query.metadata) if query.metadata else None}
    body = {name: value for name, value in wanted.items() if value is not None}
    body |= session_filters(QODER, query) | QODER.page_parameters(query.page_size, cursor)
    reply = yield Call("POST", "/sessions/search", headers=_SEARCH_BETA, body=json_body(body), read_only=True)
    page = to_page(reply, sessions.to_session)
    return Page(apply_filters(page.items, query, {Feature.SESSIONS_LIST_CREATED}), page.next_cursor, page.problems)
