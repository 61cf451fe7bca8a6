"""The page in a browser without a window: `nox -s web_app` installs what it needs, and runs this."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from polysession.testing import ServerProcess, process
from support.browser import chromium

APP = Path(__file__).parent / "app.py"
LIMIT_MS = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=["qoder", "everruns", "agentscope"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with process([sys.executable, APP, request.param, "--port", "{port}"], ready="/") as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(LIMIT_MS)
    expect.set_options(timeout=LIMIT_MS)
    page.goto(server.base_url)
    yield page
    page.close()


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()


def test_a_turn_is_shown_as_it_comes(page: Page) -> None:
    say(page, "hello there")

    expect(page.locator(".user")).to_have_text(["hello there"])
    expect(page.locator(".assistant")).to_have_text(["You said: hello there"])
    expect(page.locator(".note").last).to_have_text("completed")


@pytest.mark.parametrize("button", ["Approve", "Deny"])
def test_a_tool_is_approved_or_denied(page: Page, button: str) -> None:
    say(page, "/ask")
    page.get_by_role("button", name=button).click()

    expect(page.locator(".assistant").last).to_have_text("The decision was heard.")


def test_a_page_that_is_reloaded_in_mid_turn_loses_nothing(page: Page) -> None:
    say(page, "/slow 30")
    expect(page.locator(".assistant")).to_have_text(re.compile("."))
    page.reload()

    expect(page.locator(".note").last).to_have_text("completed")
    expect(page.locator(".user")).to_have_text(["/slow 30"])
    after_the_end = page.locator("#talk p.assistant").all_text_contents()
    page.reload()
    expect(page.locator(".assistant")).to_have_text(after_the_end)


def test_a_turn_is_cancelled(page: Page) -> None:
    say(page, "/slow 30")
    expect(page.locator(".assistant")).to_have_text(re.compile("."))
    page.get_by_role("button", name="Cancel").click()

    expect(page.locator(".note", has_text=re.compile("^cancelled$"))).to_be_visible()
