"""General rules of the Qoder emulator, tested over plain HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview and the pages beside it (read 2026-11)
"""

import contextlib
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession.emulation.emulator import Generation

Json = dict[str, Any]

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z")
TOOLS = [{"type": "agent_toolset_20260401"}]
OVERSIZED_METADATA = [{"k" * 65: ""}, {"k": "v" * 513}, dict.fromkeys(map(str, range(17)), "")]
ERROR_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "not_found_error": 404,
    "conflict_error": 409,
}


class Api:
    """A plain HTTP client for a served emulator."""

    def __init__(self, handle: EmulatorHandle, http: httpx.Client, generation: Generation) -> None:
        self.handle = handle
        self.http = http
        self.created_status, self.error_keys = {
            "current": (200, {"type", "error", "request_id"}),
            "legacy": (201, {"type", "error"}),
        }[generation]

    def ok(self, method: str, path: str, body: Json | None = None, *, status: int = 200, **options: Any) -> Json:
        response = self.http.request(method, path, json=body, **options)
        assert response.status_code == status, response.text
        answer: Json = response.json()
        return answer

    def refused(self, method: str, path: str, body: Json | None = None, **options: Any) -> Json:
        """Send a request that is refused. Checks the error body and returns its `error` object."""
        response = self.http.request(method, path, json=body, **options)
        answer = response.json()
        assert answer.keys() == self.error_keys
        request_id = response.headers["x-request-id"]
        assert (answer["type"], answer.get("request_id", request_id)) == ("error", request_id)
        error: Json = answer["error"]
        assert error.keys() - {"param"} == {"type", "message"}
        assert response.status_code == ERROR_STATUS[error["type"]]
        return error

    def new_session(self, **fields: Any) -> Json:
        body = {"agent": self.handle.agent_id, "environment_id": self.handle.environment_id, **fields}
        return self.ok("POST", "/sessions", body, status=self.created_status)

    def new_agent(self, **fields: Any) -> Json:
        return self.ok("POST", "/agents", {"name": "a", "model": "ultimate", **fields}, status=self.created_status)

    def new_environment(self, **fields: Any) -> Json:
        return self.ok(
            "POST", "/environments", {"name": "e", "config": {"type": "cloud"}, **fields}, status=self.created_status
        )

    def listed(self, path: str, **query: Any) -> list[str]:
        return [item["id"] for item in self.ok("GET", path, params=query)["data"]]

    def start_turn(self, session_id: str, duration_s: float = 60) -> None:
        self.handle.control.start_turn(session_id, duration_s=duration_s)

    def wait_until_idle(self, session_id: str) -> None:
        deadline_s = time.monotonic() + 5
        while self.ok("GET", f"/sessions/{session_id}")["status"] != "idle":
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


@contextlib.contextmanager
def served_api(generation: Generation = "current") -> Iterator[Api]:
    with serve("qoder", generation=generation) as handle:
        headers = {"authorization": f"Bearer {handle.settings['token']}"}
        with httpx.Client(base_url=handle.base_url, headers=headers, trust_env=False) as http:
            yield Api(handle, http, generation)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "pt-emulator"},
        {"authorization": "pt-emulator"},
        {"authorization": "Basic pt-emulator"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer sk-1"},
        {"authorization": "Bearer a.b"},
        {"authorization": "Bearer a..c"},
    ],
)
@pytest.mark.parametrize("path", ["/sessions", "/no/such/path"])
def test_a_request_without_a_valid_token_is_refused(api: Api, path: str, headers: dict[str, str]) -> None:
    response = httpx.get(api.handle.base_url + path, headers=headers, trust_env=False)
    assert response.status_code == 401
    assert response.json() == {
        "type": "error",
        "request_id": response.headers["x-request-id"],
        "error": {"type": "authentication_error", "message": "Invalid API key or token."},
    }


@pytest.mark.parametrize("authorization", ["Bearer pt-other", "bearer pt-other"])
def test_personal_tokens_are_accepted(api: Api, authorization: str) -> None:
    api.ok("GET", "/models", headers={"authorization": authorization})


def test_the_settings_have_a_valid_token(api: Api) -> None:
    assert api.handle.settings == {"base_url": api.handle.base_url, "token": "pt-emulator"}
    assert api.handle.base_url.endswith("/api/v1/cloud")


def test_the_request_id_is_echoed_or_generated(api: Api) -> None:
    asked = api.http.get("/models", headers={"x-request-id": "mine"})
    assert asked.headers["x-request-id"] == "mine"
    made = api.http.get("/models").headers["x-request-id"]
    assert str(uuid.UUID(made)) == made


@pytest.mark.parametrize(
    ("method", "path", "status", "error_type"),
    [
        ("GET", "/nothing", 404, "not_found_error"),
        ("GET", "/sessions/", 404, "not_found_error"),
        ("PATCH", "/sessions/sess_1", 405, "invalid_request_error"),
        ("PUT", "/sessions/sess_1", 405, "invalid_request_error"),
        ("DELETE", "/agents/agent_1", 405, "invalid_request_error"),
    ],
)
def test_an_unknown_route_has_an_error_body(api: Api, method: str, path: str, status: int, error_type: str) -> None:
    response = api.http.request(method, path)
    assert (response.status_code, response.json()["error"]["type"]) == (status, error_type)
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"title": NaN}', b'{"title": "\\ud800"}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(api: Api, content: bytes) -> None:
    error = api.refused("POST", "/sessions", content=content)
    assert error == {"type": "invalid_request_error", "message": "Request body must be valid JSON."}


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"null"])
def test_a_body_that_is_not_an_object_is_refused(api: Api, content: bytes) -> None:
    assert api.refused("POST", "/sessions", content=content)["type"] == "invalid_request_error"


def test_a_body_may_have_four_mebibytes(api: Api) -> None:
    path = f"/sessions/{api.new_session()['id']}"
    longest = b'{"title":"' + b"x" * (4 * 1024 * 1024 - len(b'{"title":""}')) + b'"}'
    api.ok("POST", path, content=longest)
    assert api.refused("POST", path, content=longest + b" ")["message"] == "Request body must be valid JSON."
    api.ok("POST", path, {"title": None})


@pytest.mark.parametrize("path", ["/sessions/{session}/resources", "/agents/{agent}", "/agents/{agent}/versions"])
def test_an_unknown_query_parameter_is_refused(api: Api, path: str) -> None:
    known = path.format(session=api.new_session()["id"], agent=api.handle.agent_id)
    error = api.refused("GET", known, params={"unknown": "1"})
    assert (error["type"], error["param"]) == ("invalid_request_error", "unknown")


@pytest.mark.parametrize("header", ["idempotency-key", "x-idempotency-key"])
def test_a_repeated_write_gets_the_first_response(api: Api, header: str) -> None:
    agent_id = api.new_agent()["id"]
    body = {"agent": agent_id, "environment_id": api.handle.environment_id}
    key = {header: str(uuid.uuid4())}
    first, second = (api.http.post("/sessions", json=body, headers=key) for _ in range(2))
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert api.listed("/sessions", agent_id=agent_id) == [first.json()["id"]]


def test_a_repeated_delete_and_cancel_get_the_first_response(api: Api) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id)
    cancel, delete = ({"idempotency-key": str(uuid.uuid4())} for _ in range(2))
    api.ok("POST", f"/sessions/{session_id}/cancel", status=202, headers=cancel)
    api.wait_until_idle(session_id)
    api.ok("POST", f"/sessions/{session_id}/cancel", status=202, headers=cancel)
    answers = [api.ok("DELETE", f"/sessions/{session_id}", headers=delete) for _ in range(2)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("changed", ["body", "path"])
def test_a_key_for_another_request_is_a_conflict(api: Api, changed: str) -> None:
    first, second = api.new_session()["id"], api.new_session()["id"]
    key = {"idempotency-key": str(uuid.uuid4())}
    api.ok("POST", f"/sessions/{first}", {"title": "a"}, headers=key)
    path, title = (f"/sessions/{first}", "b") if changed == "body" else (f"/sessions/{second}", "a")
    assert api.refused("POST", path, {"title": title}, headers=key) == {
        "type": "conflict_error",
        "message": "Idempotency key reused with a different request body.",
    }


def test_a_key_applies_per_token_and_not_to_reads_or_refused_writes(api: Api) -> None:
    path = f"/sessions/{api.new_session()['id']}"
    key = {"idempotency-key": str(uuid.uuid4())}
    api.refused("POST", path, {"title": 1}, headers=key)
    api.ok("POST", path, {"title": "a"}, headers=key)
    api.ok("POST", path, {"title": "b"}, headers={**key, "authorization": "Bearer pt-other"})
    assert api.ok("GET", path, headers=key)["title"] == "b"
