"""The AgentScope emulator over raw HTTP. `tests/live` compares it with the real service."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession.emulation.emulator import Generation
from polysession_agentscope.emulator.generations import CurrentGeneration

HEX_ID = re.compile("[0-9a-f]{32}")
CREDENTIAL = {"type": "openai_credential", "name": "n", "api_key": "k", "base_url": "http://models.test/v1"}
NOT_FOUND = {"detail": "Not Found"}


class Api:
    """A user of an emulator, with a credential and an agent."""

    def __init__(self, handle: EmulatorHandle, http: httpx.Client) -> None:
        self.handle = handle
        self.http = http
        self.user_id = uuid.uuid4().hex
        self.credential_id = self.ok("POST", "/credential/", {"data": CREDENTIAL}, status=201)["credential_id"]
        self.agent_id = self.ok("POST", "/agent/", {"name": "A"}, status=201)["agent_id"]
        self.model = {"type": "t", "credential_id": self.credential_id, "model": "m", "parameters": {"top_p": 1}}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        return self.http.request(
            method, self.handle.base_url + path, json=body, headers={"x-user-id": self.user_id} | headers
        )

    def ok(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        answer = self.ask(method, path, body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        return answer.json() if answer.content else None

    def new_session(self, **fields: object) -> str:
        return str(self.ok("POST", "/sessions/", {"agent_id": self.agent_id} | fields, status=201)["session_id"])

    def sessions(self) -> list[Any]:
        listed = self.ok("GET", f"/sessions/?agent_id={self.agent_id}")
        assert listed["total"] == len(listed["sessions"])
        return list(listed["sessions"])

    def path(self, session_id: str, rest: str = "") -> str:
        return f"/sessions/{session_id}{rest}?agent_id={self.agent_id}"

    def run(self, session_id: str, duration_s: float = 30) -> None:
        self.handle.control.start_turn(session_id, duration_s=duration_s)


@contextmanager
def served(generation: Generation) -> Iterator[tuple[EmulatorHandle, httpx.Client]]:
    # After a 500 the emulator closes the connection, as the service does, so a kept connection would fail.
    limits = httpx.Limits(max_keepalive_connections=0)
    with serve("agentscope", generation=generation) as handle, httpx.Client(limits=limits, trust_env=False) as http:
        yield handle, http


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[EmulatorHandle, httpx.Client]]:
    with served("current") as both:
        yield both


@pytest.fixture
def api(emulator: tuple[EmulatorHandle, httpx.Client]) -> Api:
    return Api(*emulator)


def refusal(answer: httpx.Response) -> tuple[int, Any]:
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()["detail"]


def test_the_initial_resources_belong_to_the_user_of_the_settings(
    emulator: tuple[EmulatorHandle, httpx.Client],
) -> None:
    handle, http = emulator
    assert handle.settings == {"base_url": handle.base_url, "user_id": "emulator", "agent_id": handle.agent_id}
    user = {"x-user-id": handle.settings["user_id"]}
    (agent,) = http.get(f"{handle.base_url}/agent/", headers=user).json()["agents"]
    (credential,) = http.get(f"{handle.base_url}/credential/", headers=user).json()["credentials"]
    assert (agent["id"], credential["id"]) == (handle.agent_id, handle.credential_id)
    assert all(HEX_ID.fullmatch(record["id"]) for record in (agent, credential))


def test_a_session_record_has_all_keys(api: Api) -> None:
    session_id = api.new_session(name="first", chat_model_config=api.model)
    record = api.ok("PATCH", api.path(session_id), {})
    config, state = record["config"], record["state"]
    ids = [session_id, config["workspace_id"], state["session_id"], state["reply_context"]["reply_id"]]
    assert all(HEX_ID.fullmatch(each) for each in ids)
    assert len(set(ids)) == len(ids)
    assert record == {
        "id": session_id,
        "updated_at": record["updated_at"],
        "created_at": record["created_at"],
        "user_id": api.user_id,
        "agent_id": api.agent_id,
        "origin": {"type": "user"},
        "team_id": None,
        "config": {
            "workspace_id": config["workspace_id"],
            "name": "first",
            "naming": {"auto": False},
            "cwd": None,
            "chat_model_config": api.model | {"model_class": ""},
            "fallback_chat_model_config": None,
            "tts_model_config": None,
            "realtime_model_config": None,
            "knowledge_config": None,
        },
        "state": {
            "session_id": state["session_id"],
            "summary": "",
            "context": [],
            "reply_context": state["reply_context"] | {"cur_iter": 0},
            "permission_context": {"mode": "default", "working_directories": {}}
            | {"allow_rules": {}, "deny_rules": {}, "ask_rules": {}},
            "tool_context": {"max_cache_files": 100, "max_cache_bytes": 25000.0}
            | {"read_file_cache": [], "activated_groups": []},
            "tasks_context": {"tasks": []},
            "middle_context": {},
        },
    }
    assert set(state["reply_context"]) == {"reply_id", "cur_iter", "structured_schema", "structured_output"}
    assert api.sessions() == [{"session": record, "is_running": False, "status": "idle", "team": None}]


def test_record_times_are_utc_and_default_names_local(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        record = api.ok("PATCH", api.path(api.new_session()), {})
    finally:
        monkeypatch.undo()
        time.tzset()
    now = datetime.now(UTC).replace(tzinfo=None)
    assert now - datetime.fromisoformat(record["updated_at"]) < timedelta(minutes=1)
    assert now - datetime.fromisoformat(record["config"]["name"]) + timedelta(hours=9) < timedelta(minutes=1)
    assert record["config"]["naming"] == {"auto": True}


@pytest.mark.parametrize(
    ("changes", "name", "auto"),
    [
        ({}, None, True),
        ({"name": ""}, "", False),
        ({"name": "x", "id": "ignored", "workspace_id": "ignored"}, "x", False),
    ],
)
def test_patch_sets_the_given_fields_and_the_time(api: Api, changes: object, name: str | None, auto: bool) -> None:  # noqa: FBT001
    session_id = api.new_session()
    before = api.sessions()[0]["session"]
    after = api.ok("PATCH", api.path(session_id), changes)
    assert after["updated_at"] > before["updated_at"]
    config = before["config"] | {"name": before["config"]["name"] if name is None else name, "naming": {"auto": auto}}
    assert after == before | {"config": config, "updated_at": after["updated_at"]}


def test_patch_null_clears_all_but_the_permission_mode(api: Api) -> None:
    session_id = api.new_session()
    changes = {"chat_model_config": api.model, "cwd": "/a", "permission_mode": "bypass"}
    assert api.ok("PATCH", api.path(session_id), changes)["config"].items() >= {"cwd": "/a"}.items()
    record = api.ok("PATCH", api.path(session_id), dict.fromkeys(changes))
    assert (record["config"]["chat_model_config"], record["config"]["cwd"]) == (None, None)
    assert record["state"]["permission_context"]["mode"] == "bypass"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PATCH", "{session}", {"name": None, "permission_mode": "bypass"}), ("POST", "/credential/", {"data": {}})],
)
def test_requests_that_crash_the_service_are_a_plain_500(api: Api, method: str, path: str, body: object) -> None:
    target = path.format(session=api.path(api.new_session(name="kept")))
    before = api.sessions(), api.ok("GET", "/credential/")
    answer = api.ask(method, target, body)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    assert answer.text == "Internal Server Error"
    assert (api.sessions(), api.ok("GET", "/credential/")) == before


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        ({"name": 5}, "string_type", ["body", "name"]),
        ({"permission_mode": "nope"}, "enum", ["body", "permission_mode"]),
        ([], "model_attributes_type", ["body"]),
        (None, "missing", ["body"]),
        (
            {"knowledge_config": {"knowledge_base_ids": [1]}},
            "string_type",
            ["body", "knowledge_config", "knowledge_base_ids", 0],
        ),
    ],
)
def test_an_invalid_body_is_answered_with_the_location(api: Api, body: object, kind: str, place: list[object]) -> None:
    status, (problem,) = refusal(api.ask("PATCH", api.path(api.new_session()), body))
    assert (status, problem["type"], problem["loc"]) == (422, kind, place)


def test_all_problems_of_a_request_are_in_one_response(api: Api) -> None:
    answer = api.http.patch(f"{api.handle.base_url}/sessions/x", json={"chat_model_config": {"model": "m"}})
    status, problems = refusal(answer)
    assert status == 422
    assert [problem["loc"][-1] for problem in problems] == [
        "x-user-id",
        "agent_id",
        "type",
        "credential_id",
        "parameters",
    ]
    assert {problem["type"] for problem in problems} == {"missing"}


def test_invalid_json_is_reported_before_an_empty_user(api: Api) -> None:
    url, headers = f"{api.handle.base_url}/sessions/x", {"x-user-id": "", "content-type": "application/json"}
    status, (problem,) = refusal(api.http.patch(url, content=b'{"a":', headers=headers))
    assert (status, problem["type"], problem["loc"]) == (422, "json_invalid", ["body", 5])
    assert refusal(api.http.patch(url, json={}, headers=headers)) == (401, "X-User-ID header is required.")


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"agent_id": "zz"}, "Agent 'zz' not found."),
        ({"knowledge_config": {"knowledge_base_ids": ["zz"]}}, "Knowledge Base 'zz' not found."),
        *(
            ({key: {"type": "t", "credential_id": "zz", "model": "m", "parameters": {}}}, "Credential 'zz' not found.")
            for key in (f"{kind}_model_config" for kind in ("chat", "fallback_chat", "tts", "realtime"))
        ),
    ],
)
def test_a_session_refers_only_to_existing_resources(api: Api, fields: dict[str, object], detail: str) -> None:
    assert refusal(api.ask("POST", "/sessions/", {"agent_id": api.agent_id} | fields)) == (404, detail)


def test_sessions_share_the_newest_workspace_and_are_listed_newest_first(api: Api) -> None:
    ids = [api.new_session(**fields) for fields in ({}, {"workspace_id": ""}, {"workspace_id": "ws"}, {})]
    views = api.sessions()
    assert [view["session"]["id"] for view in views] == ids[::-1]
    newest, chosen, second, first = (view["session"]["config"]["workspace_id"] for view in views)
    assert (newest, chosen, second) == ("ws", "ws", first)


def test_sessions_are_listed_by_agent(api: Api) -> None:
    mine, first_agent = api.new_session(), api.agent_id
    api.agent_id = api.ok("POST", "/agent/", {"name": "B"}, status=201)["agent_id"]
    assert api.sessions() == []
    api.ok("DELETE", f"/agent/{api.agent_id}", status=204)
    api.agent_id = first_agent
    assert [view["session"]["id"] for view in api.sessions()] == [mine]


def test_a_list_omits_the_conversation() -> None:
    generation = CurrentGeneration()
    record = generation.session("u", "a", {})
    state = record["state"] | {
        "context": ["message"],
        "summary": "s",
        "tool_context": {},
        "tasks_context": {"tasks": [1]},
    }
    listed = generation.session_view(record | {"state": state}, "idle")["session"]["state"]
    assert listed == record["state"] | {"tasks_context": {"tasks": [1]}}


@pytest.mark.parametrize(
    ("method", "rest"), [("PATCH", ""), ("DELETE", ""), ("GET", "/status"), ("POST", "/interrupt")]
)
def test_only_its_user_finds_a_session(api: Api, method: str, rest: str) -> None:
    session_id = api.new_session()
    body: object = {} if method == "PATCH" else None
    stranger = api.ask(method, api.path(session_id, rest), body, **{"x-user-id": "stranger"})
    assert refusal(stranger) == (404, f"Session '{session_id}' not found.")
    assert api.ask(method, f"/sessions/{session_id}{rest}?agent_id=another", body).is_success


def test_a_running_session_is_locked_until_it_is_idle(api: Api) -> None:
    session_id = api.new_session()
    api.run(session_id)
    assert api.sessions()[0].items() >= {"is_running": True, "status": "running"}.items()
    stranger = api.ask("GET", api.path(session_id, "/status"), **{"x-user-id": "stranger"})
    assert stranger.json() == {"session_id": session_id, "status": "running"}, "the service answers any user"
    running = (409, "Cannot modify session configuration while the session is running.")
    assert refusal(api.ask("PATCH", api.path(session_id), {"name": None})) == running
    assert refusal(api.ask("PATCH", api.path(session_id), {"name": 3}))[0] == 422
    assert api.ok("POST", api.path(session_id, "/interrupt"), status=202) == {"session_id": session_id}
    deadline_s = time.monotonic() + 5
    while api.ok("GET", api.path(session_id, "/status"))["status"] != "idle":
        assert time.monotonic() < deadline_s
    assert api.ok("PATCH", api.path(session_id), {"name": "free"})["config"]["name"] == "free"


def test_a_turn_ends_by_itself(api: Api) -> None:
    session_id = api.new_session()
    api.run(session_id, duration_s=0.01)
    time.sleep(0.02)
    assert api.ok("GET", api.path(session_id, "/status")) == {"session_id": session_id, "status": "idle"}


def test_a_turn_needs_a_session(api: Api) -> None:
    with pytest.raises(KeyError, match="nobody"):
        api.run("nobody")


def test_a_running_session_can_be_deleted_once(api: Api) -> None:
    session_id = api.new_session()
    api.run(session_id)
    api.ok("DELETE", api.path(session_id), status=204)
    assert refusal(api.ask("DELETE", api.path(session_id))) == (404, f"Session '{session_id}' not found.")


def test_deleting_an_agent_deletes_its_sessions(api: Api) -> None:
    session_id = api.new_session()
    api.ok("DELETE", f"/agent/{api.agent_id}", status=204)
    assert refusal(api.ask("DELETE", f"/agent/{api.agent_id}")) == (404, f"Agent '{api.agent_id}' not found.")
    assert api.ask("GET", api.path(session_id, "/status")).status_code == 404


def test_patch_replaces_whole_parts_of_an_agent(api: Api) -> None:
    (before,) = api.ok("GET", "/agent/")["agents"]
    assert before.items() >= {"id": api.agent_id, "source": "user", "editable": True}.items()
    assert HEX_ID.fullmatch(before["data"]["id"])
    changes = {"name": None, "system_prompt": "S", "chat_config": {"react_config": {"max_iters": "7"}}}
    after = api.ok("PATCH", f"/agent/{api.agent_id}", changes)
    react = before["data"]["chat_config"]["react_config"] | {"max_iters": 7}
    chat_config = before["data"]["chat_config"] | {"react_config": react}
    assert after["data"] == before["data"] | {"system_prompt": "S", "chat_config": chat_config}
    assert api.ok("GET", "/agent/")["agents"] == [after]


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"react_config": {"max_iters": 1.5}}, "int_from_float"),
        ({"react_config": {"max_iters": "x"}}, "int_parsing"),
        ({"react_config": {"max_iters": None}}, "int_type"),
        ({"react_config": {"structured_output_grace_iters": 0}}, "greater_than"),
        ({"react_config": {"stop_on_reject": "maybe"}}, "bool_parsing"),
        ({"react_config": {"stop_on_reject": None}}, "bool_type"),
        ({"context_config": {"trigger_ratio": 0.95}}, "less_than_equal"),
        ({"invite_config": {"invitable": True}}, "value_error"),
    ],
)
def test_values_of_an_agent_configuration_are_limited(api: Api, config: object, kind: str) -> None:
    status, (problem,) = refusal(api.ask("POST", "/agent/", {"name": "A", "chat_config": config}))
    assert (status, problem["type"]) == (422, kind)


def test_a_credential_is_replaced_as_a_whole_and_shown_in_plain_text(api: Api) -> None:
    path = f"/credential/{api.credential_id}"
    after = api.ok("PATCH", path, {"data": {"type": "openai_credential", "api_key": "new", "id": "ignored"}})
    empty = {"organization": None, "base_url": None}
    data = {"id": api.credential_id, "name": "Openai", "type": "openai_credential", "api_key": "new"} | empty
    assert after.items() >= {"id": api.credential_id, "data": data, "editable": True}.items()
    assert api.ok("GET", "/credential/") == {"credentials": [after], "total": 1}
    api.ok("DELETE", path, status=204)
    assert refusal(api.ask("DELETE", path)) == (404, f"Credential '{api.credential_id}' not found.")


def test_a_chosen_credential_id_is_unique_across_users(api: Api) -> None:
    body = {"data": CREDENTIAL | {"id": f"mine-{api.user_id}"}}
    first, again = (api.ok("POST", "/credential/", body, status=201) for _ in range(2))
    assert first == again == {"credential_id": f"mine-{api.user_id}"}
    assert api.ok("GET", "/credential/")["total"] == 2
    assert api.ask("POST", "/credential/", body, **{"x-user-id": "stranger"}).status_code == 500


def test_credentials_without_a_name_are_numbered(api: Api) -> None:
    nameless = {"type": "openai_credential", "api_key": "k"}
    for _ in range(2):
        api.ok("POST", "/credential/", {"data": nameless}, status=201)
    names = [record["data"]["name"] for record in api.ok("GET", "/credential/")["credentials"]]
    assert names == ["n", "Openai", "Openai (2)"]


@pytest.mark.parametrize(
    ("method", "path", "location"),
    [
        ("GET", "/agent", "/agent/"),
        ("POST", "/sessions", "/sessions/"),
        ("PATCH", "/sessions/x/?agent_id=a", "/sessions/x?agent_id=a"),
        ("GET", "/health/", "/health"),
    ],
)
def test_a_wrong_slash_is_redirected(api: Api, method: str, path: str, location: str) -> None:
    answer = api.ask(method, path)
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["location"] == api.handle.base_url + location


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/sessions/x", "DELETE"),
        ("GET", "/agent/x", "PATCH"),
        ("GET", "/credential/x", "PATCH"),
        ("HEAD", "/agent/", "GET"),
        ("OPTIONS", "/sessions/", "GET"),
    ],
)
def test_an_unknown_method_is_rejected(api: Api, method: str, path: str, allowed: str) -> None:
    answer = api.ask(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert method == "HEAD" or answer.json() == {"detail": "Method Not Allowed"}


def test_other_paths_do_not_exist(api: Api) -> None:
    assert api.ok("GET", "/nope", status=404) == NOT_FOUND


def test_health_requires_a_user_and_schemas_do_not(api: Api) -> None:
    assert api.ok("GET", "/health")["status"] == "ok"
    assert api.http.get(f"{api.handle.base_url}/health").status_code == 422
    (schema,) = api.http.get(f"{api.handle.base_url}/credential/schemas").json()["schemas"]
    assert schema["required"] == ["api_key"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/merge-patch+json", 200), ("application/json; charset=utf-8", 200), ("text/plain", 422)],
)
def test_a_body_needs_a_json_content_type(api: Api, content_type: str, status: int) -> None:
    url = api.handle.base_url + api.path(api.new_session())
    headers = {"x-user-id": api.user_id, "content-type": content_type}
    assert api.http.patch(url, content=b'{"name":"n"}', headers=headers).status_code == status


def test_a_body_that_is_not_text_is_a_400(api: Api) -> None:
    url = api.handle.base_url + api.path(api.new_session())
    headers = {"x-user-id": api.user_id, "content-type": "application/json"}
    answer = api.http.patch(url, content=b'{"name":"\xff"}', headers=headers)
    assert refusal(answer) == (400, "There was an error parsing the body")


def test_the_class_of_a_chat_model_is_kept(api: Api) -> None:
    chosen = api.model | {"model_class": "openai_response"}
    session_id = api.new_session(chat_model_config=chosen, fallback_chat_model_config=api.model)

    config = api.ok("PATCH", api.path(session_id), {})["config"]

    assert config["chat_model_config"] == chosen
    assert config["fallback_chat_model_config"] == api.model | {"model_class": ""}
    wrong = api.ask("PATCH", api.path(session_id), {"chat_model_config": chosen | {"model_class": 1}})
    assert wrong.json()["detail"][0]["loc"] == ["body", "chat_model_config", "model_class"]


def test_other_models_have_no_class(api: Api) -> None:
    session_id = api.new_session(tts_model_config=api.model | {"model_class": "openai_response"})

    assert api.ok("PATCH", api.path(session_id), {})["config"]["tts_model_config"] == api.model


def test_the_models_of_a_type_of_credential_are_listed(api: Api) -> None:
    listed = api.ok("GET", "/model/?provider=openai_credential")
    (card,) = listed["models"]

    assert (listed["total"], card["name"], card["status"], card["model_class"]) == (1, "demo-model", "active", "")
    assert api.handle.model is not None
    assert card["name"] == api.handle.model.id
    assert api.ask("GET", "/model/?provider=other").json() == {"detail": "Provider 'other' not found."}
    assert api.ask("GET", "/model/").json()["detail"][0]["loc"] == ["query", "provider"]
