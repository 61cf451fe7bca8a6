"""Where the examples run: on an emulator, or on the real backend."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from polysession import Client
from polysession.emulation import EmulatorHandle, serve


@dataclass(frozen=True)
class Place:
    """Values that a session is created with.

    Attributes:
        provider: Name of the provider.
        where: Arguments of `sessions.create` besides its title.
        settings: Settings of another client for the same backend.
    """

    provider: str
    where: dict[str, Any]
    settings: dict[str, Any]


def emulated(emulator: EmulatorHandle) -> Place:
    """The place that an emulator is."""
    return Place(emulator.provider, emulator.session_values, emulator.settings)


@contextmanager
def opened(arguments: Sequence[str]) -> Generator[tuple[Client, Place], None, None]:
    """A client and its place, as the command line says: PROVIDER, or PROVIDER --real AGENT [ENVIRONMENT]."""
    provider = arguments[1] if len(arguments) > 1 else "qoder"
    if "--real" in arguments:
        agent, *environment = arguments[3:]
        with Client(provider) as client:
            where = {"agent": agent, **({"environment": environment[0]} if environment else {})}
            yield client, Place(provider, where, {})
        return
    with serve(provider) as emulator, Client(provider, **emulator.settings) as client:
        yield client, emulated(emulator)
