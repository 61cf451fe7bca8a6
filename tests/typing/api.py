"""Public usage, for type checkers: mypy and pyright read it in strict mode, and nothing runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

import httpx

from polysession import (
    Agent,
    Answer,
    Approve,
    AsyncClient,
    Cancellation,
    Client,
    Deny,
    Environment,
    Event,
    Feature,
    Message,
    Model,
    Outcome,
    PendingAction,
    Question,
    Reply,
    RetryPolicy,
    Session,
    SessionStatus,
    Support,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    TurnLife,
    TurnResult,
    Usage,
)


def calls(client: Client) -> None:
    """Calls of the sync client and what they return."""
    session = client.sessions.create(agent="a", title="t", metadata={"team": "red", "n": 3, "deep": {"k": [1, None]}})
    assert_type(session, Session)
    assert_type(session.status, SessionStatus)
    assert_type(session.usage, Usage | None)
    assert_type(session.raw, Any)
    assert_type(client.sessions.get(session.id), Session)
    assert_type(client.sessions.update(session, title=None, metadata={"team": None}), Session)
    assert_type(client.sessions.cancel(session), Cancellation)
    assert_type(client.sessions.pending_actions(session), tuple[PendingAction, ...])
    assert_type(client.sessions.ask(session, "hello"), TurnResult)
    assert_type(list(client.sessions.list(limit=20, statuses=["idle", SessionStatus.RUNNING])), list[Session])
    assert_type(client.sessions.list().first(), Session | None)
    assert_type(client.sessions.messages(session, newest_first=True).page().items, tuple[Message, ...])
    assert_type(client.agents.get("a"), Agent)
    assert_type(client.agents.update("a", name="b", description=None), Agent)
    assert_type(client.agents.archive("a"), Agent)
    assert_type(client.environments.list().first(), Environment | None)
    assert_type(client.models.list().first(), Model | None)
    assert_type(client.supports(Feature.SESSIONS_ARCHIVE), Support)
    assert_type(client.request("GET", "/x", query={"limit": 1}).status, int)
    other = client.with_options(timeout=5.0, retry=RetryPolicy(attempts=1), headers={"x-tenant": "7"})
    assert_type(other, Client)


def turns(client: Client, session: Session) -> TurnResult:
    """A turn, its events and its result."""
    with client.sessions.run(session, "hello", deadline_s=60, on_action=decide, cancel_on_exit=True) as turn:
        for event in turn:
            assert_type(text_of(event), str)
            assert_type(turn.cursor, str | None)
    assert_type(turn.result.outcome, Outcome)
    return turn.result


def decide(action: PendingAction) -> Answer | None:
    """An answer for each kind of action."""
    match action:
        case ToolApproval(name="rm"):
            return Deny(action, "nothing is deleted here")
        case ToolApproval():
            return Approve(action, arguments={"path": "a"})
        case ToolExecution(arguments=arguments):
            assert_type(arguments, Mapping[str, Any])
            return ToolOutput(action, "42", is_error=False)
        case Question():
            return Reply(action, {"any": ["json", 1, None]})


def text_of(event: Event) -> str:
    """Text of an event: its `type` narrows it."""
    if event.type == "message.delta":
        return event.text
    if event.type == "turn.ended":
        return event.outcome.value
    if event.type == "raw":
        return str(event.payload)
    return event.session_id


async def async_calls(client: AsyncClient) -> None:
    """The same calls of the async client, awaited."""
    session = await client.sessions.create(agent="a")
    assert_type(session, Session)
    assert_type(await client.sessions.ask(session, "hello", on_action=decide), TurnResult)
    assert_type(await client.sessions.ask(session, "hello", on_action=decide_later), TurnResult)
    assert_type([each async for each in client.sessions.list(limit=20)], list[Session])
    assert_type(await client.sessions.list().first(), Session | None)
    async with client.sessions.run(session, [Approve("call_1")]) as turn:
        async for event in turn:
            assert_type(text_of(event), str)
    async with client.sessions.rejoin(session, "cursor") as turn:
        assert_type(await turn.wait(), TurnResult)


async def decide_later(action: PendingAction) -> Answer:
    """An answer that takes time."""
    return Approve(action)


def clients() -> None:
    """Ways to make a client."""
    assert_type(Client("qoder", token="t", timeout=None, retry=None, http_client=httpx.Client()), Client)
    assert_type(AsyncClient("qoder", http="aiohttp", user_agent="shop/1.0"), AsyncClient)
    assert_type(Client(profile="work").turn_life, TurnLife)
