"""Writes the table of counts in `cassettes/README.md`: `PYTHONPATH=tests python -m support.cassettes`."""

from __future__ import annotations

from support.cassettes.evidence import page
from support.cassettes.provenance import CASSETTES

(CASSETTES / "README.md").write_text(page(), encoding="utf-8")
