"""Runs the benchmarks and prints a table for each kind of work, with ratios to the first row.

Costs are CPU time of the client's process alone, medians over rounds in which every client has its turn. A ratio is
the median over the rounds of one client's cost as a share of the yardstick's in that same round; its quartiles follow.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import cold, construction, growth
from benchmarks.bodies import STREAMED
from benchmarks.clients import ASYNC, BURST, EVERRUNS, SYNC
from benchmarks.rounds import Figure, cpu_of, interleave
from benchmarks.server import served

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"
"""Not in force here: pip compiles what it installs, and a checkout's own code would be compiled anew at every start."""


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds, and the work in each of them."""

    rounds: int
    cold_rounds: int
    calls: int
    pages: int
    events: int
    bursts: int
    requests: int
    streams: int


FULL: Final = Size(
    rounds=20, cold_rounds=5, calls=30, pages=2, events=STREAMED, bursts=100, requests=20_000, streams=100
)
QUICK: Final = Size(rounds=4, cold_rounds=3, calls=10, pages=1, events=1_000, bursts=100, requests=500, streams=10)


def imports(_base_url: str, size: Size) -> None:
    """Import time, and memory."""
    held: dict[str, float] = {}
    show("import", "ms", 1e3, interleave(_cold(cold.IMPORTS, held), size.cold_rounds), held)


def first_calls(base_url: str, size: Size) -> None:
    """From nothing to the first answer: imports, a client, a call."""
    codes = {name: code.format(base_url=base_url) for name, code in cold.FIRST_CALLS.items()}
    held: dict[str, float] = {}
    show("imports, client and first get", "ms", 1e3, interleave(_cold(codes, held), size.cold_rounds), held)


def command(_base_url: str, size: Size) -> None:
    """The command's start."""
    runs = {name: _bound(cold.run_command, line) for name, line in cold.COMMANDS.items()}
    show("whole process", "ms", 1e3, interleave(runs, size.cold_rounds))


def clients(base_url: str, size: Size) -> None:
    """A further client in a process that has one."""
    with construction.makers(f"{base_url}/qoder") as makers:
        works = {name: cpu_of(make, 3) for name, make in makers.items()}
        show("a second client", "us", 1e6, interleave(works, size.rounds))


def get(base_url: str, size: Size) -> None:
    """Reading a session."""
    _compare(base_url, "get", size.calls, size.rounds)


def update(base_url: str, size: Size) -> None:
    """Changing a session."""
    _compare(base_url, "update", size.calls, size.rounds)


def page(base_url: str, size: Size) -> None:
    """Reading a page of 100 sessions."""
    _compare(base_url, "page", size.pages, size.rounds)


def stream(base_url: str, size: Size) -> None:
    """Events of a stream, read to typed events. The cost is that of one event."""
    _compare(base_url, "stream", size.events, max(3, size.rounds // 8))


def burst(base_url: str, size: Size) -> None:
    """A hundred reads at once. The cost is that of one read."""
    _measure(BURST, base_url, "burst", size.bursts, max(3, size.rounds // 3), f"{size.bursts} gets at once, each")


def memory(base_url: str, size: Size) -> None:
    """Growth of memory, in MB."""
    print(f"\n{size.requests} gets and {size.streams} streams: MB more than before")
    for name in growth.CONTENDERS:
        requests_mb, streams_mb = growth.growth_mb(name, base_url, size.requests, size.streams)
        print(f"  {name:32}{requests_mb:10.2f}{streams_mb:10.2f}")


WORK: Final[Mapping[str, Callable[[str, Size], None]]] = {
    work.__name__: work for work in (imports, first_calls, command, clients, get, update, page, stream, burst, memory)
}


def _compare(base_url: str, kind: str, times: int, rounds: int) -> None:
    _measure(SYNC, base_url, kind, times, rounds, f"Qoder, {kind}")
    _measure(ASYNC, base_url, kind, times, rounds, f"Qoder, {kind}, async")
    _measure(EVERRUNS, base_url, kind, times, rounds, f"Everruns, {kind}, async")


def _measure(contenders: Mapping[str, Any], base_url: str, kind: str, times: int, rounds: int, title: str) -> None:
    with asyncio.Runner() as runner, ExitStack() as stack:
        opened = {name: stack.enter_context(client(base_url, runner)) for name, client in contenders.items()}
        works = {name: work[kind] for name, work in opened.items() if kind in work}
        if len(works) < len(("hand", "polysession")):
            return
        for work in works.values():
            work(times)
        measures = {name: cpu_of(work, times) for name, work in works.items()}
        show(title, "us", 1e6, interleave(measures, rounds))


def _cold(codes: Mapping[str, str], held: dict[str, float]) -> dict[str, Callable[[], float]]:
    def measured(name: str, code: str) -> Callable[[], float]:
        def measure() -> float:
            seconds, held[name] = cold.run(code)
            return seconds

        return measure

    return {name: measured(name, code) for name, code in codes.items()}


def _bound(function: Callable[[Any], float], argument: object) -> Callable[[], float]:
    return lambda: function(argument)


def show(
    title: str, unit: str, scale: float, figures: Mapping[str, Figure], held_mb: Mapping[str, float] | None = None
) -> None:
    """Print one table."""
    memory_title = f"{'MB':>8}" if held_mb else ""
    print(f"\n{title:34}{'CPU ' + unit:>10}{'ratio':>8}   quartiles{memory_title}")
    for name, figure in figures.items():
        held = f"{held_mb[name]:8.1f}" if held_mb else ""
        low, high = figure.spread
        print(f"  {name:32}{figure.cost * scale:10.1f}{figure.ratio:8.2f}   {low:.2f}-{high:.2f}{held}")
    sys.stdout.flush()


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("work", nargs="*", metavar="WORK", help=f"any of {', '.join(WORK)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: one to two minutes, and less sure")
    asked = parser.parse_args()
    unknown = sorted(set(asked.work) - set(WORK))
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; there are {', '.join(WORK)}")
    for name in (*_PROXIES, _NO_BYTECODE):
        os.environ.pop(name, None)
    started_s = time.monotonic()
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    with served() as base_url:
        for name in asked.work or WORK:
            WORK[name](base_url, QUICK if asked.quick else FULL)
    print(f"\n{time.monotonic() - started_s:.0f} s in all")


if __name__ == "__main__":
    main()
