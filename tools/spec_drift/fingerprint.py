"""A short description of a backend's wire format, for comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Fingerprint:
    """The names in a published source.

    Attributes:
        source: Name of the source.
        version: Version of the source.
        objects: The type of each field of each object, as the source writes it.
        enums: The values of each enum.
        event_types: The types of events.
        routes: Method and path of each operation, with unnamed path parameters.
    """

    source: str
    version: str
    objects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    event_types: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a stored description."""
        data = json.loads(path.read_text())
        return cls(
            data["source"],
            data["version"],
            data["objects"],
            {name: tuple(values) for name, values in data["enums"].items()},
            tuple(data["event_types"]),
            tuple(data["routes"]),
        )

    def save(self, path: Path) -> None:
        """Store the description, sorted, for readable differences."""
        data = {
            "source": self.source,
            "version": self.version,
            "objects": {name: dict(sorted(fields.items())) for name, fields in sorted(self.objects.items())},
            "enums": {name: sorted(values) for name, values in sorted(self.enums.items())},
            "event_types": sorted(self.event_types),
            "routes": sorted(self.routes),
        }
        path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
