"""Each test of the contract can fail: with a client that is broken while the test runs, none passes."""

from __future__ import annotations

import pytest

from support.breaking import WITHOUT_CALL, Breaking, with_wrong_answers, without_checks
from support.inner_suite import Imports, imports

__all__ = ["imports"]

CONTRACTS = """
from polysession.testing import ProviderContract
from polysession.testing.arranging import _tests
from polysession_langgraph import LanggraphNewAgent

taken = set()

class Impatient(ProviderContract):
    patience_s = 3.0

def contract(provider, **values):
    "The tests that no provider before it has."
    made = type(f"Test{provider}", (Impatient,), {"provider": provider, **values})
    for name in {name for name in _tests(made) if getattr(made, name) is not None}:
        if name in taken:
            setattr(made, name, None)
        taken.add(name)
    return made

TestQoder = contract("qoder")
TestEverruns = contract("everruns", new_agent={"system_prompt": "You are under contract."})
TestAgentScope = contract("agentscope", permission_mode="accept_edits")
TestAdk = contract("adk", has_status_word=False)
TestLanggraph = contract("langgraph", new_agent={"native": LanggraphNewAgent(graph_id="agent")})
"""
NOT_OF_ANSWERS = {*WITHOUT_CALL, "test_what_is_declared_is_what_happens"}
"""Tests that look at no result, no event and no error of an operation; of the last one any error will do."""


def passed(imports: Imports, pytester: pytest.Pytester, breaking: Breaking) -> tuple[set[str], int]:
    """The tests that pass with a broken client, and how many there are."""
    path = pytester.makepyfile(CONTRACTS)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly", "--tb=no"]
    found, skipped, failed = pytester.inline_run(str(path), *options, plugins=[breaking, imports]).listoutcomes()
    names = [report.nodeid.rpartition("::")[2].partition("[")[0] for report in found]
    return set(names), len(found) + len(skipped) + len(failed)


def test_no_test_passes_without_a_call_or_a_check(imports: Imports, pytester: pytest.Pytester) -> None:
    survivors, number = passed(imports, pytester, Breaking(without_checks))

    assert survivors == set()
    assert number > 170


@pytest.mark.long
def test_no_test_takes_a_wrong_answer(imports: Imports, pytester: pytest.Pytester) -> None:
    survivors, _ = passed(imports, pytester, Breaking(with_wrong_answers))

    assert sorted(survivors - NOT_OF_ANSWERS) == []
