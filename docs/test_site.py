"""Every page of the site in a browser without a window: `nox -s site` installs what it needs, and runs this."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from polysession.testing import process
from support.browser import chromium

ROOT = Path(__file__).parents[1]
WIDE = ViewportSize(width=1400, height=900)
PHONE = ViewportSize(width=390, height=844)
SMALL_PHONE = ViewportSize(width=360, height=740)
TOO_WIDE = """() => {
  const wide = (element) => element.scrollWidth > element.clientWidth + 1;
  const outside = (element) => element.getBoundingClientRect().right > innerWidth;
  const shown = (cell) => getComputedStyle(cell.closest("thead, tbody")).position !== "absolute";
  const scrolls = (element) => getComputedStyle(element).overflowX === "auto";
  const find = (selector) => [...document.querySelectorAll(`article ${selector}`)];
  const found = [
    ...find("table").filter((table) => outside(table) || wide(table.parentElement.parentElement)),
    ...find(":is(th, td)").filter((cell) => shown(cell) && wide(cell)),
    ...find(":is(p, li, h1, h2, h3, h4, h5) > *").filter((word) => outside(word) && !scrolls(word.parentElement)),
  ];
  const page = document.documentElement.scrollWidth > innerWidth ? ["the page scrolls sideways"] : [];
  return page.concat(found.map((each) => `${each.tagName}: ${each.textContent.slice(0, 80)}`));
}"""
"""Returns tables, cells and words that do not fit. Code, the tree of errors and the diagram scroll in their own box."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(built)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)  # noqa: S603
    return built


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", str(site)]
    with process(command, ready="/") as server:
        yield server.base_url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("window", [WIDE, PHONE, SMALL_PHONE], ids=["wide", "phone", "small"])
def test_every_page_fits_its_window(site: Path, address: str, page: Page, window: ViewportSize) -> None:
    page.set_viewport_size(window)
    found = {}
    pages = sorted(each.parent.relative_to(site).as_posix() for each in site.rglob("index.html"))
    for name in pages:
        page.goto(f"{address}/{name}/", wait_until="load")
        found[name] = page.evaluate(TOO_WIDE)

    assert "features" in found
    assert {name: wide for name, wide in found.items() if wide} == {}


@pytest.mark.parametrize("window", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_first_command_is_visible_at_once(address: str, page: Page, window: ViewportSize) -> None:
    page.set_viewport_size(window)
    page.goto(address)

    bottom = page.locator("article pre").first.evaluate("block => block.getBoundingClientRect().bottom")
    assert bottom < window["height"]
