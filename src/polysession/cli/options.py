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
        help="Provider; else the profile's, or POLYSESSION_PROVIDER.",
        metavar="NAME",
        autocompletion=complete_provider,
        rich_help_panel=COMMON,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        help="Profile; else POLYSESSION_PROFILE.",
        metavar="NAME",
        autocompletion=complete_profile,
        rich_help_panel=COMMON,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Setting of the provider, no secret; repeatable.",
        metavar="KEY=VALUE",
        rich_help_panel=COMMON,
    ),
]
EmulatedOption = Annotated[
    bool,
    typer.Option("--emulated", help="Start an emulator for this command, and use it.", rich_help_panel=COMMON),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON.", rich_help_panel=COMMON)]
FieldsOption = Annotated[
    str | None,
    typer.Option("--fields", help="Write JSON, with these fields only.", metavar="A,B.C", rich_help_panel=COMMON),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.", rich_help_panel=COMMON)]

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
Raw = Annotated[bool, typer.Option("--raw", help="With --json: the backend's object too, as `raw`.")]
NativeJson = Annotated[str | None, typer.Option(metavar="JSON", help="Fields of this backend only: JSON, @FILE or -.")]
AgentId = Annotated[str | None, typer.Option(metavar="ID", help="Id of the agent.")]
EnvironmentId = Annotated[str | None, typer.Option(metavar="ID", help="Id of the environment.")]
ModelName = Annotated[str | None, typer.Option(metavar="ID", help="Id of the model.")]
ModelType = Annotated[str | None, typer.Option(metavar="TYPE", help="Its type, if the backend has types of models.")]
Credential = Annotated[str | None, typer.Option(metavar="ID", help="Id of its credential, if it needs one.")]
ModelParameters = Annotated[str | None, typer.Option(metavar="JSON", help="Its parameters.")]
Deadline = Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop waiting after this time.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after N; else all are read.")]
PageSize = Annotated[int | None, typer.Option(min=1, metavar="N", help="Items in each request.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
