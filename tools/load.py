"""Many streams at once on one client, with an emulator in another process: `nox -s load`.

Each session gets a different message, and its stream must deliver the whole turn that answers it. The figures are
written to `docs/load.md`, with a drawing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from polysession import AsyncClient, Feature, ModelConfig, RetryPolicy, Session, Support
from polysession.cli.demo import emulated_providers
from polysession.plugins import load_provider
from tools.load_drawing import charts

FILES: Final = 16_000
"""Limit of open files to set: each stream uses one, and each message another."""
DEADLINE_S: Final = 300.0
SENDERS: Final = 50
SAMPLE_S: Final = 0.25
SHARES: Final = {"median": 0.5, "99 %": 0.99, "slowest": 1.0}
DOCS: Final = Path(__file__).parents[1] / "docs"
BEGIN: Final = "<!-- figures:begin -->"
END: Final = "<!-- figures:end -->"
SERVER: Final = """
import json, resource, sys, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from polysession.emulation import serve
with serve(sys.argv[1]) as emulator:
    values = emulator.session_values
    if "model" in values:
        values["model"] = values["model"].model_dump(mode="json", exclude_none=True)
    print(json.dumps({"settings": emulator.settings, "values": values}), flush=True)
    sys.stdin.read()
"""


@dataclass
class Figures:
    """The measurement.

    Attributes:
        streams: Number of streams.
        opened_s: Seconds until all streams were open.
        ended_s: Seconds from the first message to the end of the last turn.
        latencies_s: Seconds from the message to the end of each turn, sorted.
        cpu_s: Processor time of the client in seconds, from the first stream to the end of the last turn.
        memory_mb: Resident memory of the client in MB at each moment, in seconds since the start.
    """

    streams: int
    opened_s: float = 0.0
    ended_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    memory_mb: list[tuple[float, float]] = field(default_factory=list)

    def latency_s(self, share: float) -> float:
        """Return the latency in seconds that this share of the turns (0 to 1) does not exceed."""
        return self.latencies_s[min(len(self.latencies_s) - 1, int(share * len(self.latencies_s)))]


@contextmanager
def emulator_process(provider: str) -> Iterator[dict[str, Any]]:
    """Run an emulator in another process. Yields its settings, and values for new sessions."""
    command = [sys.executable, "-c", SERVER, provider, str(FILES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


def allow_files() -> None:
    """Raise the limit of open files to `FILES`, or to the hard limit if that is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))


def resident_mb() -> float:
    """Return the current resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def read_turn(stream: Any, session_id: str, answer: str) -> None:
    """Read a stream to the end of its turn, and check it.

    It must be complete, without an event of another session.

    Raises:
        AssertionError: The check failed.
    """
    texts = []
    async for event in stream:
        assert event.session_id == session_id, "an event of another session"
        if event.type == "message.completed" and event.message.role == "assistant":
            texts.append(event.message.text)
        if event.type == "turn.ended":
            assert (event.outcome, texts) == ("completed", [answer])
            return
    raise AssertionError("the stream ended before its turn")


async def follow_many(place: dict[str, Any], provider: str, streams: int) -> Figures:
    """Open all streams, send a message to each session, and read each turn to its end."""
    figures = Figures(streams)
    started_s = time.monotonic()

    async def watch_memory() -> None:
        while True:
            figures.memory_mb.append((time.monotonic() - started_s, resident_mb()))
            await asyncio.sleep(SAMPLE_S)

    async with AsyncClient(provider, retry=RetryPolicy(attempts=1), timeout=120, **place["settings"]) as client:
        watching = asyncio.create_task(watch_memory())
        senders = asyncio.Semaphore(SENDERS)
        sessions = await create_sessions(client, place["values"], streams, senders)
        async with AsyncExitStack() as stack:

            async def enter(session: Session) -> Any:
                async with senders:
                    return await stack.enter_async_context(client.sessions.stream(session, deadline_s=DEADLINE_S))

            opened_s, cpu_s = time.monotonic(), time.process_time()
            opened = await asyncio.gather(*(enter(session) for session in sessions))
            figures.opened_s = time.monotonic() - opened_s
            await run_turns(client, list(zip(sessions, opened, strict=True)), senders, figures)
            figures.cpu_s = time.process_time() - cpu_s
        watching.cancel()
    figures.latencies_s.sort()
    return figures


async def create_sessions(
    client: AsyncClient, values: dict[str, Any], streams: int, senders: asyncio.Semaphore
) -> list[Session]:
    """Create a session for each stream."""
    model = {"model": ModelConfig(**values["model"])} if "model" in values else {}

    async def create(number: int) -> Session:
        async with senders:
            return await client.sessions.create(title=f"Session {number}", **{**values, **model})

    return await asyncio.gather(*(create(number) for number in range(streams)))


async def run_turns(
    client: AsyncClient, opened: list[tuple[Session, Any]], senders: asyncio.Semaphore, figures: Figures
) -> None:
    """Send a message to each session, and read its turn from its stream to the end."""

    async def run_turn(number: int, session: Session, stream: Any) -> None:
        sent_s = time.monotonic()
        async with senders:
            await client.sessions.send(session, f"message {number}")
        await read_turn(stream, session.id, f"You said: message {number}")
        figures.latencies_s.append(time.monotonic() - sent_s)

    first_s = time.monotonic()
    await asyncio.gather(*(run_turn(number, *each) for number, each in enumerate(opened)))
    figures.ended_s = time.monotonic() - first_s


def measure(provider: str, streams: int) -> Figures:
    """Follow this number of streams at once, and return the measurement."""
    allow_files()
    with emulator_process(provider) as place:
        return asyncio.run(follow_many(place, provider, streams))


def streaming_providers() -> list[str]:
    """Return the installed providers whose emulator streams sessions.

    One that polls keeps no connection open.
    """
    loaded = {name: load_provider(name) for name in emulated_providers()}
    return [name for name, each in loaded.items() if each.support(Feature.SESSIONS_STREAM).support is Support.NATIVE]


def main() -> None:
    """Measure each backend's emulator, and write the page and its charts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=1000)
    options = parser.parse_args()
    busy = surroundings()
    figures = {name: measure(name, options.streams) for name in streaming_providers()}
    for name, found in figures.items():
        sys.stdout.write(f"{name}: {cells(found)}\n")
    for name, drawing in charts(figures).items():
        (DOCS / "assets" / f"load-{name}.svg").write_text(drawing)
    page = DOCS / "load.md"
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table(figures)}\n\n{busy}\n{END}{rest.partition(END)[2]}")


def surroundings() -> str:
    """Return a sentence about the load of the machine at the start."""
    return f"Measured on {os.cpu_count()} processors, with a load average of {os.getloadavg()[0]:.1f} at the start."


def cells(found: Figures) -> dict[str, str]:
    """Return the figures of one run by their names in the table."""
    memory = [size for _, size in found.memory_mb]
    return {
        "streams at once": f"{found.streams:,}",
        "all streams open after, s": f"{found.opened_s:.1f}",
        "all turns ended after, s": f"{found.ended_s:.1f}",
        **{f"time of a turn, {name}, s": f"{found.latency_s(share):.2f}" for name, share in SHARES.items()},
        "CPU of the client, s": f"{found.cpu_s:.1f}",
        "memory before, MB": f"{memory[0]:.0f}",
        "memory at most, MB": f"{max(memory):.0f}",
    }


def table(figures: dict[str, Figures]) -> str:
    """Return a table of all runs, with a column for each backend."""
    runs = [cells(found) for found in figures.values()]
    rows = [
        ["figure", *figures],
        ["---"] * (len(runs) + 1),
        *([name, *(run[name] for run in runs)] for name in runs[0]),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
