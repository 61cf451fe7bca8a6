"""Runs the benchmarks, and prints a table for each kind of work.

A cost is the CPU time of the client's process: the median over rounds in which every client runs once. A ratio is the
median over the rounds of a client's cost divided by the baseline's cost in the same round; its quartiles follow.
`--python PATH` adds rows for the polysession of another environment, for example an earlier version.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import cold, construction, growth, our_clients, peak
from benchmarks.baseline import Baseline, baseline
from benchmarks.bodies import STREAMED
from benchmarks.clients import GROUPS
from benchmarks.rounds import Figure, cpu_of, interleave
from benchmarks.server import served

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"
"""Variable to unset: with it, a checkout's code is compiled at every start, while pip has compiled installed code."""
_OTHER: Final = "other polysession"
"""Name of the rows with the polysession of another environment."""


@dataclass(frozen=True)
class Size:
    """Size of a measurement: the number of rounds, and the work in each round."""

    rounds: int
    cold_rounds: int
    calls: int
    pages: int
    events: int
    paced: int
    bursts: int
    requests: int
    streams: int


FULL: Final = Size(
    rounds=20, cold_rounds=5, calls=30, pages=2, events=STREAMED, paced=1_000, bursts=100, requests=20_000, streams=100
)
QUICK: Final = Size(
    rounds=4, cold_rounds=3, calls=10, pages=1, events=1_000, paced=500, bursts=100, requests=500, streams=10
)


@dataclass(frozen=True)
class Bench:
    """Tools of a measurement.

    Attributes:
        base_url: URL of the server.
        size: Size of the measurement.
        other: Process that runs another polysession.
        other_python: Interpreter of that process.
    """

    base_url: str
    size: Size
    other: Baseline | None = None
    other_python: str | None = None


def imports(bench: Bench) -> None:
    """Measure the time and memory of imports."""
    held: dict[str, float] = {}
    show("import", "ms", 1e3, interleave(_cold(cold.IMPORTS, held), bench.size.cold_rounds), held)


def first_calls(bench: Bench) -> None:
    """Measure imports, a new client and its first call."""
    codes = {name: code.format(base_url=bench.base_url) for name, code in cold.FIRST_CALLS.items()}
    held: dict[str, float] = {}
    show("imports, client and first get", "ms", 1e3, interleave(_cold(codes, held), bench.size.cold_rounds), held)


def command(bench: Bench) -> None:
    """Measure the start of the command-line program."""
    runs = {name: _bound(cold.run_command, line) for name, line in cold.COMMANDS.items()}
    show("whole process", "ms", 1e3, interleave(runs, bench.size.cold_rounds))


def clients(bench: Bench) -> None:
    """Measure an additional client in a process that has one."""
    with construction.makers(f"{bench.base_url}/qoder") as makers:
        works = {name: cpu_of(make, 3) for name, make in makers.items()}
        show("a second client", "us", 1e6, interleave(works, bench.size.rounds))


def get(bench: Bench) -> None:
    """Measure reads of a session."""
    _compare(bench, "get", bench.size.calls, bench.size.rounds)


def update(bench: Bench) -> None:
    """Measure changes of a session."""
    _compare(bench, "update", bench.size.calls, bench.size.rounds)


def page(bench: Bench) -> None:
    """Measure reads of a page of 100 sessions."""
    _compare(bench, "page", bench.size.pages, bench.size.rounds)


def stream(bench: Bench) -> None:
    """Measure a stream with one event in each chunk, read as typed events.

    The cost is that of one event.
    """
    _compare(bench, "stream", bench.size.events, max(3, bench.size.rounds // 4))


def paced(bench: Bench) -> None:
    """Measure a stream whose client waits for each chunk. The cost is that of one event."""
    _compare(bench, "paced", bench.size.paced, max(3, bench.size.rounds // 2))


def burst(bench: Bench) -> None:
    """Measure a hundred simultaneous reads. The cost is that of one read."""
    size = bench.size
    _measure(bench, "burst", "burst", size.bursts, max(3, size.rounds // 3), f"{size.bursts} gets at once, each")


def memory(bench: Bench) -> None:
    """Measure the growth of memory, in MB."""
    size = bench.size
    print(f"\n{size.requests} gets and {size.streams} streams: MB more than before")
    for name in growth.CONTENDERS:
        requests_mb, streams_mb = growth.growth_mb(name, bench.base_url, size.requests, size.streams)
        print(f"  {name:32}{requests_mb:10.2f}{streams_mb:10.2f}")


def peaks(bench: Bench) -> None:
    """Measure the peak of memory while a page or a stream is read and held, in MB."""
    contenders = {"hand": ("hand", sys.executable), "polysession": ("polysession", sys.executable)}
    if bench.other_python:
        contenders[_OTHER] = ("polysession", bench.other_python)
    rounds = bench.size.cold_rounds
    for kind, (title, _, _) in peak.KINDS.items():
        print(f"\n{title}, all held: {'MB':>6}  of hand")
        found = {
            name: statistics.median(peak.peak_mb(python, client, kind, bench.base_url) for _ in range(rounds))
            for name, (client, python) in contenders.items()
        }
        for name, peak_mb in found.items():
            print(f"  {name:32}{peak_mb:10.2f}{peak_mb / found['hand']:8.2f}")


WORK: Final[Mapping[str, Callable[[Bench], None]]] = {
    work.__name__: work
    for work in (imports, first_calls, command, clients, get, update, page, stream, paced, burst, memory, peaks)
}


def _compare(bench: Bench, kind: str, times: int, rounds: int) -> None:
    _measure(bench, "sync", kind, times, rounds, f"Qoder, {kind}")
    _measure(bench, "async", kind, times, rounds, f"Qoder, {kind}, async")
    _measure(bench, "everruns", kind, times, rounds, f"Everruns, {kind}, async")
    _measure(bench, "agentscope", kind, times, rounds, f"AgentScope, {kind}, async")


def _measure(bench: Bench, group: str, kind: str, times: int, rounds: int, title: str) -> None:
    with asyncio.Runner() as runner, ExitStack() as stack:
        opened = {name: stack.enter_context(client(bench.base_url, runner)) for name, client in GROUPS[group].items()}
        works = {name: work[kind] for name, work in opened.items() if kind in work}
        if len(works) < len(("hand", "polysession")):
            return
        for work in works.values():
            work(times)
        measures = {name: cpu_of(work, times) for name, work in works.items()}
        if bench.other is not None:
            theirs = "async" if group == "burst" else group
            for name in [name for name in works if name in our_clients.BY_GROUP[theirs]]:
                measures[f"{_OTHER}{name.removeprefix('polysession')}"] = bench.other.measure(theirs, name, kind, times)
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
    """Run the chosen benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("work", nargs="*", metavar="WORK", help=f"any of {', '.join(WORK)}; all by default")
    parser.add_argument("--python", metavar="PATH", help="interpreter of an environment with another polysession")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: one to two minutes, and less precise")
    asked = parser.parse_args()
    unknown = sorted(set(asked.work) - set(WORK))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; choose from {', '.join(WORK)}")
    for name in (*_PROXIES, _NO_BYTECODE):
        os.environ.pop(name, None)
    started_s = time.monotonic()
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    with served() as base_url, ExitStack() as stack:
        other = stack.enter_context(baseline(asked.python, base_url)) if asked.python else None
        bench = Bench(base_url, QUICK if asked.quick else FULL, other, asked.python)
        for name in asked.work or WORK:
            WORK[name](bench)
    print(f"\n{time.monotonic() - started_s:.0f} s in all")


if __name__ == "__main__":
    main()
