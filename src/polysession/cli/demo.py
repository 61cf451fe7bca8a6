"""`polysession demo`: the same steps on an emulator of every installed backend, side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from polysession import Client, Feature, Support
from polysession._drivers.transport import direct_http_client
from polysession.cli.demo_steps import Place, Step, tell
from polysession.cli.support_marks import SUPPORT_LEGEND, support_lines
from polysession.emulation import EmulatorHandle, serve
from polysession.plugins import installed_providers, load_provider

if TYPE_CHECKING:
    from rich.console import RenderableType

_MAX_WIDTH = 100


def show_demo(console: Console) -> None:
    """Run the steps on each backend and print the native, the emulated and the unsupported ones.

    Raises:
        PolysessionError: A step failed that the provider declares as supported.
    """
    stories = {name: run_story(name) for name in emulated_providers()}
    width = min(console.width, _MAX_WIDTH)
    console.print(
        Group(
            Text(f"One program on {len(stories)} backends, each emulated on this machine. No data leaves it.\n"),
            *_table(stories, width),
            Text(f"\n{SUPPORT_LEGEND}"),
            *_notes(
                "Emulated: the backend lacks the feature, and the provider uses other calls", stories, Support.EMULATED
            ),
            *_notes(
                "Unsupported: UnsupportedOperation is raised before a request is sent", stories, Support.UNSUPPORTED
            ),
            Text("\nCosts and reasons: polysession features --why", style="dim"),
        ),
        width=width,
    )


def demo_form() -> dict[str, Any]:
    """Run the steps on each backend, and return the results as JSON values."""
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
    """Return the names of the installed providers that ship an emulator and create sessions."""
    loaded = ((name, load_provider(name)) for name in installed_providers())
    return (name for name, each in loaded if each.emulator and each.support(Feature.SESSIONS_CREATE).support)


def run_story(name: str) -> list[Step]:
    """Run the steps on one emulator. Only the name differs between backends."""
    with serve(name) as emulator, local_client(emulator) as client:
        return list(tell(client, place_of(emulator)))


@contextlib.contextmanager
def local_client(emulator: EmulatorHandle) -> Iterator[Client]:
    """Return a client that connects directly to an emulator, even if the environment names a proxy."""
    with (
        direct_http_client() as http_client,
        Client(emulator.provider, profile="", http_client=http_client, **emulator.settings) as client,
    ):
        yield client


def place_of(emulator: EmulatorHandle) -> Place:
    """Return the emulator's initial resources for the steps."""
    return Place(
        agent=emulator.agent_id,
        environment=emulator.environment_id,
        model=emulator.model or "demo-model",
        begin_turn=lambda session: emulator.control.start_turn(session.id, duration_s=60),
    )


def _table(stories: dict[str, list[Step]], width: int) -> Iterator[Text]:
    """Build a table with a row for each step: the backends' answers, and how each backend supports the step."""
    rows = []
    for row in zip(*stories.values(), strict=True):
        outcomes = dict.fromkeys(step.outcome for step in row if step.outcome)
        rows.append(((row[0].title, " or ".join(outcomes)), [step.support for step in row]))
    return support_lines("", list(stories), rows, width=width)


def _notes(title: str, stories: dict[str, list[Step]], support: Support) -> Iterator[RenderableType]:
    """Return the steps with this kind of support, by provider."""
    yield Text(f"\n{title}", style="bold")
    table = Table.grid(padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, steps in stories.items():
        titles = [step.title for step in steps if step.support is support]
        if titles:
            table.add_row(name, ", ".join(titles))
    yield Padding(table, (0, 0, 0, 2))
