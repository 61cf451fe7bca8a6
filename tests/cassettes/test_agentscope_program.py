"""A whole program on AgentScope's real service, from a tape, through both clients: that of `examples/testing`."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from live.agentscope_service.process import model_config
from live.sources import Source
from polysession import ModelConfig, Outcome
from support.client_runners import ClientRunner
from tools.recordings.tapes import tape

Settings = dict[str, Any]
USER = "tape"
PROGRAM = runpy.run_path(str(Path(__file__).parents[2] / "examples/testing/tickets.py"))


def prepare(source: Source) -> tuple[Settings, Settings]:
    """An agent and a model; a session takes its model from here."""
    service = source.handle
    agent_id, model = service.create_agent(USER), model_config(service.create_credential(USER), "scripted")
    headers = {"x-user-id": USER}
    with httpx.Client(base_url=source.base_url, headers=headers, trust_env=False, timeout=60) as http:
        new = {"agent_id": agent_id, "name": "Warm up", "chat_model_config": model}
        http.post("/sessions/", json=new).raise_for_status()
    config = ModelConfig(id=model["model"], type=model["type"], credential_id=model["credential_id"])
    return {"user_id": USER}, {"agent": agent_id, "model": config.model_dump(mode="json", exclude_none=True)}


@tape("agentscope/streams/program.jsonl")
def test_a_program_with_an_approval(on_tape: Callable[..., Any], runner: ClientRunner) -> None:
    with on_tape(prepare) as (settings, created):
        values = settings["tape"].remember("session_values", lambda: created)
        where = {**values, "model": ModelConfig.model_validate(values["model"])}

        def work(client: Any) -> Any:
            return PROGRAM["work_on_async" if runner.awaited else "work_on"](client, "/ask", **where)

        result = runner.call("agentscope", work, **settings)
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The decision was heard.")
    assert [message.role for message in result.messages][-1] == "assistant"
