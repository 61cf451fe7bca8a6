"""Qoder Cloud Agents: settings, declared support, calls and flows.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview and
https://docs.qoder.com/cloud-agents/api/sessions/create and its siblings (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, TypeVar

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
    MalformedResponse,
    NewAgent,
    NewSession,
    Page,
    Provider,
    ProviderSettings,
    Reply,
    Session,
    SessionChanges,
    SessionQuery,
    SessionRef,
    UsageError,
    emulated,
    json_body,
    keep_matching,
    native,
    path_segment,
    read_as,
    read_json,
    read_json_or_none,
    unsupported,
    with_query,
)
from polysession_qoder import normaliser
from polysession_qoder.wire import (
    QoderNewAgent,
    QoderNewSession,
    QoderSessionChanges,
    QoderSessionQuery,
    WireDeleted,
    WireErrorBody,
    WirePage,
)

T = TypeVar("T")

_IDEMPOTENCY_KEY: Final = "idempotency-key"
_SEARCH_BETA: Final[Mapping[str, str]] = {"x-qoder-beta": "search-2026-08-31"}
_MAX_LIMIT: Final = 100
_TURN_WAS_RUNNING: Final = 202

_NO_TAGS: Final = unsupported("Qoder sessions have no tags; use metadata")
_NO_MODE: Final = unsupported("Qoder keeps permission policies in the agent's tools")
_PINNED_MODEL: Final = unsupported("the model belongs to the agent, at the version that the session was created with")
_SEARCH: Final = native("through POST /sessions/search, a beta of the backend")

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = {
    Feature.CREATE: native(),
    Feature.GET: native(),
    Feature.LIST: native(),
    Feature.UPDATE: native(),
    Feature.ARCHIVE: native("there is no way back"),
    Feature.DELETE: native(),
    Feature.CANCEL: native(),
    Feature.AGENT_CREATE: native(),
    Feature.AGENT_GET: native(),
    Feature.AGENT_LIST: native(),
    Feature.CREATE_AGENT: native(),
    Feature.CREATE_ENVIRONMENT: native(),
    Feature.CREATE_WORKSPACE: unsupported("the workspace is the setting workspace_id"),
    Feature.CREATE_TITLE: native(),
    Feature.CREATE_METADATA: native(),
    Feature.CREATE_TAGS: _NO_TAGS,
    Feature.CREATE_CAPABILITIES: unsupported("abilities belong to the agent"),
    Feature.CREATE_MODEL: unsupported("the model belongs to the agent; QoderNewSession(agent=...) can override it"),
    Feature.CREATE_PERMISSION_MODE: _NO_MODE,
    Feature.UPDATE_TITLE: native(),
    Feature.UPDATE_METADATA: native(),
    Feature.UPDATE_TAGS: _NO_TAGS,
    Feature.EDIT_TAGS: _NO_TAGS,
    Feature.UPDATE_MODEL: _PINNED_MODEL,
    Feature.UPDATE_PERMISSION_MODE: _NO_MODE,
    Feature.CLEAR_TITLE: native(),
    Feature.CLEAR_METADATA: emulated("one more call, to read the keys; keys that are added meanwhile stay"),
    Feature.CLEAR_TAGS: _NO_TAGS,
    Feature.CLEAR_MODEL: _PINNED_MODEL,
    Feature.CLEAR_PERMISSION_MODE: _NO_MODE,
    Feature.LIST_AGENT: native(),
    Feature.LIST_STATUSES: native(),
    Feature.LIST_TITLE: _SEARCH,
    Feature.LIST_TAGS: _NO_TAGS,
    Feature.LIST_METADATA: _SEARCH,
    Feature.LIST_ARCHIVED: native(),
    Feature.LIST_CREATED: native("compared in the client if title_contains or metadata is given too"),
    Feature.LIST_OLDEST_FIRST: native(),
    Feature.LIST_LIMIT: native("1 to 100"),
    Feature.AGENT_MODEL: native(),
    Feature.AGENT_SYSTEM_PROMPT: native(),
    Feature.AGENT_DESCRIPTION: native(),
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
    new_session_type = QoderNewSession
    session_changes_type = QoderSessionChanges
    session_query_type = QoderSessionQuery
    new_agent_type = QoderNewAgent
    emulator = "polysession_qoder.emulator:QoderEmulator"

    def headers(self) -> Mapping[str, str]:
        """The bearer token, and the workspace if one is set."""
        headers = {"authorization": f"Bearer {self.settings.token.get_secret_value()}"}
        if self.settings.workspace_id is not None:
            headers["qoder-workspace-id"] = self.settings.workspace_id
        return headers

    def read_error(self, reply: Reply) -> ErrorDetail:
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
        reply = yield _post("/sessions", normaliser.from_new_session(new))
        return _session(reply)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session."""
        reply = yield Call("GET", _session_path(ref))
        return _session(reply)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page: by `GET /sessions`, or by the search endpoint for the filters that only it has."""
        if query.title_contains or query.metadata:
            return (yield from _search(query, cursor))
        filters = {"statuses[]" if name == "statuses" else name: value for name, value in _filters(query).items()}
        parameters = filters | _created(query) | _page_parameters(query.limit, cursor)
        reply = yield Call("GET", with_query("/sessions", parameters))
        return _page(reply, normaliser.to_session)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change what was asked for. Removing all metadata needs to read its keys first."""
        known = {}
        if changes.metadata is None:
            known = (yield from self.get_session(ref)).metadata
        reply = yield _post(_session_path(ref), normaliser.from_changes(changes, known))
        return _session(reply)

    def archive_session(self, ref: SessionRef) -> Flow[Session]:
        """Archive a session."""
        reply = yield _post(f"{_session_path(ref)}/archive", {})
        return _session(reply)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session. The answer names it; one without a body will do."""
        reply = yield Call("DELETE", _session_path(ref), idempotency_header=_IDEMPOTENCY_KEY)
        if reply.content:
            read_as(WireDeleted.model_validate, read_json(reply), reply)

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Cancel the turn. The body is the same whether one was running; the status code tells.

        Backend: https://docs.qoder.com/cloud-agents/api/sessions/cancel (read 2026-11)
        """
        reply = yield _post(f"{_session_path(ref)}/cancel", {})
        running = reply.status == _TURN_WAS_RUNNING
        state = CancelState.REQUESTED if running else CancelState.NOTHING_RUNNING
        return Cancellation(provider=self.name, session_id=ref.id, state=state, raw=read_json(reply))

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an agent."""
        reply = yield _post("/agents", normaliser.from_new_agent(new))
        return read_as(normaliser.to_agent, read_json(reply), reply)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an agent."""
        reply = yield Call("GET", f"/agents/{path_segment(agent_id, 'agent id')}")
        return read_as(normaliser.to_agent, read_json(reply), reply)

    def list_agents(self, limit: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read one page of agents."""
        reply = yield Call("GET", with_query("/agents", _page_parameters(limit, cursor)))
        return _page(reply, normaliser.to_agent)


def _post(path: str, body: Mapping[str, Any]) -> Call:
    return Call("POST", path, body=json_body(body), idempotency_header=_IDEMPOTENCY_KEY)


def _session_path(ref: SessionRef) -> str:
    return f"/sessions/{path_segment(ref.id, 'session id')}"


def _session(reply: Reply) -> Session:
    return read_as(normaliser.to_session, read_json(reply), reply)


def _search(query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
    """The only server-side filter by metadata or title.

    How it takes times is not documented, so those are compared here.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/search (read 2026-11)
    """
    wanted = {"name": query.title_contains or None, "metadata": dict(query.metadata) if query.metadata else None}
    body = {name: value for name, value in wanted.items() if value is not None}
    body |= _filters(query) | _page_parameters(query.limit, cursor)
    reply = yield Call("POST", "/sessions/search", headers=_SEARCH_BETA, body=json_body(body), read_only=True)
    page = _page(reply, normaliser.to_session)
    return Page(keep_matching(page.items, query, {Feature.LIST_CREATED}), page.next_cursor)


def _filters(query: SessionQuery) -> dict[str, Any]:
    """The filters that a list and a search share."""
    wanted: dict[str, Any] = {
        "agent_id": query.agent,
        "statuses": [normaliser.wire_status(status) for status in query.statuses] or None,
        "include_archived": True if query.include_archived else None,
        "order": "asc" if query.oldest_first else None,
    }
    wanted |= query.native.given() if query.native else {}
    return {name: value for name, value in wanted.items() if value is not None}


def _created(query: SessionQuery) -> dict[str, str]:
    bounds = {"created_at[gt]": query.created_after, "created_at[lt]": query.created_before}
    return {name: normaliser.wire_time(moment) for name, moment in bounds.items() if moment is not None}


def _page_parameters(limit: int | None, cursor: str | None) -> dict[str, Any]:
    """Our cursor names the parameter that it belongs to, because older generations continue by another one."""
    if limit is not None and limit > _MAX_LIMIT:
        raise UsageError(f"limit is {limit}; a page of Qoder has at most {_MAX_LIMIT} items")
    parameters: dict[str, Any] = {} if limit is None else {"limit": limit}
    if cursor is not None:
        name, _, value = cursor.partition("=")
        if name not in {"page", "after_id"} or not value:
            raise UsageError(f"{cursor!r} is not a cursor of this list")
        parameters[name] = value
    return parameters


def _page(reply: Reply, normalise: Callable[[dict[str, Any]], T]) -> Page[T]:
    page = read_as(WirePage.model_validate, read_json(reply), reply)
    items = tuple(read_as(normalise, item, reply) for item in page.data)
    return Page(items, _next_cursor(page, reply))


def _next_cursor(page: WirePage, reply: Reply) -> str | None:
    if page.next_page and page.has_more is not False:
        return f"page={page.next_page}"
    if not page.has_more:
        return None
    if page.last_id:
        return f"after_id={page.last_id}"
    raise MalformedResponse("the list says that it goes on, and not where", status=reply.status)
