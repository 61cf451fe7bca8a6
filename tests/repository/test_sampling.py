"""The sample of the normal run: what it leaves out exists, and of each matrix something is left."""

from __future__ import annotations

import ast
from pathlib import Path
from unittest.mock import Mock

import pytest

from polysession.testing import ProviderContract
from sampling import LEFT_OUT, ONE_CLIENT, SAMPLED, left_out

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("group", SAMPLED)
def test_each_group_exists(group: str) -> None:
    file, *names = group.split("::")
    if not names:
        assert (ROOT / file).exists()
        return
    module = scope = ast.parse((ROOT / file).read_text()).body
    for name in names:
        if name == "*":
            continue
        if (scope is not module or "*" in names) and hasattr(ProviderContract, name):
            return  # a class of the contract inherits it
        found = [node for node in scope if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name]
        assert found or hasattr(ProviderContract, name), f"{group}: there is no {name}"
        scope = found[0].body if found else []


def test_one_item_in_five_is_left_in() -> None:
    group = "tests/contract/test_cuts.py::test_a_cut_anywhere_loses_and_doubles_nothing"
    assert SAMPLED[group] == 5
    ids = [f"{group}[{number}]" for number in range(12)]
    others = ["tests/other.py::test_x", "tests/contract/test_cuts_too.py::test_y[sync]"]

    assert left_out([*ids, *others]) == set(ids) - {ids[0], ids[5], ids[10]}


def test_a_star_is_any_class() -> None:
    test = "tests/contract/test_providers.py::*::test_what_is_declared_is_what_happens"
    assert SAMPLED[test] == 3
    ids = [f"{test.replace('*', name)}[{case}]" for name in ("TestOne", "TestTwo") for case in "ab"]

    assert left_out(ids) == {ids[1], ids[2]}


def test_each_case_is_left_in_with_one_of_the_clients() -> None:
    tests = [f"tests/cassettes/folder/test_a.py::test_{number}" for number in range(20)]
    assert SAMPLED["tests/cassettes"] == ONE_CLIENT
    ids = [f"{test}[{client}{more}]" for test in tests for client in ("sync", "async") for more in ("", "-x")]
    left_in = [name for name in ids if name not in left_out([*ids, f"{tests[0]}_of_none"])]

    assert len(left_in) == len(ids) / 2
    assert {name.replace("async", "sync") for name in left_in} == {name.replace("async", "sync") for name in ids}
    assert len({name.partition("[")[2] for name in left_in}) == 4


@pytest.mark.parametrize("client", ["sync", "async"])
def test_a_case_of_one_client_is_left_in(client: str) -> None:
    ids = [f"tests/cassettes/test_a.py::test_{number}[{client}]" for number in range(20)]

    assert left_out(ids) == set()


def test_a_program_that_takes_seconds_is_left_out_whole() -> None:
    name = next(name for name, every in SAMPLED.items() if every == LEFT_OUT)
    assert left_out([name, f"{name}[x]"]) == {name, f"{name}[x]"}


@pytest.mark.parametrize(("option", "left"), [(None, 1), ("--stress", 2), ("--every-byte", 2)])
def test_nothing_is_left_out_of_whole_matrices(request: pytest.FixtureRequest, option: str | None, left: int) -> None:
    conftest = request.config.pluginmanager.get_plugin(str(ROOT / "tests/conftest.py"))
    assert conftest is not None
    config = Mock(args=[], getoption=lambda name: name == option)
    names = [f"tests/contract/test_story.py::test_x[{client}]" for client in ("sync", "async")]
    items = [Mock(nodeid=name, get_closest_marker=lambda _: None) for name in names]

    conftest.pytest_collection_modifyitems(config, items)

    assert len(items) == left
