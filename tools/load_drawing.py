"""Draws the figures of a load test as SVG, without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

Points = Sequence[tuple[float, float]]

WIDTH: Final = 360
HEIGHT: Final = 300
LEFT: Final = 50
RIGHT: Final = 346
BOTTOM: Final = 236
TOP: Final = 40
TICKS: Final = 5
STEPS: Final = (1, 2, 2.5, 5, 10)
COLOURS: Final = ("#5b7fde", "#d9822b", "#3f9b5f", "#c2478f", "#8a6fd1", "#2f9aa8")
LEGEND_COLUMNS: Final = 3
GREY: Final = "#888"


class Drawable(Protocol):
    """The values of a run that are drawn."""

    latencies_s: list[float]
    memory_mb: list[tuple[float, float]]


def charts(figures: Mapping[str, Drawable]) -> dict[str, str]:
    """Return two charts by name: memory over time, and how many of the turns were done how soon."""
    memory = {name: found.memory_mb for name, found in figures.items()}
    latency = {
        name: [
            (100 * (number + 1) / len(found.latencies_s), latency) for number, latency in enumerate(found.latencies_s)
        ]
        for name, found in figures.items()
    }
    return {
        "memory": chart("memory of the client, MB", "seconds", memory),
        "latency": chart("seconds from message to end of turn", "% of the turns", latency),
    }


def chart(title: str, below: str, lines: Mapping[str, Points]) -> str:
    """Return a chart with a line for each backend."""
    most_x, x_ticks = _axis(max(x for points in lines.values() for x, _ in points))
    most_y, y_ticks = _axis(max(y for points in lines.values() for _, y in points))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="11">',
        f'<text x="{LEFT}" y="{TOP - 14}" fill="{GREY}">{title}</text>',
    ]
    for tick in y_ticks:
        y = BOTTOM - (BOTTOM - TOP) * tick / most_y
        parts += [
            f'<line x1="{LEFT}" y1="{y:.0f}" x2="{RIGHT}" y2="{y:.0f}" stroke="{GREY}" stroke-opacity="0.25"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end" fill="{GREY}">{tick:g}</text>',
        ]
    for tick in x_ticks:
        x = LEFT + (RIGHT - LEFT) * tick / most_x
        parts.append(f'<text x="{x:.0f}" y="{BOTTOM + 16}" text-anchor="middle" fill="{GREY}">{tick:g}</text>')
    parts.append(f'<text x="{RIGHT}" y="{BOTTOM + 30}" text-anchor="end" fill="{GREY}">{below}</text>')
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        kept = [*points[:: max(1, len(points) // (RIGHT - LEFT))], points[-1]]
        path = " ".join(
            f"{LEFT + (RIGHT - LEFT) * x / most_x:.1f},{BOTTOM - (BOTTOM - TOP) * y / most_y:.1f}" for x, y in kept
        )
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        line, column = divmod(number, LEGEND_COLUMNS)
        parts.append(f'<text x="{LEFT + 100 * column}" y="{HEIGHT - 20 + 16 * line}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axis(most: float) -> tuple[float, list[float]]:
    """Return the end of an axis for this maximum, and its ticks, which are round numbers."""
    power = 10 ** math.floor(math.log10(most / TICKS))
    step = next(power * each for each in STEPS if math.ceil(most / (power * each)) <= TICKS)
    ticks = [step * number for number in range(math.ceil(most / step) + 1)]
    return ticks[-1], ticks
