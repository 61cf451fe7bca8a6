"""Collects the evidence of a run: `--evidence=NAME` writes it down, `--evidence-check=NAME` compares.

What a test shows travels with its report, so that it arrives from the processes of pytest-xdist too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import pytest

from support.evidence.claims import MARK, MARK_HELP, claim_of
from support.evidence.observer import Observer
from support.evidence.record import RECORDS, Record

_PROPERTY: Final = "evidence"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("evidence")
    group.addoption("--evidence", metavar="NAME", help="write what this run shows to docs/evidence/NAME.json")
    group.addoption("--evidence-check", metavar="NAME", help="fail if docs/evidence/NAME.json says otherwise")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK_HELP)
    if config.getoption("evidence") or config.getoption("evidence_check"):
        config.pluginmanager.register(Watcher(), f"{MARK}-watcher")
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(Collector(config), f"{MARK}-collector")


class Watcher:
    """Collects what a test shows, in the process that runs it."""

    def __init__(self) -> None:
        self._seen = Observer()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        self._seen.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield
        claim = claim_of(item)
        if claim is None:
            return
        features = self._seen.features(claim.backend) if claim.features is None else set(claim.features)
        shown = {**asdict(claim), "features": sorted(features), "events": sorted(self._seen.events)}
        item.user_properties.append((_PROPERTY, shown))


class Collector:
    """Puts together what all tests show, in the one process that has the whole."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._record = Record()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":  # what a test shows is only there if it passed
            for name, claim in report.user_properties:
                if name == _PROPERTY:
                    self._record.add(claim)  # type: ignore[arg-type]  # typeshed has only text here

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        name, checked = self._config.getoption("evidence"), self._config.getoption("evidence_check")
        if exitstatus != pytest.ExitCode.OK:
            return
        if name:
            (RECORDS / f"{name}.json").write_text(self._record.text())
        elif (RECORDS / f"{checked}.json").read_text() != self._record.text():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._stale = True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if getattr(self, "_stale", False):
            terminalreporter.write_line("the evidence in docs/evidence is stale: run `nox -s evidence`", red=True)
