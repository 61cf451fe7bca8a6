"""Places that list backends by hand list them all."""

from __future__ import annotations

import tomllib
from pathlib import Path

from polysession.plugins import installed_providers

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = [
    name
    for name, offers in installed_providers().items()
    if {o.dist and o.dist.name for o in offers} == {"polysession"}
]


def test_each_backend_is_an_entry_point_a_keyword_and_a_page() -> None:
    assert sorted(PROJECT["entry-points"]["polysession.providers"]) == OURS
    assert set(OURS) <= set(PROJECT["keywords"])
    navigation = (ROOT / "mkdocs.yml").read_text()
    for name in OURS:
        assert (ROOT / f"docs/providers/{name}.md").is_file()
        assert f"providers/{name}.md" in navigation


def test_each_package_is_typed() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    assert [each for each in packages if not (ROOT / each / "py.typed").is_file()] == []
