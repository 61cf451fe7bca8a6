"""`docs/emulators.md` says which routes the emulators offer, and which they do not."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from polysession.emulation.loading import load_emulator
from polysession.plugins import installed_providers, load_provider

PAGE = (Path(__file__).parents[2] / "docs/emulators.md").read_text(encoding="utf-8")
BACKENDS = sorted(name for name in installed_providers() if load_provider(name).emulator is not None)
GENERATIONS = ("current", "legacy")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    (section,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def offered(backend: str) -> dict[str, list[set[str]]]:
    """The methods of each path, in each generation."""
    found: dict[str, list[set[str]]] = defaultdict(lambda: [set(), set()])
    for number, generation in enumerate(GENERATIONS):
        emulator = load_emulator(backend)(generation)  # type: ignore[arg-type]
        for route in emulator.routes:
            found[route.path.removeprefix(emulator.base_path)][number].add(route.method)
    return dict(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_page_lists_exactly_what_is_offered(backend: str) -> None:
    listed = {
        path.strip("`"): [set(cell.replace("none", "").split()) for cell in methods]
        for name, path, *methods in rows("Emulated routes")
        if name == backend
    }

    assert listed == offered(backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_page_leaves_out_is_not_offered(backend: str) -> None:
    (paths,) = [re.findall(r"`(/[^`]*)`", cell) for name, cell, _ in rows("Not emulated") if name == backend]
    assert paths
    patterns = [re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "/?") for path in offered(backend)]

    assert [path for path in paths if any(pattern.fullmatch(path) for pattern in patterns)] == []


def test_every_backend_with_an_emulator_is_on_the_page() -> None:
    for heading in ("Emulated routes", "Not emulated"):
        assert sorted({name for name, *_ in rows(heading)}) == BACKENDS
