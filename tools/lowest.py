"""Prints pip constraints with the lowest version of each dependency: `nox -s lowest`.

Only packages that users install are pinned: the dependencies and the extras, without the tools of the extra `dev`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

_PROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"
_FLOOR: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?>=(?P<version>[0-9.]+)")
_TOOLS: Final = frozenset({"all", "bench", "dev", "tests"})
"""Extras for developers."""
_LOCKSTEP: Final = ("opentelemetry-sdk",)
"""Packages of the tests that must have the same version as packages that users install."""


def requirements(project: Mapping[str, Any]) -> list[str]:
    """Return the requirements that users install, from the table `project`."""
    extras = project["optional-dependencies"]
    tools = [each for each in extras["tests"] if each.startswith(_LOCKSTEP)]
    return [*project["dependencies"], *(each for name in extras if name not in _TOOLS for each in extras[name]), *tools]


def lowest(required: Iterable[str]) -> list[str]:
    """Return `name==version` for each requirement with a lowest version."""
    floors = (_FLOOR.match(each) for each in required)
    return sorted({f"{floor['name']}=={floor['version']}" for floor in floors if floor})


if __name__ == "__main__":
    with _PROJECT.open("rb") as file:
        print("\n".join(lowest(requirements(tomllib.load(file)["project"]))))
    sys.exit()
