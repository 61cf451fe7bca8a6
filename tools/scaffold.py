"""Starts a provider: `nox -s scaffold -- acme ../polysession-acme`.

Copies the example plugin under another name: a whole provider whose tests pass, to be changed piece by piece into one
for a real backend.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples/provider-plugin"
NAME = "porter"
TEXT = {".py", ".toml", ".typed"}


def renamed(text: str, name: str) -> str:
    """The text with the example's name, in each of its spellings, replaced."""
    return text.replace(NAME.upper(), name.upper()).replace(NAME.title(), name.title()).replace(NAME, name)


def scaffold(name: str, folder: Path) -> list[Path]:
    """Write the files of a new provider, and give their paths.

    Args:
        name: The provider's name: lower-case letters and digits, beginning with a letter.
        folder: Where to; made, and must not hold anything yet.

    Raises:
        ValueError: The name or the folder will not do.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*", name) or keyword.iskeyword(name):
        raise ValueError(f"{name!r} is no name for a provider: use lower-case letters and digits, such as acme")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already; name a folder that is new or empty")
    written = []
    for source in sorted(path for path in EXAMPLE.rglob("*") if path.is_file() and path.suffix in TEXT):
        target = folder / renamed(str(source.relative_to(EXAMPLE)), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(renamed(source.read_text(), name))
        written.append(target)
    return written


def main(arguments: list[str]) -> int:
    """Write the files, and say what to do next; returns the exit code."""
    if len(arguments) != 2:  # noqa: PLR2004  (name and folder)
        sys.stderr.write("usage: scaffold NAME FOLDER\n")
        return 2
    name, folder = arguments[0], Path(arguments[1])
    try:
        written = scaffold(name, folder)
    except ValueError as error:
        sys.stderr.write(f"scaffold: {error}\n")
        return 2
    print(f"{len(written)} files in {folder}. Its tests pass already:")
    print(f"  pip install -e '{folder}[test]' && pytest {folder}/tests")
    print("Change wire.py first, and follow the failing tests: docs/provider-tutorial.md explains every line.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
