"""The import contracts keep up with the tree."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_emulators_are_kept_apart_from_every_module_of_their_provider() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [item for item in contracts if "shares no code" in item["name"]]
    modules = {
        f"{path.parent.name}.{path.stem}"
        for path in (ROOT / "providers").glob("polysession_*/*.py")
        if path.stem != "__init__"
    }

    assert set(contract["forbidden_modules"]) == modules
