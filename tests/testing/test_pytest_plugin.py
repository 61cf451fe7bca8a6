"""The pytest plugin, as a user's suite sees it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polysession.emulation import serve
from polysession.testing import read_tape
from support.inner_suite import Suite, imports, suite

__all__ = ["imports", "suite"]

USES_BACKEND = """
    import pytest

    @pytest.fixture
    def live_backend():
        from polysession.testing import LiveBackend
        return LiveBackend(provider="qoder", settings={settings!r}, agent={agent!r}, environment={environment!r})

    def test_turn(backend):
        with backend.client() as client:
            session = client.sessions.create(title=backend.kind, **backend.session_values)
            assert client.sessions.ask(session, "hello").text == "You said: hello"

    def test_scripted(backend):
        from polysession.emulation import Say
        backend.script([Say("Scripted.")])
        with backend.client() as client:
            session = client.sessions.create(**backend.session_values)
            assert client.sessions.ask(session, "hello").text == "Scripted."
"""


def run_beside_recording(suite: Suite, *arguments: str) -> pytest.RunResult:
    """Run a suite with pytest-recording, in a process of its own: its end would unblock the network in this one."""
    options = ("-q", "-p", "no:cacheprovider", "-p", "recording", "-p", "polysession")
    return suite.pytester.runpytest_subprocess(*options, *arguments)


def test_the_plugin_costs_nothing_until_a_fixture_is_used() -> None:
    heavy = ("httpx", "pydantic", "starlette", "polysession.client", "polysession.testing.tape", "msgspec")
    code = f"import sys, polysession.testing.pytest_plugin; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert ran.stdout.strip() == "[]"


def test_an_emulator_comes_by_option_mark_and_parameter(suite: Suite) -> None:
    suite.pytester.makepyfile(
        """
        import asyncio
        import pytest
        from polysession.emulation import AskApproval, Fault, Say

        def test_by_option(emulator):
            assert emulator.provider == "qoder"
            emulator.script([Say("Scripted.")])
            with emulator.client() as client:
                session = client.sessions.create(**emulator.session_values)
                assert client.sessions.ask(session, "hello").text == "Scripted."

        @pytest.mark.polysession("everruns", generation="legacy")
        def test_by_mark(emulator):
            assert (emulator.provider, emulator.control.generation) == ("everruns", "legacy")

        @pytest.mark.parametrize("emulator", ["agentscope", "langgraph"], indirect=True)
        def test_by_parameter(emulator):
            async def main():
                emulator.faults.add(Fault("status", status=503, method="GET"))
                async with emulator.async_client() as client:
                    session = await client.sessions.create(**emulator.session_values)
                    return await client.sessions.get(session) == session
            assert asyncio.run(main())
        """
    )
    suite.run().assert_outcomes(passed=4)


def test_a_tape_is_recorded_and_replayed_and_shows_what_has_changed(suite: Suite) -> None:
    with serve("qoder") as backend:
        suite.pytester.makepyfile(
            test_it=f"""
            import pytest

            @pytest.fixture
            def tape_options():
                return {{"match_headers": ["accept"]}}

            @pytest.fixture
            def client(tape):
                with tape.client("qoder", **{backend.settings!r}) as client:
                    yield client

            @pytest.mark.parametrize("title", ["A/1", "B"])
            def test_turn(client, title):
                session = client.sessions.create(title=title, **{backend.session_values!r})
                assert client.sessions.ask(session, "hello").text == "You said: hello"

            @pytest.mark.tape("mine/agents.jsonl", partial=True)
            def test_agents(client, tape):
                assert client.agents.get({backend.agent_id!r}).id
                if tape.records:
                    client.agents.get({backend.agent_id!r})

            def test_fails(client):
                client.agents.get({backend.agent_id!r})
                assert False
            """
        )
        run_beside_recording(suite, "--record-mode=once", "--block-network").assert_outcomes(passed=3, failed=1)
    names = sorted(str(path.relative_to(suite.path)) for path in suite.path.rglob("*.jsonl"))
    assert names == ["mine/agents.jsonl", "tapes/test_it/test_turn-A-1.jsonl", "tapes/test_it/test_turn-B.jsonl"]
    (suite.path / "test_it.py").write_text((suite.path / "test_it.py").read_text().replace("hello", "hullo"))
    changed = run_beside_recording(suite, "--block-network")
    changed.assert_outcomes(passed=1, failed=2, errors=1)
    changed.stdout.fnmatch_lines(
        [
            "*the tape *test_fails.jsonl does not exist; record it with --record-mode=once*",
            "E* --- recorded: request [0-9] of 4",
            'E* -  *"text": "hello",',
            'E* +  *"text": "hullo",',
        ]
    )


def test_a_suite_runs_live_and_by_tape(suite: Suite) -> None:
    with serve("qoder") as backend:
        suite.pytester.makepyfile(
            test_it=USES_BACKEND.format(
                settings=backend.settings, agent=backend.agent_id, environment=backend.environment_id
            )
        )
        suite.run("--polysession-backend=live").assert_outcomes(passed=1, skipped=1)
        recorded = run_beside_recording(suite, "--polysession-backend=tape", "--record-mode=once", "--block-network")
        recorded.assert_outcomes(passed=1, skipped=1)
        with backend.client() as client:
            assert sorted(str(session.title) for session in client.sessions.list()) == ["live", "tape"]
    (path,) = suite.path.rglob("*.jsonl")
    assert read_tape(path).header.values["session_values"]["agent"] == backend.agent_id
    suite.run("--polysession-backend=tape").assert_outcomes(passed=1, skipped=1)
    path.unlink()
    missing = suite.run("--polysession-backend=tape")
    missing.assert_outcomes(failed=1, skipped=1)
    missing.stdout.fnmatch_lines(["*the tape *test_turn.jsonl does not exist*"])


def test_without_a_provider_the_message_says_how_to_name_one(suite: Suite) -> None:
    suite.pytester.makeini("[pytest]")
    suite.pytester.makepyfile("def test_it(emulator): ...")
    ran = suite.run()
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(['*no provider is given; mark the test with @pytest.mark.polysession("qoder")*'])
