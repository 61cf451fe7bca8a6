"""Plays cassettes and tapes; with `--record=NAME` it records those of one source again."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import pytest
import vcr

from live.sources import SOURCES, Source
from polysession._core.effect_source import EffectSource, replaced_by
from polysession.testing import Face, Tape
from support.client_runners import ASYNC, SYNC
from tools.recordings.allowed import REQUEST_HEADERS
from tools.recordings.cassettes import check_played, options, refuse_emulator, set_up
from tools.recordings.inventory import NAMED, NOT_RECORDED_YET, source_of
from tools.recordings.provenance import CASSETTES
from tools.recordings.scrubbing import Scrubber
from tools.recordings.tapes import recorded_tape

SOURCE: Final = pytest.StashKey[Source | None]()
"""The source of the test that is recorded now; None if it plays."""

BASE_PATHS: Final = {"qoder": "/api/v1/cloud"}
"""The start of recorded paths, where it belongs to the base URL."""

Setup = Callable[[Source], tuple[dict[str, str], dict[str, str]]]
Stage = tuple[dict[str, Any], dict[str, str]]
OnTape = Callable[[Setup], AbstractContextManager[Stage]]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SOURCE] = None
    if config.getoption("record"):
        config.option.record_mode = "rewrite"
        config.option.block_network = False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out tests whose recording does not exist yet."""
    waits = collection_path.name == "test_qoder_recorded.py" and not (CASSETTES / NOT_RECORDED_YET[0]).exists()
    return True if waits and not config.getoption("record") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name the files of contract classes. When recording, leave only what records, each with the blocking client."""
    for item in items:
        _name_file(item)
    wanted = config.getoption("record")
    if not wanted:
        return
    kept = [item for item in items if _records(item, wanted)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _records(item: pytest.Item, source: str) -> bool:
    name = name_of(item)
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    is_sync = parameters.get("runner", SYNC) is SYNC and parameters.get("face", Face.SYNC) is Face.SYNC
    return name is not None and source_of(name) == source and is_sync


def _name_file(item: pytest.Item) -> None:
    """A contract class that names where its cassettes are has one for each test and its parameters, clients aside."""
    prefix = getattr(getattr(item, "cls", None), "cassettes", None)
    if prefix is not None:
        name, _, parameters = item.name.rstrip("]").partition("[")
        suffix = re.sub(r"\W+", "_", "-".join(part for part in parameters.split("-") if part not in set(Face)))
        item.add_marker(pytest.mark.vcr)
        item.add_marker(pytest.mark.default_cassette(f"{prefix}{name}{suffix and '-'}{suffix}.yaml"))


def name_of(item: pytest.Item) -> str | None:
    """The file that a test plays, named by its place under `cassettes/`."""
    marker = next((found for kind in NAMED if (found := item.get_closest_marker(kind))), None)
    return None if marker is None else str(marker.args[0])


@pytest.hookimpl
def pytest_recording_configure(config: pytest.Config, vcr: vcr.VCR) -> None:
    source = config.stash[SOURCE]
    set_up(vcr, source.provenance() if source else None)


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    return str(CASSETTES)


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Source]]:
    """The source of `--record`, started when it is first asked for."""
    started: list[Source] = []
    with contextlib.ExitStack() as stack:

        def start() -> Source:
            if not started:
                name = request.config.getoption("record")
                service = SOURCES[name](request.config, tmp_path_factory.mktemp(name))
                started.append(stack.enter_context(service))
            return started[0]

        yield start


@pytest.fixture
def source(request: pytest.FixtureRequest, running: Callable[[], Source]) -> Source:
    """The service that a test talks to: when it plays, an address without a server."""
    name = name_of(request.node)
    assert name, "a test of this folder is decorated with the file that it plays"
    wanted = source_of(name)
    if wanted is not None and wanted == request.config.getoption("record"):
        found = running()
        refuse_emulator(found.base_url, CASSETTES / name)
        request.config.stash[SOURCE] = found
        return found
    request.config.stash[SOURCE] = None
    backend = name.partition("/")[0]
    return Source(wanted or backend, f"http://{backend}.test{BASE_PATHS.get(backend, '')}", "a cassette", "-")


@pytest.fixture
def vcr_config(request: pytest.FixtureRequest) -> dict[str, Any]:
    if name_of(request.node) is None:  # asked for because the network is blocked; there is no cassette
        return {}
    source: Source = request.getfixturevalue("source")
    recorded = request.config.stash[SOURCE] is not None
    found = options(source.scrubber() if recorded else Scrubber(source.backend))
    return found if recorded else found | {"record_mode": "none"}


@pytest.fixture(autouse=True)
def played_whole(request: pytest.FixtureRequest, vcr: Any) -> Iterator[None]:
    """A cassette with unused requests fails a test that passed."""
    failed_before = request.session.testsfailed
    yield
    is_through = request.session.testsfailed == failed_before
    if is_through and vcr is not None and request.config.stash[SOURCE] is None:
        check_played(vcr)


class Steady(EffectSource):
    """Counted ids, the same when a cassette is recorded and when it is played; and waits of the service."""

    def __init__(self, *, waits: bool) -> None:
        self._numbers = itertools.count(1)
        self._waits = waits

    def new_id(self) -> str:
        return f"{next(self._numbers):032x}"

    def wait_s(self, seconds: float) -> float:
        return seconds if self._waits else 0.0


@pytest.fixture(autouse=True)
def steady(request: pytest.FixtureRequest, vcr: Any) -> Iterator[None]:
    """Random ids are in requests, and a cassette answers at once; see `Steady`. A tape has both of its own."""
    with replaced_by(Steady(waits=vcr is None or request.config.stash[SOURCE] is not None)):
        yield


@pytest.fixture
def on_tape(request: pytest.FixtureRequest, source: Source, tmp_path: Path) -> OnTape:
    """Gives the options of a client and the ids for a test that replays a tape, or records it.

    The test brings a function that prepares the real service for the recording, and gives both.
    """
    path = CASSETTES / str(name_of(request.node))

    @contextlib.contextmanager
    def record(setup: Setup) -> Iterator[Stage]:
        settings, ids = setup(source)
        with recorded_tape(path, source, tmp_path) as tape:
            yield {"base_url": source.base_url, **settings, "tape": tape}, tape.remember("ids", lambda: ids)

    @contextlib.contextmanager
    def play(_: Setup) -> Iterator[Stage]:
        pace = request.config.getoption("tape_pace")
        with Tape(path, pace=pace, match_headers=REQUEST_HEADERS) as tape:
            settings = tape.file.header.clients[source.backend]
            yield {**settings, "tape": tape}, dict(tape.remember("ids", dict))

    return record if request.config.stash[SOURCE] else play


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a `runner` runs with both clients. Those of the contract see to it themselves."""
    if "runner" in metafunc.fixturenames and not hasattr(metafunc.cls, "cassettes"):
        metafunc.parametrize("runner", [pytest.param(SYNC, id="sync"), pytest.param(ASYNC, id="async")])
