"""Memory of a page of 100 sessions and of a stream of 20,000 events, held by the caller.

Each figure is measured in another process: the highest resident size while reading and holding, minus the size before.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.bodies import STREAMED, common_events
from benchmarks.resident import resident_mb

_ROOT: Final = Path(__file__).parents[1]
_STATUS: Final = Path("/proc/self/status")
_REFERENCES: Final = Path("/proc/self/clear_refs")
_FORGET_THE_PEAK: Final = "5"

KINDS: Final[Mapping[str, tuple[str, int, int]]] = {
    "held_page": ("page of 100", 20, 20),
    "held_stream": ("stream of 20,000 events", STREAMED, 1),
}
"""Title, number of pages or events that are read and held, and divisor of the result. Many pages are held at once,
because a small amount would fit into memory that Python keeps free."""


def peak_mb(python: str, name: str, kind: str, base_url: str) -> float:
    """Return the figure of a client: `hand`, or the `polysession` of an interpreter."""
    command = [python, "-m", "benchmarks.peak", name, kind, base_url]
    return float(subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout)


def _measure(name: str, kind: str, base_url: str) -> float:
    if name == "hand":
        from benchmarks.hand_clients import hand_typed as client  # noqa: PLC0415  (imports are part of the size)
    else:
        from benchmarks.our_clients import ours as client  # noqa: PLC0415
    with asyncio.Runner() as runner, client(base_url, runner) as work:
        work["get"](10)
        work["stream"](1_000)
        work["page"](1)
        _, amount, parts = KINDS[kind]
        common_events("qoder", STREAMED)  # counted before the measurement of memory
        gc.collect()
        before = resident_mb()
        _REFERENCES.write_text(_FORGET_THE_PEAK)
        held = work[kind](amount)
        assert held
        return (_peak_mb() - before) / parts


def _peak_mb() -> float:
    """Return the highest resident size in MB since the peak was reset (Linux)."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(_measure(*sys.argv[1:]))
