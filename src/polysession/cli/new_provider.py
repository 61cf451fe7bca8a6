"""Creates a new provider: a copy of the example plugin under another name, to change step by step."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Final

from polysession.errors import UsageError

_EXAMPLE: Final = "helpdesk"
_COPIED: Final = frozenset({".py", ".toml", ".typed"})
_OF_EMULATOR: Final = (f"src/polysession_{_EXAMPLE}/emulator.py", f"tests/test_{_EXAMPLE}.py")
"""The files that need an emulator."""
_EMULATOR_LINE: Final = re.compile(r"^    emulator = .*\n", re.MULTILINE)
_CHECKS: Final = """
[tool.mypy]
strict = true

[tool.ruff]
line-length = 120

[tool.ruff.lint]
ignore = ["RUF012"]  # attributes of a contract class are set once

[tool.ruff.lint.isort]
known-first-party = ["polysession"]
"""
"""Options of code checkers that the example inherits from the surrounding repository."""


def template() -> Path:
    """Return the folder of the example plugin: inside the wheel, or `examples/` in a clone."""
    package = Path(__file__).parents[1]
    packed = package / "_provider_template"
    return packed if packed.is_dir() else package.parents[1] / "examples/provider-plugin"


def write_provider(name: str, folder: Path, *, emulator: bool = True) -> list[Path]:
    """Write the files of a new provider; return their paths.

    Args:
        name: The provider's name: lower-case letters and digits, beginning with a letter.
        folder: Folder for the files. It is created, or must be empty.
        emulator: Whether to add an emulator, with the contract suite for it.

    Raises:
        UsageError: The name or the folder cannot be used.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*", name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is not a valid provider name; use lower-case letters and digits, a letter first, such as acme2"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; choose a new or an empty one")
    source = template()
    written = []
    for path in sorted(path for path in source.rglob("*") if path.suffix in _COPIED):
        relative = path.relative_to(source).as_posix()
        if not emulator and relative in _OF_EMULATOR:
            continue
        text = path.read_text(encoding="utf-8") + (_CHECKS if relative == "pyproject.toml" else "")
        target = folder / _renamed(relative, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_renamed(text if emulator else _EMULATOR_LINE.sub("", text), name), encoding="utf-8")
        written.append(target)
    return written


def _renamed(text: str, name: str) -> str:
    """Return text with the name of the example replaced in each of its spellings."""
    text = re.sub(rf"\b[Tt]he {_EXAMPLE}\b(?!-)", name.title(), text)
    return text.replace(_EXAMPLE.upper(), name.upper()).replace(_EXAMPLE.title(), name.title()).replace(_EXAMPLE, name)
