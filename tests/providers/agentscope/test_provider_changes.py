"""Updates, deletions and cancellations of AgentScope's sessions, stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from polysession._core.flow import Response
from polysession.errors import (
    Conflict,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    ServerError,
    StatusError,
    UnsupportedOperation,
)
from polysession.feature import Feature
from polysession.session import CancelState, Session, SessionStatus
from polysession_agentscope import AgentScopeSessionChanges
from polysession_agentscope.sessions import SessionAddress, read_status, to_session
from support.agentscope_events import reply
from support.agentscope_reading import text_of
from support.agentscope_sessions import (
    CHANGES,
    DELETE,
    HANDLE,
    LEGACY,
    LIST,
    MODEL,
    MODEL_BODY,
    OPERATIONS,
    PROBLEM,
    RECORD,
    listed,
    outcome,
    patch,
    refused,
    running,
    summaries,
    view,
)
from support.flows import ok, step

STATUS = ("GET", "/sessions/s1/status?agent_id=a1", None)
INTERRUPT = ("POST", "/sessions/s1/interrupt?agent_id=a1", None)


def status_is(status: str = "idle") -> Response:
    return ok({"session_id": "s1", "status": status})


def no_route() -> StatusError:
    return refused(NotFound, 404, "Not Found")


def no_session() -> StatusError:
    return refused(NotFound, 404, "Session 's1' not found.")


# --- Update


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({}, {}),
        ({"title": "New"}, {"name": "New"}),
        ({"title": ""}, {"name": ""}),
        ({"model": MODEL}, {"chat_model_config": MODEL_BODY}),
        *[
            ({"permission_mode": mode}, {"permission_mode": mode})
            for mode in ("default", "accept_edits", "explore", "bypass", "dont_ask")
        ],
        ({"title": "New", "permission_mode": "bypass"}, {"name": "New", "permission_mode": "bypass"}),
    ],
)
def test_update_sends_the_changes_and_reads_the_status(arguments: dict[str, Any], body: dict[str, Any]) -> None:
    calls, session = step(OPERATIONS.update_session(HANDLE, **arguments), ok(RECORD), status_is("awaiting_permission"))
    assert summaries(calls) == [patch(body), STATUS]
    expected = {"status": SessionStatus.REQUIRES_ACTION, "native_status": "awaiting_permission"}
    assert session == to_session(text_of(RECORD)).model_copy(update=expected)


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({"model": None}, {"chat_model_config": None}),
        *[
            ({"native": AgentScopeSessionChanges(**{name: value})}, {name: sent})
            for name, (value, sent) in CHANGES.items()
        ],
        *[({"native": AgentScopeSessionChanges(**{name: None})}, {name: None}) for name in CHANGES],
        ({"title": "New", "native": AgentScopeSessionChanges(cwd="src")}, {"name": "New", "cwd": "src"}),
    ],
)
def test_newer_fields_are_sent_after_a_check_of_the_server(arguments: dict[str, Any], body: dict[str, Any]) -> None:
    calls, _ = step(OPERATIONS.update_session(HANDLE, **arguments), listed(view()), ok(RECORD), status_is())
    assert summaries(calls) == [LIST, patch(body), STATUS]


@pytest.mark.parametrize(
    ("arguments", "feature", "named"),
    [
        ({"model": None, "title": "New"}, Feature.SESSIONS_UPDATE_MODEL_CLEAR, "chat_model_config"),
        *[({"native": AgentScopeSessionChanges(**{name: None})}, Feature.SESSIONS_UPDATE, name) for name in CHANGES],
        *[
            ({"native": AgentScopeSessionChanges(**{name: value})}, Feature.SESSIONS_UPDATE, name)
            for name, (value, _) in CHANGES.items()
        ],
    ],
)
def test_fields_that_the_server_would_ignore_are_rejected_without_a_change(
    arguments: dict[str, Any], feature: Feature, named: str
) -> None:
    calls, error = step(outcome(OPERATIONS.update_session(HANDLE, **arguments)), listed(LEGACY))
    assert summaries(calls) == [LIST]
    assert isinstance(error, UnsupportedOperation)
    assert error.feature == feature.value
    assert f"too old to change {named}" in str(error)


def test_an_id_is_checked_once() -> None:
    calls, _ = step(OPERATIONS.update_session("s1", model=None), listed(view()), ok(RECORD), status_is())
    assert summaries(calls) == [LIST, patch({"chat_model_config": None}), STATUS]


def test_update_waits_briefly_while_a_turn_is_stored() -> None:
    calls, session = step(OPERATIONS.update_session(HANDLE, title="x"), running(), running(), ok(RECORD), status_is())
    assert summaries(calls) == [patch({"name": "x"})] * 3 + [STATUS]
    assert [call.after_s for call in calls] == [0, 0.05, 0.1, 0]
    assert session.status is SessionStatus.IDLE


def test_update_does_not_wait_for_the_turn_itself() -> None:
    calls, error = step(outcome(OPERATIONS.update_session(HANDLE, title="x")), *[running() for _ in range(5)])
    assert [call.after_s for call in calls] == [0, 0.05, 0.1, 0.2, 0.4]
    assert type(error) is Conflict
    assert error.already_done is None


@pytest.mark.parametrize("answer", [no_session(), ServerError(), refused(InvalidRequest, 422, [PROBLEM])])
def test_a_rejected_change_is_not_retried(answer: StatusError) -> None:
    calls, error = step(outcome(OPERATIONS.update_session(HANDLE, title="x")), answer)
    assert (summaries(calls), error) == ([patch({"name": "x"})], answer)
    assert error.already_done is None


def test_the_status_is_unknown_if_the_server_has_none() -> None:
    calls, session = step(OPERATIONS.update_session(HANDLE, title="x"), ok(LEGACY), no_route())
    assert summaries(calls) == [patch({"name": "x"}), STATUS]
    assert session == to_session(text_of(LEGACY))


def test_the_status_of_an_old_server_is_read_from_its_list() -> None:
    calls, word = step(read_status(SessionAddress("s1", "a1")), no_route(), ok({"sessions": [LEGACY]}))
    assert len(calls) == 2
    assert word == to_session(text_of(LEGACY)).native_status


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((ok(RECORD), no_session()), NotFound),
        ((ok(RECORD), ServerError()), ServerError),
        ((ok(RECORD), ok({"session_id": "s1"})), MalformedResponse),
        ((ok({"of": "tomorrow"}),), MalformedResponse),
        ((ok({**RECORD, "agent_id": "a2"}),), NotFound),
    ],
    ids=["deleted meanwhile", "status fails", "status unreadable", "answer unreadable", "another agent's"],
)
def test_a_failure_after_the_change_says_that_it_was_made(answers: tuple[Any, ...], kind: type[Exception]) -> None:
    _, error = step(outcome(OPERATIONS.update_session(HANDLE, title="x")), *answers)
    assert type(error) is kind
    assert error.already_done == "the change was made"


# --- Delete and cancel


@pytest.mark.parametrize(("session", "before"), [(HANDLE, []), ("s1", [LIST])])
def test_delete(session: Session | str, before: list[Any]) -> None:
    listing = [listed(view())] * len(before)
    calls, _ = step(OPERATIONS.delete_session(session), *listing, Response(204, {}, b""))
    assert summaries(calls) == [*before, DELETE]


@pytest.mark.parametrize("status", ["awaiting_permission", "awaiting_external_result", "of_tomorrow"])
@pytest.mark.parametrize(("session", "before"), [(HANDLE, []), ("s1", [LIST])])
def test_cancel_interrupts_a_turn_that_waits(status: str, session: Session | str, before: list[Any]) -> None:
    listing = [listed(view())] * len(before)
    answer = {"session_id": "s1"}
    calls, cancellation = step(OPERATIONS.cancel_session(session), *listing, status_is(status), ok(answer, 202))
    assert summaries(calls) == [*before, STATUS, INTERRUPT]
    assert (cancellation.state, cancellation.session_id, cancellation.raw) == (CancelState.REQUESTED, "s1", answer)


MESSAGES = ("GET", "/sessions/s1/messages?agent_id=a1&limit=1", None)
ACCEPTED = ok({"session_id": "s1"}, 202)


def newest(reply_id: str = "r0", reason: str = "completed", *, is_running: bool = True) -> Response:
    body = {"messages": [reply(reply_id=reply_id, reason=reason)], "event_cursor": "1-0", "has_more": True}
    return ok(body | {"is_running": is_running})


@pytest.mark.parametrize(
    ("looks", "again"),
    [
        (["running", "running", "running"], []),
        (["awaiting_permission"], [INTERRUPT]),
        (["running", "awaiting_external_result"], [INTERRUPT]),
    ],
)
def test_an_interrupt_that_meets_the_start_of_a_wait_is_sent_again(looks: list[str], again: list[Any]) -> None:
    answers = status_is("running"), newest(), ACCEPTED, *map(status_is, looks), *([ACCEPTED] * len(again))
    calls, cancellation = step(OPERATIONS.cancel_session(HANDLE), *answers)
    assert summaries(calls) == [STATUS, MESSAGES, INTERRUPT, *[STATUS] * len(looks), *again]
    assert [call.after_s for call in calls[3 : 3 + len(looks)]] == [0.05, 0.1, 0.2][: len(looks)]
    assert (cancellation.state, cancellation.raw) == (CancelState.REQUESTED, {"session_id": "s1"})


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (newest("r1", "interrupted"), CancelState.REQUESTED),
        (newest("r0"), CancelState.REQUESTED),  # the turn was cancelled before its reply began
        (newest("r1", "completed"), CancelState.NOTHING_RUNNING),
    ],
)
def test_a_turn_that_ended_by_itself_in_spite_of_the_interrupt_was_not_cancelled(
    after: Response, state: CancelState
) -> None:
    answers = (
        status_is("running"),
        newest(),
        ACCEPTED,
        status_is("running"),
        status_is("idle"),
        after,
    )
    calls, cancellation = step(OPERATIONS.cancel_session(HANDLE), *answers)
    assert summaries(calls) == [STATUS, MESSAGES, INTERRUPT, STATUS, STATUS, MESSAGES]
    assert cancellation.state is state


@pytest.mark.parametrize(("word", "interrupts"), [("idle", False), ("awaiting_permission", True)])
def test_a_turn_whose_end_is_being_stored_is_not_interrupted(word: str, *, interrupts: bool) -> None:
    answers = (
        status_is("running"),
        newest(is_running=False),
        status_is(word),
        *([ACCEPTED] if interrupts else []),
    )
    calls, cancellation = step(OPERATIONS.cancel_session(HANDLE), *answers)
    assert summaries(calls) == [STATUS, MESSAGES, STATUS, *([INTERRUPT] if interrupts else [])]
    assert (cancellation.state is CancelState.REQUESTED) is interrupts


def test_a_failure_after_an_interrupt_says_that_it_was_sent() -> None:
    answers = status_is("running"), newest(), ACCEPTED, ServerError("down", status=500)
    calls, error = step(outcome(OPERATIONS.cancel_session(HANDLE)), *answers)
    assert (summaries(calls), error.already_done) == (
        [STATUS, MESSAGES, INTERRUPT, STATUS],
        "the turn was asked to stop",
    )


def test_cancel_does_not_interrupt_an_idle_session() -> None:
    calls, cancellation = step(OPERATIONS.cancel_session(HANDLE), status_is("idle"))
    assert summaries(calls) == [STATUS]
    assert cancellation.state is CancelState.NOTHING_RUNNING
    assert cancellation.raw == {"session_id": "s1", "status": "idle"}


def test_a_server_without_cancel_is_distinguished_from_a_missing_session() -> None:
    calls, error = step(outcome(OPERATIONS.cancel_session(HANDLE)), no_route())
    assert summaries(calls) == [STATUS]
    assert isinstance(error, UnsupportedOperation)
    assert (error.feature, error.hint) == ("sessions.cancel", "use 2.0.4 or later")
    gone = no_session()
    assert step(outcome(OPERATIONS.cancel_session(HANDLE)), gone)[1] is gone
