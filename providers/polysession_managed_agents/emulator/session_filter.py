"""Which sessions a list shows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeVar

from polysession_managed_agents.emulator.shelf import CREATED_AT_FIELDS, Record, read_plain_filter
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
    """Facts of a session that a list may be filtered by, besides times.

    Attributes:
        memory_store_ids: The memory stores that are attached.
    """

    status: str
    agent_id: str
    agent_version: int
    memory_store_ids: Collection[str | None]


def read_session_filter(values: Json, statuses: Collection[str], facts: Callable[[S], Facts]) -> Callable[[S], bool]:
    """The test that the filters of a query ask for.

    Args:
        values: The query.
        statuses: The words that may be asked for.
        facts: Gives the facts of a session.
    """
    admits_plain = read_plain_filter(values)
    wanted = frozenset(take_all(values, "statuses", str))
    if not wanted.issubset(statuses):
        raise invalid(f"Field 'statuses' may hold {', '.join(sorted(statuses))}.", "statuses")
    agent_id, version = take(values, "agent_id", str), take(values, "agent_version", int)
    if version is not None and agent_id is None:
        raise invalid("Field 'agent_version' needs 'agent_id'.", "agent_version")
    # No session here comes from a deployment, so that this filter leaves none.
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
