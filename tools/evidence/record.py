"""The evidence of one run, as it is kept in `docs/evidence/`."""

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
        tests: By its node id without parameters, what each shows: backend, kind, by, and the features.
        events: By backend and kind, the backend's event types that were read.
    """

    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one."""
        data = json.loads(path.read_text())
        events = {
            backend: {kind: set(types) for kind, types in kinds.items()} for backend, kinds in data["events"].items()
        }
        return cls(data["tests"], events)

    def add(self, claim: Mapping[str, Any]) -> None:
        """Count one passed test. One that shows no feature is not kept."""
        if claim["features"]:
            entry = {key: claim[key] for key in ("backend", "kind", "by")}
            kept = self.tests.setdefault(claim["test"], {**entry, "shows": []})
            kept["shows"] = sorted({*kept["shows"], *claim["features"]})
        if claim["events"]:
            self.events.setdefault(claim["backend"], {}).setdefault(claim["kind"], set()).update(claim["events"])

    def text(self) -> str:
        """As it is kept: a test a line, sorted, so that a difference of two shows what changed."""
        tests = (f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(self.tests.items()))
        events = (
            f"    {json.dumps(backend)}: {{\n{_lines(kinds)}\n    }}" for backend, kinds in sorted(self.events.items())
        )
        return f'{{\n  "tests": {{\n{_joined(tests)}\n  }},\n  "events": {{\n{_joined(events)}\n  }}\n}}\n'


def stale(known: Record, found: Record, *, whole: bool) -> list[str]:
    """Return the tests that show something else than is written down.

    Event types are not compared: which ones come may be a matter of time.

    Args:
        known: The written evidence, of a run of all tests.
        found: The evidence of this run.
        whole: Whether this run had all tests. One that samples them shows less, and nothing else.
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
