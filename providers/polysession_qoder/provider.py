"""Qoder Cloud Agents: settings, declared support, calls and flows.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview and
https://docs.qoder.com/cloud-agents/api/sessions/create and its siblings (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import ValidationError

from polysession.provider_api import (
    Agent,
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
    JsonText,
    NewAgent,
    NewSession,
    Page,
    Provider,
    ProviderSettings,
    Response,
    ResumeMode,
    Session,
    SessionChanges,
    SessionQuery,
    SessionRef,
    TurnInput,
    apply_filters,
    deferred,
    emulated,
    json_body,
    lazily,
    native,
    path_segment,
    read_as,
    read_json,
    read_json_or_none,
    read_wire,
    unsupported,
    with_query,
)
from polysession_qoder import normaliser, usual
from polysession_qoder.calls import IDEMPOTENCY_KEY, next_cursor, page_parameters, post, read_page, session_path
from polysession_qoder.wire import WireDeleted, WireErrorBody, WirePageEnd, WireSession, WireSessions

if TYPE_CHECKING:
    from polysession.provider_api import Answer, Block, Event, Message, OldStreamPlan, OldTurnPlan, PendingAction

_SEARCH_BETA: Final[Mapping[str, str]] = {"x-qoder-beta": "search-2026-08-31"}
_TURN_WAS_RUNNING: Final = 202

_NO_TAGS: Final = unsupported("Qoder sessions have no tags; use metadata")
_NO_MODE: Final = unsupported("Qoder keeps permission policies in the agent's tools")
_PINNED_MODEL: Final = unsupported("the model belongs to the agent, at the version that the session was created with")
_SEARCH: Final = native("through POST /sessions/search, a beta of the backend")

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = {
    Feature.SESSIONS_CREATE: native(),
    Feature.SESSIONS_GET: native(),
    Feature.SESSIONS_LIST: native(),
    Feature.SESSIONS_UPDATE: native(),
    Feature.SESSIONS_ARCHIVE: native("there is no way back"),
    Feature.SESSIONS_DELETE: native(),
    Feature.SESSIONS_CANCEL: native(),
    Feature.SESSIONS_SEND: native(),
    Feature.SESSIONS_STREAM: native("one more call, to find where to begin; none with a cursor"),
    Feature.SESSIONS_RUN: native("one more call before the input, to find where to begin"),
    Feature.SESSIONS_EVENTS: native(),
    Feature.SESSIONS_MESSAGES: emulated(
        "picked out of the events by their type; the backend says no usage of a message"
    ),
    Feature.SESSIONS_ANSWER: native("one more call before it, to see what is pending"),
    Feature.SESSIONS_PENDING_ACTIONS: emulated(
        "found in the newest events; more calls if the agent waits at very many"
    ),
    Feature.AGENTS_CREATE: native(),
    Feature.AGENTS_GET: native(),
    Feature.AGENTS_LIST: native(),
    Feature.SESSIONS_CREATE_AGENT: native(),
    Feature.SESSIONS_CREATE_ENVIRONMENT: native(),
    Feature.SESSIONS_CREATE_WORKSPACE: unsupported("the workspace is the setting workspace_id"),
    Feature.SESSIONS_CREATE_TITLE: native(),
    Feature.SESSIONS_CREATE_METADATA: native(),
    Feature.SESSIONS_CREATE_TAGS: _NO_TAGS,
    Feature.SESSIONS_CREATE_CAPABILITIES: unsupported("abilities belong to the agent"),
    Feature.SESSIONS_CREATE_MODEL: unsupported(
        "the model belongs to the agent; QoderNewSession(agent=...) can override it"
    ),
    Feature.SESSIONS_CREATE_PERMISSION_MODE: _NO_MODE,
    Feature.SESSIONS_UPDATE_TITLE: native(),
    Feature.SESSIONS_UPDATE_METADATA: native(),
    Feature.SESSIONS_UPDATE_TAGS: _NO_TAGS,
    Feature.SESSIONS_UPDATE_TAGS_EDIT: _NO_TAGS,
    Feature.SESSIONS_UPDATE_MODEL: _PINNED_MODEL,
    Feature.SESSIONS_UPDATE_PERMISSION_MODE: _NO_MODE,
    Feature.SESSIONS_UPDATE_TITLE_CLEAR: native(),
    Feature.SESSIONS_UPDATE_METADATA_CLEAR: emulated(
        "one more call, to read the keys; keys that are added meanwhile stay"
    ),
    Feature.SESSIONS_UPDATE_TAGS_CLEAR: _NO_TAGS,
    Feature.SESSIONS_UPDATE_MODEL_CLEAR: _PINNED_MODEL,
    Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR: _NO_MODE,
    Feature.SESSIONS_LIST_AGENT: native(),
    Feature.SESSIONS_LIST_STATUSES: native(),
    Feature.SESSIONS_LIST_TITLE_CONTAINS: _SEARCH,
    Feature.SESSIONS_LIST_TAGS: _NO_TAGS,
    Feature.SESSIONS_LIST_METADATA: _SEARCH,
    Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: native(),
    Feature.SESSIONS_LIST_CREATED: native("compared in the client if title_contains or metadata is given too"),
    Feature.SESSIONS_LIST_OLDEST_FIRST: native(),
    Feature.SESSIONS_LIST_PAGE_SIZE: native("1 to 100"),
    Feature.SESSIONS_SEND_IMAGE: native(),
    Feature.SESSIONS_SEND_DOCUMENT: native(),
    Feature.SESSIONS_ANSWER_APPROVAL: native(),
    Feature.SESSIONS_ANSWER_OUTPUT: native(),
    Feature.AGENTS_CREATE_MODEL: native(),
    Feature.AGENTS_CREATE_SYSTEM_PROMPT: native(),
    Feature.AGENTS_CREATE_DESCRIPTION: native(),
}


class QoderSettings(ProviderSettings):
    """Settings of a client for Qoder.

    Attributes:
        token: Personal access token (`pt-...`) or service access token.
        base_url: Where the API is; the global site unless said otherwise.
        workspace_id: Workspace to act in; None leaves it to the token.
    """

    token: Annotated[HeaderSecret, FromEnv("QODER_ACCESS_TOKEN", "QODER_PAT")]
    base_url: Annotated[BaseUrl, FromEnv("QODER_MANAGED_BASE_URL")] = "https://api.qoder.com/api/v1/cloud"
    workspace_id: HeaderText | None = None


class QoderProvider(Provider[QoderSettings]):
    """Qoder Cloud Agents."""

    name = normaliser.NAME
    docs_url = "https://docs.qoder.com/cloud-agents/sessions"
    settings_type = QoderSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    new_session_type = deferred("polysession_qoder.native:QoderNewSession")
    session_changes_type = deferred("polysession_qoder.native:QoderSessionChanges")
    session_query_type = deferred("polysession_qoder.native:QoderSessionQuery")
    new_agent_type = deferred("polysession_qoder.native:QoderNewAgent")
    resume_mode = ResumeMode.SERVER_REPLAY
    event_types = deferred("polysession_qoder.event_normaliser:EVENT_TYPES")
    emulator = "polysession_qoder.emulator:QoderEmulator"

    def headers(self) -> Mapping[str, str]:
        """The bearer token, and the workspace if one is set."""
        headers = {"authorization": f"Bearer {self.settings.token.get_secret_value()}"}
        if self.settings.workspace_id is not None:
            headers["qoder-workspace-id"] = self.settings.workspace_id
        return headers

    def read_error(self, reply: Response) -> ErrorDetail:
        """Read an error body; those of older generations lack `request_id`."""
        try:
            body = WireErrorBody.model_validate(read_json_or_none(reply))
        except ValidationError:
            return ErrorDetail()
        message = body.error.message or ""
        if body.error.param:
            message = f"{message} (parameter {body.error.param})"
        return ErrorDetail(message, body.error.code or body.error.type, body.request_id)

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a session."""
        reply = yield post("/sessions", normaliser.from_new_session(new))
        return _session(reply)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session."""
        reply = yield Call("GET", session_path(ref))
        return _session(reply)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page: by `GET /sessions`, or by the search endpoint for the filters that only it has."""
        if query.title_contains or query.metadata:
            return (yield from _search(query, cursor))
        filters = {"statuses[]" if name == "statuses" else name: value for name, value in _filters(query).items()}
        parameters = filters | _created(query) | page_parameters(query.page_size, cursor)
        reply = yield Call("GET", with_query("/sessions", parameters))
        return _sessions(reply)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change what was asked for. Removing all metadata needs to read its keys first."""
        known: Mapping[str, Any] = {}
        if changes.metadata is None:
            known = (yield from self.get_session(ref)).metadata
        reply = yield post(session_path(ref), normaliser.from_changes(changes, known))
        return _session(reply)

    def archive_session(self, ref: SessionRef) -> Flow[Session]:
        """Archive a session."""
        reply = yield post(f"{session_path(ref)}/archive", {})
        return _session(reply)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session. The answer names it; one without a body will do."""
        reply = yield Call("DELETE", session_path(ref), idempotency_header=IDEMPOTENCY_KEY)
        if reply.content:
            read_as(WireDeleted.model_validate, read_json(reply), reply)

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Cancel the turn. The body is the same whether one was running; the status code tells.

        Backend: https://docs.qoder.com/cloud-agents/api/sessions/cancel (read 2026-11)
        """
        reply = yield post(f"{session_path(ref)}/cancel", {})
        running = reply.status == _TURN_WAS_RUNNING
        state = CancelState.REQUESTED if running else CancelState.NOTHING_RUNNING
        return Cancellation(provider=self.name, session_id=ref.id, state=state, raw=read_json(reply))

    def send_message(self, ref: SessionRef, content: tuple[Block, ...]) -> Flow[None]:
        """Send a message."""
        from polysession_qoder import streams

        return streams.send_message(ref, content)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[OldStreamPlan]:
        """Make ready to follow a session."""
        from polysession_qoder import streams

        return streams.stream_events(ref, cursor)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput) -> Flow[OldTurnPlan]:
        """Make ready to follow the turn that this input starts."""
        from polysession_qoder import streams

        return streams.start_turn(ref, turn_input)

    def list_events(self, ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Event]]:
        """Read one page of events."""
        from polysession_qoder import streams

        return streams.list_events(ref, limit, cursor)

    def list_messages(self, ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Message]]:
        """Read one page of messages."""
        from polysession_qoder import streams

        return streams.list_messages(ref, limit, cursor)

    def answer_actions(self, ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
        """Answer what the agent waits for."""
        from polysession_qoder import streams

        return streams.answer_actions(ref, answers)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read what the agent waits for."""
        from polysession_qoder import streams

        return streams.pending_actions(ref)

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an agent."""
        reply = yield post("/agents", normaliser.from_new_agent(new))
        return read_as(normaliser.to_agent, read_json(reply), reply)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an agent."""
        reply = yield Call("GET", f"/agents/{path_segment(agent_id, 'agent id')}")
        return read_as(normaliser.to_agent, read_json(reply), reply)

    def list_agents(self, limit: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read one page of agents."""
        reply = yield Call("GET", with_query("/agents", page_parameters(limit, cursor)))
        return read_page(reply, normaliser.to_agent)


def _session(reply: Response) -> Session:
    fields = usual.SESSION.read(reply)
    if fields is not None:
        return usual.to_session(fields, lazily(JsonText(reply.content)))
    # No name for what is raw: the traceback of a refusal would show it, and it may quote a credential.
    return normaliser.read_session(read_wire(WireSession, reply), lazily(JsonText(reply.content)))


def _sessions(reply: Response) -> Page[Session]:
    text, usually = JsonText(reply.content), usual.SESSIONS.read(reply)
    if usually is not None:
        sessions = [usual.to_session(fields, lazily(text, "data", at)) for at, fields in enumerate(usually["data"])]
        return Page(tuple(sessions), next_cursor(WirePageEnd.model_validate(usually), reply))
    page = read_wire(WireSessions, reply)
    items = (normaliser.read_session(wire, lazily(text, "data", at)) for at, wire in enumerate(page.data))
    return Page(tuple(items), next_cursor(page, reply))


def _search(query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
    """The only server-side filter by metadata or title.

    How it takes times is not documented, so those are compared here.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/search (read 2026-11)
    """
    wanted = {"name": query.title_contains or None, "metadata": dict(query.metadata) if query.metadata else None}
    body = {name: value for name, value in wanted.items() if value is not None}
    body |= _filters(query) | page_parameters(query.page_size, cursor)
    reply = yield Call("POST", "/sessions/search", headers=_SEARCH_BETA, body=json_body(body), read_only=True)
    page = _sessions(reply)
    return Page(apply_filters(page.items, query, {Feature.SESSIONS_LIST_CREATED}), page.next_cursor)


def _filters(query: SessionQuery) -> dict[str, Any]:
    """The filters that a list and a search share."""
    wanted: dict[str, Any] = {
        "agent_id": query.agent,
        "statuses": [normaliser.wire_status(status) for status in query.statuses] or None,
        "include_archived": True if query.include_archived else None,
        "order": "asc" if query.oldest_first else None,
    }
    wanted |= query.native.to_body() if query.native else {}
    return {name: value for name, value in wanted.items() if value is not None}


def _created(query: SessionQuery) -> dict[str, str]:
    bounds = {"created_at[gt]": query.created_after, "created_at[lt]": query.created_before}
    return {name: normaliser.wire_time(moment) for name, moment in bounds.items() if moment is not None}
