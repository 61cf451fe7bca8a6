"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from polysession.errors import UsageError
from polysession.plugins import installed_providers
from polysession.profiles import read_profiles


def complete_provider(incomplete: str) -> list[str]:
    """Return the names of installed providers, for shell completion."""
    return [name for name in installed_providers() if name.startswith(incomplete)]


def complete_profile(incomplete: str) -> list[str]:
    """Return the names of profiles, for shell completion; none if the file cannot be read."""
    try:
        return [name for name in read_profiles(os.environ) if name.startswith(incomplete)]
    except UsageError:
        return []


COMMON: Final = "Common options"
"""Panel of the options that every command has. Only `polysession --help` lists them."""

ProviderOption = Annotated[
    str | None,
    typer.Option(
        help="Choose the provider.  [env var: POLYSESSION_PROVIDER]",
        metavar="NAME",
        autocompletion=complete_provider,
        rich_help_panel=COMMON,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        help="Choose the profile.  [env var: POLYSESSION_PROFILE]",
        metavar="NAME",
        autocompletion=complete_profile,
        rich_help_panel=COMMON,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Pass a provider setting (no secrets). Repeatable.",
        metavar="KEY=VALUE",
        rich_help_panel=COMMON,
    ),
]
EmulatedOption = Annotated[
    bool,
    typer.Option("--emulated", help="Start an emulator and run the command on it.", rich_help_panel=COMMON),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.", rich_help_panel=COMMON)]
FieldsOption = Annotated[
    str | None,
    typer.Option("--fields", help="Print only these fields, as JSON.", metavar="A,B.C", rich_help_panel=COMMON),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.", rich_help_panel=COMMON)]

CLIENT_OPTIONS: Final[Mapping[str, tuple[Any, Any]]] = {
    "provider": (ProviderOption, None),
    "profile": (ProfileOption, None),
    "set_": (SetOption, None),
    "emulated": (EmulatedOption, False),
}
OUTPUT_OPTIONS: Final[Mapping[str, tuple[Any, Any]]] = {
    "json": (JsonOption, False),
    "fields": (FieldsOption, None),
    "debug": (DebugOption, False),
}

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Id of the session.")]
Raw = Annotated[bool, typer.Option("--raw", help="Add the backend's own object to the JSON, as `raw`.")]
NativeJson = Annotated[str | None, typer.Option(metavar="JSON", help="Add native fields: JSON, @FILE, or - for stdin.")]
AgentId = Annotated[str | None, typer.Option(metavar="ID", help="Use this agent.")]
EnvironmentId = Annotated[str | None, typer.Option(metavar="ID", help="Use this environment.")]
ModelName = Annotated[str | None, typer.Option(metavar="ID", help="Use this model.")]
ModelType = Annotated[str | None, typer.Option(metavar="TYPE", help="Set the type of the model.")]
Credential = Annotated[str | None, typer.Option(metavar="ID", help="Use this credential for the model.")]
ModelParameters = Annotated[str | None, typer.Option(metavar="JSON", help="Set the parameters of the model.")]
Deadline = Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop waiting after this many seconds.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Read at most N items (default: all).")]
PageSize = Annotated[int | None, typer.Option(min=1, metavar="N", help="Read N items with each request.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation.")]
