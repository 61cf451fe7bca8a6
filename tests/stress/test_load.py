"""Many streams at once, and the drawing of what they took. `nox -s load` does the same with a thousand."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tools.load import Figures, measure, row, streaming_providers, table
from tools.load_drawing import drawn

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

    assert row(found) == "2 | 1.0 s | 2.0 s | 1.50 s | 1.50 s | 1.50 s | 3.0 s | 50 MB | 60 MB"
    assert table({"qoder": found}).splitlines()[-1].startswith("| qoder | 2 |")
    drawing = ET.fromstring(drawn({"qoder": found}))  # noqa: S314  (our own)
    assert len(drawing.findall("{http://www.w3.org/2000/svg}polyline")) == 2
