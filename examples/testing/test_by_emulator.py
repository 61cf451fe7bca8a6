"""A test by emulator: no account, no network, and an agent that does what the test says."""

import asyncio

import pytest
from tickets import work_on, work_on_async

from polysession import DeadlineExceeded, Outcome
from polysession.emulation import AskApproval, EmulatorHandle, Fault, Say, Think


def test_an_allowed_tool_is_approved(emulator: EmulatorHandle) -> None:
    emulator.script([Think("Where is it?"), AskApproval("search", {"text": "printer"}, "room 4"), Say("In room 4.")])
    with emulator.client() as client:
        result = work_on(client, "Where is the printer?", **emulator.session_values)
    assert result.text == "In room 4."


def test_any_other_tool_is_denied(emulator: EmulatorHandle) -> None:
    emulator.script([AskApproval("erase", {"path": "/"}, "gone"), Say("Then I leave it.")])

    async def main() -> str:
        async with emulator.async_client() as client:
            return (await work_on_async(client, "Clean up", **emulator.session_values)).text

    assert asyncio.run(main()) == "Then I leave it."


def test_a_broken_connection_costs_nothing(emulator: EmulatorHandle) -> None:
    emulator.faults.add(Fault("drop", streams_only=True, at_byte=500))
    with emulator.client() as client:
        result = work_on(client, "hello", **emulator.session_values)
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: hello")


@pytest.mark.polysession("everruns")
def test_the_same_on_another_backend(emulator: EmulatorHandle) -> None:
    with emulator.client() as client:
        assert work_on(client, "/tool", **emulator.session_values).text == "The tool has answered."


def test_a_deadline_is_kept(emulator: EmulatorHandle) -> None:
    with emulator.client() as client:
        session = client.sessions.create(**emulator.session_values)
        with pytest.raises(DeadlineExceeded):
            client.sessions.ask(session, "/slow 50", deadline_s=0.3)
