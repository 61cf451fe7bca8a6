"""Turns of an emulated Everruns server, and the tokens that they use."""

from __future__ import annotations

from dataclasses import dataclass, field

from polysession.emulation import Signal
from polysession_everruns.emulator.ids import ordered_id


@dataclass(slots=True)
class Usage:
    """Tokens that were used."""

    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, other: Usage) -> None:
        """Count another's tokens too."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens

    def body(self) -> dict[str, int]:
        """The wire object; tokens of a cache are in buckets of their own, which stay away."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}


@dataclass(slots=True)
class TurnRecord:
    """A turn of the scripted agent.

    Attributes:
        input_message_id: The message that began it.
        inbox: Texts of messages that it has yet to answer, the one that began it among them.
        id: Its id.
        usage: What it has used so far.
        pending: Names of the tools that the client has to run, by id of the call.
        answered: Given when it need not wait for the client any more.
        approved: Which of the calls that were asked about may run.
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
        """The context of its events."""
        return {"turn_id": self.id, "input_message_id": self.input_message_id, "trace_id": self.id}


@dataclass(slots=True)
class Pace:
    """How long things take on the server, in seconds. May be changed at any time.

    Attributes:
        heartbeat_s: Silence on a stream before a heartbeat.
        stream_s: Age at which a stream is closed for the client to open another; looked at when an event or a
            heartbeat is due, so that a silent stream may grow older by one heartbeat.
        results_wait_s: How long a turn waits for the results of client-side tools.
        approval_wait_s: How long a turn waits for a decision.
        question_wait_s: How long a turn waits for the answer to a question.
        asks: Whether the agent asks for approvals and asks questions; a legacy server runs the tools, and says the
            questions.
        waiting_after_s: Time between the event that asks for results and the status that says so.
    """

    heartbeat_s: float = 30.0
    stream_s: float = 300.0
    results_wait_s: float = 300.0
    waiting_after_s: float = 0.05
    approval_wait_s: float = 900.0
    question_wait_s: float = 300.0
    asks: bool = True
