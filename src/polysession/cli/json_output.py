"""Records as JSON values with stable keys, and as text for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from polysession.record import ReceivedRecord

_AGES: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def record_json(record: ReceivedRecord, *, raw: bool) -> dict[str, Any]:
    """Dump a record as JSON values.

    Args:
        record: Any record that a backend sent.
        raw: Add the backend's own object, as `raw`.
    """
    return record.dump() | ({"raw": record.raw} if raw else {})


def set_fields(record: ReceivedRecord) -> dict[str, str]:
    """Return the fields of a record that are set, as text."""
    form = record.model_dump(mode="json", exclude_none=True)
    return {name: _as_text(value) for name, value in form.items() if value not in ("", {}, [])}


def age(moment: datetime | None) -> str:
    """Return the time that has passed since a moment, in its largest unit."""
    if moment is None:
        return ""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    return next((f"{seconds // size}{unit}" for size, unit in _AGES if seconds >= size), f"{seconds}s")


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
