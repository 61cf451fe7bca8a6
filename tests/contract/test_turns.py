"""The same script gives the same milestones on every backend, and what remains different is written down.

The contract suite asks of each provider what holds for all. Here stands the whole sequence, exactly: `DIFFERENCES` is
what `docs/turns.md` explains.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polysession import Answer, Approve, Client, Feature, Outcome, PendingAction, Session, ToolApproval, ToolOutput
from polysession.cli.demo import emulated_providers, local_client, place_of
from polysession.emulation import EmulatorHandle, serve
from polysession.testing.turns import milestones

SAYS = ["message.delta", "message.completed", "turn.ended completed"]
ASKS = ["turn.started", "tool_call.completed", "action.required", "turn.ended requires_action"]
STORIES = {
    "hello there": [["turn.started", *SAYS]],
    "/think": [["turn.started", "thinking.completed", *SAYS]],
    "/tool": [["turn.started", "tool_call.completed", "tool_result.completed", *SAYS]],
    "/client-tool": [ASKS, ["turn.started", "tool_result.completed", *SAYS]],
    "/ask": [ASKS, ["turn.started", "tool_result.completed", *SAYS]],
    "/fail": [["turn.started", "turn.ended failed"]],
}
DIFFERENCES: dict[tuple[str, str], list[list[str]]] = {
    # A message reports to the user that the turn failed.
    ("everruns", "/fail"): [["turn.started", "message.completed", "turn.ended failed"]],
    # It holds a call back with a failed result, and makes it again once that is approved.
    ("everruns", "/ask"): [
        ["turn.started", "tool_call.completed", "tool_result.completed", *ASKS[2:]],
        ["turn.started", "tool_call.completed", "tool_result.completed", *SAYS],
    ],
    # They echo an output before they say that they run again.
    ("anthropic", "/client-tool"): [ASKS, ["tool_result.completed", "turn.started", *SAYS]],
    ("qoder", "/client-tool"): [ASKS, ["tool_result.completed", "turn.started", *SAYS]],
}


@pytest.fixture(params=list(emulated_providers()), scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.fixture
def client(emulator: EmulatorHandle) -> Iterator[Client]:
    with local_client(emulator) as client:
        yield client


@pytest.fixture
def session(client: Client, emulator: EmulatorHandle) -> Session:
    model = place_of(emulator).model if client.supports(Feature.SESSIONS_UPDATE_MODEL) else None
    return client.sessions.create(
        agent=emulator.agent_id, environment=emulator.environment_id, title="Ticket 42", model=model
    )


def answer(action: PendingAction) -> Answer:
    return Approve(action) if isinstance(action, ToolApproval) else ToolOutput(action, "42")


@pytest.mark.parametrize("said", STORIES)
def test_the_same_script_gives_the_same_milestones(client: Client, session: Session, said: str) -> None:
    found, turn_input = [], said
    while True:
        with client.sessions.run(session, turn_input, deadline_s=20) as turn:
            found.append(milestones(list(turn)))
        if turn.result.outcome is not Outcome.REQUIRES_ACTION:
            break
        turn_input = [answer(action) for action in turn.result.actions]  # type: ignore[assignment]

    assert found == DIFFERENCES.get((client.provider, said), STORIES[said])
