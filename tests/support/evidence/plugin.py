"""Collects the evidence of a run: `--evidence=NAME` writes it down, `--evidence-check=NAME` compares.

What a test shows travels with its report, so that it arrives from the processes of pytest-xdist too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final, get_args

import pytest

from polysession.event import Event
from polysession.feature import Feature
from polysession.provider_api import Provider
from support.evidence.claims import MARK, MARK_HELP, claim_of
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
    """Sees which features a test uses and which events it reads, in the process that runs it."""

    def __init__(self) -> None:
        self._features: set[tuple[str, str]] = set()
        self._events: set[str] = set()
        self._watch()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        self._features.clear()
        self._events.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield
        claim = claim_of(item)
        if claim is None:
            return
        used = (feature for backend, feature in self._features if backend == claim.backend)
        features = sorted(used if claim.features is None else claim.features)
        item.user_properties.append(
            (_PROPERTY, {**asdict(claim), "features": features, "events": sorted(self._events)})
        )

    def _watch(self) -> None:
        require = Provider.require.__func__  # type: ignore[attr-defined]  # it is a class method

        def watched(cls: type[Provider[Any]], feature: Feature) -> None:
            require(cls, feature)
            self._features.add((cls.name, feature.value))

        Provider.require = classmethod(watched)  # type: ignore[assignment,method-assign]
        for event_type in get_args(Event):
            self._watch_events(event_type)

    def _watch_events(self, event_type: Any) -> None:
        make = event_type.__init__

        def watched(event: Any, *args: Any, **values: Any) -> None:
            make(event, *args, **values)
            if event.native_type:
                self._events.add(event.native_type)

        event_type.__init__ = watched


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
