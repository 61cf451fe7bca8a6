"""Effects of a switch from one backend to another, from the declarations of their providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from polysession._core.provider import Provider
from polysession.errors import UsageError
from polysession.feature import Feature, FeatureSupport, ResumeMode, Support, TurnLife
from polysession.plugins import load_provider
from polysession.record import Record
from polysession.session import Session, SessionStatus


class SwitchEffect(StrEnum):
    """Effect of a switch on one item.

    Attributes:
        KEPT: The same on the new backend.
        EMULATED: Available, at the cost in the reason.
        REMAPPED: Available with another value, because the old value belongs to the old backend; ids and times are
            always remapped.
        LOST: Not available.
        NOT_APPLICABLE: Nothing to keep.
        GAINED: Only the new backend has it.
    """

    KEPT = "kept"
    EMULATED = "emulated"
    REMAPPED = "remapped"
    LOST = "lost"
    NOT_APPLICABLE = "not_applicable"
    GAINED = "gained"


class SwitchItem(Record):
    """One item of a switch report.

    Attributes:
        area: Kind of the item: `session`, `operations`, `update`, `list`, `content`, `history`, `agents`,
            `environments`, `native`, `events`, `resume` or `turns`.
        name: The field, operation or event type.
        effect: Effect of the switch on the item.
        reason: Reason and alternative; empty if the item carries over or is absent on both backends.
    """

    area: str
    name: str
    effect: SwitchEffect
    reason: str = ""


class SwitchReport(Record):
    """Effects of a switch of backend.

    Attributes:
        source: The old provider.
        target: The new provider.
        session_id: The compared session; None if only the declarations were compared.
        items: All compared items.
    """

    source: str
    target: str
    session_id: str | None = None
    items: tuple[SwitchItem, ...]

    def with_effect(self, *effects: SwitchEffect) -> tuple[SwitchItem, ...]:
        """The items that have one of these effects."""
        return tuple(item for item in self.items if item.effect in effects)


def switch_check(source: str, target: str, session: Session | None = None) -> SwitchReport:
    """Compare the declarations of two providers, and the fields of a session if one is given. Nothing is sent.

    Args:
        source: Name of the old provider.
        target: Name of the new provider.
        session: A session of the old provider.

    Raises:
        UsageError: A provider is unknown, or the session is not of the old provider.
        PluginError: A provider cannot be used.
    """
    old, new = load_provider(source), load_provider(target)
    if session is not None and session.provider != source:
        raise UsageError(f"session {session.id!r} belongs to provider {session.provider!r}, not to {source!r}")
    items = [
        *_fields(old, new, session),
        *_features(old, new),
        *_native_bodies(old, new),
        *_events(old, new),
        _resume(old, new),
        *_turns(old, new),
    ]
    session_id = None if session is None else session.id
    return SwitchReport(source=source, target=target, session_id=session_id, items=tuple(items))


_Class = type[Provider[Any]]

_WRITTEN: Final[Mapping[str, tuple[Feature, Feature | None]]] = {
    "title": (Feature.SESSIONS_CREATE_TITLE, Feature.SESSIONS_UPDATE_TITLE),
    "metadata": (Feature.SESSIONS_CREATE_METADATA, Feature.SESSIONS_UPDATE_METADATA),
    "tags": (Feature.SESSIONS_CREATE_TAGS, Feature.SESSIONS_UPDATE_TAGS),
    "capabilities": (Feature.SESSIONS_CREATE_CAPABILITIES, None),
    "model": (Feature.SESSIONS_CREATE_MODEL, Feature.SESSIONS_UPDATE_MODEL),
    "permission_mode": (Feature.SESSIONS_CREATE_PERMISSION_MODE, Feature.SESSIONS_UPDATE_PERMISSION_MODE),
    "agent_id": (Feature.SESSIONS_CREATE_AGENT, None),
    "environment_id": (Feature.SESSIONS_CREATE_ENVIRONMENT, None),
    "workspace_id": (Feature.SESSIONS_CREATE_WORKSPACE, None),
}
"""Fields that a caller writes: at the creation of a session, and afterwards."""

_OWN_VALUES: Final[Mapping[str, str]] = {
    "capabilities": "their names belong to the old backend; check which ones the new backend has",
    "model": "its name and credential belong to the old backend; choose a model on the new one",
    "permission_mode": "the name of the mode belongs to the old backend; choose a mode of the new one",
    "agent_id": "an id belongs to one backend; create or choose an agent on the new one",
    "environment_id": "an id belongs to one backend; create or choose an environment on the new one",
    "workspace_id": "an id belongs to one backend; create or choose a workspace on the new one",
}
"""Written fields whose value belongs to the old backend."""

_READ_ONLY: Final[Mapping[str, str]] = {
    "id": "the new backend creates another id; store the old one in title, metadata or tags if you need it",
    "owner_id": "the owner of the new credential owns the new session",
    "organization_id": "the new session belongs to the organisation of the new credential",
    "usage": "the counters start at zero; save the old ones before the switch",
    "created_at": "the new session is created at the switch; save the old time before",
    "updated_at": "the new session has its own times; save the old time before the switch",
    "started_at": "the new session has its own times; save the old time before the switch",
    "finished_at": "the new session has its own times; save the old time before the switch",
    "preview": "the new backend generates another one",
    "output_preview": "the new backend generates another one",
    "origin": "your program creates the new session",
    "parent_session_id": "the new session has no parent",
    "raw": "it has the format of the backend; change code that reads it",
    "native_status": "the names of statuses belong to the backend; use status",
}
"""Fields that only the backend writes: the new one writes its own. `provider` is what is switched."""

_ENDED: Final = frozenset({SessionStatus.IDLE, SessionStatus.TERMINATED, SessionStatus.UNKNOWN})

_AREAS: Final[Mapping[str, str]] = {
    "sessions.update": "update",
    "sessions.list": "list",
    "sessions.send": "content",
    "sessions.create": "operations",
    "sessions.answer": "content",
    "sessions.run": "content",
    "sessions.events": "history",
    "sessions.messages": "history",
    "agents.create": "agents",
    "agents.update": "agents",
    "environments.create": "environments",
}
"""Area of the fields of each operation. Those of `sessions.create` are reported as fields of the session."""

_OF_CREATION_ALONE: Final = frozenset(
    {Feature.SESSIONS_CREATE_ID, Feature.SESSIONS_CREATE_OWNER, Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY}
)
"""Fields of `sessions.create` that are no written fields of the session."""

_NATIVE_BODIES: Final[Mapping[str, str]] = {
    "sessions.create native": "new_session_type",
    "sessions.update native": "session_changes_type",
    "sessions.list native": "session_query_type",
    "agents.create native": "new_agent_type",
    "agents.update native": "agent_changes_type",
    "environments.create native": "new_environment_type",
    "sessions.send native": "message_type",
    "sessions.answer native": "answer_type",
}

_RESUMED_BY: Final[Mapping[ResumeMode, str]] = {
    ResumeMode.NONE: "events missed during an interruption are lost",
    ResumeMode.CURRENT_RUN_REPLAY: "after an interruption, the running turn is replayed from its start",
    ResumeMode.LIST_AND_DEDUPE: "events missed during an interruption are read from the list of events",
    ResumeMode.SERVER_REPLAY: "events missed during an interruption are replayed",
}
"""Recovery after an interruption, the weakest first."""


def _fields(old: _Class, new: _Class, session: Session | None) -> Iterator[SwitchItem]:
    """Effect on each field of a session."""
    for name, features in _WRITTEN.items():
        yield _written(name, features, (old, new), session)
    yield _status(session)
    yield _archived(old, new, session)
    yield _history(old, session)
    for name, reason in _READ_ONLY.items():
        has_none = session is not None and not getattr(session, name)
        effect = SwitchEffect.NOT_APPLICABLE if has_none else SwitchEffect.REMAPPED
        yield _item("session", name, effect, "" if has_none else reason)


def _written(
    name: str, features: tuple[Feature, Feature | None], sides: tuple[_Class, _Class], session: Session | None
) -> SwitchItem:
    old, new = sides
    create, update = features
    there = new.support(create)
    later = FeatureSupport(Support.UNSUPPORTED) if update is None else new.support(update)
    if session is None:
        has_it = any(old.support(feature).support for feature in features if feature is not None)
    else:
        has_it = bool(getattr(session, name))
    if not has_it:
        gained = session is None and (there.support or later.support)
        return _item(
            "session",
            name,
            SwitchEffect.GAINED if gained else SwitchEffect.NOT_APPLICABLE,
            there.note if gained else "",
        )
    if not there.support and not later.support:
        return _item("session", name, SwitchEffect.LOST, _lost(new, there))
    if name in _OWN_VALUES:
        return _item("session", name, SwitchEffect.REMAPPED, _joined(_OWN_VALUES[name], there.note))
    if not there.support:
        return _item(
            "session",
            name,
            SwitchEffect.EMULATED,
            _joined("set it with sessions.update after the creation", later.note),
        )
    return _item("session", name, _effect(there), there.note)


def _status(session: Session | None) -> SwitchItem:
    if session is None or session.status in _ENDED:
        return _item("session", "status", SwitchEffect.NOT_APPLICABLE, "" if session else _NOT_MOVED)
    return _item("session", "status", SwitchEffect.LOST, f"it is {session.status.value}: {_NOT_MOVED}")


_NOT_MOVED: Final = "a running turn cannot be moved; wait for its end or cancel it before the switch"


def _archived(old: _Class, new: _Class, session: Session | None) -> SwitchItem:
    if not (old.support(Feature.SESSIONS_ARCHIVE).support if session is None else session.archived_at):
        return _item("session", "archived_at", SwitchEffect.NOT_APPLICABLE)
    there = new.support(Feature.SESSIONS_ARCHIVE)
    if not there.support:
        return _item("session", "archived_at", SwitchEffect.LOST, _lost(new, there))
    reason = _joined("archive the new session with sessions.archive; it gets another time", there.note)
    return _item("session", "archived_at", SwitchEffect.EMULATED, reason)


def _history(old: _Class, session: Session | None) -> SwitchItem:
    """The conversation, which no backend imports from another. Without a session it is not compared."""
    if session is not None and session.started_at is None and session.usage is None and not session.preview:
        reason = "no backend can import a conversation, if the session has messages"
    else:
        reason = "no backend can import a conversation"
    if old.support(Feature.SESSIONS_MESSAGES).support:
        reason += "; save the messages with sessions.messages, and send the new agent the facts that it needs"
    effect = SwitchEffect.NOT_APPLICABLE if session is None else SwitchEffect.LOST
    return _item("session", "messages", effect, reason)


def _features(old: _Class, new: _Class) -> Iterator[SwitchItem]:
    """Effect on each operation, with its fields and filters."""
    for feature in Feature:
        if feature.operation == "sessions.create" and feature.field and feature not in _OF_CREATION_ALONE:
            continue
        yield _feature(_AREAS[feature.operation] if feature.field else "operations", feature, old, new)


def _feature(area: str, feature: Feature, old: _Class, new: _Class) -> SwitchItem:
    here, there = old.support(feature), new.support(feature)
    if not here.support:
        gained = bool(there.support)
        return _item(
            area,
            feature.value,
            SwitchEffect.GAINED if gained else SwitchEffect.NOT_APPLICABLE,
            there.note if gained else "",
        )
    if not there.support:
        return _item(area, feature.value, SwitchEffect.LOST, _lost(new, there))
    return _item(area, feature.value, _effect(there), there.note)


def _events(old: _Class, new: _Class) -> Iterator[SwitchItem]:
    """Effect on each type of event of either backend."""
    here, there = _common_types(old), _common_types(new)
    for name in sorted(here | there):
        if name not in there:
            yield _item("events", name, SwitchEffect.LOST, f"{new.name} has no such event")
        elif name not in here:
            yield _item("events", name, SwitchEffect.GAINED)
        else:
            yield _item("events", name, SwitchEffect.KEPT)


def _common_types(provider: _Class) -> set[str]:
    return {common for commons in provider.event_types().values() for common in commons} - {"raw"}


def _native_bodies(old: _Class, new: _Class) -> Iterator[SwitchItem]:
    """Effect on the typed bodies in the backend's own words."""
    for name, attribute in _NATIVE_BODIES.items():
        here, there = getattr(old, attribute), getattr(new, attribute)
        if here is None:
            yield _item(
                "native",
                name,
                SwitchEffect.NOT_APPLICABLE if there is None else SwitchEffect.GAINED,
                there.__name__ if there else "",
            )
        elif there is None:
            yield _item("native", name, SwitchEffect.LOST, f"{new.name} has no native body for this operation")
        else:
            yield _item(
                "native", name, SwitchEffect.REMAPPED, f"{there.__name__} replaces {here.__name__}; the fields differ"
            )


def _resume(old: _Class, new: _Class) -> SwitchItem:
    if old.resume_mode is new.resume_mode:
        return _item(
            "resume", "contract", SwitchEffect.KEPT, f"{old.resume_mode.value}: {_RESUMED_BY[old.resume_mode]}"
        )
    ranks = list(_RESUMED_BY)
    effect = SwitchEffect.GAINED if ranks.index(new.resume_mode) > ranks.index(old.resume_mode) else SwitchEffect.LOST
    change = f"{old.resume_mode.value} becomes {new.resume_mode.value}: {_RESUMED_BY[new.resume_mode]}"
    return _item("resume", "contract", effect, change)


def _effect(there: FeatureSupport) -> SwitchEffect:
    return SwitchEffect.EMULATED if there.support is Support.EMULATED else SwitchEffect.KEPT


def _turns(old: _Class, new: _Class) -> Iterator[SwitchItem]:
    """How turns behave: when their stream is left, and when a message arrives at a bad moment."""
    if old.turn_life is new.turn_life:
        yield _item("turns", "turn_life", SwitchEffect.KEPT)
    elif new.turn_life is TurnLife.ATTENDED:
        yield _item("turns", "turn_life", SwitchEffect.LOST, f"{new.name} ends a turn when its stream is closed")
    else:
        yield _item("turns", "turn_life", SwitchEffect.GAINED, "a turn continues when its stream is closed")
    for name, here, there in (
        ("when_busy", old.when_busy.value, new.when_busy.value),
        ("when_waiting", old.when_waiting.value, new.when_waiting.value),
    ):
        effect = SwitchEffect.KEPT if here == there else SwitchEffect.REMAPPED
        yield _item("turns", name, effect, "" if here == there else f"{here} on {old.name}, {there} on {new.name}")


def _lost(new: _Class, there: FeatureSupport) -> str:
    return there.note or f"{new.name} does not support it"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _item(area: str, name: str, effect: SwitchEffect, reason: str = "") -> SwitchItem:
    return SwitchItem(area=area, name=name, effect=effect, reason=reason)
