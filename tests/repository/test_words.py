"""The language check: it finds private words in prose and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import words

CLEAN = '''
"""Read a session."""

told = {"said": 1}  # identifiers and keys are not prose


def usual(said: str) -> str:
    """Return the `told` argument."""
    return said
'''


def found(path: Path, text: str) -> list[tuple[int, str]]:
    path.write_text(text, encoding="utf-8")
    return [(finding.line, finding.word) for finding in sorted(words.findings(path))]


def test_identifiers_keys_and_code_in_backticks_are_not_checked(tmp_path: Path) -> None:
    assert found(tmp_path / "a.py", CLEAN) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1  # it was told\n", [(1, "told")]),
        ('"""First line.\n\nThe Usual form.\n"""\n', [(3, "Usual")]),
        ('raise ValueError(f"{x} was said by nobody")\n', [(1, "nobody"), (1, "said")]),
        ('def f():\n    """What it does."""\n', [(2, "What")]),
        ('X = 1\n"""Who reads it."""\n', [(2, "Who")]),
        ('"""What is read?"""\n', []),
        ('"""A retold story, untoldable."""\n', []),
    ],
)
def test_docstrings_comments_and_messages_are_checked(
    tmp_path: Path, text: str, expected: list[tuple[int, str]]
) -> None:
    assert found(tmp_path / "a.py", text) == expected


def test_a_page_of_prose_is_checked_without_its_code(tmp_path: Path) -> None:
    assert found(tmp_path / "a.md", "# Told\n\n```python\n# said\n```\n\nIt goes on.\n") == [
        (1, "Told"),
        (7, "goes on"),
    ]


def test_texts_of_recordings_are_not_checked(tmp_path: Path) -> None:
    assert found(tmp_path / "a.py", 'x = "a stranger"\n') == []
    assert found(tmp_path / "a.py", 'x = "this stranger"\n') == [(1, "stranger")]
