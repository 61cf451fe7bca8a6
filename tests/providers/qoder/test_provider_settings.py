"""Qoder's settings, headers and error bodies."""

from __future__ import annotations

from typing import Any

import pytest

from polysession import MissingCredentials
from polysession._core.flow import Response
from polysession._core.provider import ErrorDetail
from polysession.settings import load_settings
from polysession_qoder import QoderProvider, QoderSettings
from support.flows import ok

JsonObject = dict[str, Any]


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (
            {"token": "pt-1"},
            {},
            ("pt-1", "https://api.qoder.com/api/v1/cloud", None),
        ),
        (
            {"token": "pt-1", "base_url": "https://api.qoder.com.cn/api/v1/cloud/", "workspace_id": "ws_1"},
            {"QODER_ACCESS_TOKEN": "other", "QODER_MANAGED_BASE_URL": "https://other.example"},
            ("pt-1", "https://api.qoder.com.cn/api/v1/cloud", "ws_1"),
        ),
        (
            {},
            {"QODER_ACCESS_TOKEN": "new", "QODER_PAT": "old", "QODER_MANAGED_BASE_URL": "http://127.0.0.1:1/api"},
            ("new", "http://127.0.0.1:1/api", None),
        ),
        ({}, {"QODER_PAT": "old"}, ("old", "https://api.qoder.com/api/v1/cloud", None)),
    ],
)
def test_settings_come_from_arguments_then_from_the_environment(
    given: JsonObject, environ: dict[str, str], expected: tuple[str, str, str | None]
) -> None:
    settings = load_settings(QoderSettings, "qoder", given, environ)
    assert (*settings.secrets(), settings.base_url, settings.workspace_id) == expected
    assert expected[0] not in repr(settings)


def test_a_missing_token_error_names_its_sources() -> None:
    with pytest.raises(MissingCredentials, match="QODER_ACCESS_TOKEN, QODER_PAT"):
        load_settings(QoderSettings, "qoder", {}, {})


@pytest.mark.parametrize(
    ("workspace_id", "headers"),
    [
        (None, {"authorization": "Bearer pt-1"}),
        ("ws_1", {"authorization": "Bearer pt-1", "qoder-workspace-id": "ws_1"}),
    ],
)
def test_every_request_has_the_token_and_the_workspace(workspace_id: str | None, headers: JsonObject) -> None:
    assert QoderProvider(QoderSettings(token="pt-1", workspace_id=workspace_id)).headers() == headers


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {
                "type": "error",
                "request_id": "req_1",
                "error": {"type": "invalid_request_error", "message": "Missing required field: name", "param": "name"},
            },
            ErrorDetail("Missing required field: name (parameter name)", "invalid_request_error", "req_1"),
        ),
        (
            {"type": "error", "error": {"type": "not_found_error", "message": "Session 'x' was not found."}},
            ErrorDetail("Session 'x' was not found.", "not_found_error"),
        ),
        (
            {"error": {"type": "conflict_error", "code": "session_archived", "message": None}},
            ErrorDetail("", "session_archived"),
        ),
        ({"error": {}}, ErrorDetail()),
        (
            {"request_id": 5, "error": {"type": "conflict_error", "code": 409, "message": "busy", "param": []}},
            ErrorDetail("busy", "409"),
        ),
        ({"error": {"type": ["x"], "message": "busy"}}, ErrorDetail("busy")),
        ({"error": "boom"}, ErrorDetail("boom")),
        ({"message": "no route"}, ErrorDetail()),
        ([], ErrorDetail()),
    ],
)
def test_error_bodies_of_every_generation_are_read(body: Any, detail: ErrorDetail) -> None:
    assert QoderProvider(QoderSettings(token="pt-1")).read_error(ok(body, 400)) == detail


@pytest.mark.parametrize("content", [b"", b"<html>Bad Gateway</html>", b"\xff"])
def test_an_error_body_of_a_gateway_gives_an_empty_detail(content: bytes) -> None:
    assert QoderProvider(QoderSettings(token="pt-1")).read_error(Response(502, {}, content)) == ErrorDetail()
