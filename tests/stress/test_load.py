"""Many streams at once, and the drawing of what they took. `nox -s load` does the same with a thousand."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tools.load import Figures, cells, measure, streaming_providers, table
from tools.load_drawing import chart, charts

OTHERS = [pytest.param(name, 60, marks=pytest.mark.long) for name in streaming_providers() if name != "qoder"]


@pytest.mark.parametrize(
    ("provider", "streams"), [("qoder", 60), pytest.param("qoder", 1000, marks=pytest.mark.long), *OTHERS]
)
def test_each_stream_brings_its_own_whole_turn(provider: str, streams: int) -> None:
    figures = measure(provider, streams)

    assert len(figures.latencies_s) == streams
    assert max(size for _, size in figures.memory_mb) - figures.memory_mb[0][1] < 30 + streams / 10


def test_the_figures_are_told_and_drawn() -> None:
    found = Figures(2, 1.0, 2.0, [0.5, 1.5], 3.0, [(0.0, 50.0), (1.0, 60.0)])

    assert list(cells(found).values()) == ["2", "1.0", "2.0", "1.50", "1.50", "1.50", "3.0", "50", "60"]
    assert table({"qoder": found}).splitlines()[2] == "| streams at once | 2 |"
    for drawing in charts({"qoder": found}).values():
        assert len(ET.fromstring(drawing).findall("{http://www.w3.org/2000/svg}polyline")) == 1  # noqa: S314  (our own)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(130.0, [0, 50, 100, 150]), (12.4, [0, 2.5, 5, 7.5, 10, 12.5]), (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1])],
)
def test_the_axes_of_a_chart_have_round_numbers(most: float, ticks: list[float]) -> None:
    drawing = ET.fromstring(chart("", "", {"": [(most, 1.0)]}))  # noqa: S314  (our own)

    shown = [float(text.text or "") for text in drawing.iterfind("*[@text-anchor='middle']")]
    assert shown == pytest.approx(ticks)
