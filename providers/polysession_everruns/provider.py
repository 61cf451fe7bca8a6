"""Everruns: settings, declared support, calls and flows.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, and https://docs.everruns.com (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeVar

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
    UsageError,
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
    read_json_or_nothing,
    read_wire,
    unsupported,
    with_query,
)
from polysession_everruns import normaliser, usual
from polysession_everruns.calls import cursor_number, session_path
from polysession_everruns.wire import WireAgents, WirePageEnd, WireSession, WireSessions

if TYPE_CHECKING:
    from polysession.provider_api import Answer, Block, Event, Message, OldStreamPlan, OldTurnPlan, PendingAction

T = TypeVar("T")

_DEFAULT_LIMIT: Final = 20
_MAX_LIMIT: Final = 100
_NOTHING_TO_CANCEL: Final = "no_op"
_FILTERED_HERE: Final = frozenset(
    {Feature.SESSIONS_LIST_STATUSES, Feature.SESSIONS_LIST_TAGS, Feature.SESSIONS_LIST_CREATED}
)

_NO_METADATA: Final = unsupported("Everruns sessions have no metadata; use tags")
_NO_MODE: Final = unsupported("Everruns sessions have no permission mode")
_FIXED_MODEL: Final = unsupported(
    "the model is chosen when the session is created; the server ignores a later change without a word"
)
_FILTER: Final = emulated("every session is read and compared here, so pages may be short or empty")

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = {
    Feature.SESSIONS_CREATE: native(),
    Feature.SESSIONS_GET: native(),
    Feature.SESSIONS_LIST: native(),
    Feature.SESSIONS_UPDATE: native(),
    Feature.SESSIONS_ARCHIVE: unsupported(
        "the published API archives agents only; sessions.delete removes a session for good"
    ),
    Feature.SESSIONS_DELETE: native("there is no way back"),
    Feature.SESSIONS_CANCEL: native(),
    Feature.SESSIONS_SEND: native("a message during a turn steers that turn"),
    Feature.SESSIONS_STREAM: native("one call before, to begin after the newest event on servers of every age"),
    Feature.SESSIONS_RUN: native("one call before, as for a stream"),
    Feature.SESSIONS_EVENTS: native("with a limit, each page reads all that follows and is cut here"),
    Feature.SESSIONS_MESSAGES: native("with a limit, each page reads all messages and is cut here"),
    Feature.SESSIONS_ANSWER: native("one call before, because the server does not look at what is answered"),
    Feature.SESSIONS_PENDING_ACTIONS: emulated("found in the newest 50 events"),
    Feature.AGENTS_CREATE: native(),
    Feature.AGENTS_GET: native(),
    Feature.AGENTS_LIST: native(),
    Feature.SESSIONS_CREATE_AGENT: native("optional; EverrunsNewSession(agent_name=...) finds it by name"),
    Feature.SESSIONS_CREATE_ENVIRONMENT: unsupported("a session runs on a harness: EverrunsNewSession(harness_id=...)"),
    Feature.SESSIONS_CREATE_WORKSPACE: native(),
    Feature.SESSIONS_CREATE_TITLE: native(),
    Feature.SESSIONS_CREATE_METADATA: _NO_METADATA,
    Feature.SESSIONS_CREATE_TAGS: native(),
    Feature.SESSIONS_CREATE_CAPABILITIES: native(),
    Feature.SESSIONS_CREATE_MODEL: native("by its id alone"),
    Feature.SESSIONS_CREATE_PERMISSION_MODE: _NO_MODE,
    Feature.SESSIONS_UPDATE_TITLE: native(),
    Feature.SESSIONS_UPDATE_METADATA: _NO_METADATA,
    Feature.SESSIONS_UPDATE_TAGS: native(),
    Feature.SESSIONS_UPDATE_TAGS_EDIT: emulated(
        "one more call, to read the tags; of two writers at once the last one wins"
    ),
    Feature.SESSIONS_UPDATE_MODEL: _FIXED_MODEL,
    Feature.SESSIONS_UPDATE_PERMISSION_MODE: _NO_MODE,
    Feature.SESSIONS_UPDATE_TITLE_CLEAR: unsupported(
        "the server takes null as no change, so that a title stays; give another one"
    ),
    Feature.SESSIONS_UPDATE_METADATA_CLEAR: _NO_METADATA,
    Feature.SESSIONS_UPDATE_TAGS_CLEAR: native(),
    Feature.SESSIONS_UPDATE_MODEL_CLEAR: _FIXED_MODEL,
    Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR: _NO_MODE,
    Feature.SESSIONS_LIST_AGENT: native(),
    Feature.SESSIONS_LIST_STATUSES: _FILTER,
    Feature.SESSIONS_LIST_TITLE_CONTAINS: native("whatever the case of its letters"),
    Feature.SESSIONS_LIST_TAGS: _FILTER,
    Feature.SESSIONS_LIST_METADATA: _NO_METADATA,
    Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: unsupported(
        "only newer servers can, and older ones would ignore it: EverrunsSessionQuery(include_archived=True)"
    ),
    Feature.SESSIONS_LIST_CREATED: _FILTER,
    Feature.SESSIONS_LIST_OLDEST_FIRST: unsupported("the server lists the newest first"),
    Feature.SESSIONS_LIST_PAGE_SIZE: native("1 to 100"),
    Feature.SESSIONS_SEND_IMAGE: native("an uploaded image, given by its id, is kept and does not reach the model"),
    Feature.SESSIONS_SEND_DOCUMENT: unsupported(
        "a message holds text and images; EverrunsNewSession(initial_files=...)"
    ),
    Feature.SESSIONS_ANSWER_APPROVAL: native(
        "newer servers; all that are asked for at once, a denial without a reason"
    ),
    Feature.SESSIONS_ANSWER_OUTPUT: native("all outputs that the session waits for, at once"),
    Feature.AGENTS_CREATE_MODEL: native(),
    Feature.AGENTS_CREATE_SYSTEM_PROMPT: native("required"),
    Feature.AGENTS_CREATE_DESCRIPTION: native(),
}


class EverrunsSettings(ProviderSettings):
    """Settings of a client for Everruns.

    Attributes:
        api_key: Personal access token (`evr_pat_...`), sent as it is. It may begin with a scheme: `Bearer ...` or
            `ApiKey ...`.
        base_url: Where the API is, without `/v1`; the hosted service unless said otherwise.
        org_id: Organization to act in; needed only when the token reaches several.
    """

    api_key: Annotated[HeaderSecret, FromEnv("EVERRUNS_API_KEY")]
    base_url: Annotated[BaseUrl, FromEnv("EVERRUNS_API_URL")] = "https://app.everruns.com/api"
    org_id: Annotated[HeaderText | None, FromEnv("EVERRUNS_ORG_ID")] = None

    def secrets(self) -> tuple[str, ...]:
        """The key as it is sent, and the token in it: a message may quote one without the scheme."""
        return (*super().secrets(), self.api_key.get_secret_value().split(maxsplit=1)[-1])


class EverrunsProvider(Provider[EverrunsSettings]):
    """Everruns."""

    name = normaliser.NAME
    docs_url = "https://docs.everruns.com"
    settings_type = EverrunsSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    new_session_type = deferred("polysession_everruns.native:EverrunsNewSession")
    session_changes_type = deferred("polysession_everruns.native:EverrunsSessionChanges")
    session_query_type = deferred("polysession_everruns.native:EverrunsSessionQuery")
    new_agent_type = deferred("polysession_everruns.native:EverrunsNewAgent")
    resume_mode = ResumeMode.SERVER_REPLAY
    event_types = deferred("polysession_everruns.event_normaliser:EVENT_TYPES")
    emulator = "polysession_everruns.emulator:EverrunsEmulator"

    def headers(self) -> Mapping[str, str]:
        """The key, and the organization if one is set."""
        headers = {"authorization": self.settings.api_key.get_secret_value()}
        if self.settings.org_id is not None:
            headers["x-org-id"] = self.settings.org_id
        return headers

    def read_error(self, reply: Response) -> ErrorDetail:
        """Read an error body: problem details, `{"error": {...}}`, or the `{"error": "..."}` of older servers."""
        body = read_json_or_none(reply) or {}
        error = body.get("error")
        inner = error if isinstance(error, Mapping) else {"message": error}
        return ErrorDetail(
            message=_first_text(body.get("detail"), inner.get("message"), body.get("title")) or "",
            code=_first_text(body.get("code"), inner.get("code")),
        )

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a session."""
        reply = yield Call("POST", "/v1/sessions", body=json_body(normaliser.from_new_session(new)))
        return _session(reply)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session."""
        reply = yield Call("GET", session_path(ref))
        return _session(reply)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page. What the server cannot filter by is compared here."""
        normaliser.check_statuses(query.statuses)
        filters = {"agent_id": query.agent, "search": query.title_contains or None}
        filters |= query.native.to_body() if query.native else {}
        page = yield from _page("/v1/sessions", filters, query.page_size, cursor, _sessions)
        return Page(apply_filters(page.items, query, _FILTERED_HERE), page.next_cursor)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change what was asked for.

        The server takes tags as a whole list, so that editing them reads them first. It has no version check: of two
        writers at once the last one wins. A session whose tags are already right is returned as it was read.
        """
        body = normaliser.from_changes(changes)
        if changes.add_tags or changes.remove_tags:
            before = yield from self.get_session(ref)
            tags = normaliser.edited_tags(before.tags, changes)
            if tags is not None:
                body["tags"] = tags
            elif not body:
                return before
        reply = yield Call("PATCH", session_path(ref), body=json_body(body))
        return _session(reply)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session for good."""
        read_json_or_nothing((yield Call("DELETE", session_path(ref))))

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Cancel the turn. A server that answers in another word than the known two has still taken the request."""
        reply = yield Call("POST", f"{session_path(ref)}/cancel")
        answer = read_json(reply)
        idle = answer.get("status") == _NOTHING_TO_CANCEL
        state = CancelState.NOTHING_RUNNING if idle else CancelState.REQUESTED
        return Cancellation(provider=self.name, session_id=ref.id, state=state, raw=answer)

    def send_message(self, ref: SessionRef, content: tuple[Block, ...]) -> Flow[None]:
        """Send a message."""
        from polysession_everruns import streams

        return streams.send_message(ref, content)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[OldStreamPlan]:
        """Make ready to follow a session."""
        from polysession_everruns import streams

        return streams.stream_events(ref, cursor)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput) -> Flow[OldTurnPlan]:
        """Make ready to follow a turn."""
        from polysession_everruns import streams

        return streams.start_turn(ref, turn_input)

    def list_events(self, ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Event]]:
        """Read one page of past events."""
        from polysession_everruns import streams

        return streams.list_events(ref, limit, cursor)

    def list_messages(self, ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Message]]:
        """Read one page of messages."""
        from polysession_everruns import streams

        return streams.list_messages(ref, limit, cursor)

    def answer_actions(self, ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
        """Give the outputs of tools that the client runs."""
        from polysession_everruns import streams

        return streams.answer_actions(ref, answers)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read which tools the client is to run."""
        from polysession_everruns import streams

        return streams.pending_actions(ref)

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an agent."""
        reply = yield Call("POST", "/v1/agents", body=json_body(normaliser.from_new_agent(new)))
        return read_as(normaliser.to_agent, read_json(reply), reply)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an agent."""
        reply = yield Call("GET", f"/v1/agents/{path_segment(agent_id, 'agent id')}")
        return read_as(normaliser.to_agent, read_json(reply), reply)

    def list_agents(self, limit: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read one page of agents."""
        return (yield from _page("/v1/agents", {}, limit, cursor, _agents))


def _session(reply: Response) -> Session:
    fields = usual.SESSION.read(reply)
    if fields is not None:
        return usual.to_session(fields, lazily(JsonText(reply.content)))
    # No name for what is raw: the traceback of a refusal would show it, and it may quote a credential.
    return normaliser.read_session(read_wire(WireSession, reply), lazily(JsonText(reply.content)))


def _sessions(reply: Response) -> tuple[WirePageEnd, list[Session]]:
    text, usually = JsonText(reply.content), usual.SESSIONS.read(reply)
    if usually is not None:
        sessions = [usual.to_session(fields, lazily(text, "data", at)) for at, fields in enumerate(usually["data"])]
        return WirePageEnd.model_validate(usually), sessions
    page = read_wire(WireSessions, reply)
    return page, [normaliser.read_session(wire, lazily(text, "data", at)) for at, wire in enumerate(page.data)]


def _agents(reply: Response) -> tuple[WireAgents, list[Agent]]:
    page = read_wire(WireAgents, reply)
    return page, [read_as(normaliser.to_agent, item, reply) for item in page.data]


def _first_text(*candidates: object) -> str | None:
    return next((text for text in candidates if isinstance(text, str) and text), None)


def _page(
    path: str,
    filters: Mapping[str, Any],
    limit: int | None,
    cursor: str | None,
    read: Callable[[Response], tuple[WirePageEnd, list[T]]],
) -> Flow[Page[T]]:
    """Read one page. Our cursor is the offset of its first item, as text."""
    if limit is not None and limit > _MAX_LIMIT:
        # The server would return fewer than asked for, and not say so.
        raise UsageError(f"limit is {limit}; a page of Everruns has at most {_MAX_LIMIT} items")
    offset = None if cursor is None else cursor_number(cursor)
    reply = yield Call("GET", with_query(path, {**filters, "offset": offset, "limit": limit}))
    page, items = read(reply)
    return Page(tuple(items), _next_cursor(page, len(items), offset or 0, limit))


def _next_cursor(page: WirePageEnd, count: int, offset: int, limit: int | None) -> str | None:
    """Where the next page begins. Without a total, a link or a full page says that there is one."""
    end = offset + count
    if page.total is not None:
        more = end < page.total
    else:
        more = page.next_url is not None or count >= (page.limit or limit or _DEFAULT_LIMIT)
    return str(end) if more and count else None
