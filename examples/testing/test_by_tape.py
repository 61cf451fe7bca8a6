"""A test by tape: what a real AgentScope service answered once, replayed offline through both clients.

`pytest --polysession-backend=tape` runs it so; without the option it runs on the emulator.

The tape was recorded by `nox -s record -- agentscope`. In a project of your own leave its path out: then it is
`tapes/<module>/<test>.jsonl`, and `pytest --polysession-backend=tape --record-mode=once` records it from the backend of
the fixture `live_backend`.
"""

import asyncio

import pytest
from tickets import work_on, work_on_async

from polysession import Outcome
from polysession.testing import SuiteBackend

pytestmark = pytest.mark.tape("../../cassettes/agentscope/streams/program.jsonl")


def test_a_real_agent_runs_an_approved_command(backend: SuiteBackend) -> None:
    with backend.client() as client:
        result = work_on(client, "/ask", **backend.session_values)
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The decision was heard.")


def test_the_same_program_in_asyncio(backend: SuiteBackend) -> None:
    async def main() -> str:
        async with backend.async_client() as client:
            return (await work_on_async(client, "/ask", **backend.session_values)).text

    assert asyncio.run(main()) == "The decision was heard."
