"""The pytest plugin: fixtures for emulators and tapes. Everything but pytest is imported when a fixture is used."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from polysession.emulation import EmulatorHandle
    from polysession.testing.suite import LiveBackend, SuiteBackend
    from polysession.testing.tape import RecordMode, Tape

_OPENED: Final = pytest.StashKey[bool]()
_FAILURE: Final = pytest.StashKey[BaseException]()
_MODES: Final = ("none", "once", "new_episodes", "rewrite", "all")
_MARKS: Final = (
    "polysession(provider, generation='current'): the backend of the fixtures `emulator` and `backend`",
    "tape(path=None, **options): the tape of the fixture `tape`, beside the test's file; options as for `Tape`",
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options."""
    group = parser.getgroup("polysession")
    group.addoption(
        "--polysession-backend",
        choices=("emulator", "tape", "live"),
        help="run the fixture `backend` on an emulator (default), a tape, or the real backend",
    )
    group.addoption(
        "--polysession-provider", metavar="NAME", help="use this provider in the fixtures `emulator` and `backend`"
    )
    group.addoption(
        "--tape-pace",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="scale the delays of replayed tapes: 0 (default) does not wait, 1 waits as long as the recording",
    )
    if not _loads_recording(pluginmanager):  # pytest-recording already adds this option
        group.addoption("--record-mode", choices=_MODES, help="choose how tapes are recorded (default: none)")
    parser.addini("polysession_backend", "default of --polysession-backend", default="emulator")
    parser.addini("polysession_provider", "default of --polysession-provider")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    for mark in _MARKS:
        config.addinivalue_line("markers", mark)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let tests that record a tape reach the network where pytest-recording blocks it."""
    if config.pluginmanager.has_plugin("recording") and config.getoption("--record-mode") not in {None, "none"}:
        for item in items:
            if {"tape", "backend"} & {*getattr(item, "fixturenames", ())} or item.get_closest_marker("tape"):
                item.add_marker(pytest.mark.block_network(allowed_hosts=[".*"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the outcome of a test with a tape, which is not written after a failure, and show the output of servers."""
    if call.excinfo is not None and item.stash.get(_OPENED, False):
        item.stash.setdefault(_FAILURE, call.excinfo.value)
    report = yield
    processes = sys.modules.get("polysession.testing.server_process")  # imported by a suite that runs servers
    if report.failed and processes is not None:
        report.sections += [("Server output", server.last_output) for server in processes.running_servers()]
    return report


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    """A running emulator of the provider in the parameter, the mark `polysession`, or `--polysession-provider`."""
    from polysession.emulation import serve  # noqa: PLC0415  (only if used)

    mark = request.node.get_closest_marker("polysession")
    options = {} if mark is None else mark.kwargs
    with serve(getattr(request, "param", None) or _provider(request), **options) as handle:
        yield handle


@pytest.fixture
def tape_options() -> dict[str, Any]:
    """Options of all tapes, as for `Tape`. Override this fixture with your own."""
    return {}


@pytest.fixture
def tape(request: pytest.FixtureRequest, tape_options: dict[str, Any]) -> Iterator[Tape]:
    """An open tape: the one in the mark `tape`, or `tapes/<module>/<test>.jsonl` next to the test's file."""
    from polysession.testing.tape import Tape  # noqa: PLC0415  (only if used)

    mark = request.node.get_closest_marker("tape")
    options = {**tape_options, **(mark.kwargs if mark else {})}
    options = {"mode": _record_mode(request), "pace": request.config.getoption("--tape-pace"), **options}
    request.node.stash[_OPENED] = True
    opened = Tape(_tape_path(request, mark), **options)
    opened.__enter__()
    yield opened
    failure = request.node.stash.get(_FAILURE, None)
    opened.__exit__(failure and type(failure), failure, failure and failure.__traceback__)


@pytest.fixture
def live_backend(request: pytest.FixtureRequest) -> LiveBackend:
    """The real backend to test with, or to record. Override this fixture with your own."""
    from polysession.testing.suite import LiveBackend  # noqa: PLC0415  (only if used)

    return LiveBackend.from_environment(_provider(request))


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> SuiteBackend:
    """The backend of a test that runs with an emulator, a tape, or the real backend: see `--polysession-backend`."""
    from polysession.testing.suite import BACKEND_KINDS, SuiteBackend  # noqa: PLC0415  (only if used)

    config = request.config
    kind = config.getoption("--polysession-backend") or config.getini("polysession_backend")
    match kind:
        case "emulator":
            return SuiteBackend.of_emulator(request.getfixturevalue("emulator"))
        case "live":
            return SuiteBackend.of_live(request.getfixturevalue("live_backend"))
        case "tape":
            fixture = request.getfixturevalue
            return SuiteBackend.of_tape(partial(fixture, "tape"), partial(fixture, "live_backend"))
    raise pytest.UsageError(f"polysession_backend must be one of {', '.join(BACKEND_KINDS)}, not {kind!r}")


def _loads_recording(plugins: pytest.PytestPluginManager) -> bool:
    """Return whether pytest-recording is loaded, or will be."""
    is_automatic = find_spec("pytest_recording") is not None and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    return plugins.has_plugin("recording") or (is_automatic and not plugins.is_blocked("recording"))


def _provider(request: pytest.FixtureRequest) -> str:
    mark = request.node.get_closest_marker("polysession")
    config = request.config
    named = mark.args[0] if mark and mark.args else config.getoption("--polysession-provider")
    name: str = named or config.getini("polysession_provider")
    if not name:
        raise pytest.UsageError(
            'no provider is given; mark the test with @pytest.mark.polysession("qoder"), or set polysession_provider in'
            " the configuration of pytest"
        )
    return name


def _record_mode(request: pytest.FixtureRequest) -> RecordMode:
    mode: RecordMode = request.config.getoption("--record-mode", None) or "none"
    return mode


def _tape_path(request: pytest.FixtureRequest, mark: pytest.Mark | None) -> Path:
    folder: Path = request.path.parent
    if mark is not None and mark.args:
        return folder / str(mark.args[0])
    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    return folder / "tapes" / request.path.stem / f"{name}.jsonl"
