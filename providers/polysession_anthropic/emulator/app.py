"""Emulator of Anthropic's Managed Agents: the wire protocol, with all state in memory.

Backend: https://platform.claude.com/docs/en/managed-agents/overview and the pages beside it, and
https://platform.claude.com/docs/en/api/beta/sessions/create (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import ClassVar, Final

from polysession.emulation import (
    ApiRequest,
    AskApproval,
    EventStream,
    Generation,
    InitialResources,
    ModelConfig,
    RequestIds,
    Route,
    base62_id,
    build_app,
)
from polysession_anthropic.emulator import events
from polysession_anthropic.emulator.paging import PAGE_FIELDS, page_of, read_window
from polysession_anthropic.emulator.requests import check_headers, in_beta, read_body, read_query
from polysession_anthropic.emulator.resources import MODELS, Agents, Environments
from polysession_anthropic.emulator.routes import model_routes, mount_routes, resource_routes
from polysession_anthropic.emulator.shapes import (
    changed_fields,
    deleted_shape,
    error_answer,
    error_shape,
    session_shape,
)
from polysession_anthropic.emulator.state import Session, Sessions
from polysession_anthropic.emulator.thread_routes import ThreadRoutes
from polysession_managed_agents.emulator.emulated import ManagedAgentsEmulator
from polysession_managed_agents.emulator.event_writer import Entry
from polysession_managed_agents.emulator.record_store import read_created_at
from polysession_managed_agents.emulator.session_filter import FILTERS, Facts, read_session_filter
from polysession_managed_agents.emulator.validation import Json, invalid, only

_STATUSES: Final = frozenset({"idle", "running", "rescheduling", "terminated"})
_OVERLOADED: Final = 529


class AnthropicEmulator(ManagedAgentsEmulator[Session]):
    """Emulator of Anthropic's Managed Agents.

    Both API versions and both generations get the same responses.
    """

    base_path: ClassVar[str] = ""

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        agents, environments = Agents(), Environments()
        self._sessions: Sessions = Sessions(agents, environments, self.scripts)
        agent = agents.create({"name": "Emulated agent", "model": MODELS[0]})
        environment = environments.create({"name": "Emulated environment"})
        self.initial = InitialResources(
            agent_id=agent.id, environment_id=environment.id, model=ModelConfig(id=MODELS[1])
        )
        self.settings: Mapping[str, str] = {"api_key": "sk-ant-emulator"}
        self.routes = [
            *in_beta(self._session_routes(), without=400),
            *in_beta(mount_routes(self._sessions), without=400),
            *in_beta(ThreadRoutes(self._sessions).routes(), without=404),
            *in_beta(resource_routes(agents, environments), without=400),
            *model_routes(),
        ]
        self.app = build_app(
            self.routes,
            base_path=self.base_path,
            error=error_answer,
            admit=check_headers,
            request_ids=RequestIds("request-id", lambda: base62_id("req_"), echoes=False),
        )

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session run for `duration_s` seconds without a client, then become idle.

        Raises:
            KeyError: There is no such session.
        """
        conversation = self._known(session_id).conversation
        self.run_in_server(lambda: conversation.run_alone(duration_s))

    def refuse(self, session_id: str, *, explanation: str | None = None) -> None:
        """Let the model refuse the next turn of a session.

        Raises:
            KeyError: There is no such session.
        """
        details = {"type": "refusal", "category": None, "explanation": explanation}
        self._known(session_id).conversation.refusal = details

    def join_queued(self, session_id: str) -> None:
        """Let a running turn answer messages that arrive during it, instead of the next turn.

        Raises:
            KeyError: There is no such session.
        """
        self._known(session_id).conversation.joins_queued = True

    def hide_interrupt_ids(self, session_id: str) -> None:
        """Show the interrupts of a session with an empty id.

        Raises:
            KeyError: There is no such session.
        """
        self._known(session_id).conversation.writer.nameless_interrupts = True

    def lag(self, session_id: str, *, seconds: float) -> None:
        """Show a session as running for some seconds after each turn, as the backend does.

        Raises:
            KeyError: There is no such session.
        """
        self._known(session_id).idle_lag_s = seconds

    def break_streams(self, session_id: str) -> None:
        """End the open streams of a session with an `error` event.

        Raises:
            KeyError: There is no such session.
        """
        error = error_shape(_OVERLOADED, "Overloaded", base62_id("req_"))
        log = self._known(session_id).conversation.log
        self.run_in_server(lambda: log.append(Entry("", error, previewed=events.STREAM_ERROR)))

    def consult_about(self, session_id: str, agent_name: str, question: str, use: AskApproval) -> str:
        """Let another agent of a session request an approval. Returns the id of the tool use.

        Raises:
            KeyError: There is no such session.
        """
        threads = self._known(session_id).threads
        return self.run_in_server(lambda: threads.consult_about(agent_name, question, use))

    def _session_routes(self) -> Iterable[Route]:
        address = "/v1/sessions/{id}"
        yield Route("POST", "/v1/sessions", self._create_session)
        yield Route("GET", "/v1/sessions", self._list_sessions)
        yield Route("GET", address, lambda ask: session_shape(self._session(ask)))
        yield Route("POST", address, self._update_session)
        yield Route("DELETE", address, self._delete_session)
        yield Route("POST", f"{address}/archive", self._archive_session)
        yield Route("POST", f"{address}/events", self._send_events)
        yield Route("GET", f"{address}/events", self._list_events)
        yield Route("GET", f"{address}/events/stream", self._stream_events)

    def _session(self, request: ApiRequest) -> Session:
        return self._sessions.find(request.parameters["id"])

    def _create_session(self, request: ApiRequest) -> Json:
        body = read_body(request)
        initial_events = events.read_initial(body)
        session = self._sessions.create(body)
        if initial_events:
            session.conversation.accept(initial_events)
        return session_shape(session)

    def _update_session(self, request: ApiRequest) -> Json:
        before = session_shape(self._session(request))
        session = self._sessions.update(request.parameters["id"], read_body(request))
        after = session_shape(session)
        changed = changed_fields(before, after)
        if changed or before["metadata"] != after["metadata"]:
            session.conversation.writer.emit("session.updated", **changed)
        if before["budget"] != after["budget"]:
            session.conversation.resume()
        return session_shape(session)

    def _archive_session(self, request: ApiRequest) -> Json:
        return session_shape(self._sessions.archive(request.parameters["id"]))

    def _delete_session(self, request: ApiRequest) -> Json:
        self._sessions.delete(request.parameters["id"])
        return deleted_shape(request.parameters["id"], "session")

    def _list_sessions(self, request: ApiRequest) -> Json:
        query = read_query(request)
        only(query, PAGE_FIELDS | FILTERS | {"order"})
        rows = self._sessions.select(read_session_filter(query, _STATUSES, _facts))
        window = read_window(query, default=20, most=100, newest_first=True)
        self._check_cursor(window.after or window.before, read_created_at(query))
        return page_of(rows, self._sessions.positions, window, session_shape, has_previous=True)

    def _check_cursor(self, session_id: str | None, in_range: Callable[[datetime], bool]) -> None:
        """Refuse a cursor at a session that the time filters exclude."""
        at = self._sessions.select(lambda session: session.id == session_id)
        if not all(in_range(session.created_at) for session in at.values()):
            raise invalid("The cursor points outside the range of the 'created_at' filters.", "page")

    def _send_events(self, request: ApiRequest) -> Json:
        return {"data": events.send(self._session(request), read_body(request))}

    def _list_events(self, request: ApiRequest) -> Json:
        return events.list_events(self._session(request), read_query(request))

    def _stream_events(self, request: ApiRequest) -> EventStream:
        return events.stream(self._session(request).conversation.writer, read_query(request))


def _facts(session: Session) -> Facts:
    stores = [mount.fields.get("memory_store_id") for mount in session.resources.values()]
    return Facts(session.status, session.agent["id"], session.agent["version"], stores)
