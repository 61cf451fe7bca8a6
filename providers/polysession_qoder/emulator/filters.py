"""Which sessions a list or a search shows.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/list and /cloud-agents/api/sessions/search (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable

from polysession.emulation import Generation
from polysession_managed_agents.emulator.shelf import CREATED_AT_FIELDS, read_plain_filter
from polysession_managed_agents.emulator.validation import Json, invalid, only, take, take_all
from polysession_qoder.emulator.listing import WINDOW_FIELDS
from polysession_qoder.emulator.shapes import STATUSES, session_status
from polysession_qoder.emulator.state import Session

SessionFilter = Callable[[Session], bool]

_FILTERS = CREATED_AT_FIELDS | {
    "agent_id",
    "agent_version",
    "deployment_id",
    "include_archived",
    "memory_store_id",
    "statuses",
}
_LIST_FIELDS = WINDOW_FIELDS | _FILTERS | {"order"}
_SEARCH_FIELDS = _FILTERS | {"limit", "page", "order", "metadata", "name"}


def read_list_filter(query: Json, generation: Generation) -> SessionFilter:
    """The test that the query of a list asks for. A list cannot filter by metadata."""
    only(query, _LIST_FIELDS)
    return _read_filter(query, generation)


def read_search_filter(body: Json) -> SessionFilter:
    """The test that a search asks for: the filters of a list, exact metadata, and a part of the title."""
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
    admits_plain = read_plain_filter(values)
    statuses = _read_statuses(values, generation)
    agent_id = take(values, "agent_id", str)
    agent_version = take(values, "agent_version", int)
    if agent_version is not None and agent_id is None:
        raise invalid("Field 'agent_version' needs 'agent_id'.", "agent_version")
    # No session here comes from a deployment, so that this filter leaves none.
    deployment_id = take(values, "deployment_id", str)
    memory_store_id = take(values, "memory_store_id", str)
    return lambda session: (
        admits_plain(session)
        and session_status(session, generation) in statuses
        and agent_id in {None, session.agent.id}
        and agent_version in {None, session.agent.fields["version"]}
        and deployment_id is None
        and (memory_store_id is None or session.uses_memory_store(memory_store_id))
    )


def _read_statuses(values: Json, generation: Generation) -> frozenset[str]:
    statuses = frozenset(take_all(values, "statuses", str))
    if not statuses <= STATUSES[generation]:
        raise invalid(f"Field 'statuses' may hold {', '.join(sorted(STATUSES[generation]))}.", "statuses")
    return statuses or STATUSES[generation]
