"""Pytest plugin that collects the evidence of a run.

`--evidence=NAME` writes it, and `--evidence-check=NAME` compares it.

The evidence of a test is a property of its report, so that it is also received from the processes of pytest-xdist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import pytest

from tools.evidence.record import RECORDS, Record, stale

MARK: Final = (
    "evidence(backend, kind, by=None): the tests are evidence of this kind for a backend; "
    "`by` is the package that judges"
)
_PROPERTY: Final = "evidence"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("evidence")
    group.addoption("--evidence", metavar="NAME", help="write the evidence of this run to docs/evidence/NAME.json")
    group.addoption("--evidence-check", metavar="NAME", help="fail if docs/evidence/NAME.json differs from this run")


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and the collecting plugins if an option asks for them."""
    config.addinivalue_line("markers", MARK)
    if not (config.getoption("evidence") or config.getoption("evidence_check")):
        return
    is_worker = hasattr(config, "workerinput")
    if is_worker or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Watcher(), "evidence-watcher")
    if not is_worker:
        config.pluginmanager.register(Collector(config), "evidence-collector")


class Watcher:
    """Collects the evidence of each test in the process that runs it."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Patch the library so that calls and events are observed."""
        # Imported here, because most runs collect no evidence, and because coverage starts only with the session.
        from tools.evidence.claims import claim_of  # noqa: PLC0415
        from tools.evidence.observer import Observer  # noqa: PLC0415

        self._seen, self._claim_of = Observer(), claim_of

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        """Remove the records of the previous test."""
        self._seen.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Add the evidence of the test to its report."""
        yield
        claim = self._claim_of(item)
        if claim is None:
            return
        succeeded = self._seen.features(claim.backend)
        features = succeeded if claim.features is None else set(claim.features)
        if claim.must_succeed:
            features &= succeeded
        shown = {**asdict(claim), "features": sorted(features), "events": sorted(self._seen.events)}
        item.user_properties.append((_PROPERTY, shown))


class Collector:
    """Collects the evidence of all tests, in the main process."""

    def __init__(self, config: pytest.Config) -> None:
        self._written, self._checked = config.getoption("evidence"), config.getoption("evidence_check")
        self._is_whole = bool(config.getoption("--stress", False))
        self._record = Record()
        self._stale: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the evidence of a test that passed."""
        if report.when == "call":  # only a test that passed has the property
            for name, claim in report.user_properties:
                if name == _PROPERTY:
                    self._record.add(claim)  # type: ignore[arg-type]  # typeshed has only text here

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write or compare the evidence if all tests passed."""
        if exitstatus != pytest.ExitCode.OK:
            return
        if self._written:
            (RECORDS / f"{self._written}.json").write_text(self._record.text())
            return
        self._stale = stale(Record.load(RECORDS / f"{self._checked}.json"), self._record, whole=self._is_whole)
        if self._stale:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List the tests whose written evidence is stale."""
        if self._stale:
            where = f"docs/evidence/{self._checked}.json"
            terminalreporter.write_line(
                f"{where} is stale, run `nox -s evidence`. It differs for these tests:", red=True
            )
            for name in self._stale:
                terminalreporter.write_line(f"  {name}")
