"""Places that list backends by hand list them all."""

from __future__ import annotations

import tomllib
from pathlib import Path

from polysession.plugins import installed_providers

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
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
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [each for each in packages if not (ROOT / each / "py.typed").is_file()] == []


def test_the_contracts_that_part_emulators_from_readers_name_each_module() -> None:
    modules = {f"*.{path.stem}" for path in (ROOT / "providers").glob("*/*.py") if path.stem != "__init__"}
    contracts = {each["name"]: each for each in PYPROJECT["tool"]["importlinter"]["contracts"]}
    emulators = contracts["An emulator shares no code with the provider that it judges"]
    providers = contracts["A provider shares no code with the emulator that judges it"]

    assert set(emulators["forbidden_modules"]) == set(providers["source_modules"]) == modules
    assert emulators["source_modules"] == providers["forbidden_modules"] == ["*.emulator"]
