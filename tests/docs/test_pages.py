"""The documentation is true: its generated parts are up to date, and its code runs."""

from __future__ import annotations

import logging
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import polysession
from polysession import Client, emulation, errors, provider_api
from polysession.emulation import EmulatorHandle, serve
from polysession.plugins import load_provider
from polysession.settings import variables_of
from tools.page_code import BACKEND_PAGES, PAGES, TESTING_PAGE, code_blocks

ROOT = Path(__file__).parents[2]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    if page.name != "README.md"  # its code needs an emulator: see below
    if page != TESTING_PAGE  # its code is a suite: see `test_test_your_code.py`
    for number, block in enumerate(code_blocks(page))
]


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """Settings of the log by a page do not reach the tests that follow in this process."""
    ours, root = logging.getLogger("polysession"), logging.getLogger()
    level, handlers = ours.level, root.handlers[:]
    yield
    ours.setLevel(level)
    root.handlers[:] = handlers


def test_there_is_code_to_run() -> None:
    assert len(BLOCKS) > 5


@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_of_the_pages_runs(block: str) -> None:
    exec(compile(block, "page", "exec"), {})  # noqa: S102  (our own pages)


def on_emulator(block: str, emulator: EmulatorHandle) -> str:
    """A page's code with its placeholders filled in."""
    filled = {
        "agent_...": emulator.agent_id,
        "env_...": emulator.environment_id,
        'credential_id="..."': f'credential_id="{emulator.credential_id}"',
        "http://127.0.0.1:8000": emulator.base_url,
        'user_id="alice"': 'user_id="emulator"',
    }
    for placeholder, real in filled.items():
        block = block.replace(placeholder, str(real))
    return block


def environment_for(emulator: EmulatorHandle) -> dict[str, str]:
    """The environment that points a client to an emulator, without a user who is part of an address."""
    provider = load_provider(emulator.provider)
    settings = {"base_url": emulator.base_url, **emulator.settings}
    variables = {
        name: names for name, names in variables_of(provider.settings_type).items() if name != provider.owner_setting
    }
    return {variables[name][0]: str(value) for name, value in settings.items() if name in variables}


@pytest.mark.parametrize("page", BACKEND_PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_backend_page_runs_from_top_to_bottom(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = code_blocks(page)
    assert blocks
    with serve(page.stem) as emulator, Client(page.stem, **emulator.settings) as client:
        for variable, value in environment_for(emulator).items():
            monkeypatch.setenv(variable, value)
        names: dict[str, object] = {}
        for block in blocks:
            exec(compile(on_emulator(block, emulator), page.name, "exec"), names)  # noqa: S102  (our own pages)
            names["client"] = client  # the one that the first block opened is closed


def test_the_code_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = code_blocks(ROOT / "README.md")
    assert blocks
    with serve("qoder") as emulator:
        for variable, value in environment_for(emulator).items():
            monkeypatch.setenv(variable, value)
        for block in blocks:
            exec(compile(on_emulator(block, emulator), "README", "exec"), {})  # noqa: S102  (our own page)


def test_the_readme_opens_with_the_two_commands() -> None:
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install '.[all]' && .venv/bin/polysession demo",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest",
    ]


def test_the_generated_parts_are_up_to_date() -> None:
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))

    for path, parts in generate["pages"]().items():
        page = path.read_text()
        assert generate["renewed"](page, parts) == page, f"{path.name} is stale: run `nox -s docs -- write`"


def test_a_stale_page_is_noticed() -> None:
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))
    page = "a\n<!-- features:begin -->\nold\n<!-- features:end -->\nz\n"

    assert generate["renewed"](page, {"features": "new"}) == page.replace("old", "new")


def test_the_error_tree_is_drawn_alike_in_code_and_docs() -> None:
    def names(path: str) -> list[str]:
        return re.findall(r"[├└]── (\w+)", (ROOT / path).read_text())

    assert names("docs/errors.md") == names("src/polysession/errors.py")


def test_the_reference_has_every_public_name() -> None:
    pages = (ROOT / "docs/reference").glob("*.md")
    shown = {
        path for page in pages for path in re.findall(r"^::: polysession\.([\w.]+)$", page.read_text(), re.MULTILINE)
    }
    names = {path.rpartition(".")[2] for path in shown}
    of_errors = {name for name in dir(polysession) if hasattr(errors, name)}  # shown as one module

    assert "errors" in names
    assert set(dir(polysession)) - names - of_errors == {"__version__"}


@pytest.mark.parametrize("module", [provider_api, emulation], ids=lambda module: module.__name__)
def test_the_provider_api_is_documented_whole(module: ModuleType) -> None:
    page = (ROOT / "docs/reference/provider-api.md").read_text()
    documented = set(re.findall(r"^::: polysession\.\w+\.(\w+)$", page, re.MULTILINE)) | set(
        re.findall(r"`(\w+)`", page)
    )
    names = (
        {name for name in dir(module) if not name.startswith("_")} if module is provider_api else set(module.__all__)
    )

    assert names - documented == set()
