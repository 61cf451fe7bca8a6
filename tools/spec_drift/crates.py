"""Descriptions from Rust crates of Everruns' engine.

They are newer than its published description.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Final

from tools.spec_drift.fingerprint import Fingerprint
from tools.spec_drift.scope import Scope

_CONTRACTS: Final = "everruns-contracts"
_EVENT_TYPE: Final = re.compile(r'^pub const [A-Z_]+: &str = "([a-z_]+(?:\.[a-z_]+)+)";', re.MULTILINE)
_STRUCT: Final = re.compile(r"^pub struct (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD: Final = re.compile(r"^    pub (?:r#)?(\w+): (.+),$", re.MULTILINE)
_PARTS: Final = re.compile(r"^pub enum ContentPart \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_REASONS: Final = re.compile(r"^pub enum TurnStopReason \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_WORD: Final = re.compile(r"^    (\w+),", re.MULTILINE)
_VARIANT: Final = re.compile(r"^    (\w+)\(", re.MULTILINE)


def everruns_contracts(folder: Path, scope: Scope) -> Fingerprint:
    """Return the events and messages of the crate `everruns-contracts`, unpacked in a folder.

    Raises:
        OSError: The folder has no such crate.
    """
    manifest = tomllib.loads((folder / "Cargo.toml").read_text())["package"]
    runtime = folder / "src/runtime"
    events = "\n".join(path.read_text() for path in sorted((runtime / "events").glob("*_data.rs")))
    reasons = "".join(_REASONS.findall((folder / "src/turn.rs").read_text()))
    parts = "".join(_PARTS.findall((runtime / "message.rs").read_text()))
    return Fingerprint(
        manifest["name"],
        manifest["version"],
        {name: dict(_FIELD.findall(body)) for name, body in _STRUCT.findall(events) if name in scope.objects},
        {
            "ContentPart.type": tuple(sorted(map(_snake_case, _VARIANT.findall(parts)))),
            "TurnStopReason": tuple(sorted(map(_snake_case, _WORD.findall(reasons)))),
        },
        tuple(sorted(_EVENT_TYPE.findall((runtime / "events/mod.rs").read_text()))),
    )


def unpacked(version: str) -> Path | None:
    """Return cargo's folder with a version of the crate; None if cargo has not fetched it."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    return next(home.glob(f"registry/src/*/{_CONTRACTS}-{version}"), None)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
