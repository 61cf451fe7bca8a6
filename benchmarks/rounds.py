"""Interleaved measurement: every contender runs once in each of many small rounds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One contender's result.

    Attributes:
        cost: Median cost of one piece of work.
        ratio: Median over the rounds of its cost divided by the baseline's cost in the same round.
        spread: Quartiles of these ratios.
    """

    cost: float
    ratio: float
    spread: tuple[float, float]


def interleave(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Figure]:
    """Measure each contender once in each round. The first one is the baseline."""
    names = list(contenders)
    costs: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        at = turn % len(names)  # no contender always follows the same other one
        for name in names[at:] + names[:at]:
            costs[name].append(contenders[name]())
    return {name: _figure(costs[name], costs[names[0]]) for name in names}


def _figure(costs: list[float], baseline: list[float]) -> Figure:
    ratios = [cost / unit for cost, unit in zip(costs, baseline, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return Figure(statistics.median(costs), statistics.median(ratios), (quartiles[0], quartiles[2]))


def cpu_of(work: Callable[[int], object], times: int) -> Callable[[], float]:
    """Return a measurement of the CPU seconds for one piece of work.

    It is the average over `times` pieces, in this process.
    """

    def measure() -> float:
        gc.collect()
        started = time.process_time()
        work(times)
        return (time.process_time() - started) / times

    return measure
