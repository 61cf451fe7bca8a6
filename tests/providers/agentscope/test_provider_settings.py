"""AgentScope's declaration and settings, the resulting headers, and its error bodies."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from polysession._core.flow import Response
from polysession._core.provider import ErrorDetail
from polysession.errors import UsageError
from polysession.feature import Feature, Support
from polysession.plugins import load_provider
from polysession.settings import load_settings
from polysession_agentscope import AgentScopeProvider, AgentScopeSettings, polysession_provider
from support.agentscope_sessions import BASE, PROBLEM, PROVIDER
from support.flows import ok


def test_the_provider_is_found() -> None:
    assert polysession_provider() is load_provider("agentscope") is AgentScopeProvider


def test_every_feature_is_declared_and_has_a_reason_if_not_native() -> None:
    assert set(PROVIDER.features) == set(Feature)
    assert [
        name for name, found in PROVIDER.features.items() if found.support is not Support.NATIVE and not found.note
    ] == []


def test_settings_come_from_the_environment() -> None:
    environ = {
        "AGENTSCOPE_BASE_URL": "http://agents.test/",
        "AGENTSCOPE_USER_ID": "u1",
        "AGENTSCOPE_AGENT_ID": "a1",
    }
    assert load_settings(AgentScopeSettings, "agentscope", {}, environ) == PROVIDER.settings


@pytest.mark.parametrize(("name", "variable"), [("base_url", "AGENTSCOPE_BASE_URL"), ("user_id", "AGENTSCOPE_USER_ID")])
def test_a_missing_setting_is_named_with_its_variable(name: str, variable: str) -> None:
    given = {key: value for key, value in BASE.items() if key != name}
    with pytest.raises(UsageError, match=rf"{name}' is missing.*{variable}"):
        load_settings(AgentScopeSettings, "agentscope", given, {})


@pytest.mark.parametrize("user_id", ["üser", "u\n1", " u1"])
def test_a_user_id_must_fit_into_a_header(user_id: str) -> None:
    with pytest.raises(ValidationError, match="printable ASCII"):
        AgentScopeSettings(base_url="http://agents.test", user_id=user_id)


def test_every_request_contains_the_user() -> None:
    assert PROVIDER.settings.secrets() == ()
    assert PROVIDER.headers() == {"x-user-id": "u1"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ok({"detail": "Agent 'a1' not found."}), "Agent 'a1' not found."),
        (ok({"detail": [PROBLEM]}), "body.name: Field required"),
        (
            ok({"detail": [{**PROBLEM, "loc": ["body", index]} for index in range(5)]}),
            "body.0: Field required; body.1: Field required; body.2: Field required; and 2 more",
        ),
        (ok({"detail": []}), ""),
        (ok({"detail": {"reason": "hidden"}}), ""),
        (ok({"message": "of a gateway"}), ""),
        (ok([]), ""),
        (Response(500, {}, b"Internal Server Error"), ""),
        (Response(307, {}, b""), ""),
    ],
)
def test_reads_each_error_body(content: Response, message: str) -> None:
    assert PROVIDER.read_error(content) == ErrorDetail(message)
