"""Records of the Everruns emulator: sessions, agents and harnesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from polysession.emulation import TurnClock, TurnTask
from polysession_everruns.emulator.session_log import SessionLog
from polysession_everruns.emulator.turn_records import TurnRecord, Usage

Status = Literal["started", "active", "idle", "waiting"]

# The documented length of the preview in `reason.completed`. That of a session's previews is not documented.
PREVIEW_LIMIT: Final = 200

_TICK = timedelta(microseconds=1)


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Format a UTC time in the server's format."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Record:
    """The common fields of all records.

    Attributes:
        id: Id with its prefix.
        values: The fields that clients have set, under their names on the wire.
        created_at: Time of creation.
        updated_at: Time of the last change.
    """

    id: str
    values: dict[str, Any]
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.updated_at = self.created_at

    def touch(self) -> None:
        """Advance `updated_at` by at least a microsecond, even if the clock has not advanced."""
        self.updated_at = max(utc_now(), self.updated_at + _TICK)


@dataclass(slots=True)
class Definition(Record):
    """An agent or a harness: a configuration with a unique name.

    Attributes:
        archived_at: Time of archiving; None if it is active.
        is_built_in: Whether it is part of the server.
    """

    archived_at: datetime | None = None
    is_built_in: bool = False

    @property
    def name(self) -> str:
        """The unique name, a slug."""
        return str(self.values["name"])


@dataclass(slots=True)
class Session(Record):
    """A session.

    Attributes:
        harness_id: Id of the harness that it runs on.
        workspace_id: Id of the workspace with its files.
        log: The events.
        agent_id: Id of the agent; None if it has none.
        forked_from: Id of the session that it was forked from; None if it is not a fork.
        started_at: Start of the first turn; None before that.
        is_pinned: Whether the user has pinned it.
        turn: A turn that a test started.
        scripted: The turn of the scripted agent; None between turns.
        task: The task that runs the scripted turn.
        awaits_tool_results: Whether the turn waits for answers from the client.
        approval_rules: Whether tools may run without an approval for the rest of the session, by name.
        preview: Start of the user's first message; None before that.
        output_preview: Start of the agent's last message; None before that.
        usage: Tokens of all turns; None before the first model call.
    """

    harness_id: str = field(kw_only=True)
    workspace_id: str = field(kw_only=True)
    log: SessionLog = field(kw_only=True)
    agent_id: str | None = None
    forked_from: str | None = None
    started_at: datetime | None = None
    is_pinned: bool = False
    turn: TurnClock = field(default_factory=TurnClock)
    scripted: TurnRecord | None = None
    task: TurnTask = field(default_factory=TurnTask)
    awaits_tool_results: bool = False
    approval_rules: dict[str, bool] = field(default_factory=dict)
    preview: str | None = None
    output_preview: str | None = None
    usage: Usage | None = None

    @property
    def status(self) -> Status:
        """The current status."""
        if self.awaits_tool_results:
            return "waiting"
        if self.turn.running or self.scripted is not None:
            return "active"
        return "started" if self.started_at is None else "idle"

    @property
    def is_mid_turn(self) -> bool:
        """Whether a turn has started and not ended."""
        return self.status in {"active", "waiting"}

    def begin(self) -> None:
        """Record the start of a turn."""
        self.touch()
        self.started_at = self.started_at or self.updated_at

    def start_turn(self, duration_s: float) -> None:
        """Start a turn without a script, which ends after `duration_s` seconds."""
        self.begin()
        self.awaits_tool_results = False
        self.turn.start(duration_s)

    def await_tool_results(self) -> None:
        """Let the turn wait for the results of client-side tools."""
        self.start_turn(0.0)
        self.awaits_tool_results = True

    def end_turn(self) -> bool:
        """End the turn. Returns whether there was one."""
        if not self.is_mid_turn:
            return False
        self.touch()
        self.turn.stop()
        self.scripted = None
        self.awaits_tool_results = False
        return True

    def count(self, usage: Usage) -> None:
        """Add the tokens of a model call."""
        self.usage = self.usage or Usage()
        self.usage.add(usage)

    def update_preview(self, message: Mapping[str, Any]) -> None:
        """Store the start of the user's first message, or of the agent's last message.

        A message without text changes nothing.
        """
        text = "\n".join(part["text"] for part in message["content"] if part["type"] == "text")[:PREVIEW_LIMIT]
        if text and message["role"] == "agent":
            self.output_preview = text
        elif text and self.preview is None:
            self.preview = text
