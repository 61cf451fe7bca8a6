"""Pages of lists in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/pagination (read 2026-11)
"""

from __future__ import annotations

from polysession_managed_agents.emulator.paging import Window, read_limit, read_order
from polysession_managed_agents.emulator.validation import Json, invalid, take

WINDOW_FIELDS = frozenset({"limit", "page", "after_id", "before_id"})


def read_window(values: Json, *, newest_first: bool = True) -> Window:
    """Read the part of a list that a query asks for."""
    page, after_id, before_id = (take(values, name, str) for name in ("page", "after_id", "before_id"))
    if sum(cursor is not None for cursor in (page, after_id, before_id)) > 1:
        raise invalid("Only one of 'page', 'after_id' and 'before_id' is allowed.")
    order = read_order(values)
    return Window(
        limit=read_limit(values, default=20, most=100),
        newest_first=newest_first if order is None else order,
        after=page if page is not None else after_id,
        before=before_id,
    )
