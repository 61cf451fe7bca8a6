"""The `polysession` command: its groups, its common options, and its errors in the command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from polysession import __version__
from polysession._validation import OWN_CHECK
from polysession.cli import (
    chat_command,
    doctor_command,
    event_commands,
    inspect_commands,
    local_commands,
    turn_commands,
)
from polysession.cli.agent_commands import agents
from polysession.cli.errors import ExitCode, report
from polysession.cli.help import MainHelp
from polysession.cli.options import (
    DebugOption,
    EmulatedOption,
    FieldsOption,
    JsonOption,
    ProfileOption,
    ProviderOption,
    SetOption,
)
from polysession.cli.profile_commands import profiles
from polysession.cli.resource_commands import environments, models
from polysession.cli.session_commands import sessions
from polysession.errors import PolysessionError, UsageError

app: Final = typer.Typer(
    name="polysession",
    cls=MainHelp,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(value: bool) -> None:  # noqa: FBT001  (typer's way to call it)
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
    fields: FieldsOption = None,
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Work with the agent sessions of many backends.

    These options may come before or after a command. Each command has --help.
    """
    del version  # the message is already printed
    context.obj = {
        "provider": provider,
        "profile": profile,
        "set_": set_,
        "emulated": emulated,
        "json": json,
        "fields": fields,
        "debug": debug,
    }


for _group, _name in (
    (sessions, "sessions"),
    (agents, "agents"),
    (environments, "environments"),
    (models, "models"),
    (profiles, "profiles"),
):
    app.add_typer(_group, name=_name)
for _module in (turn_commands, chat_command, event_commands, inspect_commands, doctor_command, local_commands):
    _module.add_to(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Arguments of the command; None for those of the process.

    Returns:
        The exit status.
    """
    as_json = bool({"--json", "--fields"} & set(sys.argv if arguments is None else arguments))
    try:
        status = _COMMAND.main(args=arguments, prog_name="polysession", standalone_mode=False)
    except typer.Abort:
        return report(PolysessionError("aborted"), as_json=as_json, debug=False)
    except TyperException as error:
        return _report_misuse(error, as_json=as_json)
    return status if isinstance(status, int) else ExitCode.DONE


def end_on_sigterm() -> None:
    """Let SIGTERM end the command like Ctrl-C: connections are closed, and it shows what continues."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED))


_COMMAND = get_command(app)


def _report_misuse(error: TyperException, *, as_json: bool) -> int:
    """Report a mistake in the command line like every other error; a group without a command shows its help."""
    context = getattr(error, "ctx", None)
    message = error.format_message().replace(OWN_CHECK, "")
    if context is not None and message == context.get_help():
        typer.echo(message, err=True)
        return ExitCode.USAGE
    sentence = message[0].lower() + message[1:] + ("" if message.endswith((".", "?")) else ".")
    where = f" See {context.command_path} --help" if context is not None else ""
    return report(UsageError(sentence + where), as_json=as_json, debug=False)
