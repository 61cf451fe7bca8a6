"""Anthropic's settings, headers, calls and errors, from flows that are stepped by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from polysession import (
    CancelState,
    InvalidRequest,
    MissingCredentials,
    ModelConfig,
    RetryPolicy,
    SessionStatus,
    Usage,
    UsageError,
)
from polysession._core.flow import Call, Response
from polysession._core.provider import ErrorDetail
from polysession.change import (
    AgentChanges,
    NewAgent,
    NewEnvironment,
    NewSession,
    SessionChanges,
    SessionQuery,
    SessionRef,
)
from polysession.settings import load_settings
from polysession_anthropic import (
    AnthropicAgentChanges,
    AnthropicAgentWithOverrides,
    AnthropicBudget,
    AnthropicListCost,
    AnthropicNewAgent,
    AnthropicNewSession,
    AnthropicProvider,
    AnthropicSessionChanges,
    AnthropicSettings,
)
from support.flows import ok, step

JsonObject = dict[str, Any]

KEY = "sk-ant-made-up"
PROVIDER = AnthropicProvider(AnthropicSettings(api_key=KEY))
REF = SessionRef("sesn_1")
ONE = "/v1/sessions/sesn_1"
SESSION: JsonObject = {
    "id": "sesn_1",
    "status": "idle",
    "agent": {"id": "agent_1", "model": {"id": "m", "speed": None}},
}


def session(status: str) -> Response:
    return ok({**SESSION, "status": status})


# Settings and headers.


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ({"api_key": "a"}, {"ANTHROPIC_API_KEY": "b"}, ("a", "https://api.anthropic.com")),
        ({}, {"ANTHROPIC_API_KEY": "b", "ANTHROPIC_AUTH_TOKEN": "c"}, ("b", "https://api.anthropic.com")),
        (
            {},
            {"ANTHROPIC_AUTH_TOKEN": "c", "ANTHROPIC_BASE_URL": "http://127.0.0.1:8400/"},
            ("c", "http://127.0.0.1:8400"),
        ),
    ],
)
def test_settings_come_from_arguments_then_from_the_environment(
    given: JsonObject, environ: dict[str, str], expected: tuple[str, str]
) -> None:
    settings = load_settings(AnthropicSettings, "anthropic", given, environ)
    assert (*settings.secrets(), settings.base_url) == expected


def test_a_missing_key_error_names_its_sources() -> None:
    with pytest.raises(MissingCredentials, match="ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN"):
        load_settings(AnthropicSettings, "anthropic", {}, {})


BETA = "managed-agents-2026-04-01"


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, {"authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21", "anthropic-beta": BETA}),
        (
            {"version": "2023-06-01"},
            {"x-api-key": KEY, "anthropic-version": "2023-06-01", "anthropic-beta": BETA},
        ),
        (
            {"workspace_id": "wrkspc_1", "betas": "agent-memory-2026-07-22"},
            {
                "authorization": f"Bearer {KEY}",
                "anthropic-version": "2026-10-21",
                "anthropic-beta": f"{BETA},agent-memory-2026-07-22",
                "anthropic-workspace-id": "wrkspc_1",
            },
        ),
    ],
)
def test_both_pairs_of_headers(settings: JsonObject, headers: dict[str, str]) -> None:
    assert AnthropicProvider(AnthropicSettings(api_key=KEY, **settings)).headers() == headers


# Calls.

_BUDGET = AnthropicBudget(max_list_cost=AnthropicListCost(amount="2500"))
_OVERRIDES = AnthropicAgentWithOverrides(id="agent_1", system=None)


@pytest.mark.parametrize(
    ("flow", "method", "path", "body"),
    [
        (
            lambda: PROVIDER.create_session(NewSession(agent="agent_1", environment="env_1", title="T")),
            "POST",
            "/v1/sessions",
            {"agent": "agent_1", "environment_id": "env_1", "title": "T"},
        ),
        (
            lambda: PROVIDER.create_session(
                NewSession(
                    agent="agent_1",
                    environment="env_1",
                    model=ModelConfig(id="m", parameters={"effort": {"type": "low"}}),
                    native=AnthropicNewSession(budget=_BUDGET),
                )
            ),
            "POST",
            "/v1/sessions",
            {
                "agent": {
                    "type": "agent_with_overrides",
                    "id": "agent_1",
                    "model": {"id": "m", "effort": {"type": "low"}},
                },
                "environment_id": "env_1",
                "budget": {"type": "limit", "max_list_cost": {"amount": "2500", "currency": "USD"}},
            },
        ),
        (
            lambda: PROVIDER.create_session(
                NewSession(environment="env_1", native=AnthropicNewSession(agent=_OVERRIDES))
            ),
            "POST",
            "/v1/sessions",
            {
                "environment_id": "env_1",
                "agent": {"type": "agent_with_overrides", "id": "agent_1", "system": None},
            },
        ),
        (
            lambda: PROVIDER.update_session(
                REF, SessionChanges(title=None, native=AnthropicSessionChanges(budget=None))
            ),
            "POST",
            ONE,
            {"title": None, "budget": None},
        ),
        (lambda: PROVIDER.archive_session(REF), "POST", f"{ONE}/archive", {}),
        (
            lambda: PROVIDER.create_agent(
                NewAgent(
                    name="n",
                    model="m",
                    system_prompt="s",
                    native=AnthropicNewAgent(execution_identity={"type": "service_account"}),
                )
            ),
            "POST",
            "/v1/agents",
            {"name": "n", "model": "m", "system": "s", "execution_identity": {"type": "service_account"}},
        ),
        (
            lambda: PROVIDER.update_agent(
                "agent_1",
                AgentChanges(
                    name="n",
                    description=None,
                    native=AnthropicAgentChanges(metadata={"k": None}, execution_identity=None),
                ),
            ),
            "POST",
            "/v1/agents/agent_1",
            {"name": "n", "description": "", "metadata": {"k": None}, "execution_identity": None},
        ),
        (
            lambda: PROVIDER.update_agent("agent_1", AgentChanges(system_prompt="s", version="2")),
            "POST",
            "/v1/agents/agent_1",
            {"system": "s", "version": 2},
        ),
        (lambda: PROVIDER.archive_agent("agent_1"), "POST", "/v1/agents/agent_1/archive", {}),
        (
            lambda: PROVIDER.create_environment(NewEnvironment(name="n")),
            "POST",
            "/v1/environments",
            {"name": "n"},
        ),
    ],
)
def test_a_write_sends_the_passed_fields_and_no_idempotency_key(
    flow: Callable[[], Any], method: str, path: str, body: JsonObject
) -> None:
    call = next(flow())

    assert (call.method, call.path, json.loads(call.body)) == (method, path, body)
    assert call.idempotency_header is None
    assert not call.repeatable


def test_a_list_is_filtered_by_the_backend_except_by_title_and_metadata() -> None:
    query = SessionQuery(
        agent="agent_1", statuses=[SessionStatus.IDLE], title_contains="ticket", metadata={"team": "red"}, page_size=5
    )
    found = [
        {**SESSION, "id": "sesn_1", "title": "Ticket", "metadata": {"team": "red", "n": "1"}},
        {**SESSION, "id": "sesn_2", "title": "Ticket", "metadata": {}},
        {**SESSION, "id": "sesn_3", "title": None, "metadata": {"team": "red"}},
    ]
    reply = ok({"data": found, "next_page": "p2", "prev_page": None})
    (call,), page = step(PROVIDER.list_sessions(query, "page=p1"), reply)

    assert call.path == "/v1/sessions?agent_id=agent_1&statuses%5B%5D=idle&limit=5&page=p1"
    assert [each.id for each in page.items] == ["sesn_1"]
    assert page.next_cursor == "page=p2"


@pytest.mark.parametrize(
    "new",
    [
        NewSession(environment="env_1"),
        NewSession(agent="agent_1", environment="env_1", model=ModelConfig(id="m", credential_id="c")),
        NewSession(environment="env_1", model=ModelConfig(id="m"), native=AnthropicNewSession(agent=_OVERRIDES)),
        NewSession(agent="agent_1", environment="env_1", metadata={"n": 1}),
    ],
)
def test_unsupported_values_are_refused(new: NewSession) -> None:
    with pytest.raises(UsageError):
        next(PROVIDER.create_session(new))


@pytest.mark.parametrize("amount", ["0", "25.00", "-1", ""])
def test_a_budget_is_whole_cents(amount: str) -> None:
    with pytest.raises(ValidationError):
        AnthropicListCost(amount=amount)


def test_a_session_is_read() -> None:
    wire = {
        **SESSION,
        "usage": {
            "input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 1},
            "list_cost": {"amount": "250", "currency": "USD"},
        },
        "status": "terminated",
        "archived_at": "2026-11-30T12:00:00Z",
        "resources": [{"type": "memory_store"}],
    }
    _, read = step(PROVIDER.get_session(REF), ok(wire))

    assert (read.status, read.archived_at is None) == (SessionStatus.TERMINATED, False)
    assert read.usage == Usage(input_tokens=7, cache_creation_tokens=1, cost_usd=Decimal("2.5"))
    assert (read.agent_id, read.model) == ("agent_1", ModelConfig(id="m"))
    euros = {**SESSION, "usage": {"list_cost": {"amount": "250", "currency": "EUR"}}}
    assert step(PROVIDER.get_session(REF), ok(euros))[1].usage == Usage()


@pytest.mark.parametrize(
    ("status", "sent", "state"),
    [
        ("idle", False, CancelState.NOTHING_RUNNING),
        ("terminated", False, CancelState.NOTHING_RUNNING),
        ("running", True, CancelState.REQUESTED),
        ("rescheduling", True, CancelState.REQUESTED),
    ],
)
def test_cancel_reads_the_status_then_interrupts(status: str, state: CancelState, *, sent: bool) -> None:
    answers = [session(status), *([ok({"data": []})] if sent else [])]
    calls, cancellation = step(PROVIDER.cancel_session(REF), *answers)

    assert cancellation.state is state
    assert [json.loads(call.body or b"null") for call in calls[1:]] == [{"events": [{"type": "user.interrupt"}]}] * sent


REFUSED = InvalidRequest("Cannot delete session while it is running")


def test_delete_is_retried_after_the_end_of_a_turn() -> None:
    calls, _ = step(PROVIDER.delete_session(REF), REFUSED, session("running"), session("idle"), Response(200, {}, b""))

    assert [(call.method, call.path) for call in calls] == [
        ("DELETE", ONE),
        ("GET", ONE),
        ("GET", ONE),
        ("DELETE", ONE),
    ]
    assert [call.after_s for call in calls] == [0.0, 0.2, 0.2, 0.0]


def test_a_session_that_keeps_running_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Cannot delete"):
        step(PROVIDER.delete_session(REF), REFUSED, *[session("running")] * 10)


# Errors.


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {"error": {"type": "invalid_request_error", "message": "no", "details": {"error_code": "no_such_thing"}}},
            ErrorDetail("no", "no_such_thing"),
        ),
        (
            {"error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_2"},
            ErrorDetail("Overloaded", "overloaded_error", "req_2"),
        ),
        ({"error": {"type": "x", "details": {"error_code": 5}}, "request_id": None}, ErrorDetail("", "x")),
        ({"error": "x", "request_id": "req_2"}, ErrorDetail(request_id="req_2")),
        ([], ErrorDetail()),
    ],
)
def test_an_error_body_is_read(body: Any, detail: ErrorDetail) -> None:
    assert PROVIDER.read_error(ok(body, 400)) == detail


def test_only_reads_are_retried_after_an_overload() -> None:
    overloaded = Response(529, {}, b"")
    assert RetryPolicy().wants_retry(Call("GET", ONE), overloaded)
    assert not RetryPolicy().wants_retry(next(PROVIDER.send_message(REF, ())), overloaded)
