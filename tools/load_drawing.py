"""Draws the figures of a load test as SVG, without a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

Points = Sequence[tuple[float, float]]

WIDTH: Final = 760
HEIGHT: Final = 300
LEFT: Final = 56
BOTTOM: Final = 250
TOP: Final = 40
PANEL: Final = 290
GAP: Final = 90
TICKS: Final = 4
COLOURS: Final = ("#5b7fde", "#d9822b", "#3f9b5f")
GREY: Final = "#888"


class Drawable(Protocol):
    """The values of a run that are drawn."""

    latencies_s: list[float]
    memory_mb: list[tuple[float, float]]


def drawn(figures: Mapping[str, Drawable]) -> str:
    """Return a drawing with two panels: memory over time, and latencies of the turns."""
    memory = {name: found.memory_mb for name, found in figures.items()}
    latency = {
        name: [
            (100 * (number + 1) / len(found.latencies_s), latency) for number, latency in enumerate(found.latencies_s)
        ]
        for name, found in figures.items()
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="11">',
        *_panel(LEFT, "memory of the client, MB", "seconds", memory),
        *_panel(LEFT + PANEL + GAP, "seconds from message to end of turn", "% of the turns", latency),
        *_legend(list(figures)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(left: int, title: str, below: str, lines: Mapping[str, Points]) -> list[str]:
    most_x = max(x for points in lines.values() for x, _ in points)
    most_y = 1.05 * max(y for points in lines.values() for _, y in points)
    parts = [f'<text x="{left}" y="{TOP - 14}" fill="{GREY}">{title}</text>']
    for tick in range(TICKS + 1):
        y = BOTTOM - (BOTTOM - TOP) * tick / TICKS
        x = left + PANEL * tick / TICKS
        parts += [
            f'<line x1="{left}" y1="{y:.0f}" x2="{left + PANEL}" y2="{y:.0f}" stroke="{GREY}" stroke-opacity="0.25"/>',
            f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end" fill="{GREY}">{most_y * tick / TICKS:.3g}</text>',
            f'<text x="{x:.0f}" y="{BOTTOM + 16}" text-anchor="middle" fill="{GREY}">',
            f"{most_x * tick / TICKS:.3g}</text>",
        ]
    parts.append(f'<text x="{left + PANEL}" y="{BOTTOM + 32}" text-anchor="end" fill="{GREY}">{below}</text>')
    for colour, points in zip(COLOURS, lines.values(), strict=False):
        step = max(1, len(points) // PANEL)
        kept = [*points[::step], points[-1]]
        path = " ".join(f"{left + PANEL * x / most_x:.1f},{BOTTOM - (BOTTOM - TOP) * y / most_y:.1f}" for x, y in kept)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
    return parts


def _legend(names: Sequence[str]) -> list[str]:
    return [
        f'<text x="{LEFT + 110 * number}" y="{HEIGHT - 6}" fill="{colour}">{name}</text>'
        for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False))
    ]
