"""The page of evidence: it names tests that exist, and counts what they show."""

from __future__ import annotations

import ast
import os
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from tools.evidence.plugin import Collector
from tools.evidence.record import RECORDS, Record, stale

ROOT = Path(__file__).parents[2]
GENERATE = runpy.run_path(str(ROOT / "docs/generate.py"))


def defined_in(path: Path) -> set[str]:
    """Functions of a module, and its classes: the tests of a class may be inherited."""
    tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def missing(names: list[str]) -> list[str]:
    modules = {name.partition("::")[0] for name in names}
    defined = {module: defined_in(ROOT / module) for module in modules}
    return [name for name in names if name.split("::")[1] not in defined[name.partition("::")[0]]]


@pytest.mark.parametrize("run", sorted(RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_every_test_that_is_named_exists(run: Path) -> None:
    record = Record.load(run)

    assert record.tests
    assert missing(list(record.tests)) == [], "run `nox -s evidence`"


def test_a_test_that_is_gone_is_noticed() -> None:
    here = "tests/docs/test_evidence.py"
    gone = [f"{here}::test_that_is_gone", "tests/gone.py::test_x"]

    assert missing([f"{here}::test_a_test_that_is_gone_is_noticed", *gone]) == gone


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    record = Record()
    claim: dict[str, Any] = {"test": "tests/a.py::test_a", "backend": "qoder", "kind": "live", "by": "qoder 1"}
    record.add({**claim, "features": ["sessions.run"], "events": ["agent.message"]})
    record.add({**claim, "features": ["sessions.get"], "events": []})
    record.add({**claim, "test": "tests/a.py::test_b", "features": [], "events": []})
    (tmp_path / "run.json").write_text(record.text())

    assert Record.load(tmp_path / "run.json") == record
    assert record.tests == {
        "tests/a.py::test_a": {
            "backend": "qoder",
            "kind": "live",
            "by": "qoder 1",
            "shows": ["sessions.get", "sessions.run"],
        }
    }
    assert record.events == {"qoder": {"live": {"agent.message"}}}


FOUND: dict[str, Any] = {
    "tests": {
        "a": {"backend": "qoder", "kind": "live", "by": "qoder 1", "shows": ["sessions.get", "sessions.run"]},
        "b": {"backend": "qoder", "kind": "emulator", "by": "", "shows": ["sessions.get", "sessions.list"]},
    },
    "events": {"qoder": {"live": {"agent.message"}, "emulator": {"session.error"}}},
}


def test_the_page_counts_tests_by_feature_and_kind() -> None:
    features = GENERATE["shown_features"](FOUND)

    assert "| `sessions.get` | 1 | - | - | - | 1 |" in features
    assert "| `sessions.list` | 1 | - | - | - | - |" in features


def test_the_page_names_what_only_our_emulator_answered() -> None:
    unchecked = GENERATE["unchecked"](FOUND).split("**Qoder**")[1]
    features, events = unchecked.strip().splitlines()

    assert "`sessions.list`" in features
    assert "`sessions.get`" not in features
    assert "`session.error`" in events
    assert "`agent.message`" not in events


def test_the_page_says_who_answered() -> None:
    assert "- Qoder\n    - live: qoder 1" in GENERATE["glance"](FOUND)
    assert "- Everruns\n    - our emulator only" in GENERATE["glance"](FOUND)


PROBE = """
import pytest
from polysession import Feature, NotFound
from polysession._core.operations import Operations
from polysession.event import TurnStarted
from polysession.provider_api import Page
from polysession_everruns.provider import EverrunsProvider
from polysession.testing import covers
from support.flows import ok, step

pytestmark = pytest.mark.evidence("everruns", "judge", by="pytest")
ID = "session_0195e0c0000070008000000000000001"
OPERATIONS = Operations(EverrunsProvider(EverrunsProvider.settings_type(api_key="k")))

@pytest.mark.parametrize("verb", ["get", "update", "list"])
def test_it_uses(verb):
    if verb == "get":
        step(OPERATIONS.get_session(ID), ok({"id": ID}))
    elif verb == "update":
        step(OPERATIONS.update_session(ID, add_tags=["a"]), ok({"id": ID, "tags": []}), ok({"id": ID, "tags": ["a"]}))
    else:
        step(OPERATIONS.list_sessions(page_size=2)(None), ok({"data": []}))
    TurnStarted(session_id="s", native_type="turn.started")
    TurnStarted(session_id="s", synthetic=True)

def test_it_is_refused():
    with pytest.raises(NotFound):
        step(OPERATIONS.delete_session(ID), NotFound("no"))
    OPERATIONS.list_agents(2)

@pytest.mark.parametrize("comes", [True, False])
def test_a_stream_is_one_when_an_event_comes(comes):
    if comes:
        step(OPERATIONS.stream_events(ID, None), ok({"data": []}))
        TurnStarted(session_id="s", native_type="turn.failed")  # that no observer sees
        Page((TurnStarted(session_id="s", native_type="turn.started"),))
    else:
        step(OPERATIONS.start_turn(ID, "hi"), ok({"data": []}))

@covers(Feature.SESSIONS_LIST)
def test_it_says_what_it_shows():
    step(OPERATIONS.get_session(ID), ok({"id": ID}))

def test_it_shows_nothing():
    pass

@pytest.mark.xfail
@covers(Feature.SESSIONS_DELETE)
def test_it_fails():
    raise AssertionError
"""
CONTRACT = """
import pytest
from polysession import Feature, NotFound
from polysession._core.operations import Operations
from polysession_agentscope import AgentScopeProvider
from polysession_everruns.provider import EverrunsProvider
from polysession.testing import covers

from support.flows import ok, step

ID = "session_0195e0c0000070008000000000000001"
OPERATIONS = Operations(EverrunsProvider(EverrunsProvider.settings_type(api_key="k")))
AGENTSCOPE = Operations(AgentScopeProvider(AgentScopeProvider.settings_type(base_url="http://127.0.0.1", user_id="u")))

class TestEverruns:
    provider = "everruns"
    evidence = "emulated"

    @covers(Feature.SESSIONS_GET)
    def test_it_says_what_it_shows(self):
        step(OPERATIONS.get_session(ID), ok({"id": ID}))
        step(OPERATIONS.delete_session(ID), ok({}))

    @covers(Feature.SESSIONS_GET)
    def test_it_shows_an_error_only(self):
        with pytest.raises(NotFound):
            step(OPERATIONS.get_session(ID), NotFound("no"))

    @pytest.mark.parametrize("feature", [Feature.SESSIONS_GET, Feature.SESSIONS_ARCHIVE])
    def test_what_is_declared_is_what_happens(self, feature):
        pass

class TestAcme:
    provider = "acme"
    evidence = "emulated"

    @covers(Feature.SESSIONS_UPDATE)
    def test_it_is_made_up(self):
        pass

@pytest.mark.tape("agentscope/streams/plain.jsonl")
@covers(Feature.AGENTS_LIST)
def test_it_plays():
    step(AGENTSCOPE.list_agents(None)(None), ok({"agents": []}))

def test_it_is_no_evidence():
    pass
"""


def test_evidence_is_collected_from_every_process(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(test_probe=PROBE, test_contract=CONTRACT)
    pytester.makeconftest(CONFTEST)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    assert pytester.runpytest_subprocess("-p", "xdist", "-n", "1", "--evidence=run").ret == 0

    record = Record.load(pytester.path / "run.json")
    judge = f"pytest {pytest.__version__}"
    service = "AgentScope agent service (PyPI: agentscope) 2.0.11"
    assert {name: tuple(entry.values()) for name, entry in record.tests.items()} == {
        "test_probe.py::test_it_uses": (
            "everruns",
            "judge",
            judge,
            [
                "sessions.get",
                "sessions.list",
                "sessions.list page_size",
                "sessions.update",
                "sessions.update add_tags/remove_tags",
            ],
        ),
        "test_probe.py::test_a_stream_is_one_when_an_event_comes": ("everruns", "judge", judge, ["sessions.stream"]),
        "test_probe.py::test_it_says_what_it_shows": ("everruns", "judge", judge, ["sessions.list"]),
        "test_contract.py::TestEverruns::test_it_says_what_it_shows": (
            "everruns",
            "emulator",
            "",
            ["sessions.get"],
        ),
        "test_contract.py::TestEverruns::test_what_is_declared_is_what_happens": (
            "everruns",
            "emulator",
            "",
            ["sessions.archive"],
        ),
        "test_contract.py::test_it_plays": ("agentscope", "recorded", service, ["agents.list"]),
    }
    assert record.events == {"everruns": {"judge": {"turn.started"}}}


CONFTEST = """
import tools.evidence.record
from pathlib import Path
tools.evidence.record.RECORDS = Path(__file__).parent
pytest_plugins = ["tools.evidence.plugin"]

def pytest_addoption(parser):
    parser.addoption("--agentscope-python")
"""


@pytest.mark.parametrize(("written", "code"), [({}, 0), ({"tests/gone.py::test_x": {"shows": []}}, 1)])
def test_a_run_that_shows_something_else_fails_where_that_is_checked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, written: dict[str, Any], code: int
) -> None:
    (pytester.path / "run.json").write_text(Record(written, {"qoder": {"live": {"agent.message"}}}).text())
    monkeypatch.setattr("tools.evidence.plugin.RECORDS", pytester.path)
    config: Any = SimpleNamespace(getoption={"evidence": None, "evidence_check": "run", "--stress": True}.get)
    session: Any = SimpleNamespace(exitstatus=0)

    terminal = Mock()
    collector = Collector(config)

    collector.pytest_sessionfinish(session, 0)
    collector.pytest_terminal_summary(terminal)

    assert session.exitstatus == code
    lines = [call.args[0] for call in terminal.write_line.call_args_list]
    assert lines[1:] == [f"  {name}" for name in written]


@pytest.mark.parametrize(
    ("whole", "shows", "expected"),
    [
        (True, ["a", "b"], []),
        (True, ["a"], ["test_x"]),
        (False, ["a"], []),
        (False, ["a", "c"], ["test_x"]),
        (False, None, []),
        (True, None, ["test_x"]),
    ],
)
def test_a_run_that_samples_the_tests_shows_no_more_than_is_written(
    shows: list[str] | None,
    expected: list[str],
    *,
    whole: bool,
) -> None:
    entry = {"backend": "qoder", "kind": "emulator", "by": ""}
    known = Record({"test_x": {**entry, "shows": ["a", "b"]}})
    found = Record({} if shows is None else {"test_x": {**entry, "shows": shows}})

    assert stale(known, found, whole=whole) == expected
    assert stale(Record(), found, whole=whole) == list(found.tests)
