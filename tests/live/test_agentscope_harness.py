"""Tests of the harness.

The real service runs a turn with the model stub, and can write after an interruption.
"""

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from live.agentscope_service.process import AgentScopeService, model_config

_CANCELLED_QUERY = Path(__file__).parent / "agentscope_service" / "cancelled_query.py"


def test_a_turn_on_the_model_stub_ends_with_its_text(agentscope_service: AgentScopeService) -> None:
    user_id = "harness"
    agent_id = agentscope_service.create_agent(user_id)
    model = model_config(agentscope_service.create_credential(user_id))
    new = {"agent_id": agent_id, "name": "named, so that no model call names it", "chat_model_config": model}
    message = {"name": "user", "role": "user", "content": [{"type": "text", "text": "Hi"}]}
    with httpx.Client(base_url=agentscope_service.base_url, headers={"x-user-id": user_id}, trust_env=False) as http:
        session_id = http.post("/sessions/", json=new).json()["session_id"]
        turn = {"agent_id": agent_id, "session_id": session_id, "input": message}
        http.post("/chat/", json=turn).raise_for_status()
        deadline_s = time.monotonic() + 30
        replies: list[str] = []
        while not replies and time.monotonic() < deadline_s:
            answer = http.get(f"/sessions/{session_id}/messages", params={"agent_id": agent_id}).json()
            replies = [
                block["text"]
                for reply in answer["messages"]
                if reply["role"] == "assistant"
                for block in reply["content"]
                if block["type"] == "text"
            ]
            time.sleep(0.05)
    assert replies == ["Hello, world."]


def test_a_cancelled_query_leaves_no_lock(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    python = Path(request.config.getoption("agentscope_python")).absolute()
    command = [python, _CANCELLED_QUERY, tmp_path / "data.sqlite"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (ours)
    assert ended.returncode == 0, ended.stderr
