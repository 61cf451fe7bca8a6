"""A conversation in the terminal: reads messages, shows turns, and asks for answers to pending actions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from rich.console import Console

from polysession import (
    Answer,
    Approve,
    Client,
    Conflict,
    Deny,
    Event,
    Feature,
    Outcome,
    PendingAction,
    PolysessionError,
    Question,
    Reply,
    Session,
    SessionRef,
    ToolApproval,
    ToolOutput,
    TurnEnded,
    TurnLife,
    UsageError,
)
from polysession.cli.event_text import action_text, cancellation_text
from polysession.cli.printing import printable
from polysession.cli.transcript import Transcript

HELP: Final = """\
/help       Show this help.
/cancel     Cancel the turn that is running or waiting for an answer.
/exit       Leave the chat, like Ctrl-D and Ctrl-C on an empty line.
Enter       Send the message.
Alt-Enter   Insert a line break.
Up, Down    Recall earlier messages.
Ctrl-C      Cancel the running turn, or clear the line.
n REASON    Deny a tool call with a reason, where the backend supports reasons.
All other text is sent to the agent, even if it starts with a slash."""

PROMPT: Final = "you> "
_CANCEL_LIMIT_S: Final = 10


class _Cancelled(Exception):  # noqa: N818  (not an error: the person asked for it)
    """`/cancel` was typed."""


class Chat:
    """One conversation.

    Args:
        client: The client.
        session: The session of the conversation.
        console: Terminal for the output.
        read: Shows a prompt and returns the user's text; raises `EOFError` at the end of the input, and
            `KeyboardInterrupt` at Ctrl-C.
    """

    def __init__(
        self, client: Client, session: Session | SessionRef, console: Console, read: Callable[[str], str]
    ) -> None:
        self._client = client
        self._session = session
        self._read_text = read
        self._transcript = Transcript(console, console)
        self._note = self._transcript.note

    def run(self, *, resumes: bool = False) -> None:
        """Talk until the input ends, `/exit`, or Ctrl-C with no turn to cancel.

        Args:
            resumes: Whether the session may already wait for an answer. If it does, `run` asks for the answer first.
        """
        self._note("/help shows the commands of the chat, /exit leaves")
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            if resumes:
                self._guarded(self._resume)
            while True:
                self._guarded(self._exchange)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run one step; an error or `/cancel` ends the step but not the conversation."""
        try:
            step()
        except _Cancelled:
            self._cancel()
        except PolysessionError as error:
            self._note(str(error), "red")

    def _resume(self) -> None:
        if self._client.supports(Feature.SESSIONS_PENDING_ACTIONS) and (answers := self._answers()):
            self._talk(answers)

    def _exchange(self) -> None:
        message = self._read(PROMPT).strip()
        if message:
            self._talk(message)

    def _talk(self, content: str | list[Answer]) -> None:
        """Show a turn, ask for answers to its pending actions, and show the turns that continue it."""
        while content:
            try:
                ended = self._turn(content)
            except Conflict as error:  # the session was already waiting for an answer
                self._note(str(error), "red")
            except UsageError as error:
                if isinstance(content, str):
                    raise
                self._note(str(error), "red")  # no answer was sent: ask again
            else:
                if ended is None or ended.outcome is not Outcome.REQUIRES_ACTION:
                    return
            content = self._answers()

    def _read(self, prompt: str) -> str:
        """Return the next text that is not a command of the chat; handle the commands before it.

        Raises:
            EOFError: The input has ended, or the command is `/exit`.
            KeyboardInterrupt: Ctrl-C.
            _Cancelled: The command is `/cancel`.
        """
        while True:
            text = self._read_text(printable(prompt))
            match text.strip():
                case "/help":
                    self._note(HELP, "")
                case "/exit":
                    raise EOFError
                case "/cancel":
                    raise _Cancelled
                case _:
                    return text

    def _turn(self, content: str | list[Answer]) -> TurnEnded | None:
        """Follow one turn. Ctrl-C cancels the turn; a second Ctrl-C leaves without waiting for its end."""
        turn = self._client.sessions.run(self._session, content)
        try:
            with turn:
                return self._transcript.show(turn)
        except KeyboardInterrupt:
            return self._cancel_running(turn.cursor)

    def _cancel_running(self, cursor: str | None) -> TurnEnded | None:
        if self._client.turn_life is TurnLife.ATTENDED:
            self._note("the turn ends: this backend stops a turn without a reader", "yellow")
            return None
        self._note("cancelling the turn; Ctrl-C again leaves the chat", "yellow")
        # The stream is opened first, so that it receives the end of the cancelled turn.
        with self._client.sessions.stream(self._session, cursor=cursor, deadline_s=_CANCEL_LIMIT_S) as events:
            self._client.sessions.cancel(self._session)
            return self._transcript.show(_turn_of(events))

    def _cancel(self) -> None:
        if self._client.turn_life is TurnLife.ATTENDED:
            self._note("no turn is running; Ctrl-C cancels a running turn", "yellow")
            return
        try:
            cancellation = self._client.sessions.cancel(self._session)
        except PolysessionError as error:
            self._note(str(error), "red")
        else:
            self._note(cancellation_text(cancellation), "yellow")

    def _answers(self) -> list[Answer]:
        """Ask for an answer to each pending action."""
        return [self._answer(action) for action in self._client.sessions.pending_actions(self._session)]

    def _answer(self, action: PendingAction) -> Answer:
        text = action_text(action)
        if isinstance(action, Question):
            self._note(text, "")
            return Reply(action, self._choice(action.options) if action.options else self._words("reply> "))
        is_last = self._transcript.last_call == text  # the line above is about this action
        if isinstance(action, ToolApproval):
            return self._decision(action, "allow? [y/n] " if is_last else f"allow {text}? [y/n] ")
        self._transcript.known_output = output = self._read("output> " if is_last else f"output of {text}> ")
        return ToolOutput(action, output)

    def _decision(self, action: ToolApproval, prompt: str) -> Answer:
        while True:
            decision, _, reason = self._read(prompt).strip().partition(" ")
            match decision.lower():
                case "y" | "yes" if not reason:
                    return Approve(action)
                case "n" | "no":
                    return Deny(action, reason.strip() or None)
                case _:
                    self._note("answer y or n; /cancel cancels the turn", "yellow")

    def _choice(self, options: tuple[str, ...]) -> str:
        """Ask for one of the options, by its number or its text."""
        self._note("\n".join(f"{number}. {option}" for number, option in enumerate(options, 1)), "")
        numbered = {str(number): option for number, option in enumerate(options, 1)}
        while True:
            reply = self._words("reply> ")
            if reply in options or reply in numbered:
                return numbered.get(reply, reply)
            self._note(f"answer with a number from 1 to {len(options)}; /cancel cancels the turn", "yellow")

    def _words(self, prompt: str) -> str:
        """Read a text that is not empty."""
        while not (text := self._read(prompt).strip()):
            pass
        return text


def _turn_of(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events up to the end of a turn."""
    for event in events:
        yield event
        if isinstance(event, TurnEnded):
            return
