"""Conversion of the ADK API server's sessions and apps, and of requests to bodies.

Backend: https://google.github.io/adk-docs/sessions/state/ and https://google.github.io/adk-docs/runtime/api-server/
(read 2026-11), google-adk 2.13.0
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from polysession import provider_api as api
from polysession.provider_api import Agent, NewSession, Session, SessionChanges, SessionStatus
from polysession_adk.events import NAME
from polysession_adk.history import History, read_stored
from polysession_adk.wire import WireApp, WireSession

TITLE_KEY: Final = "__session_metadata__"
"""Key of the state in which the server's web interface stores the name of a session."""

_DISPLAY_NAME: Final = "displayName"
_PREFIXES: Final = ("app:", "user:", "temp:")


def _to_session(wire: WireSession, content: bytes, problems: tuple[str, ...], *, is_listed: bool = False) -> Session:
    """Return a session.

    One from a list has no events, so its status is unknown and it has no usage.
    """
    state, history = wire.state or {}, History(wire.id, read_stored(wire))
    title = _web_metadata(state).get(_DISPLAY_NAME)
    return Session(
        provider=NAME,
        id=wire.id,
        agent_id=wire.app_name,
        owner_id=wire.user_id,
        title=title if isinstance(title, str) and title else None,
        status=SessionStatus.UNKNOWN if is_listed else history.status,
        metadata={key: value for key, value in state.items() if _is_metadata(key) and value is not None},
        usage=history.usage,
        updated_at=wire.last_update_time,
        source=content,
        problems=problems,
    )


def _web_metadata(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values that the web interface stores, such as the title."""
    stored = state.get(TITLE_KEY)
    return stored if isinstance(stored, dict) else {}


def _is_metadata(key: str) -> bool:
    """Whether a key of the state belongs only to the session and is not its title."""
    return key != TITLE_KEY and not key.startswith(_PREFIXES)


def _to_agent(wire: WireApp, content: bytes, problems: tuple[str, ...]) -> Agent:
    description = wire.description or None
    return Agent(
        provider=NAME, id=wire.name, name=wire.name, description=description, source=content, problems=problems
    )


to_session: Final = api.record_reader(WireSession, _to_session)
to_listed_session: Final = api.record_reader(WireSession, partial(_to_session, is_listed=True))
to_agent: Final = api.record_reader(WireApp, _to_agent)


def from_new_session(new: NewSession) -> dict[str, Any]:
    """Return the body that creates a session.

    Raises:
        UsageError: A key of the metadata is reserved, or the id cannot be part of a path.
    """
    body = {} if new.native is None else new.native.to_body()
    state = {**_from_metadata(new.metadata), **body.pop("state", {})}
    if new.title is not None:
        state[TITLE_KEY] = {_DISPLAY_NAME: new.title}
    if state:
        body["state"] = state
    if new.id is not None:
        api.path_segment(new.id, "session id")  # the server would create a session that cannot be read
        body["sessionId"] = new.id
    return body


def from_changes(changes: SessionChanges, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of the state.

    A key cannot be removed: null is stored, and read as no value.

    Args:
        changes: The requested changes.
        state: The current state, to keep the values stored with the title; empty if the title does not change.

    Raises:
        UsageError: A key of the metadata is reserved.
    """
    delta = _from_metadata(changes.metadata or None)
    if changes.title is not api.UNSET:
        delta[TITLE_KEY] = {**_web_metadata(state), _DISPLAY_NAME: changes.title}
    return {**delta, **({} if changes.native is None else changes.native.to_body()["stateDelta"])}


def _from_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    for key in metadata or {}:
        if not _is_metadata(key):
            raise api.UsageError(
                f"the metadata key {key!r} is reserved by ADK: set the state of an app, a user or a turn with native="
            )
    return dict(metadata or {})
