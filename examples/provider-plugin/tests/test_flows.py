"""Flows of the helpdesk, stepped by hand: what is sent, and what is made of the answers."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from polysession import NotFound
from polysession.provider_api import NewSession, SessionRef, SessionStatus
from polysession.testing import ok, step
from polysession_helpdesk.provider import HelpdeskProvider, HelpdeskSettings

PROVIDER = HelpdeskProvider(HelpdeskSettings(key=SecretStr("key")))


def test_a_ticket_is_created_with_what_was_given() -> None:
    (call,), session = step(
        PROVIDER.create_session(NewSession(title="Printer", metadata={"team": "red"})),
        ok({"id": "T-1", "title": "Printer", "labels": {"team": "red"}, "status": "open"}, 201),
    )

    assert (call.method, call.path) == ("POST", "/tickets")
    assert json.loads(call.body or b"") == {"title": "Printer", "labels": {"team": "red"}}
    assert (session.id, session.title, session.metadata) == ("T-1", "Printer", {"team": "red"})


def test_an_unknown_status_and_an_odd_label_do_not_cost_the_rest() -> None:
    _, session = step(
        PROVIDER.get_session(SessionRef("T-1")), ok({"id": "T-1", "status": "on fire", "labels": {"team": 7}})
    )

    assert (session.status, session.native_status) == (SessionStatus.UNKNOWN, "on fire")
    assert session.metadata == {}
    assert len(session.problems) == 1


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(NotFound):
        step(PROVIDER.delete_session(SessionRef("T-9")), NotFound("There is no ticket T-9."))
