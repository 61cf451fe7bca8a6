"""What a cut of a stream may change, and what not; and how a turn's stream is measured to be cut."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from polysession import AsyncClient, Client, Event, Feature, Outcome, RetryPolicy, Session, TurnEnded, Usage
from polysession.emulation import EmulatorHandle, Fault
from polysession.emulation.faults import FaultKind

STREAM = {"agentscope": "/stream", "everruns": "/sse", "qoder": "/events/stream"}
AT_ONCE = RetryPolicy(attempts=5, first_wait_s=0, max_wait_s=0)
LIMIT_S = 20
NOT_TOLD = {"id", "session_id", "turn_id", "sequence", "created_at", "raw", "synthetic", "native_type"}
"""What differs between two turns with the same events, or between an event and one told from what is stored."""

Run = Callable[[EmulatorHandle, Session, Any], list[Event]]


class Measuring(httpx.HTTPTransport):
    """Counts the bytes of the streams."""

    def __init__(self, path: str) -> None:
        super().__init__(trust_env=False)
        self._path = path
        self.stream_bytes = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith(self._path):
            response.stream = _Counted(response.stream, self)  # type: ignore[arg-type]
        return response


class _Counted(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, owner: Measuring) -> None:
        self._stream = stream
        self._owner = owner

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._owner.stream_bytes += len(chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()


def new_session(emulator: EmulatorHandle) -> Session:
    with Client(emulator.provider, **emulator.settings) as client:
        model = emulator.model if client.supports(Feature.UPDATE_MODEL) else None
        where = {"agent": emulator.agent_id, "environment": emulator.environment_id}
        return client.sessions.create(**where, title="Ticket 42", model=model)  # type: ignore[arg-type]


def run_sync(emulator: EmulatorHandle, session: Session, said: Any) -> list[Event]:
    with (
        Client(emulator.provider, retry=AT_ONCE, **emulator.settings) as client,
        client.sessions.run(session, said, deadline_s=LIMIT_S) as turn,
    ):
        return list(turn)


def run_async(emulator: EmulatorHandle, session: Session, said: Any) -> list[Event]:
    async def run() -> list[Event]:
        async with (
            AsyncClient(emulator.provider, retry=AT_ONCE, **emulator.settings) as client,
            client.sessions.run(session, said, deadline_s=LIMIT_S) as turn,
        ):
            return [event async for event in turn]

    return asyncio.run(run())


def measured(emulator: EmulatorHandle, session: Session, said: Any) -> tuple[list[Event], int]:
    """The events of a turn that is not cut, and how many bytes its stream had."""
    transport = Measuring(STREAM[emulator.provider])
    with (
        httpx.Client(transport=transport) as http,
        Client(emulator.provider, http_client=http, **emulator.settings) as client,
        client.sessions.run(session, said, deadline_s=LIMIT_S) as turn,
    ):
        return list(turn), transport.stream_bytes


def cut(emulator: EmulatorHandle, kind: FaultKind, at_byte: int) -> None:
    """Let the next stream be cut there."""
    emulator.faults.add(Fault(kind, path=STREAM[emulator.provider], at_byte=at_byte))


@dataclass
class Told:
    """What events tell, so that it can be compared.

    Attributes:
        events: Each event without what differs between turns.
        used: What was consumed, in all reports together.
        lost: The types that a gap declares; none if there is no gap.
    """

    events: list[tuple[str, str]] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    lost: frozenset[str] = frozenset()


def told(events: Sequence[Event]) -> Told:
    found = Told()
    for event in events:
        if event.type == "stream.gap":
            assert not found.lost, "one break makes one gap"
            assert event.lost
            assert event.synthetic
            found.lost = frozenset(event.lost)
            continue
        if event.type == "usage":
            found.used.update(_counts(event.usage))
        if event.type in {"message.delta", "thinking.delta"}:
            found.events += [(event.type, word) for word in event.text.split()]  # however they are cut
        else:
            found.events.append((event.type, _content(event)))
    return found


def _content(event: Event) -> str:
    names = [name for name in event.__dataclass_fields__ if name not in NOT_TOLD | {"type"}]
    values = {name: getattr(event, name) for name in names}
    match event.type:
        case "message.started" | "message.delta":
            del values["message_id"]
        case "message.completed":
            values = {"role": event.message.role, "content": [_block(block) for block in event.message.content]}
        case "tool_call.completed" | "tool_call.started" | "tool_call.delta" | "tool_result.completed":
            del values["tool_call_id"]
        case "tool_result.delta":
            del values["tool_call_id"]
        case "action.required":
            values = {"actions": [(action.type, action.name, action.arguments) for action in event.actions]}
        case "native":
            values = {}
    return repr(values)


def _block(block: Any) -> Any:
    return (block.name, block.arguments) if block.type == "tool_call" else block


def _counts(usage: Usage) -> dict[str, int]:
    return {name: value for name, value in usage.model_dump().items() if isinstance(value, int)}


def check_same(events: Sequence[Event], whole: Sequence[Event], where: str) -> bool:
    """None is lost and none doubled: the same events, or a gap that says what is missing, and all the others.

    Returns:
        Whether there is a gap.
    """
    cut, uncut = told(events), told(whole)
    assert uncut.lost == frozenset()
    if not cut.lost:
        assert cut.events == uncut.events, where
        return False
    assert cut.used == uncut.used, where
    left = iter(item for item in uncut.events if item[0] != "usage")  # its reports may come as one
    kept = [item for item in cut.events if item[0] != "usage"]
    assert all(item in left for item in kept), f"{where}: out of order, doubled, or not the same: {kept}"
    missing = Counter(uncut.events) - Counter(cut.events)
    assert {kind for kind, _ in missing} <= cut.lost | {"usage"}, f"{where}: lost {missing}"
    return True


def check_ended(events: Sequence[Event], outcome: Outcome = Outcome.COMPLETED) -> None:
    assert isinstance(events[-1], TurnEnded)
    assert events[-1].outcome is outcome
