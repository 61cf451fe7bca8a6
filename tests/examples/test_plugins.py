"""The plugins of third parties: installed from distributions of their own, and under the same contract as ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from polysession import Client, NotFound, Outcome, SessionStatus, UnsupportedOperation
from polysession.cli.demo import emulated_providers
from polysession.emulation import serve
from support.installed import Site, site

__all__ = ["site"]

ROOT = Path(__file__).parents[2]
PLUGINS = {"helpdesk": ROOT / "examples/provider-plugin", "chatbox": ROOT / "examples/answered-plugin"}
TUTORIAL = (ROOT / "docs/provider-tutorial.md").read_text()
DIFFERENT = (ROOT / "docs/different-backends.md").read_text()
RECIPE = (ROOT / "docs/how-to/test-a-provider.md").read_text()
TAUGHT = re.compile(r'^```\w+ title="(.*?)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PYTEST = ["pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib"]
PYTEST += ["--block-network", "--allowed-hosts=127.0.0.1"]
BY_ONE_CLIENT = {
    "sync": "new_session_is_there plain_turn turn_with_a_tool turn_that_fails page_tells_how key_of_metadata"
    " meets_a_fault two_turns_of_two_clients waits_does_what group_of_actions",
    "async": "whole_life what_was_said cancelled_while cut_is_whole page_answers rejoined deleted_session is_taken_once"
    " tool_of_the_caller imports_the_provider_api follows_turn_after_turn",
}
"""Parts of the names of tests, from each theme of the contract, by the client that runs them."""
SAMPLE = " or ".join(f"({client} and ({' or '.join(names.split())}))" for client, names in BY_ONE_CLIENT.items())
READ_ONLY, POLLED = ALONE = ("helpdesk.py", "polled.py")
"""Files that stand on a page only."""

READ_ONLY_CONTRACT = """
import contextlib
from polysession import Client
from polysession.emulation import serve
from polysession.testing import Backend, ProviderContract, not_done_here

class TestReader(ProviderContract):
    provider = "reader"
    has_status_word = False
    gaps = {"test_times_are_in_utc": not_done_here("it reads no times", raises=AssertionError)}

    @classmethod
    @contextlib.contextmanager
    def serve(cls):
        with serve("helpdesk") as emulator, Client("helpdesk", **emulator.settings) as client:
            ids = [client.sessions.create(title=f"Ticket {number}").id for number in range(6)]
            yield Backend(settings=emulator.settings, faults=emulator.faults, session_id=ids[0])
"""
POLLED_CONTRACT = """
from polysession.testing import BackendContract, never

class TestPolled(BackendContract):
    provider = "helpdesk"
    gaps = {"test_a_turn_with_thinking": never("the helpdesk shows no thoughts", raises=AssertionError)}
"""
POLLED_HEAD = """
from polysession.provider_api import *
from polysession_helpdesk.events import to_events
from polysession_helpdesk.provider import HelpdeskProvider, _read_event_page as read_event_page, _ticket
from polysession_helpdesk.sessions import ticket_path
from polysession_helpdesk.turns import Position, send_input
"""
POLLED_PROVIDER = """

class Polled(HelpdeskProvider):
    # It polls often, so that tests take no longer than with a stream.

    def start_turn(self, ref, turn_input, **_):
        turn = PolledHelpdeskTurn(ref, (yield from _ticket(ref)).last_event, turn_input)
        turn.every_s = (0.02, 0.1)
        return turn


@hookimpl
def polysession_provider():
    return Polled
"""


@dataclass(frozen=True)
class Plugins:
    """The plugins, installed beside what this environment has.

    Attributes:
        sources: Their folders, by name.
        site: Where they are installed.
    """

    sources: Path
    site: Path

    def run(self, *arguments: str, **variables: str) -> str:
        """Run a module; gives what it printed."""
        environment = os.environ | {"PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
        done = subprocess.run(  # noqa: S603  (our own interpreter)
            [sys.executable, "-m", *arguments],
            cwd=self.sources,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def counts(self, *arguments: str, **variables: str) -> dict[str, int]:
        """Run tests; gives how many passed, and how many are known gaps."""
        shown = self.run(*PYTEST, *arguments, **variables)
        return {word: int(number) for number, word in re.findall(r"(\d+) (passed|xfailed)", shown)}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    """Both plugins, installed by pip."""
    installed = Plugins(tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("site"))
    for name, folder in PLUGINS.items():
        shutil.copytree(folder, installed.sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    folders = [str(installed.sources / name) for name in PLUGINS]
    installed.run("pip", "install", "-q", *offline, "--target", str(installed.site), *folders)
    return installed


def test_they_are_found_by_name_and_take_part_in_the_demo(plugins: Plugins) -> None:
    listed = plugins.run("polysession.cli", "providers")
    assert all(name in listed for name in PLUGINS)
    shown = plugins.run("polysession.cli", "demo")
    assert f"{len(list(emulated_providers())) + len(PLUGINS)} backends" in shown
    assert re.search(r"helpdesk [a-z, ]*archive", " ".join(shown.split()))


@pytest.mark.parametrize(("name", "least"), [("helpdesk", 30), ("chatbox", 15)])
def test_they_keep_a_part_of_the_contract(tmp_path: Path, name: str, least: int) -> None:
    """A part of every theme, through one client each; the whole contract takes minutes."""
    Site(tmp_path).install(name, f"{name} = polysession_{name}")
    uninstalled = Plugins(PLUGINS[name], tmp_path)

    counts = uninstalled.counts("tests", "-k", SAMPLE, PYTHONPATH=os.pathsep.join([str(tmp_path), "src"]))

    assert counts["passed"] >= least
    assert counts.keys() == {"passed"}


@pytest.mark.parametrize(("name", "least", "gaps"), [("helpdesk", 550, 2), ("chatbox", 450, 0)])
def test_they_keep_the_contract(plugins: Plugins, name: str, least: int, gaps: int) -> None:
    """The gaps are that the helpdesk shows no thoughts, through both clients."""
    counts = plugins.counts(f"{name}/tests")

    assert counts["passed"] > least
    assert counts.get("xfailed", 0) == gaps


@pytest.mark.long
def test_the_contract_runs_on_a_real_server(plugins: Plugins) -> None:
    """The server is a process of its own; it happens to serve the emulator."""
    server = f"{sys.executable} -m polysession.cli emulate helpdesk --port {{port}}"
    counts = plugins.counts(
        "helpdesk/tests/test_real_server.py", HELPDESK_SERVER=server, HELPDESK_KEY="key-of-the-emulator"
    )
    assert counts["passed"] > 550


@pytest.mark.long
def test_the_read_only_provider_of_the_tutorial_keeps_the_contract(plugins: Plugins) -> None:
    (source,) = [block for name, block in TAUGHT.findall(TUTORIAL) if name == READ_ONLY]
    (plugins.site / "reader.py").write_text(source.replace('"helpdesk"', '"reader"'))
    Site(plugins.site).install("reader", "reader = reader")
    (plugins.sources / "test_reader.py").write_text(READ_ONLY_CONTRACT)

    assert plugins.counts("test_reader.py")["passed"] > 200


@pytest.mark.long
def test_a_polled_turn_keeps_the_contract(plugins: Plugins, tmp_path: Path) -> None:
    """The third kind of turn: the helpdesk, followed by its list of events."""
    (source,) = [block for name, block in TAUGHT.findall(DIFFERENT) if name == POLLED]
    shutil.copytree(PLUGINS["helpdesk"] / "src/polysession_helpdesk", tmp_path / "polysession_helpdesk")
    (tmp_path / "polled_helpdesk.py").write_text(POLLED_HEAD + source + POLLED_PROVIDER)
    Site(tmp_path).install("polled", "helpdesk = polled_helpdesk")
    (plugins.sources / "test_polled.py").write_text(POLLED_CONTRACT)

    # Faults of a stream are skipped: it opens none.
    assert plugins.counts("test_polled.py", PYTHONPATH=str(tmp_path))["passed"] > 160


@pytest.mark.parametrize(
    ("page", "plugin", "least"), [(TUTORIAL, "helpdesk", 9), (DIFFERENT, "chatbox", 1), (RECIPE, "helpdesk", 1)]
)
def test_the_pages_show_the_files_as_they_are(page: str, plugin: str, least: int) -> None:
    shown = [(name, block) for name, block in TAUGHT.findall(page) if name not in ALONE]
    assert len({name for name, _ in shown}) >= least
    for name, block in shown:
        assert block in (PLUGINS[plugin] / name).read_text(), f"a page shows {name} otherwise than it is"


def test_the_read_only_provider_of_the_tutorial_reads(
    site: Site,
) -> None:
    (source,) = [block for name, block in TAUGHT.findall(TUTORIAL) if name == READ_ONLY]
    assert len(source.splitlines()) < 80
    site.module("read_only_helpdesk", source)
    site.install("read-only", "helpdesk = read_only_helpdesk")
    ids = [f"T-{number}" for number in range(3)]
    answers = {
        "/tickets": {"tickets": [{"id": each, "status": "open"} for each in ids], "next": None},
        "/tickets/T-1": {"id": "T-1", "title": "Printer", "status": "waiting"},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.get(request.url.path)
        return httpx.Response(200, json=found) if found else httpx.Response(404, json={"error": {"message": "gone"}})

    with Client("helpdesk", key="k", http_client=httpx.Client(transport=httpx.MockTransport(answer))) as client:
        assert [session.id for session in client.sessions.list()] == ids
        assert client.sessions.get("T-1").status is SessionStatus.REQUIRES_ACTION
        with pytest.raises(NotFound, match="gone"):
            client.sessions.get("T-9")
        with pytest.raises(UnsupportedOperation, match="this provider only reads"):
            client.sessions.delete("T-1")


def test_the_polled_turn_of_the_page_works(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = [block for name, block in TAUGHT.findall(DIFFERENT) if name == POLLED]
    monkeypatch.syspath_prepend(PLUGINS["helpdesk"] / "src")
    site.module("polled_helpdesk", POLLED_HEAD + source + POLLED_PROVIDER)
    site.install("polled", "helpdesk = polled_helpdesk")

    with serve("helpdesk") as emulator, Client("helpdesk", **emulator.settings) as client:
        session = client.sessions.create(title="Printer")
        for said in ("hello", "/slow 3"):
            with client.sessions.run(session, said, deadline_s=20) as turn:
                kinds = [event.type for event in turn]
            assert kinds[-1] == "turn.ended"
            assert turn.result.outcome is Outcome.COMPLETED
            assert turn.result.text
