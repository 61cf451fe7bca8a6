"""`polysession demo`: one story on an emulator of every installed backend, side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from polysession import Client, Support
from polysession._drivers.transport import direct_http_client
from polysession.cli.demo_steps import Place, Step, tell
from polysession.emulation import EmulatorHandle, serve
from polysession.plugins import installed_providers, load_provider

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {Support.NATIVE: "green", Support.EMULATED: "yellow", Support.UNSUPPORTED: "red"}
_MAX_WIDTH = 100


def show_demo(console: Console) -> None:
    """Run the story on each backend and print what each did natively, what is emulated, and what it refused.

    Raises:
        PolysessionError: A backend failed at something that its provider declares as supported.
    """
    stories = {name: run_story(name) for name in emulated_providers()}
    width = min(console.width, _MAX_WIDTH)
    console.print(
        Group(
            Text(f"One program, {len(stories)} backends, each emulated on this machine. Nothing leaves it.\n"),
            _table(stories),
            *_notes("Emulated: the backend lacks it, the provider does it with other calls", stories, Support.EMULATED),
            *_notes("Refused with UnsupportedOperation, before anything was sent", stories, Support.UNSUPPORTED),
        ),
        width=width,
    )


def demo_form() -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "providers": {
            name: [
                {
                    "step": step.title,
                    "feature": step.feature.value,
                    "support": step.support.value,
                    "refusal": step.refusal,
                    "outcome": step.outcome,
                }
                for step in run_story(name)
            ]
            for name in emulated_providers()
        }
    }


def emulated_providers() -> Iterator[str]:
    """Names of the installed providers that ship an emulator."""
    return (name for name in installed_providers() if load_provider(name).emulator is not None)


def run_story(name: str) -> list[Step]:
    """The story on one emulator. Only the name differs from backend to backend."""
    with serve(name) as emulator, local_client(emulator) as client:
        return list(tell(client, place_of(emulator)))


@contextlib.contextmanager
def local_client(emulator: EmulatorHandle) -> Iterator[Client]:
    """A client for an emulator, that goes to it directly even where the environment names a proxy."""
    with (
        direct_http_client() as http_client,
        Client(emulator.provider, profile="", http_client=http_client, **emulator.settings) as client,
    ):
        yield client


def place_of(emulator: EmulatorHandle) -> Place:
    """The emulator's seeded resources, as the story needs them."""
    return Place(
        agent=emulator.agent_id,
        environment=emulator.environment_id,
        model=emulator.model or "demo-model",
        begin_turn=lambda session: emulator.control.start_turn(session.id, duration_s=60),
    )


def _table(stories: dict[str, list[Step]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in stories:
        table.add_column(Text(name, style="bold"), ratio=1)
    for row in zip(*stories.values(), strict=True):
        table.add_row(row[0].title, *(_cell(step) for step in row))
    return table


def _cell(step: Step) -> Text:
    word = "refused" if step.refusal else step.support.value
    style = _STYLES[Support.UNSUPPORTED if step.refusal else step.support]
    return Text.assemble((f"{word:<9}", style), (step.outcome, "dim"))


def _notes(title: str, stories: dict[str, list[Step]], support: Support) -> Iterator[RenderableType]:
    """What the providers say of the steps with that support, each note once."""
    yield Text(f"\n{title}", style="bold")
    for name, steps in stories.items():
        for note, titles in _by_note(name, steps, support).items():
            yield Padding(Text.assemble((name, "bold"), f" {', '.join(titles)}: {note}"), (0, 0, 0, 2))


def _by_note(name: str, steps: list[Step], support: Support) -> dict[str, list[str]]:
    """Titles of the steps with that support, by what the provider says of them."""
    told: dict[str, list[str]] = {}
    for step in steps:
        if step.support is support:
            told.setdefault(load_provider(name).support(step.feature).note, []).append(step.title)
    return told
