"""AgentScope's published exchanges, through the current client."""

from __future__ import annotations

from typing import Any

from polysession import ModelConfig
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent


@cassette("agentscope/documented/legacy_update.yaml")
def test_a_session_is_updated(runner: ClientRunner, vcr: Any) -> None:
    model = ModelConfig(id="<string>", type="<string>", credential_id="<string>", parameters={})
    session = runner.call(
        "agentscope",
        lambda client: client.sessions.update("<string>", title="<string>", model=model),
        base_url="http://agentscope.test",
        user_id="user",
        agent_id="<string>",
    )
    assert (session.title, session.model, session.permission_mode) == ("<string>", model, "default")
    assert sent(vcr, "PATCH") == [
        {
            "name": "<string>",
            "chat_model_config": {
                "type": "<string>",
                "credential_id": "<string>",
                "model": "<string>",
                "parameters": {},
            },
        }
    ]
