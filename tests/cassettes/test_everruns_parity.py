"""The emulator of Everruns sends a turn in the order of the real engine."""

from __future__ import annotations

import re

import pytest

from polysession import Client
from polysession.emulation import serve
from tools.recordings.provenance import CASSETTES
from tools.recordings.tapes import read_tape

LIVE_ONLY = {"connected", "output.message.delta", "reason.thinking.delta"}
AROUND = {"session.started", "session.idled"}
"""A session of the engine starts with its first turn, and not before; a tape ends with the turn."""
ENGINE_ONLY = {"capability.usage", "tool.progress", "reason.item"}


def engine_types(name: str) -> list[str]:
    """The events that the engine stored, in their order."""
    (stream,) = read_tape(CASSETTES / f"everruns/streams/{name}.jsonl").streams().values()
    types = re.findall(r"^event: (\S+)$", b"".join(stream).decode(), re.MULTILINE)
    return [each for each in types if each not in LIVE_ONLY | AROUND | ENGINE_ONLY]


def emulator_types(said: str) -> list[str]:
    with serve("everruns") as emulator, Client("everruns", **emulator.settings) as client:
        session = client.sessions.create(agent=emulator.agent_id)
        with client.sessions.run(session, said) as turn:
            turn.wait()
        types = {event.id: event.native_type for event in client.sessions.events(session) if event.id}
    return [each for each in types.values() if each not in LIVE_ONLY | AROUND]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        pytest.param("hello", "plain", id="plain"),
        pytest.param("/tool", "tool", id="tool"),
        pytest.param("/client-tool", "client_tool", id="client-tool"),
        pytest.param("/fail", "failed", id="failed"),
    ],
)
def test_the_emulator_keeps_the_engines_order(said: str, name: str) -> None:
    types = engine_types(name)
    assert len(types) > 8
    assert emulator_types(said) == types


def test_the_emulator_thinks_before_it_speaks_and_the_engine_says_so_afterwards() -> None:
    """Known: the published description has a start of thinking, which the engine does not tell."""
    thinking = {"reason.thinking.started", "reason.thinking.completed"}
    emulated, engine = emulator_types("/think"), engine_types("thinking")
    assert [each for each in emulated if each in thinking] == ["reason.thinking.started", "reason.thinking.completed"]
    assert [each for each in engine if each in thinking] == ["reason.thinking.completed"]
    assert [each for each in emulated if each not in thinking] == [each for each in engine if each not in thinking]
