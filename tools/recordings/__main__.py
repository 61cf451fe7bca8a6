"""Writes the table of counts in `cassettes/README.md`: `python -m tools.recordings`."""

from __future__ import annotations

from tools.recordings.inventory import page
from tools.recordings.provenance import CASSETTES

(CASSETTES / "README.md").write_text(page(), encoding="utf-8")
