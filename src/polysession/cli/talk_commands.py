"""The commands that talk: `chat`, `run`, `send`, `events`, `messages`, `pending` and `answer`."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from polysession import (
    Answer,
    Approve,
    Deny,
    Event,
    Feature,
    MessageCompleted,
    MessageDelta,
    Outcome,
    Role,
    Session,
    ToolOutput,
    TurnEnded,
)
from polysession.cli.chat import Chat
from polysession.cli.errors import ExitCode
from polysession.cli.invocation import Invocation, command
from polysession.cli.json_output import action_text, event_line, record_json
from polysession.cli.parsing import message_text, model_config, pairs, stdin_lines
from polysession.cli.printing import Output, one_line, printable
from polysession.cli.session_commands import Credential, ModelName, ModelType, Raw, SessionId
from polysession.errors import UsageError

if TYPE_CHECKING:
    from polysession import Client, EventStream

Deadline = Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop waiting after so long.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many.")]
PageSize = Annotated[int | None, typer.Option(min=1, metavar="N", help="Items in each request.")]
Said = Annotated[str, typer.Argument(metavar="TEXT", help="What to say; - reads it from stdin.")]

_LOUD = frozenset({"tool_call.completed", "tool_result.completed", "action.required", "error", "stream.gap"})


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (chat, run, send, events, messages, pending, answer):
        command(app)(function)


def chat(
    invocation: Invocation,
    backend: Annotated[str | None, typer.Argument(metavar="PROVIDER", help="The same as --provider.")] = None,
    session: Annotated[
        str | None, typer.Option(metavar="SESSION", help="Id of a session to go on with; without it one is made.")
    ] = None,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Id of the agent to talk to.")] = None,
    environment: Annotated[
        str | None, typer.Option(metavar="ENVIRONMENT", help="Id of the environment to run in, where there are such.")
    ] = None,
    model: ModelName = None,
    model_type: ModelType = None,
    credential: Credential = None,
) -> None:
    """Talk to an agent.

    With --json each line of stdin is said, and the events of its turn are written.

    Example: polysession chat qoder --emulated
    """
    console = Console()
    # A prompt may hold text of the backend, which must not be taken for markup.
    read_line = functools.partial(console.input, markup=False, emoji=False)
    chosen_model = model_config(model, model_type, credential, None)
    if session is not None and (agent or environment or chosen_model):
        raise UsageError("--session goes on with one as it is: leave --agent, --environment and --model out")
    with invocation.for_provider(backend).connect() as (client, emulator):
        if session is not None:
            found = client.sessions.get(session)
        else:
            if emulator is not None:
                agent, environment = agent or emulator.agent_id, environment or emulator.environment_id
                if chosen_model is None and client.supports(Feature.SESSIONS_UPDATE_MODEL):
                    chosen_model = emulator.model
            found = client.sessions.create(agent=agent, environment=environment, model=chosen_model)
        if invocation.json:
            for line in filter(None, map(str.strip, stdin_lines())):
                _follow_turn(invocation.output, client, found, line, deadline=None, raw=False)
            return
        if emulator is None:
            console.print(Text(f"session {printable(found.id)}", style="dim"))
        Chat(client, found, console, read_line).run()


def run(
    invocation: Invocation,
    session: SessionId,
    text: Said,
    *,
    deadline: Deadline = None,
    raw: Raw = False,
) -> None:
    """Send a message, and follow the turn to its end.

    The agent's words go to stdout, all else to stderr.

    Example: polysession run sess_123 "Fix the failing test" --provider qoder
    """
    with invocation.client() as client:
        _follow_turn(invocation.output, client, session, message_text(text), deadline=deadline, raw=raw)


def send(invocation: Invocation, session: SessionId, text: Said) -> None:
    """Send a message, and leave the turn to itself.

    Example: polysession send sess_123 "Fix the failing test" --provider qoder
    """
    with invocation.client() as client:
        client.sessions.send(session, message_text(text))
        if invocation.json:
            invocation.output.json({"provider": client.provider, "session_id": session, "sent": True})
        else:
            invocation.output.text("sent")


def events(
    invocation: Invocation,
    session: SessionId,
    *,
    past: Annotated[bool, typer.Option("--past", help="List what has happened instead, oldest first.")] = False,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after this point.")] = None,
    until_turn_ends: Annotated[bool, typer.Option("--until-turn-ends", help="Stop after the end of a turn.")] = False,
    limit: Limit = None,
    page_size: PageSize = None,
    deadline: Deadline = None,
    raw: Raw = False,
) -> None:
    """Follow a session live, or list what has happened.

    It is followed until Ctrl-C, which tells how to go on.

    Example: polysession events sess_123 --provider qoder --cursor evt_7
    """
    output = invocation.output
    if past and (until_turn_ends or deadline is not None or cursor is not None):
        raise UsageError("--past lists from the start: leave --cursor, --until-turn-ends and --deadline out")
    if page_size is not None and not past:
        raise UsageError("--page-size goes with --past")
    with invocation.client() as client:
        if past:
            with output.counting("events", prints=True) as counter:
                found = client.sessions.events(session, page_size=page_size)
                for event in counter.over(islice(found, limit)):
                    _show_event(output, event, raw=raw)
            return
        with client.sessions.stream(session, cursor=cursor, deadline_s=deadline) as stream:
            if output.notes.is_terminal:
                output.note("following; Ctrl-C stops")
            _follow(output, stream, limit=limit, until_turn_ends=until_turn_ends, raw=raw)


def messages(
    invocation: Invocation,
    session: SessionId,
    *,
    limit: Limit = None,
    page_size: PageSize = None,
    raw: Raw = False,
) -> None:
    """List what was said, oldest first.

    Example: polysession messages sess_123 --provider qoder --json
    """
    output = invocation.output
    with invocation.client() as client, output.counting("messages", prints=True) as counter:
        for message in counter.over(islice(client.sessions.messages(session, page_size=page_size), limit)):
            if output.as_json:
                output.json(record_json(message, raw=raw))
            else:
                output.text(f"{message.role.value}: {message.text}")


def pending(invocation: Invocation, session: SessionId) -> None:
    """List what the agent waits for.

    Example: polysession pending sess_123 --provider qoder
    """
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
    approve: Annotated[list[str] | None, typer.Option(metavar="ACTION", help="Let the tool run; repeatable.")] = None,
    deny: Annotated[
        list[str] | None, typer.Option(metavar="ACTION[=WHY]", help="Do not let the tool run; repeatable.")
    ] = None,
    output_: Annotated[
        list[str] | None,
        typer.Option("--output", metavar="ACTION=TEXT", help="What your own tool answered; repeatable."),
    ] = None,
    deadline: Deadline = None,
    raw: Raw = False,
) -> None:
    """Answer what the agent waits for, and follow the turn.

    Example: polysession answer sess_123 --approve evt_9 --provider qoder
    """
    answers: list[Answer] = [Approve(action) for action in approve or ()]
    for text in deny or ():
        action, _, why = text.partition("=")
        answers.append(Deny(action, why or None))
    answers += [ToolOutput(action, content) for action, content in pairs(output_, "--output").items()]
    if not answers:
        raise UsageError("there is nothing to answer with: give --approve, --deny or --output")
    with invocation.client() as client:
        _follow_turn(invocation.output, client, session, answers, deadline=deadline, raw=raw)


def _follow_turn(
    output: Output,
    client: Client,
    session: Session | str,
    said: str | list[Answer],
    *,
    deadline: float | None,
    raw: bool,
) -> None:
    """Follow a turn, and exit with what its outcome says."""
    with client.sessions.run(session, said, deadline_s=deadline) as turn:
        if output.as_json:
            _follow(output, turn, raw=raw)
        else:
            _speak(output, turn)
        outcome = turn.result.outcome
    if outcome is Outcome.REQUIRES_ACTION:
        if not output.as_json:
            waiting = session if isinstance(session, str) else session.id
            output.note(f"the agent waits: polysession pending {waiting}; polysession answer {waiting} ...")
        raise typer.Exit(ExitCode.ACTION_REQUIRED)
    if outcome is not Outcome.COMPLETED:
        raise typer.Exit(ExitCode.TURN_NOT_COMPLETED)


def _speak(output: Output, turn: Iterable[Event]) -> None:
    """Write what the agent says, and note what it does."""
    streamed = False
    for event in turn:
        if isinstance(event, MessageDelta):
            streamed = True
            output.console.print(Text(printable(event.text)), end="", soft_wrap=True)
        elif isinstance(event, MessageCompleted):
            if event.message.role is Role.ASSISTANT and event.message.text:
                output.text("" if streamed else event.message.text)
                streamed = False
        elif event.type in _LOUD or (isinstance(event, TurnEnded) and event.outcome is not Outcome.COMPLETED):
            output.note(one_line(event_line(event)))


def _follow(
    output: Output, stream: EventStream, *, raw: bool, limit: int | None = None, until_turn_ends: bool = False
) -> None:
    """Show the events of a stream as they come; tell where it can be resumed, however it ends."""
    try:
        for event in islice(stream, limit):
            _show_event(output, event, raw=raw, cursor=stream.cursor)
            if until_turn_ends and isinstance(event, TurnEnded):
                return
    finally:
        if stream.cursor and not output.as_json:
            output.note(f"go on with --cursor {stream.cursor}")


def _show_event(output: Output, event: Event, *, raw: bool, cursor: str | None = None) -> None:
    if output.as_json:
        output.json(record_json(event, raw=raw) | ({"cursor": cursor} if cursor else {}))
    else:
        output.text(one_line(event_line(event)))
