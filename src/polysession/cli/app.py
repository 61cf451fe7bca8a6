"""The `polysession` command: its groups, and the options that may stand before a command."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from polysession import __version__
from polysession.cli import doctor_command, inspect_commands, local_commands, talk_commands
from polysession.cli.agent_commands import agents
from polysession.cli.invocation import (
    DebugOption,
    EmulatedOption,
    JsonOption,
    ProfileOption,
    ProviderOption,
    SetOption,
)
from polysession.cli.session_commands import sessions

app: Final = typer.Typer(
    name="polysession",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _tell_version(value: bool) -> None:  # noqa: FBT001  (typer's way to call it)
    if value:
        typer.echo(f"polysession {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    *,
    provider: ProviderOption = None,
    profile: ProfileOption = None,
    set_: SetOption = None,
    emulated: EmulatedOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    """One client for the agent sessions of many backends.

    The options below may stand before a command or after it.

    Example: polysession --profile staging sessions list
    """
    del version  # told already
    context.obj = {
        "provider": provider,
        "profile": profile,
        "set_": set_,
        "emulated": emulated,
        "json": json,
        "debug": debug,
    }


app.add_typer(sessions, name="sessions")
app.add_typer(agents, name="agents")
talk_commands.add_to(app)
inspect_commands.add_to(app)
doctor_command.add_to(app)
local_commands.add_to(app)
