"""Emulator of LangGraph's Agent Server: threads, runs and assistants over state in memory.

Not offered: `stream/events`, copies and checkpoints of threads, crons, the store.

Backend: https://docs.langchain.com/langsmith/server-api-ref (read 2026-11-30); observed on langgraph-api 0.16.7
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar, Final

from polysession.emulation import (
    Answer,
    ApiRequest,
    Emulator,
    EventStream,
    Generation,
    InitialResources,
    Refusal,
    Route,
    Scripts,
    build_app,
    sse_frame,
)
from polysession_langgraph.emulator import validation
from polysession_langgraph.emulator.runs import Runner
from polysession_langgraph.emulator.store import (
    GRAPHS,
    Entry,
    Json,
    Run,
    Store,
    Thread,
    run_shape,
    timestamp,
)
from polysession_langgraph.emulator.validation import check_uuid, checked_body

HEARTBEAT_S: Final = 5.0
_NO_ASSISTANT: Final = (
    "422: Invalid assistant: {name!r}. Must be either:\n- A valid assistant UUID, or\n"
    "- One of the registered graphs: agent, approving"
)
_STREAM_MODES: Final = frozenset({"run_modes", "lifecycle", "state_update"})
_DEFAULT_LIMIT: Final = 10
_NOTHING_TO_CANCEL: Final = (
    "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs haven't been deleted"
    " or completed."
)
_TWO_CONTEXTS: Final = (
    "Cannot specify both configurable and context. Prefer setting context alone. Context was introduced in LangGraph"
    " 0.6.0 and is the long term planned replacement for configurable."
)
_GIVE_UP: Final = "__end__"


class LanggraphEmulator(Emulator):
    """LangGraph's Agent Server. Its older generation has the same routes."""

    has_questions: ClassVar[bool] = True

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self.version = "0.16.7"
        self.scripts = Scripts(has_questions=True)
        self._store = Store()
        self._runners: dict[str, Runner] = {}
        self.initial = InitialResources(agent_id=next(iter(self._store.assistants)))
        self.settings: Mapping[str, str] = {}
        self.routes = self._routes()
        self.app = build_app(self.routes, error=_error, request_ids=None)

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a thread run for some seconds.

        Raises:
            KeyError: There is no such thread.
        """
        thread = self._store.threads[session_id]

        def start() -> None:
            run = self._new_run(thread, next(iter(self._store.assistants.values())), {})
            thread.runs.append(run)
            thread.task.start(self._runner(thread).idle(run, duration_s))

        self.run_in_server(start)

    def open_streams(self, session_id: str) -> int:
        """How many streams of a thread are open.

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
            Route("GET", "/threads/{id}/stream", self._stream),
            Route("POST", "/threads/{id}/commands", self._command),
            Route("GET", "/threads/{id}/runs", self._list_runs),
            Route("GET", "/threads/{id}/runs/{run}", self._get_run),
            Route("GET", "/threads/{id}/runs/{run}/stream", self._run_stream),
            Route("POST", "/threads/{id}/runs/{run}/cancel", self._cancel),
            Route("POST", "/assistants", self._create_assistant),
            Route("POST", "/assistants/search", self._search_assistants),
            Route("GET", "/assistants/{id}", self._get_assistant),
            Route("PATCH", "/assistants/{id}", self._update_assistant),
            Route("DELETE", "/assistants/{id}", self._delete_assistant),
        ]

    def _create(self, request: ApiRequest) -> Json:
        body = checked_body(request, validation.NEW_THREAD)
        given = body.get("thread_id")
        thread_id = check_uuid(given) if given else self._store.clock.uuid7()
        known = self._store.threads.get(thread_id)
        if known is not None:
            if body.get("if_exists") == "do_nothing":
                return known.shape(is_post=True)
            raise Refusal(409, f"Thread with ID {thread_id} already exists")
        metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key != "assistant_id"}
        thread = self._store.threads[thread_id] = Thread(thread_id, metadata)
        return thread.shape(is_post=True)

    def _search(self, request: ApiRequest) -> Answer:
        body = _search_of(request)
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
        return [
            thread
            for thread in self._store.threads.values()
            if all(_same(thread.metadata.get(key), value) for key, value in metadata.items())
            and (body.get("status") is None or thread.status == body["status"])
            and (ids is None or thread.id in ids)
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
        if checked_body(request, {}).get("as_node") == _GIVE_UP:
            thread.interrupts, thread.rest = {}, ()
        thread.checkpoint()
        made = {"thread_id": thread.id, "checkpoint_ns": "", "checkpoint_id": thread.checkpoints[0]}
        return {"checkpoint": made, "configurable": made, "checkpoint_id": made["checkpoint_id"]}

    def _stream(self, request: ApiRequest) -> EventStream:
        """An unknown thread has an empty stream, with heartbeats."""
        thread = self._store.threads.get(check_uuid(request.parameters["id"]))
        for mode in request.query.get("stream_modes", "run_modes").split(","):
            if mode not in _STREAM_MODES:
                raise Refusal(422, f"Invalid stream mode: {mode}")
        log = (thread or Thread("", {})).log
        start = _start(log.entries, request.headers.get("last-event-id"))
        return EventStream(_frames(log.follow(start, heartbeat_s=HEARTBEAT_S)))

    def _run_stream(self, request: ApiRequest) -> EventStream:
        """The events of one run without its end mark. Without an id only those from now on."""
        thread = self._thread(request)
        run = self._store.run(thread, request.parameters["run"])
        start = _start(thread.log.entries, request.headers.get("last-event-id"))
        is_over = run.status not in {"pending", "running"}
        entries = _these(thread.log.entries[start:]) if is_over else thread.log.follow(start, heartbeat_s=HEARTBEAT_S)
        return EventStream(_frames(_of_run(run, entries)))

    async def _command(self, request: ApiRequest) -> Any:
        try:
            body = request.json()
        except ValueError as error:
            raise Refusal(400, "Invalid JSON body") from error
        number, method = body.get("id"), body.get("method")
        if not isinstance(number, int) or not isinstance(method, str):
            text = "Protocol commands must include an integer id and string method."
            refused = {"type": "error", "id": number, "error": "invalid_argument", "message": text}
            return Answer(refused, 400)
        commands = {"run.start": self._run_start, "input.respond": self._respond}
        if method not in commands:
            return _refused(number, "unknown_command", f"Unknown protocol command: {method}")
        try:
            result = commands[method](request.parameters["id"], body.get("params") or {})
        except Refusal as refusal:
            return _refused(number, refusal.details.get("code", "unknown_error"), refusal.message)
        return {"type": "success", "id": number, "result": result, "meta": {"applied_through_seq": 0}}

    def _run_start(self, thread_id: str, params: Json) -> Json:
        name = params.get("assistant_id")
        if name is None:
            raise Refusal(422, "run.start requires an assistant_id.", code="invalid_argument")
        assistant = self._store.find_assistant(name)
        if assistant is None:
            raise Refusal(422, _NO_ASSISTANT.format(name=name))
        thread = self._store.threads.get(thread_id)
        if thread is None:
            thread = self._store.threads[thread_id] = Thread(thread_id, {})
        if thread.status == "busy" and params.get("multitaskStrategy") == "reject":
            raise Refusal(409, "409: Thread is already running a task. Wait for it to finish")
        run = self._new_run(thread, assistant, params)
        answers = None
        if thread.interrupts and params.get("input") is not None:  # the server takes a message for the answer
            answers = dict.fromkeys(list(thread.interrupts)[:1], params["input"])
        self._runner(thread).start(run, answers)
        return {"run_id": run.id}

    def _respond(self, thread_id: str, params: Json) -> Json:
        thread = self._store.threads.get(thread_id)
        responses = params.get("responses") or [params]
        if any("interrupt_id" not in each for each in responses):
            raise Refusal(422, "input.respond requires an interrupt_id.", code="invalid_argument")
        answers = {each.get("interrupt_id"): each.get("response") for each in responses}
        for key in answers:
            if thread is None or key not in thread.interrupts:
                text = f"Unknown or already-consumed interrupt: {key}"
                raise Refusal(409, text, code="no_such_interrupt")
        if thread is not None:
            assistant = self._store.find_assistant(thread.metadata.get("assistant_id")) or {}
            run = self._new_run(thread, assistant, {"metadata": params.get("metadata")})
            self._runner(thread).start(run, answers)
        return {}

    def _new_run(self, thread: Thread, assistant: Json, params: Json) -> Run:
        thread.updated_at = timestamp()
        ids = (self._store.clock.uuid7(), assistant["assistant_id"], assistant["graph_id"])
        return Run(*ids, dict(params.get("metadata") or {}), params.get("input"))

    def _list_runs(self, request: ApiRequest) -> list[Json]:
        thread = self._thread(request)
        status, limit = request.query.get("status"), int(request.query.get("limit", _DEFAULT_LIMIT))
        runs = [run for run in reversed(thread.runs) if status is None or run.status == status]
        return [run_shape(thread, run) for run in runs[int(request.query.get("offset", 0)) :][:limit]]

    def _get_run(self, request: ApiRequest) -> Json:
        run_id = check_uuid(request.parameters["run"], "run")
        thread = self._thread(request)
        return run_shape(thread, self._store.run(thread, run_id))

    async def _cancel(self, request: ApiRequest) -> Answer:
        thread = self._thread(request)
        run = next((each for each in thread.runs if each.id == request.parameters["run"]), None)
        if run is None:
            raise Refusal(404, "No runs found to cancel.")
        if run.status not in {"pending", "running"}:
            raise Refusal(404, _NOTHING_TO_CANCEL)
        await self._runner(thread).cancel(run)
        return Answer(status=202)

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

    def _runner(self, thread: Thread) -> Runner:
        return self._runners.setdefault(thread.id, Runner(self._store, self.scripts, thread))


def _error(refusal: Refusal, _request_id: str) -> Answer:
    return Answer({"detail": refusal.message}, refusal.status)


def _refused(number: int, code: str, message: str) -> Json:
    return {"type": "error", "id": number, "error": code, "message": message}


def _search_of(request: ApiRequest) -> Json:
    return checked_body(request, validation.THREAD_SEARCH)


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
    """Equality that distinguishes a number from its text, and true from 1."""
    return type(one) is type(other) and one == other and other is not None


def _start(entries: list[Entry], last_id: str | None) -> int:
    """Where a stream begins: without an id after all entries, with `-` at the first."""
    if last_id is None:
        return len(entries)
    if last_id == "-":
        return 0
    try:
        wanted = _order(last_id)
    except ValueError:
        raise Refusal(422, "Invalid last-event-id: must be a valid Redis stream ID") from None
    return sum(1 for entry in entries if _order(entry.id) <= wanted)


def _order(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


async def _of_run(run: Run, entries: AsyncIterator[Entry | None]) -> AsyncIterator[Entry | None]:
    """The entries of a run, without its end, behind which nothing follows."""
    async for entry in entries:
        if entry is not None and entry.run_id == run.id and entry.data.get("status") == "run_done":
            return
        if entry is None or entry.run_id == run.id:
            yield entry


async def _these(entries: Iterable[Entry]) -> AsyncIterator[Entry | None]:
    for entry in entries:
        yield entry


async def _frames(entries: AsyncIterator[Entry | None]) -> AsyncGenerator[bytes, None]:
    async for entry in entries:
        if entry is None:
            yield b": heartbeat\r\n\r\n"
        else:
            frame = sse_frame({"event": entry.event, "data": entry.data, "id": entry.id})
            yield frame.replace(b"\n", b"\r\n")
