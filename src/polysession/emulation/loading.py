"""Finds the emulator that a provider ships."""

from __future__ import annotations

from importlib import import_module

from polysession.emulation.emulator import Emulator
from polysession.errors import BrokenProvider, UsageError
from polysession.plugins import load_provider


def load_emulator(name: str) -> type[Emulator]:
    """Return the emulator class of a provider.

    Raises:
        UnknownProvider: No provider has that name.
        PluginError: The provider cannot be used, or its emulator is not at the declared location.
        UsageError: The provider ships no emulator.
    """
    location = load_provider(name).emulator
    if location is None:
        raise UsageError(f"provider {name!r} has no emulator", provider=name)
    module, _, attribute = location.partition(":")
    try:
        emulator = getattr(import_module(module), attribute)
    except Exception as error:  # a plugin may fail in any way
        raise BrokenProvider(f"its emulator {location} cannot be loaded: {error}", provider=name) from error
    if not (isinstance(emulator, type) and issubclass(emulator, Emulator)):
        raise BrokenProvider(f"its emulator {location} is not a subclass of Emulator", provider=name)
    return emulator
