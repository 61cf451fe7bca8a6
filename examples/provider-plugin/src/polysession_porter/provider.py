"""Porter: settings, declared support, and one flow for each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final, TypeVar

from polysession.provider_api import (
    UNSET,
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
    TextBlock,
    ToolOutput,
    TurnInput,
    TurnPlan,
    UsageError,
    apply_filters,
    decoder,
    emulated,
    json_body,
    native,
    read_json_or_none,
    read_list,
    read_response,
    unsupported,
    with_query,
)
from polysession_porter.normaliser import EVENT_TYPES, NAME, read_note, to_action, to_events, to_message, to_session
from polysession_porter.streams import PorterStream, PorterTurn, errand_path, read_answer
from polysession_porter.wire import Errand, ErrandPage, NotePage, Stopped

T = TypeVar("T")

_NO_AGENTS: Final = unsupported("Porter is the one agent there is")
_NO_TAGS: Final = unsupported("Porter has labels: use metadata")
_NO_PLACE: Final = unsupported("Porter works where it stands")
_NO_MODEL: Final = unsupported("Porter chooses its model")
_NO_MODE: Final = unsupported("Porter asks for no permission")
_NO_ARCHIVE: Final = unsupported("Porter keeps an errand until it is deleted")
_NO_OWNER: Final = unsupported("an errand belongs to the key")
_NO_KEY: Final = unsupported("Porter takes no key against repetition")
_NO_REJOIN: Final = unsupported("follow the errand with sessions.stream, from the cursor of the turn")
_OLDEST_FIRST: Final = unsupported("Porter lists its notes oldest first")
_WHOLE: Final = emulated("one more call, to read what is to stay; of two writers at once the last one wins")
_FILTER: Final = emulated("compared here, so that pages have fewer items")
_FILTERED_HERE: Final = frozenset(
    {Feature.SESSIONS_LIST_STATUSES, Feature.SESSIONS_LIST_TITLE_CONTAINS, Feature.SESSIONS_LIST_CREATED}
)

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = {
    Feature.SESSIONS_CREATE: native(),
    Feature.SESSIONS_GET: native(),
    Feature.SESSIONS_LIST: native(),
    Feature.SESSIONS_UPDATE: _WHOLE,
    Feature.SESSIONS_ARCHIVE: _NO_ARCHIVE,
    Feature.SESSIONS_DELETE: native(),
    Feature.SESSIONS_CANCEL: native(),
    Feature.SESSIONS_SEND: native(),
    Feature.SESSIONS_STREAM: native("one more call, to find where to begin; none with a cursor"),
    Feature.SESSIONS_RUN: native("one more call before the input, to find where to begin"),
    Feature.SESSIONS_EVENTS: native(),
    Feature.SESSIONS_MESSAGES: emulated("picked out of the notes"),
    Feature.SESSIONS_ANSWER: native(),
    Feature.SESSIONS_PENDING_ACTIONS: native(),
    Feature.SESSIONS_REJOIN: _NO_REJOIN,
    Feature.ENVIRONMENTS_CREATE: _NO_PLACE,
    Feature.ENVIRONMENTS_GET: _NO_PLACE,
    Feature.ENVIRONMENTS_LIST: _NO_PLACE,
    Feature.MODELS_LIST: _NO_MODEL,
    Feature.AGENTS_CREATE: _NO_AGENTS,
    Feature.AGENTS_GET: _NO_AGENTS,
    Feature.AGENTS_LIST: _NO_AGENTS,
    Feature.SESSIONS_CREATE_AGENT: _NO_AGENTS,
    Feature.SESSIONS_CREATE_ENVIRONMENT: _NO_PLACE,
    Feature.SESSIONS_CREATE_WORKSPACE: _NO_PLACE,
    Feature.SESSIONS_CREATE_TITLE: native(),
    Feature.SESSIONS_CREATE_METADATA: native(),
    Feature.SESSIONS_CREATE_TAGS: _NO_TAGS,
    Feature.SESSIONS_CREATE_CAPABILITIES: unsupported("Porter can do what it can do"),
    Feature.SESSIONS_CREATE_MODEL: _NO_MODEL,
    Feature.SESSIONS_CREATE_PERMISSION_MODE: _NO_MODE,
    Feature.SESSIONS_CREATE_ID: unsupported("Porter numbers its errands"),
    Feature.SESSIONS_CREATE_OWNER: _NO_OWNER,
    Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY: _NO_KEY,
    Feature.SESSIONS_UPDATE_TITLE: _WHOLE,
    Feature.SESSIONS_UPDATE_METADATA: _WHOLE,
    Feature.SESSIONS_UPDATE_TAGS: _NO_TAGS,
    Feature.SESSIONS_UPDATE_TAGS_EDIT: _NO_TAGS,
    Feature.SESSIONS_UPDATE_MODEL: _NO_MODEL,
    Feature.SESSIONS_UPDATE_PERMISSION_MODE: _NO_MODE,
    Feature.SESSIONS_UPDATE_TITLE_CLEAR: _WHOLE,
    Feature.SESSIONS_UPDATE_METADATA_REMOVE: _WHOLE,
    Feature.SESSIONS_UPDATE_METADATA_CLEAR: _WHOLE,
    Feature.SESSIONS_UPDATE_TAGS_CLEAR: _NO_TAGS,
    Feature.SESSIONS_UPDATE_MODEL_CLEAR: _NO_MODEL,
    Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR: _NO_MODE,
    Feature.SESSIONS_LIST_OWNER: _NO_OWNER,
    Feature.SESSIONS_LIST_ORIGIN: unsupported("Porter does not say what created an errand"),
    Feature.SESSIONS_LIST_AGENT: _NO_AGENTS,
    Feature.SESSIONS_LIST_STATUSES: _FILTER,
    Feature.SESSIONS_LIST_TITLE_CONTAINS: _FILTER,
    Feature.SESSIONS_LIST_TAGS: _NO_TAGS,
    Feature.SESSIONS_LIST_METADATA: unsupported("Porter cannot search its labels"),
    Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: _NO_ARCHIVE,
    Feature.SESSIONS_LIST_CREATED: _FILTER,
    Feature.SESSIONS_LIST_OLDEST_FIRST: native(),
    Feature.SESSIONS_LIST_PAGE_SIZE: native(),
    Feature.SESSIONS_SEND_IMAGE: unsupported("Porter reads text"),
    Feature.SESSIONS_SEND_DOCUMENT: unsupported("Porter reads text"),
    Feature.SESSIONS_SEND_IDEMPOTENCY_KEY: _NO_KEY,
    Feature.SESSIONS_RUN_IDEMPOTENCY_KEY: _NO_KEY,
    Feature.SESSIONS_EVENTS_NEWEST_FIRST: _OLDEST_FIRST,
    Feature.SESSIONS_MESSAGES_NEWEST_FIRST: _OLDEST_FIRST,
    Feature.SESSIONS_ANSWER_APPROVAL: _NO_MODE,
    Feature.SESSIONS_ANSWER_ARGUMENTS: _NO_MODE,
    Feature.SESSIONS_ANSWER_QUESTION: unsupported("Porter asks for tools only"),
    Feature.SESSIONS_ANSWER_OUTPUT: native("one output at a time"),
    Feature.AGENTS_CREATE_MODEL: _NO_AGENTS,
    Feature.AGENTS_CREATE_SYSTEM_PROMPT: _NO_AGENTS,
    Feature.AGENTS_CREATE_DESCRIPTION: _NO_AGENTS,
    Feature.ENVIRONMENTS_CREATE_DESCRIPTION: _NO_PLACE,
    Feature.ENVIRONMENTS_CREATE_METADATA: _NO_PLACE,
}


class PorterSettings(ProviderSettings):
    """Settings of a client for Porter.

    Attributes:
        key: The key that Porter printed when it was installed.
        base_url: Where it is.
    """

    key: Annotated[HeaderSecret, FromEnv("PORTER_KEY")]
    base_url: Annotated[BaseUrl, FromEnv("PORTER_URL")] = "http://127.0.0.1:7070"


class PorterProvider(Provider[PorterSettings]):
    """Porter, which runs errands."""

    name = NAME
    docs_url = "https://porter.example/wire"
    settings_type = PorterSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    resume_mode = ResumeMode.SERVER_REPLAY
    event_types = EVENT_TYPES
    emulator = "polysession_porter.emulator:PorterEmulator"

    def headers(self) -> Mapping[str, str]:
        """The key."""
        return {"porter-key": self.settings.key.get_secret_value()}

    def read_error(self, reply: Response) -> ErrorDetail:
        """Read `{"why": {"kind": ..., "text": ...}}`, or nothing."""
        why = (read_json_or_none(reply) or {}).get("why")
        if not isinstance(why, dict):
            return ErrorDetail()
        return ErrorDetail(str(why.get("text", "")), why.get("kind"), reply.headers.get("x-request-id"))

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create an errand."""
        body = {"subject": new.title, "labels": dict(new.metadata or {})}
        reply = yield Call("POST", "/errands", body=json_body(body))
        return _session(reply)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read an errand."""
        reply = yield Call("GET", errand_path(ref))
        return _session(reply)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page. Porter counts what to skip, so that our cursor is that number."""
        skip = _number(cursor)
        order = "old" if query.oldest_first else "new"
        reply = yield Call("GET", with_query("/errands", {"skip": skip, "take": query.page_size, "order": order}))
        page = read_response(_in_envelope(decoder(ErrandPage)), reply)[0]
        seen = skip + len(page.errands)
        found = read_list(page.errands, to_session)
        next_cursor = str(seen) if seen < page.total else None
        return Page(apply_filters(found.items, query, _FILTERED_HERE), next_cursor, found.problems)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Write the errand back whole, as Porter wants it, with what is to change."""
        before = yield from self.get_session(ref)
        title = before.title if changes.title is UNSET else changes.title
        labels = {} if changes.metadata is None else {**before.metadata, **(changes.metadata or {})}
        kept = {key: value for key, value in labels.items() if value is not None}
        reply = yield Call("PUT", errand_path(ref), body=json_body({"subject": title, "labels": kept}))
        return _session(reply)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete an errand."""
        yield Call("DELETE", errand_path(ref))

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Stop the work."""
        reply = yield Call("POST", f"{errand_path(ref)}/stop")
        stopped = read_response(_in_envelope(decoder(Stopped)), reply)[0].stopped
        state = CancelState.REQUESTED if stopped else CancelState.NOTHING_RUNNING
        return Cancellation(provider=NAME, session_id=ref.id, state=state, source=reply.content)

    def send_message(self, ref: SessionRef, content: tuple[Block, ...], **_: Any) -> Flow[None]:
        """Say something, and leave the turn to itself."""
        yield Call("POST", f"{errand_path(ref)}/say", body=json_body({"text": _text(content)}))

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        """Follow it after the cursor, or after its newest note."""
        last = _number(cursor) if cursor else (yield from _newest(ref))
        return PorterStream(ref, last)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **_: Any) -> Flow[TurnPlan]:
        """Follow the turn that a message starts, or that an output lets go on."""
        last = yield from _newest(ref)
        if isinstance(turn_input[0], ToolOutput):
            return PorterTurn(ref, last, "/answer", _output(turn_input))
        return PorterTurn(ref, last, "/say", {"text": _text(turn_input)})

    def list_events(self, ref: SessionRef, page_size: int | None, cursor: str | None, **_: Any) -> Flow[Page[Event]]:
        """Read one page of notes. Our cursor is the number of the last one."""
        notes = yield from _notes(ref, page_size, cursor)
        found = read_list(notes.items, partial(to_events, ref.id))
        events = tuple(event for of_note in found.items for event in of_note)
        return Page(events, notes.next_cursor, found.problems)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, **_: Any
    ) -> Flow[Page[Message]]:
        """Read one page of notes, and keep the messages."""
        notes = yield from _notes(ref, page_size, cursor)
        found = read_list(notes.items, read_note)
        messages = tuple(to_message(ref.id, note) for note, _ in found.items if note.note in {"heard", "said"})
        return Page(messages, notes.next_cursor, found.problems)

    def answer_actions(self, ref: SessionRef, answers: tuple[Answer, ...], **_: Any) -> Flow[None]:
        """Give the output of the tool that Porter asked for."""
        yield Call("POST", f"{errand_path(ref)}/answer", body=json_body(_output(answers)))

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read what Porter asks for."""
        errand = yield from _errand(ref)
        return () if errand.asks is None else (to_action(errand.asks),)


def _in_envelope(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """The same function for a body with Porter's envelope around it."""
    return lambda content: read(bytes(read_answer(content)[0].result))


def _session(reply: Response) -> Session:
    return read_response(_in_envelope(to_session), reply)


def _errand(ref: SessionRef) -> Flow[Errand]:
    reply = yield Call("GET", errand_path(ref))
    return read_response(_in_envelope(decoder(Errand)), reply)[0]


def _newest(ref: SessionRef) -> Flow[int]:
    """The number of the newest note."""
    errand = yield from _errand(ref)
    return errand.notes


def _notes(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[Any]]:
    """One page of notes as JSON text."""
    query = {"after": _number(cursor), "take": page_size}
    reply = yield Call("GET", with_query(f"{errand_path(ref)}/notes", query))
    page = read_response(_in_envelope(decoder(NotePage)), reply)[0]
    last = read_note(bytes(page.notes[-1]))[0] if page.more and page.notes else None
    return Page(tuple(page.notes), None if last is None else str(last.n))


def _number(cursor: str | None) -> int:
    """The number in a cursor of ours.

    Raises:
        UsageError: It is none.
    """
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise UsageError(f"{cursor!r} is not a cursor of Porter")
    return int(cursor)


def _text(content: tuple[Any, ...]) -> str:
    """The text of a message: the core has refused every other block, because none is declared."""
    return "\n".join(block.text for block in content if isinstance(block, TextBlock))


def _output(answers: tuple[Any, ...]) -> dict[str, Any]:
    """The body of an answer.

    Raises:
        UsageError: There is more than one.
    """
    if len(answers) > 1:
        raise UsageError(f"Porter asks for one thing at a time, and takes one output, not {len(answers)}")
    (answer,) = answers
    call = answer.action if isinstance(answer.action, str) else answer.action.id
    return {"call": call, "text": answer.content, "failed": answer.is_error}
