"""The helpdesk: settings, declared support, and one flow for each operation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final

from polysession.provider_api import (
    Answer,
    BaseUrl,
    Block,
    Call,
    Cancellation,
    CancelState,
    ErrorDetail,
    Event,
    Feature,
    FeatureSupport,
    Flow,
    FromEnv,
    HeaderSecret,
    Message,
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
    StreamPlan,
    TurnInput,
    UsageError,
    WhenBusy,
    declared,
    decoder,
    json_body,
    read_json_or_none,
    read_json_or_nothing,
    read_list,
    read_response,
    read_whole,
    with_query,
)
from polysession_helpdesk.events import EVENT_TYPES, read_event, to_events, to_message
from polysession_helpdesk.sessions import NAME, changes_body, ticket_path, to_action, to_session
from polysession_helpdesk.turns import HelpdeskStream, HelpdeskTurn, after_of, send_input
from polysession_helpdesk.wire import Cancelled, EventPage, Ticket, TicketPage

_read_ticket: Final = decoder(Ticket)
_read_ticket_page: Final = decoder(TicketPage)
_read_event_page: Final = decoder(EventPage)
_read_cancelled: Final = decoder(Cancelled)

_FEATURES: Final = declared(
    native={
        Feature.SESSIONS_CREATE: "",
        Feature.SESSIONS_CREATE_TITLE: "",
        Feature.SESSIONS_CREATE_METADATA: "text values only",
        Feature.SESSIONS_GET: "",
        Feature.SESSIONS_LIST: "",
        Feature.SESSIONS_LIST_PAGE_SIZE: "1 to 100",
        Feature.SESSIONS_UPDATE: "",
        Feature.SESSIONS_UPDATE_TITLE: "",
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: "",
        Feature.SESSIONS_UPDATE_METADATA: "text values only",
        Feature.SESSIONS_UPDATE_METADATA_REMOVE: "",
        Feature.SESSIONS_UPDATE_METADATA_CLEAR: "",
        Feature.SESSIONS_DELETE: "",
        Feature.SESSIONS_CANCEL: "",
        Feature.SESSIONS_SEND: "",
        Feature.SESSIONS_STREAM: "one more call, to find the start; none with a cursor",
        Feature.SESSIONS_RUN: "one more call before the input, to find the start",
        Feature.SESSIONS_EVENTS: "",
        Feature.SESSIONS_ANSWER: "",
        Feature.SESSIONS_ANSWER_OUTPUT: "one output at a time",
        Feature.SESSIONS_PENDING_ACTIONS: "",
    },
    emulated={Feature.SESSIONS_MESSAGES: "selected from the events, so that pages have fewer items"},
    unsupported={
        Feature.SESSIONS_REJOIN: "follow the ticket with sessions.stream, from the cursor of the turn",
        Feature.SESSIONS_ARCHIVE: "a ticket is kept until it is deleted",
    },
    otherwise="the helpdesk has nothing like it",
)


class HelpdeskSettings(ProviderSettings):
    """Settings of a client for the helpdesk.

    Attributes:
        key: The API key.
        base_url: Where the helpdesk is.
    """

    key: Annotated[HeaderSecret, FromEnv("HELPDESK_KEY")]
    base_url: Annotated[BaseUrl, FromEnv("HELPDESK_URL")] = "http://127.0.0.1:7070"


class HelpdeskProvider(Provider[HelpdeskSettings]):
    """The helpdesk, whose assistant works on tickets."""

    name = NAME
    docs_url = "https://helpdesk.example/api"
    settings_type = HelpdeskSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    resume_mode = ResumeMode.SERVER_REPLAY
    when_busy = WhenBusy.REFUSED
    largest_page = 100
    emulator = "polysession_helpdesk.emulator:HelpdeskEmulator"

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """The backend's event types, each with the types of the common events that it becomes."""
        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """The API key."""
        return {"authorization": f"Bearer {self.settings.key.get_secret_value()}"}

    def read_error(self, response: Response) -> ErrorDetail:
        """Read `{"error": {"code": ..., "message": ...}}`, or nothing."""
        error = (read_json_or_none(response) or {}).get("error")
        return (
            ErrorDetail(str(error.get("message", "")), error.get("code")) if isinstance(error, dict) else ErrorDetail()
        )

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a ticket."""
        body = {"title": new.title, "labels": dict(new.metadata or {})}
        response = yield Call("POST", "/tickets", body=json_body(body))
        return read_response(to_session, response)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a ticket."""
        response = yield Call("GET", ticket_path(ref))
        return read_response(to_session, response)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page of tickets."""
        response = yield Call("GET", with_query("/tickets", {"limit": query.page_size, "cursor": cursor}))
        page = read_whole(_read_ticket_page, response)
        return read_list(page.tickets, to_session, next_cursor=page.next)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change what was asked for; the helpdesk leaves the rest alone."""
        response = yield Call("PATCH", ticket_path(ref), body=json_body(changes_body(changes)))
        return read_response(to_session, response)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a ticket. The answer has no body; a page of a proxy is not taken for success."""
        read_json_or_nothing((yield Call("DELETE", ticket_path(ref))))

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Stop the work on a ticket."""
        response = yield Call("POST", f"{ticket_path(ref)}/cancel")
        stopped = read_whole(_read_cancelled, response).cancelled
        state = CancelState.REQUESTED if stopped else CancelState.NOTHING_RUNNING
        return Cancellation(provider=NAME, session_id=ref.id, state=state, source=response.content)

    def send_message(self, ref: SessionRef, content: tuple[Block, ...], **_: Any) -> Flow[None]:
        """Send a message without following the turn."""
        yield from send_input(ref, content)

    def answer_actions(self, ref: SessionRef, answers: tuple[Answer, ...], **_: Any) -> Flow[None]:
        """Send the output of a tool without following the turn."""
        yield from send_input(ref, answers)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read which tool the assistant waits for."""
        ticket = yield from _ticket(ref)
        return () if ticket.waiting_for is None else (to_action(ticket.waiting_for),)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        """Follow a ticket from now on, or after a cursor."""
        return HelpdeskStream(ref, after_of(cursor) if cursor else (yield from _ticket(ref)).last_event)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **_: Any) -> Flow[StreamPlan]:
        """Follow the turn that an input starts."""
        return HelpdeskTurn(ref, (yield from _ticket(ref)).last_event, turn_input)

    def list_events(self, ref: SessionRef, page_size: int | None, cursor: str | None, **_: Any) -> Flow[Page[Event]]:
        """Read one page of events."""
        page = yield from _event_page(ref, page_size, cursor)
        events = tuple(event for content in page.items for event in to_events(ref.id, content)[1])
        return Page(events, page.next_cursor)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, **_: Any
    ) -> Flow[Page[Message]]:
        """Read one page of events, and keep the messages."""
        page = yield from _event_page(ref, page_size, cursor)
        found = read_list(page.items, partial(_message, ref.id), next_cursor=page.next_cursor)
        return Page(tuple(filter(None, found.items)), found.next_cursor, found.problems)


def _ticket(ref: SessionRef) -> Flow[Ticket]:
    response = yield Call("GET", ticket_path(ref))
    return read_response(_read_ticket, response)[0]


def _event_page(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[bytes]]:
    """One page of events as JSON text. A cursor is the number of the last event before the page."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
        raise UsageError(f"{cursor!r} is not a cursor of this list")
    query = {"after": cursor, "limit": page_size}
    response = yield Call("GET", with_query(f"{ticket_path(ref)}/events", query))
    page = read_whole(_read_event_page, response)
    events = tuple(bytes(event) for event in page.events)
    return Page(events, str(read_event(events[-1])[0].seq) if page.more else None)


def _message(session_id: str, content: bytes) -> Message | None:
    event, _ = read_event(content)
    return to_message(session_id, event) if event.type == "message" else None
