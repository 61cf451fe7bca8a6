"""Emulator of LangGraph's Agent Server: threads, runs and assistants in memory.

Not offered: the older run endpoints, copies and checkpoints of threads, crons, the store.

Backend: https://docs.langchain.com/langsmith/server-api-ref (read 2026-11-30); observed on langgraph-api 0.16.7
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from polysession.emulation import (
    Answer,
    ApiRequest,
    Emulator,
    EventLog,
    Generation,
    InitialResources,
    Refusal,
    Route,
    Scripts,
    build_app,
)
from polysession_langgraph.emulator import streams, validation
from polysession_langgraph.emulator.commands import Commands
from polysession_langgraph.emulator.store import (
    GRAPHS,
    Json,
    Store,
    Thread,
    timestamp,
)
from polysession_langgraph.emulator.validation import check_uuid, checked_body

_DEFAULT_LIMIT: Final = 10
_TWO_CONTEXTS: Final = (
    "Cannot specify both configurable and context. Prefer setting context alone. Context was introduced in LangGraph"
    " 0.6.0 and is the long term planned replacement for configurable."
)
_END_NODE: Final = "__end__"
_SERVER_ERROR: Final = 500
_NO_GRAPH: Final = (
    "Thread '{thread_id}' has no assigned graph ID. This usually occurs when no runs have been made on this particular"
    " thread. This operation requires a graph ID. Please ensure a run has been made for the thread or manually update"
    " the thread metadata (by setting the 'graph_id' field) before running this operation."
)


class LanggraphEmulator(Emulator):
    """LangGraph's Agent Server. The legacy generation has the same routes.

    Attributes:
        busy_wait_s: Seconds that `run.start` waits for the active run before it queues or rejects the new one. The real
            server waits 5.
    """

    has_questions: ClassVar[bool] = True

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self.version = "0.16.7"
        self.scripts = Scripts(has_questions=True)
        self._store = Store()
        self.busy_wait_s = 0.0
        self._commands = Commands(self._store, self.scripts, busy_wait_s=lambda: self.busy_wait_s)
        self.initial = InitialResources(agent_id=next(iter(self._store.assistants)))
        self.settings: Mapping[str, str] = {}
        self.routes = self._routes()
        self.app = build_app(self.routes, error=_error, request_ids=None)

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a thread run a turn without a script for `duration_s` seconds.

        Raises:
            KeyError: There is no such thread.
        """
        thread = self._store.threads[session_id]

        def start() -> None:
            run = self._commands.new_run(thread, next(iter(self._store.assistants.values())), {})
            thread.runs.append(run)
            thread.task.start(self._commands.runner(thread).idle(run, duration_s))

        self.run_in_server(start)

    def forget_events(self, session_id: str) -> None:
        """Delete the events of a thread and end its streams, like a restart of the server.

        Raises:
            KeyError: There is no such thread.
        """
        thread = self._store.threads[session_id]

        def forget() -> None:
            thread.log.close()
            thread.log = EventLog()

        self.run_in_server(forget)

    def open_streams(self, session_id: str) -> int:
        """Return the number of open streams of a thread.

        Raises:
            KeyError: There is no such thread.
        """
        return self._store.threads[session_id].log.followers

    def _routes(self) -> list[Route]:
        return [
            Route("GET", "/ok", lambda _: {"ok": True}),
            Route("GET", "/info", lambda _: {"version": self.version, "langgraph_py_version": "1.2.24"}),
            Route("POST", "/threads", self._create),
            Route("POST", "/threads/search", self._search),
            Route(
                "POST",
                "/threads/count",
                lambda request: len(self._matching(checked_body(request, validation.THREAD_SEARCH))),
            ),
            Route("GET", "/threads/{id}", lambda request: self._thread(request).shape()),
            Route("PATCH", "/threads/{id}", self._update),
            Route("DELETE", "/threads/{id}", self._delete),
            Route("GET", "/threads/{id}/state", lambda request: self._thread(request).state_shape()),
            Route("POST", "/threads/{id}/state", self._set_state),
            Route("GET", "/threads/{id}/stream", partial(streams.thread_stream, self._store)),
            Route("POST", "/threads/{id}/stream/events", partial(streams.event_stream, self._store)),
            Route("POST", "/threads/{id}/commands", self._commands.command),
            Route("GET", "/threads/{id}/runs", self._commands.list_runs),
            Route("GET", "/threads/{id}/runs/{run}", self._commands.get_run),
            Route("DELETE", "/threads/{id}/runs/{run}", self._commands.delete_run),
            Route("GET", "/threads/{id}/runs/{run}/stream", partial(streams.run_stream, self._store)),
            Route("POST", "/threads/{id}/runs/{run}/cancel", self._commands.cancel_run),
            Route("POST", "/assistants", self._create_assistant),
            Route("POST", "/assistants/search", self._search_assistants),
            Route("GET", "/assistants/{id}", self._get_assistant),
            Route("PATCH", "/assistants/{id}", self._update_assistant),
            Route("DELETE", "/assistants/{id}", self._delete_assistant),
        ]

    def _create(self, request: ApiRequest) -> Json | Answer:
        body = checked_body(request, validation.NEW_THREAD)
        sent_id = body.get("thread_id")
        thread_id = check_uuid(sent_id) if sent_id else self._store.clock.uuid7()
        existing = self._store.threads.get(thread_id)
        if existing is not None:
            if body.get("if_exists") == "do_nothing":
                return existing.shape(is_post=True)
            raise Refusal(409, f"Thread with ID {thread_id} already exists")
        metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key != "assistant_id"}
        thread = self._store.threads[thread_id] = Thread(thread_id, metadata)
        if not body.get("supersteps"):
            return thread.shape(is_post=True)
        if metadata.get("graph_id") not in GRAPHS:
            text = f"Thread {thread_id} was created, but there were problems updating the state: {_NO_GRAPH}"
            return Answer({"detail": text.format(thread_id=thread_id)}, 201)
        for update in [each for step in body["supersteps"] for each in step["updates"]]:
            thread.add((update.get("values") or {}).get("messages") or ())
        thread.has_run = thread.values_shown = True
        return thread.shape()

    def _search(self, request: ApiRequest) -> Answer:
        body = checked_body(request, validation.THREAD_SEARCH)
        found = self._matching(body)
        key = body.get("sort_by") or "updated_at"
        ascending = body.get("sort_by") is not None and body.get("sort_order") == "asc"
        found.sort(key=lambda thread: (str(thread.shape().get(key)), thread.id), reverse=not ascending)
        return _page([thread.shape() for thread in found], body)

    def _matching(self, body: Json) -> list[Thread]:
        metadata, ids = body.get("metadata") or {}, body.get("ids")
        for each in ids or ():
            try:
                check_uuid(each)
            except Refusal as refusal:
                raise Refusal(400, f"Invalid thread ID {each}") from refusal
        found = [
            thread
            for thread in self._store.threads.values()
            if all(_same(thread.metadata.get(key), value) for key, value in metadata.items())
            and (body.get("status") is None or thread.status == body["status"])
            and (ids is None or thread.id in ids)
        ]
        values = body.get("values") or {}
        if values and not all(thread.values_shown for thread in found):
            raise Refusal(500, "Internal Server Error")
        return [
            each for each in found if all(_same({"messages": each.messages}.get(key), values[key]) for key in values)
        ]

    def _update(self, request: ApiRequest) -> Json:
        thread = self._store.threads.get(check_uuid(request.parameters["id"]))
        if thread is None:
            raise Refusal(404, "Not Found")
        metadata = checked_body(request, validation.THREAD_CHANGES).get("metadata", {})
        written = {key: value for key, value in metadata.items() if key != "assistant_id"}
        thread.metadata = {**thread.metadata, **written}
        thread.updated_at = timestamp()
        return thread.shape()

    def _delete(self, request: ApiRequest) -> Answer:
        thread = self._thread(request)
        del self._store.threads[thread.id]
        return Answer(status=204, media_type="")

    def _set_state(self, request: ApiRequest) -> Json:
        thread = self._thread(request)
        if thread.status == "busy":
            raise Refusal(409, f"Thread {thread.id} has in-flight runs: [...]")
        body = checked_body(request, {})
        if body.get("as_node") == _END_NODE:
            thread.interrupts, thread.rest = {}, ()
        thread.add((body.get("values") or {}).get("messages") or ())
        thread.checkpoint()
        checkpoint = {"thread_id": thread.id, "checkpoint_ns": "", "checkpoint_id": thread.checkpoints[0]}
        return {"checkpoint": checkpoint, "configurable": checkpoint, "checkpoint_id": checkpoint["checkpoint_id"]}

    def _create_assistant(self, request: ApiRequest) -> Json:
        body = checked_body(request, validation.NEW_ASSISTANT)
        graph = body["graph_id"]
        _check_graph(graph)
        assistant_id = body.get("assistant_id") or self._store.clock.uuid7()
        if assistant_id in self._store.assistants and body.get("if_exists") != "do_nothing":
            raise Refusal(409, f"Assistant {assistant_id} already exists")
        shape = self._store.assistant_shape(assistant_id, str(graph), body)
        return self._store.assistants.setdefault(assistant_id, shape)

    def _search_assistants(self, request: ApiRequest) -> Answer:
        body = checked_body(request, validation.ASSISTANT_SEARCH)
        graph, name = body.get("graph_id"), str(body.get("name") or "").lower()
        if graph is not None:
            _check_graph(graph)
        found = [
            each
            for each in self._store.assistants.values()
            if graph in {None, each["graph_id"]} and name in each["name"].lower()
        ]
        return _page(found[::-1], body)

    def _get_assistant(self, request: ApiRequest) -> Json:
        assistant = self._store.assistants.get(check_uuid(request.parameters["id"], "assistant"))
        if assistant is None:
            raise Refusal(404, "Not Found")
        return assistant

    def _update_assistant(self, request: ApiRequest) -> Json:
        assistant_id = check_uuid(request.parameters["id"], "assistant")
        body = checked_body(request, validation.ASSISTANT_CHANGES)
        if "context" in body and "configurable" in body.get("config", {}):
            raise Refusal(400, _TWO_CONTEXTS)
        if assistant_id not in self._store.assistants:
            raise Refusal(404, f"Assistant {assistant_id} not found")
        if "graph_id" in body:
            _check_graph(body["graph_id"])
        return self._store.update_assistant(assistant_id, body)

    def _delete_assistant(self, request: ApiRequest) -> Answer:
        assistant_id = check_uuid(request.parameters["id"], "assistant")
        if self._store.assistants.pop(assistant_id, None) is None:
            raise Refusal(404, f"Assistant with ID {assistant_id} not found")
        if request.query.get("delete_threads") == "true":
            self._store.delete_threads_of(assistant_id)
        return Answer(status=204, media_type="")

    def _thread(self, request: ApiRequest) -> Thread:
        return self._store.thread(request.parameters["id"])


def _error(refusal: Refusal, _request_id: str) -> Answer:
    if refusal.status >= _SERVER_ERROR:
        return Answer(refusal.message, refusal.status, media_type="text/plain")
    return Answer({"detail": refusal.message}, refusal.status)


def _check_graph(name: str) -> None:
    if name not in GRAPHS:
        raise Refusal(404, f"Graph '{name}' not found. Expected one of: {list(GRAPHS)}")


def _page(items: list[Json], body: Json) -> Answer:
    offset, limit = body.get("offset") or 0, body.get("limit") or _DEFAULT_LIMIT
    page = items[offset : offset + limit]
    select = body.get("select")
    shown = [{key: item[key] for key in select if key in item} for item in page] if select else page
    more = {"x-pagination-next": str(offset + limit)} if offset + limit < len(items) else {}
    return Answer(shown, headers=more)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type: true is not 1. Null equals nothing."""
    return type(one) is type(other) and one == other and other is not None
