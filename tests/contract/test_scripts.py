"""The same script on every backend: what a test queues is what the agent does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polysession import Approve, Client, Outcome, ToolApproval, ToolExecution, ToolOutput
from polysession.cli.demo import emulated_providers
from polysession.emulation import (
    AskApproval,
    ClientTool,
    EmulatorHandle,
    Fail,
    Say,
    Think,
    ToolUse,
    UseTools,
    script_for,
    serve,
)
from polysession.session import Session
from support.cuts import new_session

(ANSWER,) = script_for("go")
assert isinstance(ANSWER, Say)
REPEATED = ANSWER.text


@pytest.fixture(params=list(emulated_providers()))
def handle(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.fixture
def client(handle: EmulatorHandle) -> Iterator[Client]:
    with Client(handle.provider, **handle.settings) as client:
        yield client


@pytest.fixture
def session(handle: EmulatorHandle) -> Session:
    return new_session(handle)


def run(client: Client, session: Session, content: Any = "go") -> Any:
    with client.sessions.run(session, content, deadline_s=30) as turn:
        return turn.wait()


def test_a_script_replaces_the_answer_once(handle: EmulatorHandle, client: Client, session: Session) -> None:
    handle.script([Think("Hm."), ToolUse("lookup", {"n": 1}, "found"), Say("It is there.")])

    assert run(client, session).text == "It is there."
    assert run(client, session).text == REPEATED


def test_scripts_of_a_session_are_not_taken_by_another(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    handle.script([Say("mine")], session="another")
    handle.script([Say("yours")], session=session)

    assert run(client, session).text == "yours"
    assert run(client, session).text == REPEATED
    assert handle.control.scripts.waiting == 1


def test_approvals_and_tools_of_the_client_are_asked_for(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    handle.script(
        [AskApproval("delete", {"path": "a"}, "deleted"), ClientTool("weather", {"city": "Rome"}), Say("Ok.")]
    )

    parked = run(client, session)
    (approval,) = parked.actions
    assert (parked.outcome, type(approval), approval.name) == (Outcome.REQUIRES_ACTION, ToolApproval, "delete")
    parked = run(client, session, [Approve(approval)])
    (execution,) = parked.actions
    assert (type(execution), execution.name, dict(execution.arguments)) == (ToolExecution, "weather", {"city": "Rome"})
    assert run(client, session, [ToolOutput(execution, "sunny")]).text == "Ok."


def test_several_tools_are_one_step(handle: EmulatorHandle, client: Client, session: Session) -> None:
    handle.script([UseTools(ClientTool("weather"), ClientTool("time")), Say("Ok.")])

    parked = run(client, session)

    assert sorted(action.name for action in parked.actions) == ["time", "weather"]
    assert run(client, session, [ToolOutput(action, "x") for action in parked.actions]).text == "Ok."


def test_a_failure_ends_the_turn(handle: EmulatorHandle, client: Client, session: Session) -> None:
    handle.script([Fail("out of order"), Say("never")])

    assert run(client, session).outcome is Outcome.FAILED
