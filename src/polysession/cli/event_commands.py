"""The commands that read a session: `events` and `messages`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from polysession.cli.invocation import Invocation
from polysession.cli.json_output import record_json
from polysession.cli.listing import write_list
from polysession.cli.options import Deadline, Limit, PageSize, Raw, SessionId
from polysession.cli.printing import Output, one_line
from polysession.cli.register import command
from polysession.errors import UsageError

if TYPE_CHECKING:
    from polysession import Event, EventStream

NewestFirst = Annotated[
    bool, typer.Option("--newest-first", help="List the newest first, where the backend supports it.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, writes="event")(events)
    command(app, writes="message")(messages)


def events(
    invocation: Invocation,
    session: SessionId,
    *,
    past: Annotated[bool, typer.Option("--past", help="List past events, oldest first, and exit.")] = False,
    newest_first: NewestFirst = False,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="Continue after this cursor.")] = None,
    until_turn_ends: Annotated[bool, typer.Option("--until-turn-ends", help="Stop at the end of the turn.")] = False,
    limit: Limit = None,
    page_size: PageSize = None,
    deadline: Deadline = None,
    raw: Raw = False,
) -> None:
    """Follow the events of a session, or list its past events.

    Ctrl-C stops, and prints the command that continues.

    Example: polysession events sess_123 --until-turn-ends
    """
    output = invocation.output
    if past and (until_turn_ends or deadline is not None or cursor is not None):
        raise UsageError("--past cannot be combined with --cursor, --until-turn-ends or --deadline")
    if (page_size is not None or newest_first) and not past:
        raise UsageError("--page-size and --newest-first need --past")
    with invocation.client() as client:
        if past:
            found = client.sessions.events(session, newest_first=newest_first, limit=limit, page_size=page_size)
            write_list(output, client, "events", found, lambda event: _write_event(output, event, raw=raw))
            return
        with (
            client.sessions.stream(session, cursor=cursor, deadline_s=deadline) as stream,
            _showing_how_to_continue(invocation, session, stream),
        ):
            if output.notes.is_terminal:
                output.note("following the session; Ctrl-C stops")
            for event in islice(stream, limit):
                _write_event(output, event, raw=raw, cursor=stream.cursor)
                if until_turn_ends and event.type == "turn.ended":
                    return


def messages(
    invocation: Invocation,
    session: SessionId,
    *,
    newest_first: NewestFirst = False,
    limit: Limit = None,
    page_size: PageSize = None,
    raw: Raw = False,
) -> None:
    """List the messages of a session, oldest first.

    Example: polysession messages sess_123 --json
    """
    output = invocation.output
    with invocation.client() as client:
        found = client.sessions.messages(session, newest_first=newest_first, limit=limit, page_size=page_size)
        if output.as_json:
            write_list(output, client, "messages", found, lambda message: output.json(record_json(message, raw=raw)))
        else:
            write_list(
                output, client, "messages", found, lambda message: output.text(f"{message.role.value}: {message.text}")
            )


@contextmanager
def _showing_how_to_continue(invocation: Invocation, session: str, stream: EventStream) -> Iterator[None]:
    """Show the command that continues the stream, however the stream ends."""
    try:
        yield
    finally:
        if stream.cursor and not invocation.json and not invocation.emulated:
            invocation.output.note(f"continue: {invocation.again('events', session, '--cursor', stream.cursor)}")


def _write_event(output: Output, event: Event, *, raw: bool, cursor: str | None = None) -> None:
    if output.as_json:
        output.json(record_json(event, raw=raw) | ({"cursor": cursor} if cursor else {}))
    else:
        from polysession.cli.event_text import event_line  # noqa: PLC0415  (help needs no events)

        output.text(one_line(event_line(event)))
