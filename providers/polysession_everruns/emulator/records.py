"""The things an emulated Everruns server keeps: sessions, and the agents and harnesses they run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from polysession.emulation import TurnClock, TurnTask
from polysession_everruns.emulator.session_log import SessionLog
from polysession_everruns.emulator.turn_records import TurnRecord, Usage

Status = Literal["started", "active", "idle", "waiting"]

# The preview that a reasoning step bears is published to have 200 characters; those of a session are taken as equal.
PREVIEW_LIMIT: Final = 200

_TICK = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The time that a record made at this moment bears."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """A moment in UTC as the server writes it."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Record:
    """The common fields of all records.

    Attributes:
        id: Prefixed id.
        values: What callers have set, under the names it has on the wire.
        created_at: When it was made.
        updated_at: When it last changed.
    """

    id: str
    values: dict[str, Any]
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.updated_at = self.created_at

    def touch(self) -> None:
        """Move `updated_at`, by a microsecond at least: a clock may stand still between two changes."""
        self.updated_at = max(utc_now(), self.updated_at + _TICK)


@dataclass(slots=True)
class Definition(Record):
    """An agent or a harness: a configuration with a name that is unique among its kind.

    Attributes:
        archived_at: When it was archived; None if it is active.
        is_built_in: Whether the server came with it.
    """

    archived_at: datetime | None = None
    is_built_in: bool = False

    @property
    def name(self) -> str:
        """The slug by which it may be looked up."""
        return str(self.values["name"])


@dataclass(slots=True)
class Session(Record):
    """One session.

    Attributes:
        harness_id: Where it runs.
        workspace_id: Whose files it sees.
        log: What has happened in it.
        agent_id: Its agent; None if it has none.
        forked_from: Id of the session that it continues; None if it began afresh.
        started_at: When its first turn began; None before that.
        is_pinned: Whether the one user of this server has pinned it.
        turn: How long it is busy with a turn that follows no script.
        scripted: The turn of the scripted agent; None between turns.
        task: What works on that turn.
        awaits_tool_results: Whether its turn waits for the client to run tools.
        approval_rules: What was decided for the rest of the session, by tool.
        preview: Start of the first message of the user; None before that.
        output_preview: Start of the last message of the agent; None before that.
        usage: Tokens of all turns; None if none was used.
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
        """The state of its life at this moment."""
        if self.awaits_tool_results:
            return "waiting"
        if self.turn.running or self.scripted is not None:
            return "active"
        return "started" if self.started_at is None else "idle"

    @property
    def is_mid_turn(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self.status in {"active", "waiting"}

    def begin(self) -> None:
        """Note that a turn begins."""
        self.touch()
        self.started_at = self.started_at or self.updated_at

    def start_turn(self, duration_s: float) -> None:
        """Begin a turn that follows no script, and ends by itself after `duration_s` seconds."""
        self.begin()
        self.awaits_tool_results = False
        self.turn.start(duration_s)

    def await_tool_results(self) -> None:
        """Stop the turn at a call of client-side tools."""
        self.start_turn(0.0)
        self.awaits_tool_results = True

    def end_turn(self) -> bool:
        """Return to idle; true if there was a turn to end."""
        if not self.is_mid_turn:
            return False
        self.touch()
        self.turn.stop()
        self.scripted = None
        self.awaits_tool_results = False
        return True

    def count(self, usage: Usage) -> None:
        """Add what a call of the model has used."""
        self.usage = self.usage or Usage()
        self.usage.add(usage)

    def heard(self, message: Mapping[str, Any]) -> None:
        """Keep the start of a message, if it has text: of the user's first, and of the agent's last."""
        text = "\n".join(part["text"] for part in message["content"] if part["type"] == "text")[:PREVIEW_LIMIT]
        if text and message["role"] == "agent":
            self.output_preview = text
        elif text and self.preview is None:
            self.preview = text
