"""The commands of the LangGraph emulator, and the calls that list, stop and delete runs.

Backend: observed on langgraph-api 0.16.7 (2026-11-30)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from polysession.emulation import Answer, ApiRequest, Refusal, Scripts, pause
from polysession_langgraph.emulator.runs import Runner
from polysession_langgraph.emulator.store import GRAPHS, Json, Run, Store, Thread, run_shape, timestamp
from polysession_langgraph.emulator.validation import check_uuid

_LIMIT: Final = 10
_POLL_S: Final = 0.02
_NO_ASSISTANT: Final = (
    "422: Invalid assistant: {name!r}. Must be either:\n- A valid assistant UUID, or\n- One of the registered graphs: "
) + ", ".join(GRAPHS)
_NOTHING_TO_CANCEL: Final = (
    "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs haven't been deleted"
    " or completed."
)


class Commands:
    """Starts, stops and shows the runs of threads.

    Args:
        store: The threads and assistants.
        scripts: Scripts of the agent.
        busy_wait_s: Function that returns the seconds that `run.start` waits for the active run before it applies the
            strategy.
    """

    def __init__(self, store: Store, scripts: Scripts, *, busy_wait_s: Callable[[], float]) -> None:
        self._busy_wait_s = busy_wait_s
        self._store = store
        self._scripts = scripts
        self._runners: dict[str, Runner] = {}

    async def command(self, request: ApiRequest) -> Any:
        """Answer `POST /threads/{id}/commands`. A rejected command has status 200."""
        try:
            body = request.json()
        except ValueError as error:
            raise Refusal(400, "Invalid JSON body") from error
        number, method = body.get("id"), body.get("method")
        if not isinstance(number, int) or not isinstance(method, str):
            text = "Protocol commands must include an integer id and string method."
            return Answer(_refused(number, "invalid_argument", text), 400)
        commands = {"run.start": self._run_start, "input.respond": self._respond}
        if method not in commands:
            return _refused(number, "unknown_command", f"Unknown protocol command: {method}")
        try:
            result = await commands[method](request.parameters["id"], body.get("params") or {})
        except Refusal as refusal:
            return _refused(number, refusal.details.get("code", "unknown_error"), refusal.message)
        return {"type": "success", "id": number, "result": result, "meta": {"applied_through_seq": 0}}

    async def _run_start(self, thread_id: str, params: Json) -> Json:
        name = params.get("assistant_id")
        if name is None:
            raise Refusal(422, "run.start requires an assistant_id.", code="invalid_argument")
        assistant = self._store.find_assistant(name)
        if assistant is None:
            raise Refusal(422, _NO_ASSISTANT.format(name=name))
        try:
            thread_id = check_uuid(thread_id)
        except Refusal:
            raise Refusal(422, "422: Invalid thread ID") from None
        thread = self._store.threads.setdefault(thread_id, Thread(thread_id, {}))
        until_s = time.monotonic() + self._busy_wait_s()
        while thread.status == "busy" and time.monotonic() < until_s:
            await pause(_POLL_S)
        strategy = params.get("multitaskStrategy")
        if thread.status == "busy" and strategy == "reject":
            raise Refusal(409, "409: Thread is already running a task. Wait for it to finish")
        if strategy in {"interrupt", "rollback"}:
            for run in [each for each in reversed(thread.runs) if each.is_active]:
                await self._stop(thread, run, rolls_back=strategy == "rollback")
        run = self.new_run(thread, assistant, params)
        answers = None
        if thread.interrupts and params.get("input") is not None:  # the server takes a message as the answer
            answers = dict.fromkeys(list(thread.interrupts)[:1], params["input"])
        self.runner(thread).start(run, answers)
        return {"run_id": run.id}

    async def _respond(self, thread_id: str, params: Json) -> Json:
        thread = self._store.threads.get(thread_id)
        responses = params.get("responses") or [params]
        if any("interrupt_id" not in each for each in responses):
            raise Refusal(422, "input.respond requires an interrupt_id.", code="invalid_argument")
        if thread is None:
            raise Refusal(404, "No interrupted run is bound to this thread.", code="no_such_run")
        answers = {each.get("interrupt_id"): each.get("response") for each in responses}
        for key in answers:
            if key not in thread.interrupts:
                raise Refusal(409, f"Unknown or already-consumed interrupt: {key}", code="no_such_interrupt")
        assistant = self._store.find_assistant(thread.metadata.get("assistant_id")) or {}
        run = self.new_run(thread, assistant, {"metadata": params.get("metadata")})
        self.runner(thread).start(run, answers)
        return {}

    def new_run(self, thread: Thread, assistant: Json, params: Json) -> Run:
        """Return a run that is not started yet."""
        thread.updated_at = timestamp()
        ids = (self._store.clock.uuid7(), assistant["assistant_id"], assistant["graph_id"])
        strategy = params.get("multitaskStrategy") or "enqueue"
        return Run(*ids, dict(params.get("metadata") or {}), params.get("input"), strategy=strategy)

    def runner(self, thread: Thread) -> Runner:
        """Return the executor of a thread's runs."""
        return self._runners.setdefault(thread.id, Runner(self._store, self._scripts, thread))

    def list_runs(self, request: ApiRequest) -> list[Json]:
        """Answer `GET /threads/{id}/runs`, newest first."""
        thread = self._store.thread(request.parameters["id"])
        status, limit = request.query.get("status"), int(request.query.get("limit", _LIMIT))
        runs = [run for run in reversed(thread.runs) if status is None or run.status == status]
        return [run_shape(thread, run) for run in runs[int(request.query.get("offset", 0)) :][:limit]]

    def get_run(self, request: ApiRequest) -> Json:
        """Answer `GET /threads/{id}/runs/{run}`."""
        run_id = check_uuid(request.parameters["run"], "run")
        thread = self._store.thread(request.parameters["id"])
        return run_shape(thread, self._store.run(thread, run_id))

    async def delete_run(self, request: ApiRequest) -> Answer:
        """Answer `DELETE /threads/{id}/runs/{run}`.

        It also removes the run's events from `stream/events`.
        """
        run_id = check_uuid(request.parameters["run"], "run")
        thread = self._store.thread(request.parameters["id"])
        run = next((each for each in thread.runs if each.id == run_id), None)
        if run is None:
            raise Refusal(404, "Run not found")
        thread.runs.remove(run)
        return Answer(status=204, media_type="")

    async def cancel_run(self, request: ApiRequest) -> Answer:
        """Answer `POST /threads/{id}/runs/{run}/cancel`."""
        thread = self._store.thread(request.parameters["id"])
        run = next((each for each in thread.runs if each.id == request.parameters["run"]), None)
        if run is None:
            raise Refusal(404, "No runs found to cancel.")
        if not run.is_active:
            raise Refusal(404, _NOTHING_TO_CANCEL)
        await self._stop(thread, run, rolls_back=request.query.get("action") == "rollback")
        return Answer({}) if request.query.get("wait") == "true" else Answer(status=202)

    async def _stop(self, thread: Thread, run: Run, *, rolls_back: bool) -> None:
        before = run.messages_before
        await self.runner(thread).cancel(run)
        if rolls_back:
            thread.runs.remove(run)
            thread.messages, thread.unfinished = thread.messages[:before], None
            thread.error = {"error": "UserRollback", "message": "rolled back"}


def _refused(number: Any, code: str, message: str) -> Json:
    return {"type": "error", "id": number, "error": code, "message": message}
