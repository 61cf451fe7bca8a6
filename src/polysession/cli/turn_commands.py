"""The commands that run turns: `ask`, `run`, `send`, `pending` and `answer`."""

from __future__ import annotations

from typing import Annotated

import typer

from polysession.cli.invocation import Invocation
from polysession.cli.json_output import record_json
from polysession.cli.new_session import Continue, open_session
from polysession.cli.options import AgentId, Credential, Deadline, EnvironmentId, ModelName, ModelType, Raw, SessionId
from polysession.cli.parsing import joined_text, message_text, model_config
from polysession.cli.register import command
from polysession.errors import PolysessionError
from polysession.feature import Feature

Text = Annotated[str, typer.Argument(metavar="TEXT", help="The message; - reads it from stdin.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (ask, run, answer):
        command(app, writes="event")(function)
    command(app, writes=("provider", "session_id", "sent"))(send)
    command(app, writes="action")(pending)


def ask(
    invocation: Invocation,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="The message; - inserts stdin (default: stdin).")
    ] = None,
    *,
    continue_: Continue = False,
    session: Annotated[str | None, typer.Option(metavar="ID", help="Use this session instead of a new one.")] = None,
    agent: AgentId = None,
    environment: EnvironmentId = None,
    model: ModelName = None,
    model_type: ModelType = None,
    credential: Credential = None,
    deadline: Deadline = None,
    raw: Raw = False,
) -> None:
    """Send a message in a new session and print the agent's answer.

    Defaults of the session come from the profile's `new_session`.

    Example: git diff | polysession ask "Review this change:" -
    """
    from polysession.cli.turns import follow_turn  # noqa: PLC0415  (help needs no events)

    content = joined_text(text)
    chosen_model = model_config(model, model_type, credential, None)
    given = {"agent": agent, "environment": environment, "model": chosen_model}
    with open_session(invocation, session, given, continues=continue_) as (client, found):
        follow_turn(invocation, client, found, content, deadline=deadline, raw=raw)


def run(
    invocation: Invocation,
    session: SessionId,
    text: Text,
    *,
    deadline: Deadline = None,
    raw: Raw = False,
) -> None:
    """Send a message and follow the turn to its end.

    Prints the agent's text to stdout, everything else to stderr.

    Example: polysession run sess_123 "Fix the failing test"
    """
    from polysession.cli.turns import follow_turn  # noqa: PLC0415  (help needs no events)

    with invocation.client() as client:
        follow_turn(invocation, client, session, message_text(text), deadline=deadline, raw=raw)


def send(invocation: Invocation, session: SessionId, text: Text) -> None:
    """Send a message without following the turn.

    Example: polysession send sess_123 "Fix the failing test"
    """
    with invocation.client() as client:
        client.sessions.send(session, message_text(text))
        if invocation.json:
            invocation.output.json({"provider": client.provider, "session_id": session, "sent": True})
        else:
            invocation.output.text("sent")


def pending(invocation: Invocation, session: SessionId) -> None:
    """List the pending actions: tool calls and questions that need an answer.

    Example: polysession pending sess_123
    """
    from polysession.cli.event_text import action_text  # noqa: PLC0415  (help needs no events)

    output = invocation.output
    with invocation.client() as client:
        found = client.sessions.pending_actions(session)
    if output.as_json:
        for action in found:
            output.json(record_json(action, raw=False))
        return
    output.table(
        ("id", "type", "call"),
        [(action.id, action.type, action_text(action)) for action in found],
        last_folds=True,
    )


def answer(
    invocation: Invocation,
    session: SessionId,
    *,
    approve: Annotated[list[str] | None, typer.Option(metavar="ID", help="Approve this tool call. Repeatable.")] = None,
    deny: Annotated[
        list[str] | None, typer.Option(metavar="ID[=REASON]", help="Deny this tool call. Repeatable.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option(metavar="ID=TEXT", help="Send the output of a tool that you run. Repeatable.")
    ] = None,
    reply: Annotated[
        list[str] | None, typer.Option(metavar="ID=TEXT", help="Reply to this question. Repeatable.")
    ] = None,
    deadline: Deadline = None,
    raw: Raw = False,
) -> None:
    """Answer pending actions and follow the turn to its end.

    Example: polysession answer sess_123 --approve evt_9
    """
    from polysession.cli.turns import follow_turn, read_answers  # noqa: PLC0415  (help needs no events)

    answers = read_answers(approve, deny, output, reply)
    with invocation.client() as client:
        try:
            follow_turn(invocation, client, session, answers, deadline=deadline, raw=raw)
        except PolysessionError as error:
            error.operation = Feature.SESSIONS_ANSWER.value  # not `sessions.run`, which sends them
            raise
