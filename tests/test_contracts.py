"""Emulators import nothing of the provider that they judge, whatever its modules are called."""

import ast
from pathlib import Path

import pytest

PROVIDERS = Path(__file__).parents[1] / "providers"
EMULATORS = sorted(PROVIDERS.glob("polysession_*/emulator"))


def imported(file: Path) -> set[str]:
    """The modules that a file imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {"." * node.level + f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("emulator", EMULATORS, ids=lambda folder: folder.parent.name)
def test_an_emulator_imports_emulators_only(emulator: Path) -> None:
    for file in emulator.glob("**/*.py"):
        names = {name for name in imported(file) if name.startswith(("polysession", "."))}
        of_the_family = "polysession_managed_agents.emulator"
        allowed = ("polysession.emulation", f"{emulator.parent.name}.emulator", of_the_family)
        assert {name for name in names if not f"{name}.".startswith(tuple(f"{each}." for each in allowed))} == set()
