"""Shared parts of the tests: emulators, their turns without faults, and the number of combinations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from zlib import crc32

import pytest

from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle, serve
from polysession_agentscope.turn_plans import AgentScopeTurn
from stress.following import CASES, CELLS, DEADLINE_S, Baselines, Case
from stress.libraries import LIBRARIES, Library


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between us and the loopback port."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, EmulatorHandle]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(serve(name)) for name in emulated_providers()}


@pytest.fixture(scope="module")
def baselines(emulators: dict[str, EmulatorHandle]) -> Baselines:
    return Baselines(emulators)


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.long if name != "httpx" else ()) for name in LIBRARIES])
def library(request: pytest.FixtureRequest) -> Library:
    """The HTTP library of the clients."""
    return LIBRARIES[request.param]


@pytest.fixture
def late_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delay the look of AgentScope's turns at what is stored: a busy machine may be silent for two seconds."""
    monkeypatch.setattr(AgentScopeTurn, "quiet_s", DEADLINE_S / 2)


@pytest.fixture
def cases(request: pytest.FixtureRequest, library: Library) -> list[Case]:
    """All combinations; in the normal run one of each provider, with another client and operation from test to test."""
    if request.config.getoption("--stress"):
        return [case for case in CASES if case.driver in library.drivers]
    turn = crc32(request.node.nodeid.encode())
    return [
        case for number, case in enumerate(CASES) if number % len(CELLS) == (turn + number // len(CELLS)) % len(CELLS)
    ]
