"""The Everruns emulator, tested over plain HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession.emulation.emulator import Generation

TOKEN = "evr_pat_emulator"
HEX = "0123456789abcdef" * 2
UNKNOWN_SESSION = f"session_{HEX}"
DEFAULT_ORG = "org_00000000000000000000000000000001"

# Required fields and their types, by component of the published OpenAPI document, info.version 0.2.0:
# https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11). Two facts come from the text of the document:
# the type of a session's `status`, because its component SessionStatus describes another object, and that an action on
# an entity always has `href` and `method`.
LINKS = {"self_url": str, "view_url": str, "ui_link": str}
PUBLISHED: dict[str, dict[str, type]] = {
    "WithUrls_Session": {
        "id": str,
        "organization_id": str,
        "workspace_id": str,
        "harness_id": str,
        "owner_principal_id": str,
        "status": str,
        "created_at": str,
        "updated_at": str,
        **LINKS,
    },
    "WithUrls_Agent": {
        "id": str,
        "name": str,
        "system_prompt": str,
        "harness_id": str,
        "status": str,
        "created_at": str,
        "updated_at": str,
        **LINKS,
    },
    "ResourceWithCounts": {"session_count": int, "app_count": int},
    "WithUrls_Harness": {"id": str, "name": str, "status": str, "created_at": str, "updated_at": str, **LINKS},
    "WithUrls_ModelWithProvider": {
        "id": str,
        "provider_id": str,
        "model_id": str,
        "display_name": str,
        "capabilities": list,
        "is_favorite": bool,
        "enabled": bool,
        "source": str,
        "created_at": str,
        "updated_at": str,
        "provider_name": str,
        "provider_type": str,
        "healthy": bool,
        **LINKS,
    },
    "WithUrls_CapabilityInfo": {"id": str, "name": str, "description": str, "status": str, **LINKS},
    "PaginatedResponse": {"data": list, "total": int, "offset": int, "limit": int},
    "SessionStatsResponse": {"total": int, "active": int, "idle": int, "started": int, "waiting_for_tool_results": int},
    "CancelTurnResponse": {"status": str, "message": str},
    "ErrorResponse": {"title": str, "status": int},
    "AllowedAction": {"rel": str, "href": str, "method": str},
}


def conforms(body: dict[str, Any], *components: str) -> dict[str, Any]:
    """Assert that a body has the published required fields and no null, and return it."""
    for component in components:
        for name, kind in PUBLISHED[component].items():
            assert type(body.get(name)) is kind, f"{component}.{name}: {body.get(name)!r}"
    assert None not in body.values()
    for name, value in body.items():
        if name.endswith("_at"):
            assert datetime.fromisoformat(value).utcoffset() == timedelta(0)
            assert value.endswith("Z")
    return body


class Api:
    """A plain HTTP client for one served emulator."""

    def __init__(self, handle: EmulatorHandle) -> None:
        self.handle = handle
        self.origin = handle.base_url.removesuffix("/api")
        self.http = httpx.Client(base_url=f"{handle.base_url}/v1/", headers={"Authorization": TOKEN})

    def session(self, **values: object) -> dict[str, Any]:
        return self.ok("POST", "sessions", 201, values)

    def agent(self, name: str, **values: object) -> dict[str, Any]:
        return self.ok("POST", "agents", 201, {"name": name, "system_prompt": "Be brief.", **values})

    def ok(self, method: str, path: str, status: int = 200, body: object = None) -> dict[str, Any]:
        response = self.http.request(method, path, json=body)
        assert response.status_code == status, response.text
        result: dict[str, Any] = response.json()
        return result

    def refused(self, method: str, path: str, status: int, body: object = None) -> dict[str, Any]:
        response = self.http.request(method, path, json=body)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
        problem = conforms(response.json(), "ErrorResponse")
        assert problem["status"] == status
        return problem


def served(generation: Generation = "current") -> Iterator[Api]:
    with serve("everruns", generation=generation) as handle:
        api = Api(handle)
        with api.http:
            yield api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """One emulator for all tests of this file, because none of them counts records."""
    yield from served()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (TOKEN, 200),
        (f"Bearer {TOKEN}", 200),
        (f"ApiKey {TOKEN}", 200),
        ("evr_older", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("sk-other", 401),
        ("Bearer sk-other", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer evr_ak_key_of_an_agent", 401),
    ],
)
def test_a_user_token_is_accepted_with_and_without_a_scheme(api: Api, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = httpx.get(f"{api.handle.base_url}/v1/sessions", headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.json()["title"] == "Unauthorized"


def test_the_settings_of_the_handle_are_accepted(api: Api) -> None:
    token = api.handle.settings["api_key"]
    assert httpx.get(f"{api.handle.base_url}/v1/sessions", headers={"Authorization": token}).status_code == 200


@pytest.mark.parametrize(
    ("organization", "status"), [(DEFAULT_ORG, 200), (f"org_{HEX}", 403), ("org_1", 400), ("default", 400)]
)
def test_only_the_default_organization_is_accessible(api: Api, organization: str, status: int) -> None:
    assert api.http.get("sessions", headers={"X-Org-Id": organization}).status_code == status


@pytest.mark.parametrize("reason", ["retire", "%E2%9C%93%20done", "two%0Alines%09tabbed", "x" * 1000, "%C3%A9" * 1000])
def test_a_valid_change_reason_is_accepted(api: Api, reason: str) -> None:
    assert api.http.post("sessions", json={}, headers={"Everruns-Change-Reason": reason}).status_code == 201


@pytest.mark.parametrize("reason", ["", "%20%0A", "x" * 1001, "bell%07", "%C2%85x%C2%85y", "%FF"])
def test_an_invalid_change_reason_is_refused(api: Api, reason: str) -> None:
    response = api.http.post("sessions", json={}, headers={"Everruns-Change-Reason": reason})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_change_reason")


@pytest.mark.parametrize(("method", "path"), [("GET", "sessions"), ("GET", "sessions/x"), ("POST", "sessions")])
def test_the_request_id_is_echoed_or_generated(api: Api, method: str, path: str) -> None:
    assert api.http.request(method, path, headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert uuid.UUID(api.http.request(method, path).headers["x-request-id"]).version == 4


def test_health_needs_no_credential(api: Api) -> None:
    assert httpx.get(f"{api.origin}/health").status_code == 200


SESSION_CALLS: list[tuple[str, str, object]] = [
    ("GET", "sessions/{}", None),
    ("PATCH", "sessions/{}", {}),
    ("DELETE", "sessions/{}", None),
    ("POST", "sessions/{}/cancel", {}),
    ("PUT", "sessions/{}/pin", None),
    ("DELETE", "sessions/{}/pin", None),
    ("POST", "sessions/{}/fork", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), SESSION_CALLS)
def test_an_unknown_session_is_not_found(api: Api, method: str, path: str, body: object) -> None:
    assert api.refused(method, path.format(UNKNOWN_SESSION), 404, body) == {
        "title": "Not Found",
        "status": 404,
        "detail": "Session not found",
        "code": "session_not_found",
    }


@pytest.mark.parametrize(("method", "path", "body"), SESSION_CALLS)
def test_a_malformed_session_id_is_refused(api: Api, method: str, path: str, body: object) -> None:
    assert api.refused(method, path.format("session_1"), 400, body)["detail"].startswith("Invalid session ID: ")


@pytest.mark.parametrize(
    ("session_id", "problem"),
    [
        (f"sess_{HEX}", "invalid prefix: expected 'session', got 'sess'"),
        (f"Session_{HEX}", "invalid prefix: expected 'session', got 'Session'"),
        (HEX, f"invalid prefix: expected 'session', got '{HEX}'"),
        ("session_01933b5a00007000800000000000001", "invalid length: expected 32, got 31"),
        (f"session_{HEX}0", "invalid length: expected 32, got 33"),
        (f"session_{HEX.upper()}", f"invalid hex in ID: {HEX.upper()}"),
        (f"session_{'g' * 32}", f"invalid hex in ID: {'g' * 32}"),
    ],
)
def test_an_id_is_checked_by_prefix_then_length_then_digits(api: Api, session_id: str, problem: str) -> None:
    assert api.refused("GET", f"sessions/{session_id}", 400)["detail"] == f"Invalid session ID: {problem}"


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "sessions", b"{", 400),
        ("POST", "sessions", b"", 400),
        ("POST", "sessions", b"[]", 422),
        ("POST", "sessions", b'{"title": 5}', 422),
        ("POST", "sessions", b'{"tags": null}', 422),
        ("POST", "sessions", b'{"tags": ["a", 1]}', 422),
        ("POST", "sessions", b'{"capabilities": [{"config": {}}]}', 422),
        ("POST", "sessions", b'{"max_iterations": -1}', 422),
        ("POST", "sessions", b'{"parallel_tool_calls": "yes"}', 422),
        ("PATCH", f"sessions/{UNKNOWN_SESSION}", b"not json", 400),
        ("PATCH", f"sessions/{UNKNOWN_SESSION}", b"", 400),
        ("PATCH", f"sessions/{UNKNOWN_SESSION}", b'{"tags": "a"}', 422),
        ("POST", "agents", b'{"name": "a"}', 422),
        ("POST", "agents", b'{"name": "a", "system_prompt": null}', 422),
        ("GET", "sessions?limit=many", b"", 400),
        ("GET", "sessions?offset=-1", b"", 400),
        ("GET", "agents?include_archived=maybe", b"", 400),
    ],
)
def test_an_unreadable_request_gets_plain_text(api: Api, method: str, path: str, content: bytes, status: int) -> None:
    response = api.http.request(method, path, content=content)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (status, "text/plain")
