"""Writes that get an HTML page with status 200, as from a proxy or a sign-in page: this is never a success."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import pytest

from polysession import (
    Approve,
    Client,
    Feature,
    MalformedResponse,
    PendingAction,
    PolysessionError,
    Reply,
    Session,
    ToolApproval,
    ToolExecution,
    ToolOutput,
)
from polysession.emulation import Fault
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.marks import covers, supports_one_of

_WRITES: Final[dict[Feature, Callable[[Client, Session], object]]] = {
    Feature.SESSIONS_UPDATE_TITLE: lambda client, session: client.sessions.update(session, title="Done"),
    Feature.SESSIONS_UPDATE_METADATA: lambda client, session: client.sessions.update(session, metadata={"team": "red"}),
    Feature.SESSIONS_UPDATE_TAGS: lambda client, session: client.sessions.update(session, tags=["red"]),
    Feature.SESSIONS_DELETE: lambda client, session: client.sessions.delete(session),
    Feature.SESSIONS_ARCHIVE: lambda client, session: client.sessions.archive(session),
    Feature.SESSIONS_CANCEL: lambda client, session: client.sessions.cancel(session),
    Feature.SESSIONS_SEND: lambda client, session: client.sessions.send(session, "hello"),
}


class PageAnswerContract(ContractBase):
    """Every write checks its response, even if it needs nothing from it."""

    def page_error(self, backend: Backend, write: Callable[[], object]) -> MalformedResponse:
        """Return the error of a write that gets an HTML page."""
        backend.faults.add(Fault("page", writes_only=True))
        with pytest.raises(MalformedResponse) as caught:
            write()
        assert backend.faults.waiting() == [], "no write was sent"
        error = caught.value
        assert (error.provider, error.status, error.outcome_unknown) == (self.provider, 200, True)
        return error

    @covers(Feature.SESSIONS_CREATE)
    def test_a_creation_that_a_page_answers_is_in_doubt(self, client: Client, backend: Backend) -> None:
        error = self.page_error(backend, lambda: self.new_session(client, backend))
        assert error.operation == Feature.SESSIONS_CREATE

    @covers(Feature.SESSIONS_CREATE, needs=supports_one_of(_WRITES))
    def test_a_write_that_a_page_answers_is_in_doubt(self, client: Client, backend: Backend) -> None:
        for feature in filter(self.supports, _WRITES):
            session = self.new_session(client, backend)
            if feature is Feature.SESSIONS_CANCEL and not self.cancels_at_once(client, backend, session):
                continue
            error = self.page_error(backend, lambda: _WRITES[feature](client, session))  # noqa: B023  (called at once)
            assert error.operation == feature.operation

    def cancels_at_once(self, client: Client, backend: Backend, session: Session) -> bool:
        """Return whether a cancellation sends a write although no turn runs: some providers check first."""
        probe = Fault("status", writes_only=True, status=500)
        backend.faults.add(probe)
        with contextlib.suppress(PolysessionError):
            client.sessions.cancel(session)
        was_sent = backend.faults.waiting() == []
        backend.faults.clear()
        return was_sent

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER)
    def test_an_answer_that_a_page_answers_is_in_doubt(
        self, client: Client, backend: Backend, session: Session
    ) -> None:
        answer = answer_to(self.waiting(client, session))
        error = self.page_error(backend, lambda: client.sessions.answer(session, [answer]))
        assert error.operation == Feature.SESSIONS_ANSWER


def answer_to(action: PendingAction) -> Any:
    """Return an answer that fits an action."""
    match action:
        case ToolExecution():
            return ToolOutput(action, "42")
        case ToolApproval():
            return Approve(action)
        case _:
            return Reply(action, action.options[0] if action.options else "blue")
