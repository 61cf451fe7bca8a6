"""The Python code in the pages, for tests and type checkers.

`python -m tools.page_code FOLDER` writes it into a folder, with one file for each independent code block.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/how-to").glob("*.md")])
"""Pages whose code blocks are independent."""
BACKEND_PAGES: Final = sorted((ROOT / "docs/providers").glob("*.md"))
"""Pages whose code blocks continue each other, except those with `AsyncClient`."""
TESTING_PAGE: Final = ROOT / "docs/how-to/test-your-code.md"
"""The page whose code is a test suite."""
_CODE: Final = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def code_blocks(page: Path) -> list[str]:
    """Return the Python code blocks of a page, without their indentation inside tabs."""
    return [textwrap.dedent(block) for _, block in _CODE.findall(page.read_text())]


def write(folder: Path) -> None:
    """Write the code of all pages into a folder."""
    for page in PAGES:
        for number, block in enumerate(code_blocks(page)):
            (folder / f"{_name(page)}_{number}.py").write_text(block)
    for page in BACKEND_PAGES:
        blocks = code_blocks(page)
        alone = [block for block in blocks if "AsyncClient" in block]
        (folder / f"{_name(page)}.py").write_text("\n".join(block for block in blocks if block not in alone))
        for number, block in enumerate(alone):
            (folder / f"{_name(page)}_async_{number}.py").write_text(block)


def _name(page: Path) -> str:
    return "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_").lower()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
