"""Toolkit for emulators: backends with real state, served on a loopback port.

An emulator speaks its backend's wire protocol, so that code can be tried without an account. Needs the extra
`polysession[emulator]`.
"""

from polysession.emulation.emulator import Emulator, Generation, Seeded, TurnClock
from polysession.emulation.event_log import EventLog, Signal, TurnTask, pause
from polysession.emulation.faults import Fault, Faults
from polysession.emulation.ids import base36_id, hex_id
from polysession.emulation.request_id import RequestIdMiddleware
from polysession.emulation.script import Act, Fail, Say, Think, ToolUse, UseClientTools, UseTools, script_for
from polysession.emulation.server import EmulatorHandle, serve, serve_app
from polysession.session import ModelConfig

__all__ = [
    "Act",
    "Emulator",
    "EmulatorHandle",
    "EventLog",
    "Fail",
    "Fault",
    "Faults",
    "Generation",
    "ModelConfig",
    "RequestIdMiddleware",
    "Say",
    "Seeded",
    "Signal",
    "Think",
    "ToolUse",
    "TurnClock",
    "TurnTask",
    "UseClientTools",
    "UseTools",
    "base36_id",
    "hex_id",
    "pause",
    "script_for",
    "serve",
    "serve_app",
]
