"""LangGraph Agent Server: settings, declared support and flows.

Threads are sessions, assistants are agents, runs are turns. Observed on langgraph-api 0.16.7 (2026-11-30). Backend:
https://docs.langchain.com/langsmith/server-api-ref (read 2026-11-30)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

from polysession.provider_api import (
    Agent,
    AgentChanges,
    Answer,
    BaseUrl,
    Block,
    Call,
    Cancellation,
    CancelState,
    ErrorDetail,
    Feature,
    FeatureSupport,
    Flow,
    FromEnv,
    HeaderSecret,
    MalformedResponse,
    Message,
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
    StreamPlan,
    TurnInput,
    TurnPlan,
    UsageError,
    WhenBusy,
    WhenWaiting,
    apply_filters,
    cursor_number,
    declared,
    decode_cursor,
    decoder,
    json_body,
    new_id,
    one_page,
    path_segment,
    read_array,
    read_json,
    read_json_or_nothing,
    read_list,
    read_response,
    split_turn_input,
)
from polysession_langgraph import sessions, turns
from polysession_langgraph.actions import to_actions, to_responses
from polysession_langgraph.events import EVENT_TYPES, Position
from polysession_langgraph.messages import message_reader, state_messages, tail_of, to_content
from polysession_langgraph.native import (
    LanggraphAgentChanges,
    LanggraphAnswer,
    LanggraphNewAgent,
    LanggraphNewSession,
    LanggraphSessionChanges,
    LanggraphSessionQuery,
    LanggraphTurn,
)
from polysession_langgraph.turns import ThreadStream, ThreadTurn, thread_path
from polysession_langgraph.wire import WireAnswer

_MAX_TEXT: Final = 200
_NUMBERED: Final = re.compile("([0-9]{3}): (.*)", re.DOTALL)
"""Message of a rejected command without an error code: a status and a sentence."""
_CREATED: Final = 201
_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "invalid_argument": 422,
    "no_such_interrupt": 409,
    "no_such_run": 404,
    "permission_denied": 403,
}
"""HTTP status for the error code of a rejected command."""
_FILTERED_HERE: Final = frozenset(
    {Feature.SESSIONS_LIST_STATUSES, Feature.SESSIONS_LIST_TITLE_CONTAINS, Feature.SESSIONS_LIST_CREATED}
)
_COMPARED: Final = "compared by the client, so a page may have fewer items"
_OF_MODEL: Final = "the graph's model must support it"
_TITLE: Final = f"stored in the metadata as {sessions.TITLE_KEY}"
_WHOLE_STATE: Final = "the whole state is read for each page"

_read_detail: Final = decoder(WireAnswer)


class LanggraphSettings(ProviderSettings):
    """Settings of a client for a LangGraph Agent Server.

    Attributes:
        base_url: URL of the server.
        api_key: Key to send as `x-api-key`. None: no key, for a self-hosted server without authentication.
        assistant_id: Agent for sessions without one: the UUID of an assistant, or the name of a graph.
        input_key: Key of the messages in the graph's state.
    """

    base_url: Annotated[BaseUrl, FromEnv("LANGGRAPH_BASE_URL")]
    api_key: Annotated[HeaderSecret | None, FromEnv("LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")] = (
        None
    )
    assistant_id: Annotated[str | None, FromEnv("LANGGRAPH_ASSISTANT_ID")] = None
    input_key: str = "messages"


class LanggraphProvider(Provider[LanggraphSettings]):
    """Sessions of a LangGraph Agent Server."""

    name: ClassVar[str] = sessions.NAME
    docs_url: ClassVar[str] = "https://docs.langchain.com/langsmith/server-api-ref"
    settings_type: ClassVar[type[ProviderSettings]] = LanggraphSettings
    emulator: ClassVar[str | None] = "polysession_langgraph.emulator:LanggraphEmulator"
    resume_mode: ClassVar[ResumeMode] = ResumeMode.SERVER_REPLAY
    new_session_type = LanggraphNewSession
    session_changes_type = LanggraphSessionChanges
    session_query_type = LanggraphSessionQuery
    new_agent_type = LanggraphNewAgent
    agent_changes_type = LanggraphAgentChanges
    message_type = LanggraphTurn
    answer_type = LanggraphAnswer
    when_busy = WhenBusy.QUEUED
    when_waiting = WhenWaiting.TAKEN_AS_ANSWER
    largest_page = 1000
    agent_setting = "assistant_id"
    features: ClassVar[Mapping[Feature, FeatureSupport]] = declared(
        native={
            **dict.fromkeys((Feature.SESSIONS_CREATE, Feature.SESSIONS_UPDATE, Feature.SESSIONS_PENDING_ACTIONS), ""),
            **dict.fromkeys((Feature.SESSIONS_CREATE_METADATA, Feature.SESSIONS_UPDATE_METADATA), ""),
            **dict.fromkeys((Feature.AGENTS_LIST, Feature.AGENTS_CREATE_DESCRIPTION), ""),
            Feature.SESSIONS_LIST_OLDEST_FIRST: "",
            Feature.SESSIONS_GET: "the response contains the whole state",
            Feature.SESSIONS_LIST: "the items have no state",
            Feature.SESSIONS_DELETE: "a running run continues on the server",
            Feature.SESSIONS_SEND: "one or two more calls; rejected while the session waits for answers",
            Feature.SESSIONS_STREAM: "one more call, to find the newest run",
            Feature.SESSIONS_RUN: "one or two more calls before the input, and one at the end to read the outcome",
            Feature.SESSIONS_ANSWER: "one more call; the actions of one group must be answered together",
            Feature.AGENTS_CREATE: "needs native=LanggraphNewAgent(graph_id=...)",
            Feature.AGENTS_GET: "by UUID",
            Feature.AGENTS_UPDATE: "by UUID; creates a new version",
            Feature.AGENTS_DELETE: "by UUID; its threads are kept",
            **dict.fromkeys((Feature.AGENTS_UPDATE_NAME, Feature.AGENTS_UPDATE_DESCRIPTION), ""),
            Feature.SESSIONS_CREATE_ID: "must be a UUID",
            Feature.SESSIONS_REJOIN: "two more calls, to find the run by its marker",
            Feature.SESSIONS_LIST_METADATA: "top-level keys, compared for equality",
            Feature.SESSIONS_LIST_PAGE_SIZE: "1 to 1000",
            **dict.fromkeys((Feature.SESSIONS_SEND_IMAGE, Feature.SESSIONS_SEND_DOCUMENT), _OF_MODEL),
            Feature.SESSIONS_ANSWER_OUTPUT: "for interrupts of the form {type: client_tool, name, args}",
            Feature.SESSIONS_ANSWER_APPROVAL: "the approval middleware, and interrupts of the form {action, args}",
            Feature.SESSIONS_ANSWER_ARGUMENTS: "the approval middleware only",
            Feature.SESSIONS_ANSWER_QUESTION: "interrupts of any other form",
        },
        emulated={
            Feature.SESSIONS_CANCEL: "runs are listed and stopped one by one; a state update ends a waiting run",
            **dict.fromkeys((Feature.SESSIONS_MESSAGES, Feature.SESSIONS_MESSAGES_NEWEST_FIRST), _WHOLE_STATE),
            Feature.SESSIONS_CREATE_AGENT: (
                f"stored in the metadata as {sessions.AGENT_KEY}; the server does not check it before the first run"
            ),
            **dict.fromkeys((Feature.SESSIONS_CREATE_TITLE, Feature.SESSIONS_UPDATE_TITLE), _TITLE),
            Feature.SESSIONS_UPDATE_TITLE_CLEAR: "the metadata keeps the key with null",
            Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR: "the server stores an empty text",
            **dict.fromkeys((Feature.SESSIONS_LIST_AGENT, *_FILTERED_HERE), _COMPARED),
        },
        unsupported={
            Feature.SESSIONS_ARCHIVE: "the server has no archive; delete the session",
            Feature.AGENTS_ARCHIVE: "the server has no archive; delete the agent",
            Feature.SESSIONS_EVENTS: "the server keeps events for a short time only; use messages",
            Feature.SESSIONS_UPDATE_METADATA_REMOVE: "the server keeps the key with null; overwrite the value",
            Feature.SESSIONS_UPDATE_METADATA_CLEAR: "the server keeps each key with null; overwrite the values",
            Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: "the server has no archive",
        },
        otherwise="LangGraph has no such feature; configure the graph or its assistant",
    )

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """Return the backend's event types, each with the common event types that it is read as."""
        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """Return the header with the API key, if there is one."""
        key = self.settings.api_key
        return {} if key is None else {"x-api-key": key.get_secret_value()}

    def read_error(self, response: Response) -> ErrorDetail:
        """Read an error body.

        The error of a busy thread quotes the inputs of its runs; that part is removed.
        """
        try:
            wire, _ = _read_detail(response.content)
        except MalformedResponse:
            return ErrorDetail()
        text = wire.message or (wire.detail if isinstance(wire.detail, str) else "")
        status, numbered = _STATUS_OF_CODE.get(wire.error or ""), _NUMBERED.fullmatch(text)
        if wire.type == "error" and numbered is not None:
            status, text = int(numbered[1]), numbered[2]
        sentence = text.split("\n", 1)[0].split("in-flight runs", 1)[0]
        return ErrorDetail(sentence[:_MAX_TEXT], wire.error, status=status)

    def is_refusal(self, response: Response) -> bool:
        """Whether a response with a success status is an error.

        The server answers a rejected command with 200, and a thread with a rejected state with 201.
        """
        start = b'{"detail"' if response.status == _CREATED else b'{"type":"error"'
        return response.content.startswith(start)

    def read_version(self) -> Flow[str | None]:
        """Read the version of the server."""
        return read_json((yield Call("GET", "/info"))).get("version")

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a thread.

        The server does not bind an agent to it, so an unknown agent fails in the first turn.
        """
        response = yield Call("POST", "/threads", body=json_body(sessions.new_session_body(new)))
        return read_response(sessions.to_session, response)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a thread."""
        response = yield Call("GET", thread_path(ref.id))
        return read_response(sessions.to_session, response)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page of threads."""
        body = sessions.search_body(query, _offset(cursor))
        response = yield Call("POST", "/threads/search", body=json_body(body), read_only=True)
        page = _page(response, sessions.to_session)
        items = apply_filters(page.items, query, _FILTERED_HERE)
        if query.agent is not None:
            items = tuple(each for each in items if sessions.is_of_agent(each, query.agent))
        return Page(items, page.next_cursor, page.problems)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change the metadata and the title, which is part of it."""
        response = yield Call("PATCH", thread_path(ref.id), body=json_body(sessions.changes_body(changes)))
        return read_response(sessions.to_session, response)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a thread."""
        read_json_or_nothing((yield Call("DELETE", thread_path(ref.id))))

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        """Stop the thread's runs, or end one that waits for answers."""
        stopped, content = yield from turns.cancel(ref.id)
        state = CancelState.REQUESTED if stopped else CancelState.NOTHING_RUNNING
        return Cancellation(provider=self.name, session_id=ref.id, state=state, source=content)

    def send_message(
        self,
        ref: SessionRef,
        content: tuple[Block, ...],
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,  # noqa: ARG002  (declared unsupported)
    ) -> Flow[None]:
        """Start a run without following it."""
        command = yield from self._run_start(ref, content, new_id(), native)
        yield from turns.send_command(ref.id, command)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        """Follow a thread.

        It is read first, because the server sends heartbeats even if it does not exist.
        """
        if cursor is None:
            position = yield from turns.position_now(ref.id)
        else:
            position = decode_cursor(Position, cursor, "LangGraph")
            yield from turns.get_thread(ref.id)
        return ThreadStream(ref.id, self.settings.input_key, position, is_live=cursor is None)

    def start_turn(
        self,
        ref: SessionRef,
        turn_input: TurnInput,
        *,
        native: NativeBody | None = None,
        idempotency_key: str | None = None,  # noqa: ARG002  (declared unsupported)
    ) -> Flow[TurnPlan]:
        """Follow the run that a message or answers start."""
        blocks, answers = split_turn_input(turn_input)
        position = Position(turn=new_id())
        if answers:
            command, position.tail = yield from self._input_respond(ref, answers, native)
        else:
            command = yield from self._run_start(ref, blocks, position.turn, native)
        params = command["params"]
        params["metadata"] = {**(params.get("metadata") or {}), sessions.TURN_KEY: position.turn}
        return ThreadTurn(ref.id, self.settings.input_key, position, command)

    def rejoin_turn(self, ref: SessionRef, cursor: str) -> Flow[TurnPlan]:
        """Follow a run that another process started."""
        position = decode_cursor(Position, cursor, "LangGraph")
        if not position.turn:
            raise UsageError("the cursor is of a stream of the session, not of a turn: pass it to stream()")
        yield from turns.get_thread(ref.id)
        return ThreadTurn(ref.id, self.settings.input_key, position, None)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Message]]:
        """Read the messages of the state."""
        state = yield from turns.get_state(ref.id)
        page = one_page(
            state_messages(state.values, self.settings.input_key), page_size, cursor, newest_first=newest_first
        )
        return read_list(page.items, message_reader(ref.id), next_cursor=page.next_cursor)

    def answer_actions(
        self, ref: SessionRef, answers: tuple[Answer, ...], *, native: NativeBody | None = None
    ) -> Flow[None]:
        """Answer interrupts without following the run."""
        command, _ = yield from self._input_respond(ref, answers, native)
        yield from turns.send_command(ref.id, command)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read the pending interrupts."""
        thread, _ = yield from turns.get_thread(ref.id)
        return tuple(to_actions(thread.interrupts).values())

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an assistant of a graph."""
        response = yield Call("POST", "/assistants", body=json_body(sessions.new_agent_body(new)))
        return read_response(sessions.to_agent, response)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an assistant."""
        response = yield Call("GET", _assistant_path(agent_id))
        return read_response(sessions.to_agent, response)

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read one page of assistants, newest first."""
        body = sessions.present(offset=_offset(cursor), limit=page_size)
        response = yield Call("POST", "/assistants/search", body=json_body(body), read_only=True)
        return _page(response, sessions.to_agent)

    def update_agent(self, agent_id: str, changes: AgentChanges) -> Flow[Agent]:
        """Change an assistant."""
        response = yield Call("PATCH", _assistant_path(agent_id), body=json_body(sessions.agent_changes_body(changes)))
        return read_response(sessions.to_agent, response)

    def delete_agent(self, agent_id: str) -> Flow[None]:
        """Delete an assistant."""
        read_json_or_nothing((yield Call("DELETE", _assistant_path(agent_id))))

    def _run_start(
        self, ref: SessionRef, content: tuple[Block, ...], marker: str, native: NativeBody | None
    ) -> Flow[dict[str, Any]]:
        """Return the command that sends a message.

        The server keeps the message's id, which marks the turn's start.
        """
        agent = ref.agent_id or sessions.agent_of((yield from turns.get_thread(ref.id))[0])
        agent = agent or self.settings.assistant_id
        if agent is None:
            raise UsageError("the session has no agent: pass agent= when you create it, or set assistant_id")
        more = native.to_body() if native else {}
        message = {"role": "user", "id": marker, "content": to_content(content)}
        graph_input = {**(more.get("input") or {}), self.settings.input_key: [message]}
        return {"method": "run.start", "params": {**more, "assistant_id": agent, "input": graph_input}}

    def _input_respond(
        self, ref: SessionRef, answers: Sequence[Answer], native: NativeBody | None
    ) -> Flow[tuple[dict[str, Any], str | None]]:
        """Return the command that answers interrupts, and the `key_of` the last message before it."""
        thread, _ = yield from turns.get_thread(ref.id)
        responses = to_responses(answers, to_actions(thread.interrupts))
        params = {"responses": responses, **(native.to_body() if native else {})}
        return {"method": "input.respond", "params": params}, tail_of(thread.values, self.settings.input_key)


def _assistant_path(agent_id: str) -> str:
    return f"/assistants/{path_segment(agent_id, 'agent id')}"


def _offset(cursor: str | None) -> int:
    return 0 if cursor is None else cursor_number(cursor)


def _page(response: Response, read: Any) -> Page[Any]:
    """Read one page of a search: an array, with the next offset in a header.

    Raises:
        MalformedResponse: The offset is not a number.
    """
    following = response.headers.get("x-pagination-next")
    if following is not None and not following.isdigit():
        raise MalformedResponse(
            f"the header x-pagination-next is {following!r}, which is not a number", status=response.status
        )
    return read_list(read_array(response), read, next_cursor=following)
