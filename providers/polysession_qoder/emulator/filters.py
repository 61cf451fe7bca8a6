"""Filters of the list and of the search of sessions.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/list and /cloud-agents/api/sessions/search (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable

from polysession.emulation import Generation
from polysession_managed_agents.emulator.session_filter import FILTERS, Facts, read_session_filter
from polysession_managed_agents.emulator.validation import Json, invalid, only, take
from polysession_qoder.emulator.listing import WINDOW_FIELDS
from polysession_qoder.emulator.shapes import STATUSES, session_status
from polysession_qoder.emulator.state import Session

SessionFilter = Callable[[Session], bool]

_LIST_FIELDS = WINDOW_FIELDS | FILTERS | {"order"}
_SEARCH_FIELDS = FILTERS | {"limit", "page", "order", "metadata", "name"}


def read_list_filter(query: Json, generation: Generation) -> SessionFilter:
    """Return a predicate for the sessions that a list selects.

    A list cannot filter by metadata.
    """
    only(query, _LIST_FIELDS)
    return _read_filter(query, generation)


def read_search_filter(body: Json) -> SessionFilter:
    """Return a predicate for a search: that of a list, exact metadata, and a part of the title."""
    only(body, _SEARCH_FIELDS)
    admits_listed = _read_filter(body, "current")
    name = (take(body, "name", str) or "").casefold()
    metadata: Json = take(body, "metadata", dict) or {}
    for value in metadata.values():
        if not isinstance(value, str):
            raise invalid("Metadata values must be strings.", "metadata")
    return lambda session: (
        admits_listed(session)
        and name in (session.title or "").casefold()
        and metadata.items() <= session.metadata.items()
    )


def _read_filter(values: Json, generation: Generation) -> SessionFilter:
    def facts(session: Session) -> Facts:
        mounted = [mount.fields.get("memory_store_id") for mount in session.resources.values()]
        status = session_status(session, generation)
        return Facts(status, session.agent.id, session.agent.fields["version"], [*session.memory_store_ids, *mounted])

    return read_session_filter(values, STATUSES[generation], facts)
