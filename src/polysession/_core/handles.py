"""Checks the handles and short forms that callers pass: records, addresses and ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar, cast

from polysession._core.flow import path_segment
from polysession._core.provider import Provider
from polysession.change import NewSession, SessionQuery, SessionRef
from polysession.errors import UsageError
from polysession.resources import Agent, Environment, Model
from polysession.session import ModelConfig, Session, SessionStatus

R = TypeVar("R", NewSession, SessionQuery)

AnySession: TypeAlias = Session | SessionRef | str
"""A session, its address, or its id."""


class Handles:
    """Reads the handles that the callers of one provider pass."""

    def __init__(self, provider: Provider[Any]) -> None:
        self._provider = provider

    def ref(self, session: AnySession) -> SessionRef:
        """Return the address of a session, with its owner where the backend needs one.

        Raises:
            UsageError: The session belongs to another provider or owner, or its id cannot be sent.
        """
        if isinstance(session, Session):
            self._check_provider(session)
            ref = SessionRef(session.id, session.agent_id, session.owner_id, session.source)
        else:
            ref = session if isinstance(session, SessionRef) else SessionRef(session)
        path_segment(ref.id, "session id")
        if self._provider.owner_setting is None:
            return ref
        return replace(ref, owner_id=self._owner(ref.owner_id, f"session {ref.id!r}"))

    def with_owner(self, request: R) -> R:
        """Add the client's user to a request, where the owner is part of a session's address."""
        if self._provider.owner_setting is None:
            return request
        given: str | None = getattr(request, "owner")  # noqa: B009  (of both requests that have one)
        return request.model_copy(update={"owner": self._owner(given, "this call")})

    def _owner(self, given: str | None, what: str) -> str:
        """Return the owner that a call is about: a client never reads one user's session as another user."""
        setting = self._provider.owner_setting or ""
        own: str | None = getattr(self._provider.settings, setting)
        if given is not None and own is not None and given != own:
            raise UsageError(f"{what} belongs to {given!r}, but the {setting} of this client is {own!r}")
        owner = own if given is None else given
        if owner is None:
            raise UsageError(
                f"{what} needs an owner: pass owner=..., or a Session or SessionRef with its owner,"
                f" or set {setting} for this client"
            )
        path_segment(owner, "owner")
        return owner

    def plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Expand short forms in arguments: a record becomes its id, a model's id becomes a `ModelConfig`."""
        plain = dict(values)
        for name, record_type in (("agent", Agent), ("environment", Environment)):
            if isinstance(plain.get(name), record_type):
                plain[name] = self.id_of(plain[name], record_type)
        model = plain.get("model")
        if isinstance(model, str):
            plain["model"] = ModelConfig(id=model)
        elif isinstance(model, Model):
            self._check_provider(model)
            plain["model"] = ModelConfig(id=model.id, type=model.type, credential_id=model.credential_id)
        if "statuses" in plain:
            plain["statuses"] = _statuses(plain["statuses"])
        return plain

    def id_of(self, record: Any, record_type: type[Agent | Environment]) -> str:
        """Return the id of a record, or an id unchanged.

        Raises:
            UsageError: The record belongs to another provider.
        """
        if not isinstance(record, record_type):
            return cast("str", record)
        self._check_provider(record)
        return record.id

    def _check_provider(self, record: Session | Agent | Environment | Model) -> None:
        if record.provider != self._provider.name:
            raise UsageError(
                f"{type(record).__name__} {record.id!r} comes from provider {record.provider!r};"
                f" this client uses {self._provider.name!r}"
            )


def _statuses(given: Any) -> Any:
    """Return statuses as members of the enum, also those given as text."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        return given
    known = {status.value: status for status in SessionStatus}
    for status in given:
        if isinstance(status, str) and status not in known:
            raise UsageError(f"unknown status {status!r}; expected one of {', '.join(known)}")
    return [known[status] if isinstance(status, str) else status for status in given]
