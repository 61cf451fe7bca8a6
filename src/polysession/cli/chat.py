"""`polysession chat`: a conversation in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from polysession import (
    Answer,
    Approve,
    Deny,
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    Outcome,
    PendingAction,
    PolysessionError,
    Question,
    Reply,
    Role,
    Session,
    StreamGap,
    ThinkingCompleted,
    ThinkingDelta,
    ToolApproval,
    ToolCallCompleted,
    ToolOutput,
    ToolResultCompleted,
    TurnEnded,
    TurnLife,
)
from polysession.cli.printing import printable

if TYPE_CHECKING:
    from polysession import Client

_PROMPT: Final = "you> "


class Chat:
    """One conversation: reads lines, shows what the agent does, asks for what it waits for."""

    def __init__(self, client: Client, session: Session, console: Console, read_line: Callable[[str], str]) -> None:
        self._client = client
        self._session = session
        self._console = console
        self._read_line = read_line
        self._streaming = False

    def run(self) -> None:
        """Talk until the input ends, or a Ctrl-C that has nothing to cancel."""
        self._say("Ctrl-C cancels a turn, and leaves at the prompt; so does Ctrl-D.", "dim")
        while True:
            try:
                line = self._read_line(_PROMPT).strip()
            except (EOFError, KeyboardInterrupt):
                self._console.print()
                return
            try:
                if line:
                    self._talk(line)
            except PolysessionError as error:
                self._say(str(error), "red")
            except KeyboardInterrupt:
                return

    def _talk(self, line: str) -> None:
        """One exchange: the turn, and the turns that go on after each answer."""
        said: str | list[Answer] = line
        while True:
            ended = self._turn(said)
            if ended is None or ended.outcome is not Outcome.REQUIRES_ACTION:
                return
            said = [self._ask(action) for action in self._client.sessions.pending_actions(self._session)]
            if not said:
                return

    def _turn(self, said: str | list[Answer]) -> TurnEnded | None:
        """Follow one turn; a Ctrl-C meanwhile cancels it, and a second one leaves without waiting for its end."""
        turn = self._client.sessions.run(self._session, said)
        try:
            with turn:
                return self._show(turn)
        except KeyboardInterrupt:
            return self._cancel(turn.cursor)

    def _cancel(self, cursor: str | None) -> TurnEnded | None:
        if self._client.turn_life is TurnLife.ATTENDED:
            self._say("\nleft: the turn ends with its stream", "yellow")
            return None
        self._say("\ncancelling; Ctrl-C again leaves", "yellow")
        # The stream is opened first: it tells the end of the turn that is cancelled then.
        with self._client.sessions.stream(self._session, cursor=cursor, deadline_s=10) as events:
            self._client.sessions.cancel(self._session)
            return self._show(events)

    def _show(self, events: Iterable[Event]) -> TurnEnded | None:
        """Show events up to the end of the turn."""
        for event in events:
            if isinstance(event, TurnEnded):
                self._show_end(event)
                return event
            show = _SHOW.get(type(event))
            if show is not None:
                show(self, event)
        return None

    def _show_delta(self, event: MessageDelta) -> None:
        self._streaming = True
        self._write(event.text, "")

    def _show_message(self, event: MessageCompleted) -> None:
        if event.message.role is not Role.ASSISTANT:
            return
        if self._streaming:
            self._console.print()
        elif event.message.text:
            self._say(event.message.text, "")
        self._streaming = False

    def _show_thinking(self, event: ThinkingDelta) -> None:
        self._write(event.text, "dim italic")

    def _end_thinking(self, _event: ThinkingCompleted) -> None:
        self._console.print()

    def _show_call(self, event: ToolCallCompleted) -> None:
        self._say(f"tool {event.name}({_arguments(event.arguments)})", "cyan")

    def _show_result(self, event: ToolResultCompleted) -> None:
        self._say(f"  {'failed: ' if event.is_error else ''}{event.text}", "cyan dim")

    def _show_error(self, event: ErrorReported) -> None:
        self._say(event.message, "red")

    def _show_gap(self, _event: StreamGap) -> None:
        """What was streamed of a message may lack something: it is shown whole when it comes."""
        if self._streaming:
            self._console.print()
        self._streaming = False
        self._say("[the connection broke, and some of the stream was missed]", "yellow")

    def _show_end(self, event: TurnEnded) -> None:
        if event.outcome not in {Outcome.COMPLETED, Outcome.REQUIRES_ACTION}:
            why = event.error or event.native_reason
            self._say(f"[{event.outcome.value}{': ' + why if why else ''}]", "yellow")

    def _ask(self, action: PendingAction) -> Answer:
        if isinstance(action, Question):
            return Reply(action, self._read_line(f"{printable(action.prompt)} "))
        call = printable(f"{action.name}({_arguments(action.arguments)})")
        if isinstance(action, ToolApproval):
            answer = self._read_line(f"allow {call}? [y/N] ").strip()
            if answer.lower() in {"y", "yes"}:
                return Approve(action)
            return Deny(action)
        return ToolOutput(action, self._read_line(f"output of {call}: "))

    def _say(self, text: str, style: str) -> None:
        self._console.print(Text(printable(text), style=style))

    def _write(self, text: str, style: str) -> None:
        self._console.print(Text(printable(text), style=style), end="", soft_wrap=True)


def _arguments(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


_SHOW: Final[Mapping[type, Callable[..., None]]] = {
    MessageDelta: Chat._show_delta,  # noqa: SLF001  (its own table)
    MessageCompleted: Chat._show_message,  # noqa: SLF001
    ThinkingDelta: Chat._show_thinking,  # noqa: SLF001
    ThinkingCompleted: Chat._end_thinking,  # noqa: SLF001
    ToolCallCompleted: Chat._show_call,  # noqa: SLF001
    ToolResultCompleted: Chat._show_result,  # noqa: SLF001
    ErrorReported: Chat._show_error,  # noqa: SLF001
    StreamGap: Chat._show_gap,  # noqa: SLF001
}
