"""List filters for backends that lack them: applied to the sessions that were read."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Final

from polysession.change import SessionQuery
from polysession.feature import Feature
from polysession.session import Session


def _statuses(session: Session, query: SessionQuery) -> bool:
    return not query.statuses or session.status in query.statuses


def _title(session: Session, query: SessionQuery) -> bool:
    wanted = query.title_contains
    return not wanted or wanted.casefold() in (session.title or "").casefold()


def _tags(session: Session, query: SessionQuery) -> bool:
    return set(query.tags) <= set(session.tags)


def _metadata(session: Session, query: SessionQuery) -> bool:
    return (query.metadata or {}).items() <= session.metadata.items()


def _created(session: Session, query: SessionQuery) -> bool:
    after, before, created = query.created_after, query.created_before, session.created_at
    if after is None and before is None:
        return True
    return created is not None and (after is None or created > after) and (before is None or created < before)


def _origin(session: Session, query: SessionQuery) -> bool:
    return query.origin is None or session.origin == query.origin


_FILTERS: Final[Mapping[Feature, Callable[[Session, SessionQuery], bool]]] = {
    Feature.SESSIONS_LIST_STATUSES: _statuses,
    Feature.SESSIONS_LIST_TITLE_CONTAINS: _title,
    Feature.SESSIONS_LIST_TAGS: _tags,
    Feature.SESSIONS_LIST_METADATA: _metadata,
    Feature.SESSIONS_LIST_CREATED: _created,
    Feature.SESSIONS_LIST_ORIGIN: _origin,
}


def apply_filters(
    sessions: tuple[Session, ...], query: SessionQuery, filters: Container[Feature]
) -> tuple[Session, ...]:
    """Return the sessions that pass these filters of the query, in their order.

    Args:
        sessions: One page.
        query: The caller's query.
        filters: The filters to apply here: those that the provider declares as emulated.
    """
    chosen = [keep for feature, keep in _FILTERS.items() if feature in filters]
    return tuple(session for session in sessions if all(keep(session, query) for keep in chosen))
