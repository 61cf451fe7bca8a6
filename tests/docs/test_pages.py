"""The documentation is true: its generated parts are up to date, and its code runs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from polysession.emulation import serve

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(CODE.findall(page.read_text()))
]


def test_there_is_code_to_run() -> None:
    assert len(BLOCKS) > 5


@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_of_the_pages_runs(block: str) -> None:
    exec(compile(block, "page", "exec"), {})  # noqa: S102  (our own pages)


def test_the_code_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = CODE.findall((ROOT / "README.md").read_text())
    with serve("qoder") as emulator:
        monkeypatch.setenv("QODER_ACCESS_TOKEN", emulator.settings["token"])
        monkeypatch.setenv("QODER_MANAGED_BASE_URL", emulator.base_url)
        for placeholder, real in (("agent_...", emulator.agent_id), ("env_...", emulator.environment_id)):
            block = block.replace(placeholder, str(real))
        exec(compile(block, "README", "exec"), {})  # noqa: S102  (our own page)


def test_the_readme_opens_with_the_two_commands() -> None:
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install '.[all]' && .venv/bin/polysession demo",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest",
    ]


def test_the_generated_parts_are_up_to_date() -> None:
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))

    for path, generated in generate["pages"]().items():
        page = path.read_text()
        assert generate["renewed"](page, generated) == page, f"{path.name} is stale: run `nox -s docs -- write`"


def test_a_stale_page_is_noticed() -> None:
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))
    page = "a\n<!-- features:begin -->\nold\n<!-- features:end -->\nz\n"

    assert generate["renewed"](page, "new") == page.replace("old", "new")


def test_the_error_tree_is_drawn_alike_in_code_and_docs() -> None:
    def names(path: str) -> list[str]:
        return re.findall(r"[├└]── (\w+)", (ROOT / path).read_text())

    assert names("docs/errors.md") == names("src/polysession/errors.py")
