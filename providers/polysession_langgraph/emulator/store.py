"""The state of the LangGraph emulator: threads with event logs, runs, assistants."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from polysession.emulation import Act, EventLog, Refusal, ToolUse, TurnTask
from polysession_langgraph.emulator.validation import check_uuid

Json: TypeAlias = dict[str, Any]

GRAPHS: Final = ("agent", "approving")
_CHECKPOINT: Final[Json] = {"source": "loop", "step": 1, "parents": {}}
"""Metadata of a checkpoint. The real server has more fields."""
_VERSION_AND_VARIANT: Final = (7 << 76) | (2 << 62)
_RANDOM_BITS: Final = (1 << 74) - 1


def timestamp() -> str:
    """Return the current time in the server's format."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Clock:
    """Source of ids that sort by creation: UUIDs of version 7, and ids of log entries."""

    def __init__(self) -> None:
        self._last_ms = 0
        self._last_event = (0, 0)

    def uuid7(self) -> str:
        """Return a UUID that sorts after the previous one."""
        self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
        random = uuid.uuid4().int & _RANDOM_BITS
        high, low = random >> 62, random & ((1 << 62) - 1)
        return str(uuid.UUID(int=(self._last_ms << 80) | _VERSION_AND_VARIANT | (high << 64) | low))

    def event_id(self) -> str:
        """Return an id of a log entry.

        It has milliseconds, and a number that counts the entries of one millisecond.
        """
        now_ms = time.time_ns() // 1_000_000
        last_ms, number = self._last_event
        self._last_event = (last_ms, number + 1) if now_ms <= last_ms else (now_ms, 0)
        return f"{self._last_event[0]}-{self._last_event[1]}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the log.

    Attributes:
        id: Id of the entry.
        event: Type of the frame.
        data: JSON of the frame.
        run_id: Id of the run.
    """

    id: str
    event: str
    data: Json
    run_id: str


@dataclass(slots=True)
class Waiting:
    """One tool use, or one question, that waits for the client.

    Attributes:
        call_id: Id of the tool call; empty for a question.
        use: The tool use; None for a question.
    """

    call_id: str = ""
    use: ToolUse | None = None


@dataclass(slots=True)
class Interrupt:
    """A request for input, for which a task of a run waits.

    Attributes:
        node: Name of the graph's node that waits.
        value: Content of the request.
        waiting: The tool uses or the question that need an answer. All approvals of a step share one interrupt.
    """

    id: str
    node: str
    value: Json
    waiting: list[Waiting]
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def shape(self) -> Json:
        """Return the interrupt in the format of responses."""
        return {"id": self.id, "value": self.value}

    def task_shape(self, error: str | None) -> Json:
        """Return its task in the format of the state."""
        return task_shape(self.task_id, self.node, error, [self.shape()])


def task_shape(task_id: str, node: str, error: str | None, interrupts: Sequence[Json]) -> Json:
    """Return an unfinished task in the format of the state."""
    empty: Json = {"checkpoint": None, "state": None, "result": None}
    return {"id": task_id, "name": node, "path": [], "error": error, "interrupts": list(interrupts), **empty}


@dataclass(slots=True)
class Run:
    """A run of a thread.

    Attributes:
        strategy: How its start treated the active run.
        messages_before: Number of messages in the state at its start.
        seq: Number of its last frame.
    """

    id: str
    assistant_id: str
    graph_id: str
    metadata: Json
    input: Json | None
    status: str = "pending"
    strategy: str = "enqueue"
    created_at: str = field(default_factory=timestamp)
    messages_before: int = 0
    seq: int = 0

    @property
    def is_active(self) -> bool:
        """Whether it is queued or running."""
        return self.status in {"pending", "running"}


@dataclass(slots=True)
class Thread:
    """A thread, its state, and its runs.

    Attributes:
        values_shown: Whether responses contain the state: after the first run that succeeded or waits.
        interrupts: The pending interrupts, by id.
        unfinished: Error of the node in which the last run stopped, until the next run.
        checkpoints: Ids of the latest checkpoint of the state, and of the one before.
        rest: The acts that follow once all interrupts are answered.
    """

    id: str
    metadata: Json
    created_at: str = field(default_factory=timestamp)
    updated_at: str = field(default_factory=timestamp)
    messages: list[Json] = field(default_factory=list)
    values_shown: bool = False
    error: Json | None = None
    has_run: bool = False
    interrupts: dict[str, Interrupt] = field(default_factory=dict)
    unfinished: str | None = None
    checkpoints: tuple[str | None, str | None] = (None, None)
    rest: tuple[Act, ...] = ()
    runs: list[Run] = field(default_factory=list)
    log: EventLog[Entry] = field(default_factory=EventLog)
    task: TurnTask = field(default_factory=TurnTask)

    @property
    def status(self) -> str:
        """Status of the thread. It is also busy while runs are queued."""
        if any(run.is_active for run in self.runs):
            return "busy"
        if self.error is not None and self.error["error"] not in {"UserInterrupt", "UserRollback"}:
            return "error"
        return "interrupted" if self.interrupts else "idle"

    @property
    def state(self) -> Json:
        """State of the thread; empty before the first message."""
        return {"messages": self.messages} if self.messages else {}

    def shape(self, *, is_post: bool = False) -> Json:
        """Return the thread in the format of responses.

        The response to a POST has neither error nor interrupts.
        """
        shown: Json = {
            "thread_id": self.id,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "state_updated_at": self.updated_at,
            "metadata": self.metadata,
            "status": self.status,
            "config": {"configurable": {}} if self.has_run else {},
            "values": self.state if self.values_shown else None,
        }
        if is_post or not self.has_run:
            return shown
        if not self.values_shown:
            return {**shown, "error": self.error}
        by_task = {interrupt.task_id: [interrupt.shape()] for interrupt in self.interrupts.values()}
        return {**shown, "error": self.error, "interrupts": by_task}

    def add(self, messages: Iterable[Json]) -> None:
        """Store messages of a client, with the type of their role."""
        for message in messages:
            kind = {"user": "human", "assistant": "ai"}.get(message.get("role") or "", message.get("role"))
            stored: Json = {"content": message.get("content"), "additional_kwargs": {}, "response_metadata": {}}
            calls: Json = {"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": None} if kind == "ai" else {}
            own_id = message.get("id") or str(uuid.uuid4())
            self.store({**stored, "type": message.get("type") or kind, "name": None, "id": own_id, **calls})

    def store(self, message: Json) -> None:
        """Add a message to the state, in place of one with the same id."""
        self.messages = [*[each for each in self.messages if each["id"] != message["id"]], message]

    def checkpoint(self) -> None:
        """Record a new checkpoint of the state."""
        self.checkpoints = (str(uuid.uuid4()), self.checkpoints[0])

    def state_shape(self) -> Json:
        """Return the state in the format of responses."""
        latest, before = self.checkpoints
        waiting = list(self.interrupts.values())
        tasks = [interrupt.task_shape(self.unfinished) for interrupt in waiting]
        if self.unfinished is not None and not waiting:
            tasks = [task_shape(str(uuid.uuid4()), "respond", self.unfinished, [])]
        run = next((run for run in self.runs if run.status != "pending"), None)
        return {
            "values": self.state,
            "next": [task["name"] for task in tasks],
            "tasks": tasks,
            "metadata": None if run is None else {**run_metadata(self, run), **_CHECKPOINT},
            "created_at": None if latest is None else self.updated_at,
            "checkpoint": self._checkpoint_shape(latest),
            "parent_checkpoint": self._checkpoint_shape(before),
            "interrupts": [interrupt.shape() for interrupt in waiting],
            "checkpoint_id": latest,
            "parent_checkpoint_id": before,
        }

    def _checkpoint_shape(self, checkpoint_id: str | None) -> Json | None:
        if checkpoint_id is None:
            return None
        return {"checkpoint_id": checkpoint_id, "thread_id": self.id, "checkpoint_ns": ""}


class Store:
    """All threads and assistants."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.threads: dict[str, Thread] = {}
        self.assistants: dict[str, Json] = {}
        for graph in GRAPHS:
            fixed = str(uuid.uuid5(uuid.NAMESPACE_DNS, graph))
            self.assistants[fixed] = self.assistant_shape(fixed, graph, {"name": graph, "created_by": "system"})

    @staticmethod
    def assistant_shape(assistant_id: str, graph: str, fields: Mapping[str, Any]) -> Json:
        """Return an assistant in the format of responses."""
        now = timestamp()
        created_by = {"created_by": fields["created_by"]} if "created_by" in fields else {}
        return {
            "assistant_id": assistant_id,
            "graph_id": graph,
            "name": fields.get("name") or "Untitled",
            "description": fields.get("description"),
            "version": 1,
            "config": fields.get("config") or ({"configurable": fields["context"]} if fields.get("context") else {}),
            "context": fields.get("context") or {},
            "metadata": {**created_by, **(fields.get("metadata") or {})},
            "created_at": now,
            "updated_at": now,
        }

    def update_assistant(self, assistant_id: str, changes: Mapping[str, Any]) -> Json:
        """Create a new version of an assistant: metadata is merged, the other fields are replaced."""
        assistant = self.assistants[assistant_id]
        changed = {name: changes[name] for name in ("graph_id", "name", "description", "config") if name in changes}
        if "context" in changes:
            changed |= {"context": changes["context"], "config": {"configurable": changes["context"]}}
        metadata = {**assistant["metadata"], **changes.get("metadata", {})}
        new = {"metadata": metadata, "version": assistant["version"] + 1, "updated_at": timestamp()}
        self.assistants[assistant_id] = {**assistant, **changed, **new}
        return self.assistants[assistant_id]

    def delete_threads_of(self, assistant_id: str) -> None:
        """Delete the threads whose last run used an assistant."""
        for thread in [each for each in self.threads.values() if each.metadata.get("assistant_id") == assistant_id]:
            del self.threads[thread.id]

    def find_assistant(self, name: object) -> Json | None:
        """Return an assistant by its id, or a graph's default assistant by the graph's name."""
        if name in GRAPHS:
            name = str(uuid.uuid5(uuid.NAMESPACE_DNS, str(name)))
        return self.assistants.get(str(name))

    def thread(self, thread_id: str) -> Thread:
        """Return a thread.

        Raises:
            Refusal: The id is not a UUID, or there is no such thread.
        """
        thread = self.threads.get(check_uuid(thread_id))
        if thread is None:
            raise Refusal(404, f"Thread with ID {thread_id} not found")
        return thread

    def run(self, thread: Thread, run_id: str) -> Run:
        """Return a run of a thread.

        Raises:
            Refusal: There is no such run.
        """
        run = next((each for each in thread.runs if each.id == run_id), None)
        if run is None:
            raise Refusal(404, "Not Found")
        return run


def run_metadata(thread: Thread, run: Run) -> Json:
    """Return the metadata of a run, which includes that of its thread."""
    inherited = {key: value for key, value in thread.metadata.items() if key not in {"graph_id", "assistant_id"}}
    agent = {"graph_id": run.graph_id, "assistant_id": run.assistant_id}
    return {"created_by": "system", **inherited, **agent, **run.metadata}


def run_shape(thread: Thread, run: Run) -> Json:
    """Return a run in the format of responses."""
    return {
        "run_id": run.id,
        "thread_id": thread.id,
        "assistant_id": run.assistant_id,
        "metadata": run_metadata(thread, run),
        "status": run.status,
        "kwargs": {"input": run.input, "command": None, "resumable": True},
        "multitask_strategy": run.strategy,
        "created_at": run.created_at,
        "updated_at": thread.updated_at,
        "langsmith_session_name": None,
    }
