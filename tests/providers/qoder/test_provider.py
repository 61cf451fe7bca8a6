"""Qoder's calls, key by key, from flows that are stepped by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from polysession import (
    Cancellation,
    CancelState,
    MalformedResponse,
    NotFound,
    Session,
    UsageError,
)
from polysession._core.flow import Call, Flow, Response
from polysession.change import NativeBody
from polysession_qoder import (
    QoderAgentReference,
    QoderBudget,
    QoderGithubRepository,
    QoderGitRepository,
    QoderMemoryStore,
    QoderNewAgent,
    QoderNewSession,
    QoderSessionChanges,
)
from support.flows import ok, step
from support.qoder_provider import (
    BASE,
    CREATED,
    CREATED_NATIVELY,
    KEY,
    OPERATIONS,
    SESSION,
    UPDATED,
    UPDATED_NATIVELY,
    JsonObject,
    sent,
    write,
)

BASE_BODY: JsonObject = {"agent": "agent_1", "environment_id": "env_1"}


MOMENT = datetime(2026, 10, 1, 10, 0, 0, 5, timezone(timedelta(hours=2)))


def test_create_sends_only_the_passed_fields() -> None:
    assert sent(OPERATIONS.create_session(**BASE), ok(SESSION)) == (write("/sessions"), BASE_BODY)


@pytest.mark.parametrize(("field", "value", "body"), [(name, *case) for name, case in CREATED.items()])
def test_create_sends_each_field(field: str, value: Any, body: JsonObject) -> None:
    flow = OPERATIONS.create_session(**{**BASE, field: value})
    assert sent(flow, ok(SESSION)) == (write("/sessions"), {**BASE_BODY, **body})


@pytest.mark.parametrize(
    ("field", "value", "written"), [(name, *case) for name, cases in CREATED_NATIVELY.items() for case in cases]
)
def test_create_sends_each_native_field(field: str, value: Any, written: Any) -> None:
    flow = OPERATIONS.create_session(**BASE, native=QoderNewSession(**{field: value}))
    assert sent(flow, ok(SESSION)) == (write("/sessions"), {**BASE_BODY, field: written})


def test_a_native_agent_is_sufficient() -> None:
    native = QoderNewSession(agent=QoderAgentReference(id="agent_2", version=3))
    _, body = sent(OPERATIONS.create_session(environment="env_1", native=native), ok(SESSION))
    assert body == {"agent": {"type": "agent", "id": "agent_2", "version": 3}, "environment_id": "env_1"}


@pytest.mark.parametrize(
    "missing", [{"agent": "agent_1"}, {"environment": "env_1"}, {**BASE, "native": QoderNewSession(agent=None)}]
)
def test_create_without_agent_or_environment_raises_before_any_call(missing: JsonObject) -> None:
    with pytest.raises(UsageError, match="needs an agent and an environment"):
        next(OPERATIONS.create_session(**missing))


def test_an_update_sends_only_the_passed_fields() -> None:
    assert sent(OPERATIONS.update_session("sess_1"), ok(SESSION)) == (write("/sessions/sess_1"), {})


@pytest.mark.parametrize(
    ("field", "value", "body"), [(name, *case) for name, cases in UPDATED.items() for case in cases]
)
def test_an_update_sends_each_field(field: str, value: Any, body: JsonObject) -> None:
    flow = OPERATIONS.update_session("sess_1", **{field: value})
    assert sent(flow, ok(SESSION)) == (write("/sessions/sess_1"), body)


@pytest.mark.parametrize(
    ("field", "value", "written"), [(name, *case) for name, cases in UPDATED_NATIVELY.items() for case in cases]
)
def test_an_update_sends_each_native_field(field: str, value: Any, written: Any) -> None:
    flow = OPERATIONS.update_session("sess_1", title="Done", native=QoderSessionChanges(**{field: value}))
    assert sent(flow, ok(SESSION)) == (write("/sessions/sess_1"), {"title": "Done", field: written})


def test_clearing_metadata_reads_its_keys_and_removes_each() -> None:
    calls, session = step(OPERATIONS.update_session("sess_1", metadata=None), ok(SESSION), ok({"id": "sess_1"}))
    assert calls[0] == Call("GET", "/sessions/sess_1")
    assert replace(calls[1], body=None) == write("/sessions/sess_1")
    assert json.loads(calls[1].body or b"") == {"metadata": {"team": None, "kept": None}}
    assert session.metadata == {}


def test_clearing_metadata_changes_nothing_if_its_keys_cannot_be_read() -> None:
    with pytest.raises(NotFound) as caught:
        step(OPERATIONS.update_session("sess_1", metadata=None, title="Done"), NotFound("gone"))
    assert caught.value.already_done is None


@pytest.mark.parametrize("metadata", [{str(number): "" for number in range(17)}, {"k" * 65: ""}, {"k": "v" * 513}])
@pytest.mark.parametrize(
    "ask",
    [
        lambda metadata: OPERATIONS.create_session(**BASE, metadata=metadata),
        lambda metadata: OPERATIONS.update_session("sess_1", metadata=metadata),
    ],
    ids=["create", "update"],
)
def test_metadata_over_a_limit_raises_before_any_call(
    ask: Callable[[dict[str, str]], Flow[Session]], metadata: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="accepts at most"):
        next(ask(metadata))


def test_metadata_of_a_new_session_must_not_be_none() -> None:
    with pytest.raises(UsageError, match="the metadata value of 'team' is None"):
        next(OPERATIONS.create_session(**BASE, metadata={"team": None}))


# Native bodies.


@pytest.mark.parametrize(
    ("body_type", "values"),
    [
        (QoderNewSession, {"delta_flush_interval_ms": 49}),
        (QoderNewSession, {"delta_flush_interval_ms": 5001}),
        (QoderSessionChanges, {"delta_flush_interval_ms": 49}),
        (QoderSessionChanges, {"delta_flush_interval_ms": 5001}),
        (QoderSessionChanges, {"vault_ids": ["vault_1"]}),
        (QoderNewSession, {"memory_store_ids": "memstore_1"}),
        (QoderBudget, {"max_credit_cost": "0.00"}),
        (QoderBudget, {"max_credit_cost": "1.234"}),
        (QoderBudget, {"max_credit_cost": "1234567890123"}),
        (QoderBudget, {"max_credit_cost": "-1"}),
        (QoderBudget, {"max_credit_cost": "\u0661"}),
        (QoderAgentReference, {"id": "agent_1", "version": 0}),
        (QoderAgentReference, {"id": "agent_1", "model": "auto"}),
        (QoderMemoryStore, {"memory_store_id": "memstore_1", "access": "write"}),
        (QoderMemoryStore, {"memory_store_id": "memstore_1", "instructions": "x" * 4097}),
        (QoderGitRepository, {"url": "u", "checkout": {"type": "branch", "sha": "c0ffee"}}),
        (QoderNewAgent, {"metadata": {str(number): "" for number in range(17)}}),
        (QoderNewAgent, {"metadata": {"k" * 65: ""}}),
        (QoderNewAgent, {"metadata": {"k": "v" * 513}}),
    ],
)
def test_a_native_body_refuses_what_the_backend_would(body_type: type[NativeBody], values: JsonObject) -> None:
    with pytest.raises(ValidationError):
        body_type(**values)


def test_a_native_body_never_shows_its_secrets() -> None:
    repository = QoderGithubRepository(url="u", authorization_token="s3cret")
    private = QoderGitRepository(url="u", password="s3cret")
    native = QoderNewSession(resources=[repository, private], environment_variables={"TOKEN": "s3cret"})
    assert "s3cret" not in repr(native)
    assert "s3cret" not in repr(QoderSessionChanges(environment_variables={"TOKEN": "s3cret"}))
    with pytest.raises(ValidationError) as caught:
        QoderNewSession.model_validate({"resources": [{"type": "git_repository", "password": "s3cret"}]})
    assert "s3cret" not in str(caught.value)


# Get, archive, delete, cancel.


def test_get_reads_the_session() -> None:
    calls, session = step(OPERATIONS.get_session("sess_1"), ok(SESSION))
    assert calls == [Call("GET", "/sessions/sess_1")]
    assert (session.id, session.raw) == ("sess_1", SESSION)


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_status_is_a_success(status: int) -> None:
    assert step(OPERATIONS.create_session(**BASE), ok(SESSION, status))[1].id == "sess_1"
    assert step(OPERATIONS.update_session("sess_1"), ok(SESSION, status))[1].id == "sess_1"


def test_archive_posts_an_empty_object() -> None:
    flow = OPERATIONS.archive_session("sess_1")
    assert sent(flow, ok(SESSION)) == (write("/sessions/sess_1/archive"), {})


@pytest.mark.parametrize("answer", [ok({"id": "sess_1", "type": "session_deleted"}), Response(204, {}, b"")])
def test_delete_accepts_the_deleted_object_or_an_empty_body(answer: Response) -> None:
    flow = OPERATIONS.delete_session("sess_1")
    assert step(flow, answer) == ([Call("DELETE", "/sessions/sess_1", idempotency_header=KEY)], None)


@pytest.mark.parametrize("body", [b"<html><title>Sign in</title></html>", b"{}"])
def test_a_deletion_response_without_an_id_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.delete_session("sess_1"), Response(200, {}, body))


@pytest.mark.parametrize(("status", "state"), [(202, CancelState.REQUESTED), (200, CancelState.NOTHING_RUNNING)])
def test_the_http_status_of_cancel_shows_whether_a_turn_was_running(status: int, state: CancelState) -> None:
    answer = {"id": "sess_1", "type": "session", "status": "canceling"}
    assert sent(OPERATIONS.cancel_session("sess_1"), ok(answer, status)) == (write("/sessions/sess_1/cancel"), {})
    _, cancellation = step(OPERATIONS.cancel_session("sess_1"), ok(answer, status))
    assert cancellation == Cancellation(provider="qoder", session_id="sess_1", state=state)
    assert cancellation.raw == answer


ON_ONE_SESSION: list[tuple[Callable[[str], Flow[Any]], str]] = [
    (OPERATIONS.get_session, ""),
    (OPERATIONS.update_session, ""),
    (OPERATIONS.archive_session, "/archive"),
    (OPERATIONS.delete_session, ""),
    (OPERATIONS.cancel_session, "/cancel"),
]


@pytest.mark.parametrize(("ask", "tail"), ON_ONE_SESSION)
def test_an_id_of_any_generation_is_encoded_in_the_path(ask: Callable[[str], Flow[Any]], tail: str) -> None:
    assert next(ask("ses_?x")).path == f"/sessions/ses_%3Fx{tail}"


@pytest.mark.parametrize("ask", [ask for ask, _ in ON_ONE_SESSION])
@pytest.mark.parametrize("session_id", ["", "..", "a/b"])
def test_an_invalid_id_raises_before_any_call(ask: Callable[[str], Flow[Any]], session_id: str) -> None:
    with pytest.raises(UsageError):
        next(ask(session_id))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"title": "no id"}'])
def test_a_success_without_a_session_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.get_session("sess_1"), Response(200, {}, body))
