"""The official SDK `anthropic` reads the emulator's responses with strict validation.

Strict validation refuses missing required fields and wrong types. These tests compare optional fields, and fields that
the types of the SDK do not have.

Backend: https://pypi.org/project/anthropic/2.14.0/ (read 2026-11)
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import anthropic
import httpx2
import pytest

from polysession import Feature
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.testing import covers
from polysession_anthropic.emulator import AnthropicEmulator
from support.sdk_judge import Ask, Judge, assert_fields, settle

pytestmark = pytest.mark.evidence("anthropic", "judge", by="anthropic")

AGENT_SNAPSHOT = {
    "id",
    "type",
    "version",
    "name",
    "description",
    "system",
    "model",
    "tools",
    "skills",
    "mcp_servers",
    "multiagent",
    "execution_identity",
}
AGENT = AGENT_SNAPSHOT | {"metadata", "archived_at", "created_at", "updated_at"}
SESSION = {
    "id",
    "type",
    "agent",
    "environment_id",
    "status",
    "title",
    "metadata",
    "resources",
    "vault_ids",
    "budget",
    "outcome_evaluations",
    "stats",
    "usage",
    "deployment_id",
    "archived_at",
    "created_at",
    "updated_at",
}
USAGE = {
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "list_cost",
    "active_seconds",
    "server_tool_use",
}
ENVIRONMENT = {
    "id",
    "type",
    "name",
    "description",
    "config",
    "metadata",
    "scope",
    "archived_at",
    "created_at",
    "updated_at",
}
THREAD = {
    "id",
    "type",
    "session_id",
    "parent_thread_id",
    "agent",
    "status",
    "workflow_run_id",
    "stats",
    "usage",
    "archived_at",
    "created_at",
    "updated_at",
}
HELLO = {"type": "user.message", "content": [{"type": "text", "text": "hello"}]}


@pytest.fixture(scope="module")
def handle() -> Iterator[EmulatorHandle]:
    with serve("anthropic") as served:
        yield served


@pytest.fixture(params=["sync", "async"])
def judge(handle: EmulatorHandle, request: pytest.FixtureRequest) -> Iterator[Judge]:
    options: dict[str, Any] = {
        "base_url": handle.base_url,
        "api_key": handle.settings["api_key"],
        "max_retries": 0,
        "_strict_response_validation": True,
    }
    if request.param == "sync":
        with httpx2.Client(trust_env=False) as http:
            client = anthropic.Anthropic(**options, http_client=http)
            yield Judge(handle, client.beta, lambda answer: answer)
        return
    with asyncio.Runner() as runner:
        async_http = httpx2.AsyncClient(trust_env=False)
        async_client = anthropic.AsyncAnthropic(**options, http_client=async_http)
        yield Judge(handle, async_client.beta, lambda answer: runner.run(settle(answer)))
        runner.run(async_http.aclose())


@covers(
    Feature.SESSIONS_CREATE,
    Feature.SESSIONS_GET,
    Feature.SESSIONS_CREATE_AGENT,
    Feature.SESSIONS_CREATE_ENVIRONMENT,
    Feature.SESSIONS_CREATE_TITLE,
    Feature.SESSIONS_CREATE_METADATA,
)
def test_a_session_is_created_and_read(judge: Judge) -> None:
    session = judge.new_session(
        title="Ticket",
        metadata={"team": "red"},
        vault_ids=["vlt_1"],
        budget={"type": "limit", "max_list_cost": {"amount": "2500", "currency": "USD"}},
        resources=[
            {"type": "file", "file_id": "file_1"},
            {"type": "github_repository", "url": "https://github.com/o/r", "checkout": {"type": "branch", "name": "b"}},
            {"type": "memory_store", "memory_store_id": "memstore_1", "access": "read_only"},
        ],
    )
    assert_fields(session, SESSION)
    assert_fields(session.agent, AGENT_SNAPSHOT)
    assert_fields(session.usage, USAGE)
    assert (session.status, session.title, session.metadata) == ("idle", "Ticket", {"team": "red"})
    assert session.created_at.utcoffset() == timedelta(0)
    file, repository, store = session.resources
    assert file.file_id != "file_1"
    assert [file.mount_path, repository.mount_path, store.mount_path] == [
        "/mnt/session/uploads/file_1",
        "/workspace/r",
        "/mnt/memory/memstore_1",
    ]
    assert not hasattr(store, "id")
    assert judge(lambda sdk: sdk.sessions.retrieve(session.id)).to_dict() == session.to_dict()
    assert judge.every(lambda sdk: sdk.sessions.resources.list(session.id, limit=1)) == session.resources


@covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_MODEL)
def test_an_agent_is_named_in_three_ways(judge: Judge) -> None:
    tools = [{"type": "agent_toolset_20260401", "configs": [{"name": "bash", "permission_policy": {"type": "auto"}}]}]
    agent = judge(
        lambda sdk: sdk.agents.create(name="a", model={"id": "m", "effort": "low"}, system="Be brief.", tools=tools)
    )
    judge(lambda sdk: sdk.agents.update(agent.id, name="b"))
    plain = judge.new_session(agent=agent.id)
    pinned = judge.new_session(agent={"type": "agent", "id": agent.id, "version": 1})
    overrides = {"type": "agent_with_overrides", "id": agent.id, "model": "n", "system": None, "tools": []}
    changed = judge.new_session(agent=overrides)

    assert [session.agent.version for session in (plain, pinned, changed)] == [2, 1, 2]
    assert [session.agent.name for session in (plain, pinned, changed)] == ["b", "a", "b"]
    assert (plain.agent.model.effort.type, plain.agent.system) == ("low", "Be brief.")
    assert plain.agent.tools[0].configs[0].permission_policy.type == "auto"
    assert (changed.agent.model.id, changed.agent.model.effort, changed.agent.system) == ("n", None, None)
    assert changed.agent.tools == []


@covers(
    Feature.SESSIONS_UPDATE,
    Feature.SESSIONS_UPDATE_TITLE,
    Feature.SESSIONS_UPDATE_METADATA,
    Feature.SESSIONS_UPDATE_METADATA_REMOVE,
    Feature.SESSIONS_UPDATE_TITLE_CLEAR,
    Feature.SESSIONS_UPDATE_METADATA_CLEAR,
)
def test_an_update_clears_with_none_and_keeps_omitted_fields(judge: Judge) -> None:
    session = judge.new_session(title="old", metadata={"a": "1", "b": "2"})
    kept = judge(lambda sdk: sdk.sessions.update(session.id, metadata={"a": None, "c": "3"}))
    assert_fields(kept, SESSION)
    assert (kept.title, kept.metadata) == ("old", {"b": "2", "c": "3"})
    cleared = judge(lambda sdk: sdk.sessions.update(session.id, title=None))
    assert (cleared.title, cleared.metadata) == (None, {"b": "2", "c": "3"})
    emptied = judge(lambda sdk: sdk.sessions.update(session.id, title="new", metadata={"b": None, "c": None}))
    assert (emptied.title, emptied.metadata) == ("new", {})
    swapped = judge(lambda sdk: sdk.sessions.update(session.id, agent={"tools": [{"type": "agent_toolset_20260401"}]}))
    assert swapped.agent.tools[0].default_config.permission_policy.type == "always_allow"
    received = [event.to_dict() for event in judge.every(lambda sdk: sdk.sessions.events.list(session.id))]
    changes = [
        event.keys() - {"id", "type", "processed_at"} for event in received if event["type"] == "session.updated"
    ]
    assert changes == [{"metadata"}, {"title"}, {"title"}, {"agent"}]


@covers(
    Feature.SESSIONS_LIST,
    Feature.SESSIONS_LIST_AGENT,
    Feature.SESSIONS_LIST_PAGE_SIZE,
    Feature.SESSIONS_LIST_OLDEST_FIRST,
    Feature.SESSIONS_LIST_STATUSES,
    Feature.SESSIONS_LIST_INCLUDE_ARCHIVED,
    Feature.SESSIONS_LIST_CREATED,
)
def test_sessions_are_listed_forward_and_back(judge: Judge) -> None:
    agent = judge(lambda sdk: sdk.agents.create(name="a", model="m"))
    sessions = [judge.new_session(agent=agent.id) for _ in range(3)]
    ids = [session.id for session in sessions]
    query: dict[str, Any] = {"agent_id": agent.id, "limit": 2}
    first = judge(lambda sdk: sdk.sessions.list(**query))
    assert ([item.id for item in first.data], first.prev_page) == (ids[:0:-1], None)
    second = judge(lambda sdk: sdk.sessions.list(**query, page=first.next_page))
    assert ([item.id for item in second.data], second.next_page) == (ids[:1], None)
    assert second.prev_page is not None
    back = judge(lambda sdk: sdk.sessions.list(**query, page=second.prev_page))
    assert ([item.id for item in back.data], back.prev_page) == (ids[:0:-1], None)
    query |= {"order": "asc", "statuses": ["idle", "running"], "include_archived": True}
    assert judge.ids(lambda sdk: sdk.sessions.list(**query)) == ids
    with pytest.raises(anthropic.BadRequestError):
        judge(lambda sdk: sdk.sessions.list(**query, page=first.next_page))
    since = sessions[0].created_at - timedelta(hours=1)
    assert judge.ids(lambda sdk: sdk.sessions.list(**query, created_at_gt=since)) == ids
    assert judge.ids(lambda sdk: sdk.sessions.list(**query, created_at_lt=since)) == []


@covers(Feature.SESSIONS_ARCHIVE, Feature.SESSIONS_DELETE)
def test_a_session_is_archived_and_deleted(judge: Judge) -> None:
    session = judge.new_session()
    archived = judge(lambda sdk: sdk.sessions.archive(session.id))
    assert_fields(archived, SESSION)
    assert (archived.status, isinstance(archived.archived_at, datetime)) == ("terminated", True)
    assert judge(lambda sdk: sdk.sessions.archive(session.id)).archived_at == archived.archived_at
    with pytest.raises(anthropic.ConflictError):
        judge(lambda sdk: sdk.sessions.events.send(session.id, events=[HELLO]))
    deleted = judge(lambda sdk: sdk.sessions.delete(session.id))
    assert_fields(deleted, {"id", "type"})
    with pytest.raises(anthropic.NotFoundError):
        judge(lambda sdk: sdk.sessions.delete(session.id))


@covers(
    Feature.AGENTS_CREATE,
    Feature.AGENTS_GET,
    Feature.AGENTS_LIST,
    Feature.AGENTS_ARCHIVE,
    Feature.AGENTS_CREATE_MODEL,
)
def test_agents_have_versions(judge: Judge) -> None:
    tools = [
        {"type": "custom", "name": "lookup", "description": "d", "input_schema": {"type": "object"}},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
    ]
    servers = [{"type": "url", "name": "s", "url": "https://mcp.example"}]
    skills = [{"type": "anthropic", "skill_id": "xlsx"}]
    given: dict[str, Any] = {"tools": tools, "mcp_servers": servers, "skills": skills, "metadata": {"k": "v"}}
    first = judge(lambda sdk: sdk.agents.create(name="a", model="m", **given))
    assert_fields(first, AGENT)
    assert first.tools[1].default_config.permission_policy.type == "always_ask"
    second = judge(lambda sdk: sdk.agents.update(first.id, version=1, system="s", metadata={"k": None}))
    assert (second.version, second.system, second.metadata) == (2, "s", {})
    assert judge(lambda sdk: sdk.agents.retrieve(first.id)).to_dict() == second.to_dict()
    assert judge(lambda sdk: sdk.agents.retrieve(first.id, version=1)).system is None
    versions = judge.every(lambda sdk: sdk.agents.versions.list(first.id, limit=1))
    assert [agent.version for agent in versions] == [2, 1]
    archived = judge(lambda sdk: sdk.agents.archive(first.id))
    assert isinstance(archived.archived_at, datetime)
    listed = judge.ids(lambda sdk: sdk.agents.list(limit=1, created_at_gte=first.created_at, include_archived=True))
    assert first.id in listed


@covers(Feature.AGENTS_CREATE_SYSTEM_PROMPT, Feature.AGENTS_CREATE_DESCRIPTION)
def test_an_agent_is_described(judge: Judge) -> None:
    created = judge(lambda sdk: sdk.agents.create(name="a", model="m", system="Be brief.", description="For a judge"))
    read = judge(lambda sdk: sdk.agents.retrieve(created.id))
    assert (read.system, read.description, read.model.id) == ("Be brief.", "For a judge", "m")


@covers(
    Feature.AGENTS_UPDATE,
    Feature.AGENTS_UPDATE_NAME,
    Feature.AGENTS_UPDATE_MODEL,
    Feature.AGENTS_UPDATE_SYSTEM_PROMPT,
    Feature.AGENTS_UPDATE_DESCRIPTION,
    Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR,
    Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR,
)
def test_an_agent_is_changed_at_its_current_version(judge: Judge) -> None:
    agent = judge(lambda sdk: sdk.agents.create(name="a", model="m", system="Be brief.", description="d"))
    second = judge(lambda sdk: sdk.agents.update(agent.id, version=1, name="b", model="n", system="", description=None))
    assert (second.version, second.name, second.model.id) == (2, "b", "n")
    assert (second.system or "", second.description or "") == ("", "")
    with pytest.raises(anthropic.ConflictError):
        judge(lambda sdk: sdk.agents.update(agent.id, version=1, name="c"))
    third = judge(lambda sdk: sdk.agents.update(agent.id, system="s", description="e"))
    assert (third.version, third.name, third.system, third.description) == (3, "b", "s", "e")
    with pytest.raises(anthropic.NotFoundError):
        judge(lambda sdk: sdk.agents.update("agent_unknown", name="c"))
    judge(lambda sdk: sdk.agents.archive(agent.id))
    with pytest.raises(anthropic.ConflictError):
        judge(lambda sdk: sdk.agents.update(agent.id, name="c"))


@covers(
    Feature.ENVIRONMENTS_CREATE,
    Feature.ENVIRONMENTS_CREATE_DESCRIPTION,
    Feature.ENVIRONMENTS_CREATE_METADATA,
    Feature.ENVIRONMENTS_GET,
    Feature.ENVIRONMENTS_LIST,
)
def test_environments_are_created_changed_and_deleted(judge: Judge) -> None:
    config = {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": ["a"]}, "packages": {"pip": ["b"]}}
    fields: dict[str, Any] = {"description": "For a judge", "metadata": {"k": "v"}}
    environment = judge(lambda sdk: sdk.environments.create(name="e", config=config, **fields))
    assert_fields(environment, ENVIRONMENT)
    assert {name: getattr(environment, name) for name in fields} == fields
    assert environment.config.packages.pip == ["b"]
    plain = judge(lambda sdk: sdk.environments.create(name="plain"))
    assert plain.config.networking.type == "unrestricted"
    renamed = judge(lambda sdk: sdk.environments.update(environment.id, name="f"))
    assert (renamed.name, renamed.config) == ("f", environment.config)
    assert judge(lambda sdk: sdk.environments.archive(environment.id)).archived_at.endswith("Z")
    assert judge(lambda sdk: sdk.environments.retrieve(environment.id)).name == "f"
    listed = judge.ids(lambda sdk: sdk.environments.list(limit=1, include_archived=True))
    assert set(listed) >= {environment.id, plain.id, judge.handle.environment_id}
    deleted = judge(lambda sdk: sdk.environments.delete(environment.id))
    assert (deleted.id, deleted.type) == (environment.id, "environment_deleted")


@covers(Feature.MODELS_LIST)
def test_models_are_listed(judge: Judge) -> None:
    assert [model.id for model in judge.every(lambda sdk: sdk.models.list())] == ["claude-opus-5-5", "claude-sonnet-5"]


def test_threads_are_listed_read_and_archived(judge: Judge) -> None:
    session = judge.new_session()
    control = judge.handle.control
    assert isinstance(control, AnthropicEmulator)
    child = control.consult(session.id, "reviewer", "Is it good?", "It is.")

    own, other = judge.every(lambda sdk: sdk.sessions.threads.list(session.id, limit=1))
    assert_fields(own, THREAD)
    assert (own.parent_thread_id, other.parent_thread_id, other.id) == (None, own.id, child)
    assert other.agent.name == "reviewer"
    assert judge(lambda sdk: sdk.sessions.threads.retrieve(child, session_id=session.id)).status == "idle"
    of_child = judge.every(lambda sdk: sdk.sessions.threads.events.list(child, session_id=session.id))
    assert [event.type for event in of_child] == [
        "session.thread_status_running",
        "agent.thread_message_received",
        "span.model_request_start",
        "agent.message",
        "span.model_request_end",
        "agent.thread_message_sent",
        "session.thread_status_idle",
    ]
    of_session = judge.every(lambda sdk: sdk.sessions.events.list(session.id))
    assert [event.type for event in of_session] == [
        "session.thread_created",
        "agent.thread_message_sent",
        "session.thread_status_running",
        "agent.thread_message_received",
        "session.thread_status_idle",
    ]
    archived = judge(lambda sdk: sdk.sessions.threads.archive(child, session_id=session.id))
    assert (archived.status, archived.archived_at is None) == ("terminated", False)
    with pytest.raises(anthropic.BadRequestError):
        judge(lambda sdk: sdk.sessions.threads.archive(own.id, session_id=session.id))


def test_resources_are_added_rotated_and_removed(judge: Judge) -> None:
    repository = {"type": "github_repository", "url": "https://github.com/o/r", "authorization_token": "old"}
    session = judge.new_session(resources=[repository])
    file = judge(lambda sdk: sdk.sessions.resources.add(session.id, type="file", file_id="file_1"))
    mounted = judge.every(lambda sdk: sdk.sessions.resources.list(session.id))
    assert [item.type for item in mounted] == ["github_repository", "file"]
    read = judge(lambda sdk: sdk.sessions.resources.retrieve(file.id, session_id=session.id))
    assert read.to_dict() == file.to_dict()
    token = {"authorization_token": "new"}
    rotated = judge(lambda sdk: sdk.sessions.resources.update(mounted[0].id, session_id=session.id, **token))
    assert rotated.updated_at >= mounted[0].updated_at
    removed = judge(lambda sdk: sdk.sessions.resources.delete(file.id, session_id=session.id))
    assert (removed.id, removed.type) == (file.id, "session_resource_deleted")


def test_a_session_starts_with_initial_events(judge: Judge) -> None:
    rubric = {"type": "text", "content": "Run it."}
    outcome = {"type": "user.define_outcome", "description": "It works.", "rubric": rubric}

    session = judge.new_session(initial_events=[HELLO, outcome])

    assert session.status == "running"
    deadline_s = time.monotonic() + 10
    while judge(lambda sdk: sdk.sessions.retrieve(session.id)).status != "idle":
        assert time.monotonic() < deadline_s
    received = [event.type for event in judge.every(lambda sdk: sdk.sessions.events.list(session.id))]
    assert received[2:4] == ["user.message", "user.define_outcome"]
    assert received[-5:] == [
        "span.outcome_evaluation_start",
        "span.outcome_evaluation_end",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ]
    (evaluation,) = judge(lambda sdk: sdk.sessions.retrieve(session.id)).outcome_evaluations
    assert (evaluation.result, evaluation.iteration) == ("satisfied", 0)


REFUSED: dict[str, tuple[Ask, type[anthropic.APIStatusError]]] = {
    "401": (lambda sdk: sdk.sessions.list(extra_headers={"authorization": "x"}), anthropic.AuthenticationError),
    "404": (lambda sdk: sdk.sessions.retrieve("sesn_none"), anthropic.NotFoundError),
    "limit": (lambda sdk: sdk.sessions.list(limit=101), anthropic.BadRequestError),
    "page": (lambda sdk: sdk.sessions.list(page="page_x"), anthropic.BadRequestError),
    "beta": (lambda sdk: sdk.sessions.list(extra_headers={"anthropic-beta": "x"}), anthropic.BadRequestError),
    "version": (lambda sdk: sdk.sessions.list(extra_headers={"anthropic-version": "x"}), anthropic.BadRequestError),
    "beta of threads": (
        lambda sdk: sdk.sessions.threads.list("sesn_1", extra_headers={"anthropic-beta": "x"}),
        anthropic.NotFoundError,
    ),
}


@pytest.mark.parametrize(("ask", "expected"), REFUSED.values(), ids=REFUSED)
def test_refusals_become_the_exceptions_of_the_sdk(
    judge: Judge, ask: Ask, expected: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(expected) as caught:
        judge(ask)
    check_error(caught.value, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (402, anthropic.PaymentRequiredError),
        (403, anthropic.PermissionDeniedError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.OverloadedError),
    ],
)
def test_an_overload_becomes_the_exceptions_of_the_sdk(
    judge: Judge, status: int, expected: type[anthropic.APIStatusError]
) -> None:
    judge.handle.faults.add(Fault("refuse", status=status, retry_after="1"))
    with pytest.raises(expected) as caught:
        judge(lambda sdk: sdk.sessions.list())
    check_error(caught.value, None)
    assert caught.value.response.headers["retry-after"] == "1"


def test_refusals_have_error_codes(judge: Judge) -> None:
    session = judge.new_session(budget={"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}})
    other = judge.new_session()
    budget = {"type": "limit", "max_list_cost": {"amount": "5", "currency": "USD"}}
    overrides = {"type": "agent_with_overrides", "id": judge.handle.agent_id, "model": None}
    stream = judge(lambda sdk: sdk.sessions.events.stream(session.id))
    judge(lambda sdk: sdk.sessions.events.send(session.id, events=[HELLO]))
    judge.until(stream, "session.status_idle")
    asks: dict[str, Ask] = {
        "budget_create_only": lambda sdk: sdk.sessions.update(other.id, budget=budget),
        "budget_not_raised": lambda sdk: sdk.sessions.update(session.id, budget=session.budget.to_dict()),
        "agent_model_required": lambda sdk: sdk.sessions.create(
            agent=overrides, environment_id=judge.handle.environment_id
        ),
    }
    for code, ask in asks.items():
        with pytest.raises(anthropic.BadRequestError) as caught:
            judge(ask)
        check_error(caught.value, code)


def check_error(error: anthropic.APIStatusError, code: str | None) -> None:
    body: Any = error.body
    assert error.type == body["error"]["type"]
    assert error.error_code == code
    assert error.request_id == body["request_id"]
    assert str(error.request_id).startswith("req_")
