"""The evidence of one run, stored in `docs/evidence/`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

RECORDS: Final = Path(__file__).parents[2] / "docs/evidence"


@dataclass
class Record:
    """The evidence of the passed tests of a run.

    Attributes:
        tests: Evidence of each test by its node id without parameters: backend, kind, by, and the features.
        events: The backend's event types that were read, by backend and kind.
    """

    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a record from a file."""
        data = json.loads(path.read_text())
        events = {
            backend: {kind: set(types) for kind, types in kinds.items()} for backend, kinds in data["events"].items()
        }
        return cls(data["tests"], events)

    def add(self, claim: Mapping[str, Any]) -> None:
        """Add a passed test. A test that shows no feature is not kept."""
        if claim["features"]:
            entry = {key: claim[key] for key in ("backend", "kind", "by")}
            kept = self.tests.setdefault(claim["test"], {**entry, "shows": []})
            kept["shows"] = sorted({*kept["shows"], *claim["features"]})
        if claim["events"]:
            self.events.setdefault(claim["backend"], {}).setdefault(claim["kind"], set()).update(claim["events"])

    def text(self) -> str:
        """Return the record as text: one sorted line for each test, for readable differences."""
        tests = (f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(self.tests.items()))
        events = (
            f"    {json.dumps(backend)}: {{\n{_lines(kinds)}\n    }}" for backend, kinds in sorted(self.events.items())
        )
        return f'{{\n  "tests": {{\n{_joined(tests)}\n  }},\n  "events": {{\n{_joined(events)}\n  }}\n}}\n'


def stale(known: Record, found: Record, *, whole: bool) -> list[str]:
    """Return the tests whose evidence differs from the stored one.

    Event types are not compared, because they may depend on timing.

    Args:
        known: The stored evidence, of a run of all tests.
        found: The evidence of this run.
        whole: Whether this run had all tests. A run that samples them shows a subset.
    """

    def is_fresh(name: str) -> bool:
        written, shown = known.tests.get(name), found.tests.get(name)
        if whole or written is None or shown is None:
            return written == shown or (shown is None and not whole)
        return {**written, "shows": []} == {**shown, "shows": []} and set(shown["shows"]) <= set(written["shows"])

    return sorted(name for name in known.tests.keys() | found.tests if not is_fresh(name))


def _lines(kinds: Mapping[str, Iterable[str]]) -> str:
    return _joined(f"      {json.dumps(kind)}: {json.dumps(sorted(types))}" for kind, types in sorted(kinds.items()))


def _joined(lines: Iterable[str]) -> str:
    return ",\n".join(lines)
