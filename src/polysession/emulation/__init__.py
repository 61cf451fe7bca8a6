"""Toolkit for emulators: backends with real state, served on a loopback port.

An emulator speaks its backend's wire protocol, so that code can be tried without an account. Needs the extra
`polysession[emulator]`.
"""

from starlette.datastructures import Headers, QueryParams

from polysession.emulation.answers import HEARTBEAT, JSON_NULL, Answer, EventStream, Refusal, sse_frame
from polysession.emulation.api import ApiRequest, Route, build_app
from polysession.emulation.emulator import Emulator, Generation, InitialResources, TurnClock
from polysession.emulation.event_log import EventLog, Signal, TurnTask, pause
from polysession.emulation.faults import Fault, Faults
from polysession.emulation.idempotency import Idempotency
from polysession.emulation.ids import base36_id, base62_id, hex_id
from polysession.emulation.request_id import RequestIdMiddleware, RequestIds
from polysession.emulation.script import (
    Act,
    Ask,
    AskApproval,
    ClientTool,
    Fail,
    Say,
    Think,
    ToolUse,
    UseTools,
    script_for,
)
from polysession.emulation.scripts import Scripts
from polysession.emulation.server import EmulatorHandle, serve, serve_app
from polysession.session import ModelConfig

__all__ = [
    "HEARTBEAT",
    "JSON_NULL",
    "Act",
    "Answer",
    "ApiRequest",
    "Ask",
    "AskApproval",
    "ClientTool",
    "Emulator",
    "EmulatorHandle",
    "EventLog",
    "EventStream",
    "Fail",
    "Fault",
    "Faults",
    "Generation",
    "Headers",
    "Idempotency",
    "InitialResources",
    "ModelConfig",
    "QueryParams",
    "Refusal",
    "RequestIdMiddleware",
    "RequestIds",
    "Route",
    "Say",
    "Scripts",
    "Signal",
    "Think",
    "ToolUse",
    "TurnClock",
    "TurnTask",
    "UseTools",
    "base36_id",
    "base62_id",
    "build_app",
    "hex_id",
    "pause",
    "script_for",
    "serve",
    "serve_app",
    "sse_frame",
]
