"""Filters of the list of sessions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeVar

from polysession_managed_agents.emulator.record_store import CREATED_AT_FIELDS, Record, read_plain_filter
from polysession_managed_agents.emulator.validation import Json, invalid, take, take_all

FILTERS: Final = CREATED_AT_FIELDS | {
    "agent_id",
    "agent_version",
    "deployment_id",
    "include_archived",
    "memory_store_id",
    "statuses",
}

S = TypeVar("S", bound=Record)


@dataclass(frozen=True, slots=True)
class Facts:
    """The fields of a session that a list can be filtered by, in addition to times.

    Attributes:
        memory_store_ids: Ids of the attached memory stores.
    """

    status: str
    agent_id: str
    agent_version: int
    memory_store_ids: Collection[str | None]


def read_session_filter(values: Json, statuses: Collection[str], facts: Callable[[S], Facts]) -> Callable[[S], bool]:
    """Return a predicate for the sessions that the query selects.

    Args:
        values: The query.
        statuses: The accepted statuses.
        facts: Returns the filterable fields of a session.
    """
    admits_plain = read_plain_filter(values)
    wanted = frozenset(take_all(values, "statuses", str))
    if not wanted.issubset(statuses):
        raise invalid(f"Each item of 'statuses' must be one of {', '.join(sorted(statuses))}.", "statuses")
    agent_id, version = take(values, "agent_id", str), take(values, "agent_version", int)
    if version is not None and agent_id is None:
        raise invalid("Field 'agent_version' needs 'agent_id'.", "agent_version")
    # No session of the emulator comes from a deployment, so this filter matches none.
    deployment_id, store_id = take(values, "deployment_id", str), take(values, "memory_store_id", str)

    def admits(session: S) -> bool:
        found = facts(session)
        return (
            admits_plain(session)
            and (not wanted or found.status in wanted)
            and agent_id in {None, found.agent_id}
            and version in {None, found.agent_version}
            and deployment_id is None
            and (store_id is None or store_id in found.memory_store_ids)
        )

    return admits
