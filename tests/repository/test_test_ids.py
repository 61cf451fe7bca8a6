"""The comparison of test ids: a test that vanished is listed, unless the change is named."""

from __future__ import annotations

from tools.test_ids import functions, missing, read_changes

BEFORE = ["tests/a.py::test_x[1]", "tests/a.py::test_x[2 -> 3: it]", "tests/b.py::T::test_y", "tests/c.py::test_z"]


def compared(after: list[str], *changes: str) -> list[str]:
    return list(missing(functions(BEFORE), functions(after), *read_changes(changes)))


def test_nothing_is_missing_where_all_ids_are_there() -> None:
    assert compared([*BEFORE, "tests/new.py::test_more"]) == []


def test_a_test_that_is_gone_or_has_fewer_parameters_is_listed() -> None:
    assert compared(["tests/a.py::test_x[1]", "tests/b.py::T::test_y"]) == [
        "fewer: tests/a.py::test_x (2 before, 1 now)",
        "gone: tests/c.py::test_z (1)",
    ]


def test_a_test_may_move_to_another_file() -> None:
    assert compared(["tests/e.py::test_x[1]", "tests/b.py::T::test_y", "tests/d.py::test_z"]) == []


def test_named_renames_and_removals_are_expected() -> None:
    after = ["tests/d.py::test_x[1]", "tests/d.py::test_x[4]", "tests/b.py::U::test_w"]
    renames = ("tests/a.py -> tests/d.py", "tests/b.py::T::test_y -> tests/b.py::U::test_w")
    assert compared(after, *renames, "tests/c.py: read twice") == []
    assert compared(after, "tests/a.py -> tests/d.py", "tests/c.py: read twice") == ["gone: tests/b.py::T::test_y (1)"]
