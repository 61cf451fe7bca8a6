"""The client and the ids of Anthropic's published examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polysession import RetryPolicy, TurnEnded
from support.client_runners import ClientRunner

SESSION, AGENT = "sesn_011CZkZAtmR3yMPDzynEDxu7", "agent_011CZkYpogX7uDKUyvBTophP"
ENVIRONMENT = "env_011CZkZ9X2dpNyB7HsEFoRfW"
THREAD, RESOURCE = "sthr_011CZkZVWa6oIjw0rgXZpnBt", "sesrsc_011CZkZBJq5dWxk9fVLNcPht"
ONE = f"/v1/sessions/{SESSION}"
Do = Callable[[Callable[[Any], Any]], Any]


def documented(runner: ClientRunner) -> Do:
    """Return a function that runs calls with the documented headers, without retries."""
    once = RetryPolicy(attempts=1)
    return lambda use: runner.call("anthropic", use, api_key="any", version="2023-06-01", retry=once)


def streamed_turn(runner: ClientRunner) -> list[Any]:
    """Return the events of the session's stream up to the end of a turn."""

    async def scenario(client: Any) -> list[Any]:
        received: list[Any] = []
        async with client.sessions.stream(SESSION) as events:
            async for event in events:
                received.append(event)
                if isinstance(event, TurnEnded):
                    break
        return received

    events: list[Any] = runner.play("anthropic", scenario, api_key="any", version="2023-06-01")
    return events
