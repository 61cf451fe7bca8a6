"""Growth of memory, measured by `growth_mb` in another process."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from typing import Final

from benchmarks.clients import ASYNC, SYNC
from benchmarks.resident import resident_mb

_ONE_KIND_OF_WORK: Final = ("hand, iter_lines",)
CONTENDERS: Final = {
    **{name: client for name, client in SYNC.items() if name not in _ONE_KIND_OF_WORK},
    "polysession, async": ASYNC["polysession"],
    "polysession[aiohttp]": ASYNC["polysession[aiohttp]"],
}
_WARM_UP: Final = 1_000
_EVENTS: Final = 50


def growth_mb(name: str, base_url: str, requests: int, streams: int) -> tuple[float, float]:
    """Return the growth of a client's memory in MB after many reads and opened streams."""
    command = [sys.executable, "-m", "benchmarks.growth", name, base_url, str(requests), str(streams)]
    first, second = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(first), float(second)


def _measure(name: str, base_url: str, requests: int, streams: int) -> tuple[float, float]:
    with asyncio.Runner() as runner, CONTENDERS[name](base_url, runner) as work:
        work["get"](_WARM_UP)
        work["stream"](_EVENTS)
        before = _settled_mb()
        work["get"](requests)
        between = _settled_mb()
        for _ in range(streams):
            work["stream"](_EVENTS)
        return between - before, _settled_mb() - between


def _settled_mb() -> float:
    gc.collect()
    return resident_mb()


if __name__ == "__main__":
    print(*_measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
