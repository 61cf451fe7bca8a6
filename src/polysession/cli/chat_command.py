"""`polysession chat`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from polysession.cli.invocation import Invocation
from polysession.cli.new_session import Continue, open_session
from polysession.cli.options import AgentId, Credential, EnvironmentId, ModelName, ModelType
from polysession.cli.parsing import model_config, stdin_lines
from polysession.cli.register import command


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, writes="event")(chat)


def chat(
    invocation: Invocation,
    backend: Annotated[
        str | None, typer.Argument(metavar="PROVIDER", help="Name of the provider, like --provider.")
    ] = None,
    *,
    continue_: Continue = False,
    session: Annotated[str | None, typer.Option(metavar="ID", help="Use this session instead of a new one.")] = None,
    agent: AgentId = None,
    environment: EnvironmentId = None,
    model: ModelName = None,
    model_type: ModelType = None,
    credential: Credential = None,
) -> None:
    """Chat with an agent. Type /help in the chat for its commands.

    Defaults of the session come from the profile's `new_session`. With --json, each line of stdin is a message, and
    stdout gets the events of its turn.

    Example: polysession chat qoder --emulated
    """
    given = {"agent": agent, "environment": environment, "model": model_config(model, model_type, credential, None)}
    chosen = invocation.for_provider(backend)
    with open_session(chosen, session, given, continues=continue_) as (client, found):
        if invocation.json:
            from polysession.cli.turns import follow_turn  # noqa: PLC0415  (help needs no events)

            for line in filter(None, map(str.strip, stdin_lines())):
                follow_turn(chosen, client, found, line, deadline=None, raw=False)
            return
        from polysession.cli.chat import PROMPT, Chat  # noqa: PLC0415  (programs need no chat)
        from polysession.cli.line_editor import reader  # noqa: PLC0415  (likewise)

        console = Console(highlight=False)
        Chat(client, found, console, reader(console, remembered=PROMPT)).run(resumes=continue_ or session is not None)
