"""Turns of AgentScope's real service, from tapes of its streams, through both drivers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import httpx
import pytest

from live.agentscope_service.process import model_config
from live.sources import Source
from polysession import AsyncClient, Client, Outcome, RetryPolicy, Session
from polysession._core.operations import Operations
from polysession_agentscope import AgentScopeProvider, AgentScopeSettings
from support.cassettes.provenance import CASSETTES
from support.cassettes.pure_player import events_of
from support.cassettes.tapes import read_tape, tape
from support.faces import Face

LIMIT_S = 40.0
AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0, max_wait_s=0)
Settings = dict[str, str]
Ids = dict[str, str]
OnTape = Callable[[Callable[[Source], tuple[Settings, Ids]]], AbstractContextManager[tuple[dict[str, Any], Ids]]]


def a_session(source: Source, script: str = "scripted") -> tuple[Settings, Ids]:
    """A new session of a user of its own, with a script of the model stub."""
    user_id = "tape"
    with httpx.Client(base_url=source.base_url, headers={"x-user-id": user_id}, trust_env=False) as http:
        model = model_config(source.handle.create_credential(user_id), script)
        agent_id = source.handle.create_agent(user_id)
        new = {"agent_id": agent_id, "name": "T", "chat_model_config": model}
        session_id = http.post("/sessions/", json=new).raise_for_status().json()["session_id"]
    return {"user_id": user_id}, {"session": session_id, "agent": agent_id}


def session_of(ids: Ids) -> Session:
    return Session(provider="agentscope", id=ids["session"], agent_id=ids["agent"])


def run(face: Face, settings: dict[str, Any], session: Session, turn_input: Any) -> tuple[list[Any], Any]:
    """The events of a turn, and its result."""
    options = {"retry": AT_ONCE, **settings}

    async def run_async() -> tuple[list[Any], Any]:
        async with (
            AsyncClient("agentscope", **options) as client,
            client.sessions.run(session, turn_input, deadline_s=LIMIT_S) as turn,
        ):
            return [event async for event in turn], turn.result

    if face.awaited:
        return asyncio.run(run_async())
    with (
        Client("agentscope", **options) as client,
        client.sessions.run(session, turn_input, deadline_s=LIMIT_S) as turn,
    ):
        return list(turn), turn.result


def modelled(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type not in {"native", "message.delta", "tool_call.delta"}]


@tape("agentscope/streams/plain.jsonl")
def test_a_plain_turn(on_tape: OnTape, face: Face) -> None:
    with on_tape(a_session) as (settings, ids):
        events, result = run(face, settings, session_of(ids), "Hello")
    assert modelled(events) == ["turn.started", "message.started", "message.completed", "usage", "turn.ended"]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: Hello")
    assert "".join(event.text for event in events if event.type == "message.delta") == result.text
    assert (result.usage.input_tokens, result.usage.output_tokens) == (7, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1_000_000])
@pytest.mark.parametrize("name", ["plain"])
def test_the_cuts_of_a_stream_do_not_matter(name: str, size: int) -> None:
    """A piece of one byte is a cut at every byte."""
    taped = read_tape(CASSETTES / f"agentscope/streams/{name}.jsonl")
    provider = AgentScopeProvider(AgentScopeSettings(base_url="http://agentscope.test", **taped.settings))
    begin = partial(Operations(provider).start_turn, session_of(dict(taped.ids)), "Hello")
    as_recorded = events_of(taped, begin, None)
    assert as_recorded[-1].type == "turn.ended"
    assert events_of(taped, begin, size) == as_recorded
