"""Follows a turn to its end, and sets the exit status for its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from polysession import Answer, Approve, Deny, Outcome, Reply, Session, SessionRef, ToolOutput, TurnLife
from polysession.cli.errors import ExitCode
from polysession.cli.invocation import Invocation
from polysession.cli.json_output import record_json
from polysession.cli.parsing import pairs
from polysession.cli.transcript import Transcript
from polysession.errors import DeadlineExceeded, UsageError

if TYPE_CHECKING:
    from polysession import Client, Turn


def follow_turn(
    invocation: Invocation,
    client: Client,
    session: Session | SessionRef | str,
    content: str | Sequence[Answer],
    *,
    deadline: float | None,
    raw: bool,
) -> None:
    """Run a turn and write its events.

    Raises:
        Exit: The turn did not complete; the exit status shows the reason.
        PolysessionError: The turn could not be started or followed.
    """
    session_id = session if isinstance(session, str) else session.id
    turn = client.sessions.run(session, content, deadline_s=deadline)
    try:
        with turn:
            _show(invocation, turn, raw=raw)
    except (KeyboardInterrupt, SystemExit, DeadlineExceeded):  # Ctrl-C, SIGTERM, --deadline
        _show_what_continues(invocation, client, session_id, turn.cursor)
        raise
    if turn.result.outcome is Outcome.REQUIRES_ACTION:
        if not invocation.json:
            pending, answer = invocation.again("pending", session_id), invocation.again("answer", session_id)
            invocation.output.note(
                f"the agent is waiting for an answer\n  show: {pending}\n  answer: {answer} --approve ID"
            )
        raise typer.Exit(ExitCode.ACTION_REQUIRED)
    if turn.result.outcome is not Outcome.COMPLETED:
        raise typer.Exit(ExitCode.TURN_NOT_COMPLETED)


def read_answers(
    approve: Sequence[str] | None, deny: Sequence[str] | None, output: Sequence[str] | None, reply: Sequence[str] | None
) -> list[Answer]:
    """Build the answers from the options of `answer`.

    Raises:
        UsageError: There are no answers, or an answer lacks its text.
    """
    answers: list[Answer] = [Approve(action) for action in approve or ()]
    for text in deny or ():
        action, _, reason = text.partition("=")
        answers.append(Deny(action, reason or None))
    answers += [ToolOutput(action, content) for action, content in pairs(output, "--output", "ID=TEXT").items()]
    answers += [Reply(action, value) for action, value in pairs(reply, "--reply", "ID=TEXT").items()]
    if not answers:
        raise UsageError("no answer; give --approve, --deny, --output or --reply")
    return answers


def _show(invocation: Invocation, turn: Turn, *, raw: bool) -> None:
    output = invocation.output
    if output.as_json:
        for event in turn:
            output.json(record_json(event, raw=raw) | ({"cursor": turn.cursor} if turn.cursor else {}))
    else:
        Transcript(output.console, output.notes).show(turn)


def _show_what_continues(invocation: Invocation, client: Client, session: str, cursor: str | None) -> None:
    """Show whether the turn continues after the command, and how to follow or cancel it."""
    if invocation.json:
        return  # each JSON event contains its cursor
    if client.turn_life is TurnLife.ATTENDED or invocation.emulated:
        reason = "its emulator stops" if invocation.emulated else "this backend stops a turn without a reader"
        invocation.output.note(f"the turn ends, because {reason}")
        return
    resume = ("--cursor", cursor) if cursor else ()
    follow = invocation.again("events", session, *resume, "--until-turn-ends")
    cancel = invocation.again("sessions", "cancel", session)
    invocation.output.note(f"the turn continues on the backend\n  follow: {follow}\n  cancel: {cancel}")
