"""The official Everruns client reads the responses of the emulator with its strict models."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from everruns_sdk import (  # type: ignore[import-untyped]
    MAX_CHANGE_REASON_CHARS,
    AgentCapabilityConfig,
    ApiError,
    AuthenticationError,
    Everruns,
    NotFoundError,
    client,
    generate_agent_id,
)
from everruns_sdk.models import (  # type: ignore[import-untyped]
    ContentPart,
    CreateMessageRequest,
    CreateSessionRequest,
    MessageInput,
    Session,
)

from polysession import Feature
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import covers

pytestmark = pytest.mark.evidence("everruns", "judge", by="everruns-sdk")

UNKNOWN = "0123456789abcdef" * 2
DEFAULT_ORG = "org_00000000000000000000000000000001"


@pytest.fixture(scope="module")
def handle() -> Iterator[EmulatorHandle]:
    with serve("everruns") as handle:
        yield handle


def judge(handle: EmulatorHandle, scenario: Callable[[Any], Awaitable[None]], **settings: str) -> None:
    """Run a scenario with the official client, which is asynchronous only."""

    async def run() -> None:
        async with Everruns(**{**handle.settings, **settings}) as everruns:
            await scenario(everruns)

    asyncio.run(run())


@contextlib.contextmanager
def sooner() -> Iterator[None]:
    """Shorten the waits of the official client in this thread, not those of the emulator."""
    sleep, ours = asyncio.sleep, threading.current_thread()

    async def sleep_less(delay: float, result: Any = None) -> Any:
        return await sleep(delay / 20 if threading.current_thread() is ours else delay, result)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep_less)
        yield


async def create(everruns: Any, **values: object) -> Any:
    """Create a session. The official client once warns to use its agent client instead."""
    client._warned_deprecations.clear()
    with pytest.warns(DeprecationWarning, match="Everruns.sessions.create"):
        return await everruns.sessions.create(**values)


@covers(
    Feature.SESSIONS_CREATE,
    Feature.SESSIONS_GET,
    Feature.SESSIONS_LIST,
    Feature.SESSIONS_CREATE_AGENT,
    Feature.SESSIONS_CREATE_TITLE,
    Feature.SESSIONS_CREATE_TAGS,
    Feature.SESSIONS_CREATE_CAPABILITIES,
    Feature.SESSIONS_LIST_AGENT,
    Feature.SESSIONS_LIST_TITLE_CONTAINS,
)
def test_a_created_session_is_read_and_listed(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        created = await create(
            everruns,
            agent_name="emulated",
            harness_name="generic",
            title="Judged",
            tags=["a"],
            locale="uk-UA",
            capabilities=[AgentCapabilityConfig(ref="current_time", config={})],
            parallel_tool_calls=False,
        )
        assert (created.agent_id, created.status, created.title) == (handle.agent_id, "started", "Judged")
        assert (created.tags, created.locale, created.parallel_tool_calls) == (["a"], "uk-UA", False)
        assert (created.capabilities[0].ref, created.capabilities[0].config) == ("current_time", {})
        read = await everruns.sessions.get(created.id)
        assert read == created.model_copy(update={"is_pinned": False})
        assert await everruns.sessions.list(handle.agent_id, search="JUDGED") == [read]
        assert await everruns.sessions.list(f"agent_{UNKNOWN}") == []

    judge(handle, scenario)


@covers(
    Feature.SESSIONS_UPDATE,
    Feature.SESSIONS_UPDATE_TITLE,
    Feature.SESSIONS_UPDATE_TAGS,
    Feature.SESSIONS_UPDATE_TAGS_CLEAR,
)
def test_a_change_through_the_clients_http_layer_is_read_by_its_model(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        created = await create(everruns, title="Before", tags=["a", "b"])
        patched = Session(**await everruns._patch(f"/sessions/{created.id}", {"title": None, "tags": ["c"]}))
        read = await everruns.sessions.get(created.id)
        assert (read.title, read.tags, read.updated_at) == ("Before", ["c"], patched.updated_at)
        assert read.updated_at > created.updated_at
        patched = Session(**await everruns._patch(f"/sessions/{created.id}", {"title": "After", "tags": []}))
        assert (patched.title, patched.tags) == ("After", [])
        assert await everruns.sessions.get(created.id) == patched.model_copy(update={"is_pinned": False})

    judge(handle, scenario)


@covers(Feature.SESSIONS_CREATE_MODEL, Feature.SESSIONS_CREATE_WORKSPACE, Feature.AGENTS_CREATE_MODEL)
def test_a_model_and_a_workspace_are_chosen(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        (model,) = await everruns.models.list()
        assert (await create(everruns, model_id=model.id)).model_id == model.id
        agent = await everruns.agents.create("with-a-model", "Be brief.", default_model_id=model.id)
        assert (await everruns.agents.get(agent.id)).default_model_id == model.id
        workspace_id = (await create(everruns)).workspace_id
        request = CreateSessionRequest(workspace_id=workspace_id)
        created = Session(**await everruns._post("/sessions", request.model_dump(exclude_none=True)))
        assert (await everruns.sessions.get(created.id)).workspace_id == workspace_id

    judge(handle, scenario)


@covers(Feature.SESSIONS_SEND_IMAGE)
def test_an_image_is_sent_and_listed(handle: EmulatorHandle) -> None:
    image = ContentPart(type="image", url="https://a.example/b.png")

    async def scenario(everruns: Any) -> None:
        session_id = (await create(everruns)).id
        message = MessageInput(role="user", content=[image, ContentPart.make_text("what is this?")])
        request = CreateMessageRequest(message=message).model_dump(exclude_none=True)
        await everruns._post(f"/sessions/{session_id}/messages", request)
        asked = (await everruns.messages.list(session_id))[0]
        assert asked.content == message.content

    judge(handle, scenario)


@covers(Feature.SESSIONS_DELETE)
def test_a_session_is_pinned_and_deleted(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        session_id = (await create(everruns)).id
        await everruns.sessions.pin(session_id)
        assert (await everruns.sessions.get(session_id)).is_pinned is True
        await everruns.sessions.unpin(session_id)
        assert (await everruns.sessions.get(session_id)).is_pinned is False
        await everruns.sessions.delete(session_id)
        with pytest.raises(NotFoundError):
            await everruns.sessions.get(session_id)

    judge(handle, scenario)


@covers(Feature.SESSIONS_CANCEL)
def test_the_client_accepts_every_status(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        emulator: Any = handle.control
        session_id = (await create(everruns)).id
        emulator.start_turn(session_id, duration_s=60)
        assert (await everruns.sessions.get(session_id)).status == "active"
        emulator.await_tool_results(session_id)
        assert (await everruns.sessions.get(session_id)).status == "waitingfortoolresults"
        await everruns.sessions.cancel(session_id)
        await everruns.sessions.cancel(session_id)
        assert (await everruns.sessions.get(session_id)).status == "idle"

    judge(handle, scenario)


@pytest.mark.parametrize(
    ("call", "error", "status", "message"),
    [
        (lambda e: e.sessions.get(f"session_{UNKNOWN}"), NotFoundError, 404, "session_not_found"),
        (lambda e: e.sessions.cancel(f"session_{UNKNOWN}"), NotFoundError, 404, "Session not found"),
        (
            lambda e: e.sessions.delete("session_1"),
            ApiError,
            400,
            "Invalid session ID: invalid length: expected 32, got",
        ),
        (lambda e: create(e, tags=["app:x"]), ApiError, 400, "reserved"),
        (lambda e: create(e, agent_id=f"agent_{UNKNOWN}"), NotFoundError, 404, "Agent not found"),
        (lambda e: e.agents.create("emulated", "x"), ApiError, 409, "already_exists"),
        (
            lambda e: e.with_reason("x" * (MAX_CHANGE_REASON_CHARS + 1)).agents.list(),
            ApiError,
            400,
            "invalid_change_reason",
        ),
    ],
)
def test_a_refusal_reaches_the_client_with_its_status(
    handle: EmulatorHandle, call: Callable[[Any], Awaitable[None]], error: type[Exception], status: int, message: str
) -> None:
    # The client expects a field `error`, which a problem body does not have, so its message is the text of the body.
    with pytest.raises(error, match=message) as caught:
        judge(handle, call)
    assert type(caught.value) is error
    assert caught.value.status_code == status  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "error", "status"),
    [({"api_key": "sk-other"}, AuthenticationError, 401), ({"org_id": f"org_{UNKNOWN}"}, ApiError, 403)],
)
def test_a_request_with_a_wrong_token_is_refused(
    handle: EmulatorHandle, settings: dict[str, str], error: type[Exception], status: int
) -> None:
    with pytest.raises(error) as caught:
        judge(handle, lambda everruns: everruns.sessions.list(), **settings)
    assert caught.value.status_code == status  # type: ignore[attr-defined]


def test_the_default_organization_and_a_reason_are_accepted(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        assert (await create(everruns.with_reason("Grün ✓, 100%"))).organization_id == DEFAULT_ORG

    judge(handle, scenario, org_id=DEFAULT_ORG)


@covers(
    Feature.AGENTS_CREATE,
    Feature.AGENTS_GET,
    Feature.AGENTS_LIST,
    Feature.AGENTS_ARCHIVE,
    Feature.AGENTS_CREATE_SYSTEM_PROMPT,
    Feature.AGENTS_CREATE_DESCRIPTION,
)
def test_agents_are_created_applied_listed_and_archived(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        made = await everruns.agents.create("judged", "Be brief.", description="For a judge", harness_name="generic")
        assert await everruns.agents.get(made.id) == made
        assert await everruns.agents.get("judged") == made
        agent_id = generate_agent_id()
        for prompt in ("One.", "Two."):
            applied = await everruns.agents.apply(agent_id, "applied", prompt)
            assert (applied.id, applied.system_prompt) == (agent_id, prompt)
        assert await everruns.agents.list(search="judge") == [made]
        await everruns.agents.delete(made.id)
        assert await everruns.agents.list(search="judge") == []
        assert (await everruns.agents.get(made.id)).status == "archived"

    judge(handle, scenario)


def test_harnesses_models_and_capabilities_are_read(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        made = await everruns.harnesses.create("judged-harness", "Base prompt.", tags=["t"])
        assert await everruns.harnesses.search("JUDGED") == [made]
        assert [harness.name for harness in await everruns.harnesses.list()] == ["generic", "judged-harness"]
        (model,) = await everruns.models.list()
        assert (await create(everruns, model_id=model.id, harness_id=made.id)).model_id == model.id
        page = await everruns.capabilities.list_page(offset=1, limit=1)
        assert (page.total, page.offset, page.limit, len(page.data)) == (2, 1, 1, 1)
        assert {info.id for info in await everruns.capabilities.list()} == {"current_time", "web_fetch"}

    judge(handle, scenario)


def test_the_legacy_generation_is_read_too() -> None:
    with serve("everruns", generation="legacy") as older:

        async def scenario(everruns: Any) -> None:
            created = await create(everruns, agent_id=older.agent_id, title="Old", tags=["a"])
            read = await everruns.sessions.get(created.id)
            assert read == created
            assert (read.title, read.workspace_id, read.owner_principal_id) == ("Old", None, None)
            assert await everruns.sessions.list() == [read]
            with pytest.raises(NotFoundError) as caught:
                await everruns.sessions.get(f"session_{UNKNOWN}")
            assert caught.value.message == "Session not found"

        judge(older, scenario)
