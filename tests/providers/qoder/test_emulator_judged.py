"""The official SDK, qca-sdk, reads the Qoder emulator's responses with strict validation.

Strict validation finds wrong types but no missing fields, so these tests compare the fields.

Backend: https://pypi.org/project/qca-sdk/0.11.0/ (read 2026-11)
"""

import asyncio
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import qca

from polysession import Feature
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import covers
from support.sdk_judge import Ask, Judge, assert_fields, settle

pytestmark = pytest.mark.evidence("qoder", "judge", by="qca-sdk")

AGENT_SNAPSHOT = {
    "id",
    "type",
    "version",
    "name",
    "description",
    "model",
    "system",
    "tools",
    "skills",
    "mcp_servers",
}
SESSION = {
    "id",
    "type",
    "status",
    "title",
    "agent",
    "environment_id",
    "environment_variables",
    "metadata",
    "resources",
    "vault_ids",
    "deployment_id",
    "outcome_evaluations",
    "stats",
    "usage",
    "archived_at",
    "created_at",
    "updated_at",
}
AGENT = AGENT_SNAPSHOT | {"metadata", "multiagent", "archived_at", "created_at", "updated_at"}
ENVIRONMENT = {
    "id",
    "type",
    "name",
    "description",
    "config",
    "metadata",
    "archived_at",
    "created_at",
    "updated_at",
}
MODEL = {
    "id",
    "type",
    "display_name",
    "source",
    "is_enabled",
    "is_new",
    "price_factor",
    "efforts",
    "default_effort",
    "max_input_tokens",
    "default_context_window",
    "available_context_windows",
}


@pytest.fixture(scope="module")
def handle() -> Iterator[EmulatorHandle]:
    with serve("qoder") as served:
        yield served


@pytest.fixture(params=["sync", "async"])
def judge(handle: EmulatorHandle, request: pytest.FixtureRequest) -> Iterator[Judge]:
    options = {
        "base_url": handle.base_url,
        "pat": handle.settings["token"],
        "max_retries": 0,
        "_strict_response_validation": True,
    }
    if request.param == "sync":
        with httpx.Client(trust_env=False) as http:
            yield Judge(handle, qca.Managed(**options, http_client=http), lambda answer: answer)
        return
    with asyncio.Runner() as runner:
        http_client = httpx.AsyncClient(trust_env=False)
        client = qca.AsyncManaged(**options, http_client=http_client)
        yield Judge(handle, client, lambda answer: runner.run(settle(answer)))
        runner.run(http_client.aclose())


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
        environment_variables={"A": "1"},
        vault_ids=["vault_1"],
        resources=[
            {"type": "file", "file_id": "file_1"},
            {"type": "github_repository", "url": "https://github.com/o/r", "checkout": {"type": "branch", "name": "b"}},
            {"type": "memory_store", "memory_store_id": "memstore_1", "access": "read_only"},
        ],
    )
    assert_fields(session, SESSION)
    assert_fields(session.stats, {"active_seconds", "duration_seconds"})
    assert_fields(session.usage, {"total_credits"})
    assert session.agent.model_fields_set == AGENT_SNAPSHOT
    # Documented, but not in the SDK.
    assert session.agent.model.model_extra == {"effective_context_window": 200_000}
    assert session.created_at.utcoffset() == timedelta(0)
    assert [resource.mount_path for resource in session.resources] == [
        "/mnt/session/uploads/file_1",
        "/workspace/r",
        "/mnt/memory/memstore_1",
    ]
    assert judge(lambda sdk: sdk.sessions.retrieve(session.id)).to_dict() == session.to_dict()
    resources = judge.every(lambda sdk: sdk.sessions.resources.list(session.id))
    assert resources == session.resources


@covers(Feature.SESSIONS_CREATE)
def test_an_agent_can_be_overridden(judge: Judge) -> None:
    tools = [{"type": "agent_toolset_20260401", "enabled_tools": ["Bash"]}]
    reference = {"type": "agent_with_overrides", "id": judge.handle.agent_id, "version": 1, "tools": tools}
    session = judge.new_session(agent=reference, budget={"type": "limit", "max_credit_cost": "1.50"})
    assert_fields(session, SESSION | {"budget"})
    assert session.budget.max_credit_cost == "1.50"
    assert session.agent.tools[0].enabled_tools == ["Bash"]


@covers(
    Feature.SESSIONS_UPDATE,
    Feature.SESSIONS_UPDATE_TITLE,
    Feature.SESSIONS_UPDATE_METADATA,
    Feature.SESSIONS_UPDATE_TITLE_CLEAR,
    Feature.SESSIONS_UPDATE_METADATA_CLEAR,
)
def test_an_update_clears_with_none_and_keeps_omitted_fields(judge: Judge) -> None:
    session = judge.new_session(title="old", metadata={"a": "1", "b": "2"})
    kept = judge(lambda sdk: sdk.sessions.update(session.id, metadata={"a": None, "c": "3"}))
    assert_fields(kept, SESSION)
    assert (kept.title, kept.metadata) == ("old", {"b": "2", "c": "3"})
    assert kept.updated_at > session.updated_at
    cleared = judge(lambda sdk: sdk.sessions.update(session.id, title=None, metadata=None))
    assert (cleared.title, cleared.metadata) == (None, {"b": "2", "c": "3"})
    emptied = judge(lambda sdk: sdk.sessions.update(session.id, title="new", metadata={"b": None, "c": None}))
    assert (emptied.title, emptied.metadata) == ("new", {})
    swapped = judge(lambda sdk: sdk.sessions.update(session.id, agent={"tools": [{"type": "mcp_toolset"}]}))
    assert swapped.agent.tools[0].type == "mcp_toolset"


@covers(
    Feature.SESSIONS_LIST,
    Feature.SESSIONS_LIST_AGENT,
    Feature.SESSIONS_LIST_PAGE_SIZE,
    Feature.SESSIONS_LIST_OLDEST_FIRST,
    Feature.SESSIONS_LIST_STATUSES,
    Feature.SESSIONS_LIST_INCLUDE_ARCHIVED,
    Feature.SESSIONS_LIST_CREATED,
)
def test_sessions_are_listed_over_two_pages(judge: Judge) -> None:
    agent = judge(lambda sdk: sdk.agents.create(name="a", model="ultimate"))
    sessions = [judge.new_session(agent=agent.id) for _ in range(3)]
    ids = [session.id for session in sessions]
    query: dict[str, Any] = {"agent_id": agent.id, "limit": 2}
    page = judge(lambda sdk: sdk.sessions.list(**query))
    assert_fields(page, {"data", "next_page", "first_id", "last_id", "has_more"})
    assert (len(page.data), page.has_next_page()) == (2, True)
    assert judge.ids(lambda sdk: sdk.sessions.list(**query)) == ids[::-1]
    query |= {"order": "asc", "statuses": ["idle", "running"], "include_archived": True}
    assert judge.ids(lambda sdk: sdk.sessions.list(**query)) == ids
    later = judge.ids(lambda sdk: sdk.sessions.list(**query, created_at_gt=sessions[0].created_at))
    assert later == ids[1:]


@covers(Feature.SESSIONS_ARCHIVE, Feature.SESSIONS_DELETE)
def test_a_session_is_archived_and_deleted(judge: Judge) -> None:
    session = judge.new_session()
    archived = judge(lambda sdk: sdk.sessions.archive(session.id))
    assert_fields(archived, SESSION)
    assert isinstance(archived.archived_at, datetime)
    deleted = judge(lambda sdk: sdk.sessions.delete(session.id))
    assert_fields(deleted, {"id", "type"})
    assert (deleted.id, deleted.type) == (session.id, "session_deleted")


@covers(Feature.SESSIONS_CANCEL)
def test_a_turn_is_cancelled(judge: Judge) -> None:
    session = judge.new_session()
    judge.handle.control.start_turn(session.id, duration_s=60)
    assert judge(lambda sdk: sdk.sessions.retrieve(session.id)).status == "running"
    answer = judge(lambda sdk: sdk.sessions.cancel(session.id))
    assert answer.to_dict() == {"id": session.id, "type": "session", "status": "canceling"}
    deadline_s = time.monotonic() + 5
    while judge(lambda sdk: sdk.sessions.retrieve(session.id)).status != "idle":
        assert time.monotonic() < deadline_s
    assert judge(lambda sdk: sdk.sessions.cancel(session.id)).to_dict() == answer.to_dict()


@covers(
    Feature.AGENTS_CREATE,
    Feature.AGENTS_GET,
    Feature.AGENTS_LIST,
    Feature.AGENTS_ARCHIVE,
    Feature.AGENTS_CREATE_MODEL,
)
def test_agents_have_versions(judge: Judge) -> None:
    first = judge(lambda sdk: sdk.agents.create(name="a", model={"id": "auto", "effort": "low"}, metadata={"k": "v"}))
    assert_fields(first, AGENT)
    second = judge(lambda sdk: sdk.agents.update(first.id, version=1, system="s", metadata={"k": None}))
    assert (second.version, second.system, second.metadata) == (2, "s", {})
    assert judge(lambda sdk: sdk.agents.retrieve(first.id)).to_dict() == second.to_dict()
    assert judge(lambda sdk: sdk.agents.retrieve(first.id, version=1)).system == ""
    versions = judge.every(lambda sdk: sdk.agents.versions.list(first.id, limit=1))
    assert [agent.version for agent in versions] == [2, 1]
    archived = judge(lambda sdk: sdk.agents.archive(first.id))
    assert isinstance(archived.archived_at, datetime)
    listed = judge.ids(lambda sdk: sdk.agents.list(limit=1, created_at_gte=first.created_at, include_archived=True))
    assert listed == [first.id]


@covers(Feature.AGENTS_CREATE_SYSTEM_PROMPT, Feature.AGENTS_CREATE_DESCRIPTION)
def test_an_agent_is_described(judge: Judge) -> None:
    fields = {"system": "Be brief.", "description": "For a judge"}
    made = judge(lambda sdk: sdk.agents.create(name="a", model="ultimate", **fields))
    read = judge(lambda sdk: sdk.agents.retrieve(made.id))
    assert (read.system, read.description) == ("Be brief.", "For a judge")


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
    agent = judge(lambda sdk: sdk.agents.create(name="a", model="auto", system="Be brief.", description="d"))
    changes = {"name": "b", "model": "ultimate", "system": "", "description": ""}
    second = judge(lambda sdk: sdk.agents.update(agent.id, version=1, **changes))
    assert (second.version, second.name, second.system, second.description) == (2, "b", "", "")
    with pytest.raises(qca.ConflictError):
        judge(lambda sdk: sdk.agents.update(agent.id, version=1, name="c"))
    with pytest.raises(qca.BadRequestError):
        judge(lambda sdk: sdk.agents.update(agent.id, name="c"))
    third = judge(lambda sdk: sdk.agents.update(agent.id, version=2, system="s", description="e"))
    assert (third.version, third.name, third.system, third.description) == (3, "b", "s", "e")
    with pytest.raises(qca.NotFoundError):
        judge(lambda sdk: sdk.agents.update("agent_unknown", version=1, name="c"))


def test_environments_are_created_changed_and_deleted(judge: Judge) -> None:
    config = {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": ["a"]}, "packages": {"pip": ["b"]}}
    environment = judge(lambda sdk: sdk.environments.create(name="e", config=config))
    assert_fields(environment, ENVIRONMENT)
    assert_fields(environment.config, {"type", "networking", "packages"})
    assert_fields(environment.config.packages, {"type", "apt", "npm", "pip", "cargo", "gem", "go"})
    renamed = judge(lambda sdk: sdk.environments.update(environment.id, name="f"))
    assert (renamed.name, renamed.config) == ("f", environment.config)
    assert judge(lambda sdk: sdk.environments.archive(environment.id)).archived_at.endswith("Z")
    assert judge(lambda sdk: sdk.environments.retrieve(environment.id)).name == "f"
    listed = judge.ids(lambda sdk: sdk.environments.list(limit=1, include_archived=True))
    assert set(listed) >= {environment.id, judge.handle.environment_id}
    deleted = judge(lambda sdk: sdk.environments.delete(environment.id))
    assert (deleted.id, deleted.type) == (environment.id, "environment_deleted")


def test_models_are_listed(judge: Judge) -> None:
    models = judge.every(lambda sdk: sdk.models.list())
    assert [model.id for model in models] == ["ultimate", "auto"]
    for model in models:
        assert_fields(model, MODEL)


@pytest.mark.parametrize(
    ("ask", "expected", "code", "param"),
    [
        (
            lambda sdk: sdk.with_options(pat="wrong").models.list(),
            qca.AuthenticationError,
            "authentication_error",
            None,
        ),
        (lambda sdk: sdk.sessions.retrieve("sess_none"), qca.NotFoundError, "not_found_error", None),
        (lambda sdk: sdk.sessions.list(limit=101), qca.BadRequestError, "invalid_request_error", "limit"),
        (
            lambda sdk: sdk.sessions.create(agent="", environment_id=""),
            qca.BadRequestError,
            "invalid_request_error",
            None,
        ),
    ],
    ids=["401", "404", "400 query", "400 body"],
)
def test_refusals_become_the_exceptions_of_the_sdk(
    judge: Judge, ask: Ask, expected: type[Exception], code: str, param: str | None
) -> None:
    with pytest.raises(expected) as caught:
        judge(ask)
    _assert_error(caught.value, code)
    if param:
        assert caught.value.body["error"]["param"] == param  # type: ignore[attr-defined]


def test_conflicts_become_the_exception_of_the_sdk(judge: Judge) -> None:
    session = judge.new_session()
    judge(lambda sdk: sdk.sessions.archive(session.id))
    key = {"Idempotency-Key": session.id}
    judge(lambda sdk: sdk.agents.create(name="a", model="auto", extra_headers=key))
    asks: list[Ask] = [
        lambda sdk: sdk.sessions.update(session.id, title="t"),
        lambda sdk: sdk.agents.update(judge.handle.agent_id, version=9),
        lambda sdk: sdk.environments.delete(judge.handle.environment_id),
        lambda sdk: sdk.agents.create(name="b", model="auto", extra_headers=key),
    ]
    for ask in asks:
        with pytest.raises(qca.ConflictError) as caught:
            judge(ask)
        _assert_error(caught.value, "conflict_error")


def test_the_sdk_may_repeat_a_write_with_its_key(judge: Judge) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, second = (judge.new_session(extra_headers=key) for _ in range(2))
    assert first.to_dict() == second.to_dict()


def _assert_error(error: Any, code: str) -> None:
    assert error.type == code
    assert error.request_id == error.response.headers["x-request-id"] == error.body["request_id"]
