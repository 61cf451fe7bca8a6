"""Shows a turn to a person: the agent's words, its reasoning, its tool calls, and how the turn ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from rich.console import Console

from polysession import (
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    Outcome,
    Role,
    StreamGap,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
)
from polysession.cli.event_text import call_text
from polysession.cli.printing import write


class _OpenText:
    """An incomplete message or thought, and the part of it that is on the screen.

    After a broken connection a backend may send all its fragments again.
    """

    def __init__(self) -> None:
        self._key: str | None = None
        self._received = self._written = ""

    def begin(self, key: str | None) -> None:
        """Start a text; the same key starts the same text again."""
        if key is None or key != self._key:
            self._written = ""
        self._key, self._received = key, ""

    def add(self, text: str) -> str:
        """Add a fragment; return the part of it that is not on the screen."""
        self._received += text
        if self._written.startswith(self._received):
            return ""
        new = self._received.removeprefix(self._written) if self._received.startswith(self._written) else text
        self._written += new
        return new

    def complete(self, text: str) -> str | None:
        """End the text; return the part that is not on the screen, or None if the screen shows a different text."""
        written, self._written, self._key = self._written, "", None
        return text.removeprefix(written) if text.startswith(written) else None


class Transcript:
    """Writes the events of turns, each text once.

    Args:
        words: Console for the agent's messages.
        notes: Console for everything else.
    """

    def __init__(self, words: Console, notes: Console) -> None:
        self._words = words
        self._notes = notes
        self._message = _OpenText()
        self._thought = _OpenText()
        self._unfinished: tuple[Console, str] | None = None
        """The console with an unfinished last line, and the style of that line."""
        self._error = ""
        """The last error that was shown in this turn."""
        self.last_call: str = ""
        """The tool call in the last line; empty if something else is there."""
        self.known_output: str | None = None
        """The output of a tool that the user typed: the result of this tool is not shown again."""

    def show(self, events: Iterable[Event]) -> TurnEnded | None:
        """Show events; return the last end of a turn among them, or None."""
        ended = None
        try:
            for event in events:
                show = _WRITERS.get(type(event))
                if show is not None:
                    show(self, event)
                ended = event if isinstance(event, TurnEnded) else ended
        finally:
            self._end_line()
        return ended

    def note(self, text: str, style: str = "dim") -> None:
        """Write a line that is not from the agent, below an open message or thought."""
        self._end_line()
        write(self._notes, f"{text}\n", style)
        self.last_call = ""

    def _begin_message(self, event: MessageStarted) -> None:
        self._message.begin(event.message_id)

    def _write_delta(self, event: MessageDelta) -> None:
        self._continue(self._words, self._message.add(event.text), "")

    def _write_message(self, event: MessageCompleted) -> None:
        if event.message.role is not Role.ASSISTANT:
            return
        rest = self._message.complete(event.message.text)
        if rest is None:
            self.note("[the complete message:]", "yellow")
            rest = event.message.text
        self._continue(self._words, rest, "")
        self._end_line()

    def _begin_thought(self, _event: ThinkingStarted) -> None:
        self._thought.begin("")

    def _write_thought_delta(self, event: ThinkingDelta) -> None:
        self._continue(self._notes, self._thought.add(event.text), "dim italic")

    def _write_thought(self, event: ThinkingCompleted) -> None:
        """Write the rest of a thought. Lost or hidden parts are left out."""
        self._continue(self._notes, self._thought.complete(event.text) or "", "dim italic")
        self._end_line()

    def _continue(self, console: Console, text: str, style: str) -> None:
        """Continue a line."""
        if not text:
            return
        if self._unfinished != (console, style):
            self._end_line()
        write(console, text, style)
        self._unfinished, self.last_call = (console, style), ""

    def _write_call(self, event: ToolCallCompleted) -> None:
        call = call_text(event.name, event.arguments)
        self.note(f"tool {call}", "cyan")
        self.last_call = call

    def _write_result(self, event: ToolResultCompleted) -> None:
        if event.text == self.known_output:
            self.known_output = None
            return
        self.note(f"  {'failed: ' if event.is_error else ''}{event.text}", "cyan dim")

    def _write_error(self, event: ErrorReported) -> None:
        self._error = event.message
        self.note(event.message, "red")

    def _write_gap(self, _event: StreamGap) -> None:
        self.note("[the connection was lost, and part of the stream is missing]", "yellow")

    def _write_end(self, event: TurnEnded) -> None:
        self._end_line()
        if event.outcome not in {Outcome.COMPLETED, Outcome.REQUIRES_ACTION}:
            reason = event.error or ("" if event.outcome is Outcome.CANCELLED else event.native_reason)
            reason = "" if reason == self._error else reason
            self.note(f"[{event.outcome.value}{': ' + reason if reason else ''}]", "yellow")
        self._message, self._thought, self._error = _OpenText(), _OpenText(), ""

    def _end_line(self) -> None:
        if self._unfinished is not None:
            write(self._unfinished[0], "\n")
        self._unfinished = None


_WRITERS: Final[Mapping[type, Callable[[Transcript, Any], None]]] = {
    MessageStarted: Transcript._begin_message,  # noqa: SLF001  (its own table)
    MessageDelta: Transcript._write_delta,  # noqa: SLF001
    MessageCompleted: Transcript._write_message,  # noqa: SLF001
    ThinkingStarted: Transcript._begin_thought,  # noqa: SLF001
    ThinkingDelta: Transcript._write_thought_delta,  # noqa: SLF001
    ThinkingCompleted: Transcript._write_thought,  # noqa: SLF001
    ToolCallCompleted: Transcript._write_call,  # noqa: SLF001
    ToolResultCompleted: Transcript._write_result,  # noqa: SLF001
    ErrorReported: Transcript._write_error,  # noqa: SLF001
    StreamGap: Transcript._write_gap,  # noqa: SLF001
    TurnEnded: Transcript._write_end,  # noqa: SLF001
}
