"""The mutants: more than thirty, each with a name of its own, and none of them stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants import MUTANTS, ROOT, Mutant


def test_there_are_more_than_thirty_with_different_names() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) > 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_not_stale(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert all((ROOT / test).exists() for test in mutant.tests)


@pytest.mark.parametrize("text", ["", "a = 1\na = 1\n"])
def test_a_stale_mutant_fails(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(ValueError, match="stale"):
        Mutant("x", "a.py", "a = 1", "a = 2", ()).apply(tmp_path)


def test_a_mutant_is_applied(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = 1\n")
    assert Mutant("x", "a.py", "a = 1", "a = 2", ()).apply(tmp_path) == "a = 1\n"
    assert (tmp_path / "a.py").read_text() == "a = 2\n"
