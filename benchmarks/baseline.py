"""Runs the polysession of another environment in the same rounds: `--python PATH`.

The other interpreter runs this module with the benchmarks of this checkout and its own polysession, and measures in its
own process. Input: `{"group": ..., "client": ..., "kind": ..., "times": ...}`; output: seconds for each piece of work.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import cpu_of
from benchmarks.work import Work

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Baseline:
    """A process of another interpreter that measures on request."""

    process: subprocess.Popen[str]

    def measure(self, group: str, client: str, kind: str, times: int) -> Callable[[], float]:
        """Return a function that measures a kind of work: CPU seconds for one piece of it."""
        question = json.dumps({"group": group, "client": client, "kind": kind, "times": times})

        def measure() -> float:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write(f"{question}\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())

        return measure


@contextmanager
def baseline(python: str, base_url: str) -> Iterator[Baseline]:
    """Run the other interpreter while the context is open."""
    command = [python, "-m", "benchmarks.baseline", base_url]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Baseline(process)
        finally:
            process.kill()


def _answer_questions(base_url: str) -> None:
    """Measure until the input ends.

    Each client is opened at its first use, and warmed up with each type of work.
    """
    from benchmarks.our_clients import BY_GROUP  # noqa: PLC0415  (only in the other interpreter)

    opened: dict[tuple[str, str], Work] = {}
    warm: set[tuple[str, ...]] = set()
    with asyncio.Runner() as runner, ExitStack() as stack:
        for line in sys.stdin:
            question = json.loads(line)
            place = question["group"], question["client"]
            if place not in opened:
                opened[place] = stack.enter_context(BY_GROUP[place[0]][place[1]](base_url, runner))
            work, times = opened[place][question["kind"]], question["times"]
            if (*place, question["kind"]) not in warm:
                warm.add((*place, question["kind"]))
                work(times)
            print(cpu_of(work, times)(), flush=True)


if __name__ == "__main__":
    _answer_questions(sys.argv[1])
