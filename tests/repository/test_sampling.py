"""The sample of the normal run: what it leaves out exists, and of each matrix something is left."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from polysession.testing import ProviderContract
from sampling import LEFT_OUT, ONE_CLIENT, SAMPLED, left_out

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("group", SAMPLED)
def test_each_group_exists(group: str) -> None:
    file, *names = group.split("::")
    module = scope = ast.parse((ROOT / file).read_text()).body
    for name in names:
        if scope is not module and hasattr(ProviderContract, name):
            return  # a class of the contract inherits it
        found = [node for node in scope if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name]
        assert found or hasattr(ProviderContract, name), f"{group}: there is no {name}"
        scope = found[0].body if found else []


def test_one_item_in_five_is_left_in() -> None:
    group = next(name for name, every in SAMPLED.items() if every == 5)
    ids = [f"{group}::test_{number}" for number in range(12)]
    others = ["tests/other.py::test_x", f"{group}Not::test_y"]

    assert left_out([*ids, *others]) == set(ids) - {ids[0], ids[5], ids[10]}


def test_each_test_is_left_in_with_one_of_the_clients() -> None:
    group = next(name for name, every in SAMPLED.items() if every == ONE_CLIENT)
    tests = [f"{group}::test_{number}" for number in range(20)]
    ids = [f"{test}[{client}{more}]" for test in tests for client in ("sync", "async") for more in ("", "-x")]
    left_in = [name for name in ids if name not in left_out([*ids, f"{group}::test_of_none"])]

    assert len(left_in) == len(ids) / 2
    assert {name.partition("[")[0] for name in left_in} == set(tests)
    assert len({name.partition("[")[2] for name in left_in}) == 4


def test_a_program_that_takes_seconds_is_left_out_whole() -> None:
    name = next(name for name, every in SAMPLED.items() if every == LEFT_OUT)
    assert left_out([name, f"{name}[x]"]) == {name, f"{name}[x]"}
