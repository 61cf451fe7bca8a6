"""The commands that stay on this machine: `demo`, `emulate` and `new-provider`."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.console import Console
from rich.text import Text

from polysession.cli.invocation import Invocation
from polysession.cli.options import complete_provider
from polysession.cli.register import command
from polysession.plugins import load_provider
from polysession.settings import variables_of

if TYPE_CHECKING:
    from polysession.emulation import EmulatorHandle


_EMULATOR_KEYS: Final = (
    *("provider", "base_url", "settings", "environment"),
    *("agent_id", "environment_id", "credential_id", "pid"),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, writes=("providers",), has_client=False)(demo)
    command(app, writes=_EMULATOR_KEYS, has_client=False)(emulate)
    command(app, "new-provider", writes=("name", "files"), has_client=False)(new_provider)


def demo(invocation: Invocation) -> None:
    """Run one program on the emulators of all backends and compare them.

    Shows which steps are native, emulated or unsupported.

    Example: polysession demo
    """
    from polysession.cli.demo import demo_form, show_demo  # noqa: PLC0415  (emulators are an extra)

    if invocation.json:
        invocation.output.json(demo_form())
    else:
        show_demo(Console())


def emulate(
    invocation: Invocation,
    provider: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER", help="Name of the provider, such as qoder.", autocompletion=complete_provider
        ),
    ],
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, metavar="PORT", help="Listen on this port of 127.0.0.1; 0 picks a free one."),
    ] = 0,
    generation: Annotated[
        Literal["current", "legacy"], typer.Option(help="Choose the API generation of the backend.")
    ] = "current",
) -> None:
    """Serve the emulator of one backend until Ctrl-C.

    Example: polysession emulate qoder --port 8101
    """
    from polysession.emulation import serve  # noqa: PLC0415  (emulators are an extra)

    with serve(provider, generation=generation, port=port) as handle:
        try:  # from here on, because a reader of the address may act before the next line runs
            if invocation.json:
                invocation.output.json(_form(handle))
            else:
                _show_address(Console(soft_wrap=True), handle)
                sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            invocation.output.note("stopped")


def new_provider(
    invocation: Invocation,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name of the provider: lower-case letters and digits, such as acme2."),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New or empty folder for the project.")],
    *,
    emulator: Annotated[
        bool, typer.Option("--emulator/--no-emulator", help="Include an emulator for its tests.")
    ] = True,
) -> None:
    """Create a project with a provider for another backend.

    Its tests pass at once. Edit wire.py first, then fix the tests that fail.

    Example: polysession new-provider acme ../polysession-acme
    """
    from polysession.cli.new_provider import write_provider  # noqa: PLC0415  (only this command needs it)

    written = write_provider(name, folder, emulator=emulator)
    if invocation.json:
        invocation.output.json({"name": name, "files": [str(path) for path in written]})
        return
    quoted = shlex.quote(str(folder))
    Console(soft_wrap=True).print(
        Text(
            f"Created {len(written)} files in {folder}. Its tests pass already:\n"
            f"  pip install -e {shlex.quote(f'{folder}[test]')} && pytest {quoted}/tests\n"
            'Edit wire.py first, then fix the tests that fail. The page "Write a provider" explains each file.'
        )
    )


def _form(handle: EmulatorHandle) -> dict[str, object]:
    return {
        "provider": handle.provider,
        "base_url": handle.base_url,
        "settings": handle.settings,
        "environment": environment_of(handle),
        "agent_id": handle.agent_id,
        "environment_id": handle.environment_id,
        "credential_id": handle.credential_id,
        "pid": os.getpid(),
    }


def environment_of(handle: EmulatorHandle) -> dict[str, str]:
    """Return the environment variables with which other commands find the emulator."""
    variables = variables_of(load_provider(handle.provider).settings_type)
    settings = {"agent_id": handle.agent_id} | handle.settings
    found = {names[0]: str(settings[setting]) for setting, names in variables.items() if setting in settings}
    return {"POLYSESSION_PROVIDER": handle.provider, **found}


def _show_address(console: Console, handle: EmulatorHandle) -> None:
    settings = ", ".join(f"{name}={value!r}" for name, value in handle.settings.items())
    seeded = {"agent": handle.agent_id, "environment": handle.environment_id, "credential": handle.credential_id}
    lines = [
        f"Emulating {handle.provider} at {handle.base_url} (Ctrl-C stops it)",
        "",
        "  from polysession import Client",
        f"  client = Client({handle.provider!r}, {settings})",
        "",
        "  In another terminal:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in environment_of(handle).items()),
        "  polysession sessions list",
        "",
        *(f"  {name:<12}{value}" for name, value in seeded.items() if value is not None),
    ]
    console.print(Text("\n".join(lines)))
