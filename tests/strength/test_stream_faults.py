"""The fault matrix, streams: a proxy of raw sockets between both drivers and every emulator."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from polysession import (
    AsyncClient,
    Client,
    Event,
    MessageCompleted,
    MessageDelta,
    Outcome,
    PolysessionError,
    ResumeContract,
    RetryPolicy,
    Session,
    TurnEnded,
)
from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle, serve
from polysession.plugins import load_provider
from strength.stream_faults import FAULTS, REOPENING, SAID
from strength.test_call_faults import busy_connections
from support.fault_proxy import FaultProxy, Spoiler

DEADLINE_S = 6.0
