"""The commands, and how their errors are told."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Annotated, NoReturn, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from polysession import Client, Feature
from polysession.cli.chat import Chat
from polysession.cli.demo import local_client, place_of, show_demo
from polysession.cli.printing import printable
from polysession.emulation import EmulatorHandle, serve
from polysession.emulation.emulator import Generation
from polysession.errors import PolysessionError, UsageError

P = ParamSpec("P")

_USAGE_EXIT = 2
_FAILURE_EXIT = 1

app = typer.Typer(
    name="polysession",
    help="One client for the agent sessions of many backends.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def kind_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Tell an expected error as one paragraph instead of a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except PolysessionError as error:
            _fail(error)

    return run


def _fail(error: PolysessionError) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(Text(f"polysession: {error}", style="red"))
    raise typer.Exit(_USAGE_EXIT if isinstance(error, UsageError) else _FAILURE_EXIT)


@app.callback()
def _options(
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """One client for the agent sessions of many backends."""


@app.command()
@kind_errors
def demo() -> None:
    """Run one program on an emulator of each backend, and show what each did.

    Example: polysession demo
    """
    show_demo(Console())


@app.command()
@kind_errors
def emulate(
    provider: Annotated[str, typer.Argument(help="Provider name, such as qoder.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port on 127.0.0.1; 0 takes a free one.")] = 0,
    generation: Annotated[Generation, typer.Option(help="seed is the backend's older shape.")] = "current",
) -> None:
    """Serve the emulator of one backend on this machine, until Ctrl-C.

    Example: polysession emulate qoder --port 8101
    """
    with serve(provider, generation=generation, port=port) as handle:
        _tell_address(Console(soft_wrap=True), handle)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            Console().print("stopped")


@app.command()
@kind_errors
def chat(
    provider: Annotated[str, typer.Argument(help="Provider name, such as qoder.")],
    session: Annotated[str | None, typer.Option(help="Id of a session to go on with; without it one is made.")] = None,
    agent: Annotated[str | None, typer.Option(help="Id of the agent to talk to.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="Id of the environment to run in, where there are such.")
    ] = None,
    *,
    emulated: Annotated[bool, typer.Option("--emulated", help="Talk to the backend's emulator.")] = False,
) -> None:
    """Talk to an agent. Settings come from the environment.

    Example: polysession chat qoder --emulated
    """
    console = Console()
    # A prompt may hold text of the backend, which must not be taken for markup.
    read_line = functools.partial(console.input, markup=False, emoji=False)
    if emulated:
        with serve(provider) as emulator, local_client(emulator) as client:
            model = place_of(emulator).model if client.supports(Feature.UPDATE_MODEL) else None
            new = client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id, model=model)
            Chat(client, new, console, read_line).run()
        return
    with Client(provider) as client:
        found = (
            client.sessions.get(session) if session else client.sessions.create(agent=agent, environment=environment)
        )
        console.print(Text(f"session {printable(found.id)}", style="dim"))
        Chat(client, found, console, read_line).run()


def _tell_address(console: Console, handle: EmulatorHandle) -> None:
    settings = ", ".join(f"{name}={value!r}" for name, value in handle.settings.items())
    seeded = {"agent": handle.agent_id, "environment": handle.environment_id, "credential": handle.credential_id}
    lines = [
        f"Emulating {handle.provider} at {handle.base_url} (Ctrl-C stops it)",
        "",
        "  from polysession import Client",
        f"  client = Client({handle.provider!r}, {settings})",
        "",
        *(f"  {name:<12}{value}" for name, value in seeded.items() if value is not None),
    ]
    console.print(Text("\n".join(lines)))
