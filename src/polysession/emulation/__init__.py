"""Toolkit for emulators: backends with real state, served on a loopback port.

An emulator speaks its backend's wire protocol, so that code can be tried without an account. Needs the extra
`polysession[emulator]`.
"""

from polysession.emulation.emulator import Emulator, Seeded, TurnClock
from polysession.emulation.ids import base36_id, hex_id
from polysession.emulation.request_id import RequestIdMiddleware
from polysession.emulation.server import EmulatorHandle, serve

__all__ = [
    "Emulator",
    "EmulatorHandle",
    "RequestIdMiddleware",
    "Seeded",
    "TurnClock",
    "base36_id",
    "hex_id",
    "serve",
]
