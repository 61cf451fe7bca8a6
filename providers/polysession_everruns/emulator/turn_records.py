"""State of a turn in the Everruns emulator, its tokens, and the timeouts of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from polysession.emulation import Signal
from polysession_everruns.emulator.ids import ordered_id


@dataclass(slots=True)
class Usage:
    """Numbers of used tokens."""

    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, other: Usage) -> None:
        """Add the tokens of another usage."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens

    def body(self) -> dict[str, int]:
        """Return the JSON, without the fields for cached tokens."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}


@dataclass(slots=True)
class TurnRecord:
    """The state of a turn of the scripted agent.

    Attributes:
        input_message_id: Id of the message that started it.
        inbox: Texts of the messages to answer, including the first.
        id: Id of the turn.
        usage: The tokens used so far.
        pending: Names of the tools that wait for the client, by call id.
        answered: Signal that the client has answered, so that the turn continues.
        approved: Whether each call that requested an approval may run.
    """

    input_message_id: str
    inbox: list[str]
    id: str = field(default_factory=lambda: ordered_id("turn_"))
    usage: Usage = field(default_factory=Usage)
    pending: dict[str, str] = field(default_factory=dict)
    answered: Signal = field(default_factory=Signal)
    approved: list[bool] = field(default_factory=list)

    @property
    def context(self) -> dict[str, str]:
        """The context of the turn's events."""
        return {"turn_id": self.id, "input_message_id": self.input_message_id, "trace_id": self.id}


@dataclass(slots=True)
class Pace:
    """Timeouts and intervals of the server, in seconds. Tests may change them at any time.

    Attributes:
        heartbeat_s: Time without events on a stream before a heartbeat.
        stream_s: Maximum duration of a stream. It is checked only at an event or a heartbeat, so a silent stream may
            last one heartbeat longer.
        results_wait_s: How long a turn waits for the results of client-side tools.
        waiting_after_s: Time between the event that requests answers and the change of the session's status.
        approval_wait_s: How long a turn waits for a decision.
        question_wait_s: How long a turn waits for the answer to a question.
        asks: Whether the agent requests approvals and asks questions. A legacy server runs all tools, and writes the
            questions as messages.
    """

    heartbeat_s: float = 30.0
    stream_s: float = 300.0
    results_wait_s: float = 300.0
    waiting_after_s: float = 0.05
    approval_wait_s: float = 900.0
    question_wait_s: float = 300.0
    asks: bool = True
