"""Tests with real services. They are collected only if an option names the service."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from live.adk_clients import open_client
from live.adk_service.process import serve_adk
from live.agentscope_service.model_stub import serve_models
from live.agentscope_service.process import (
    AgentScopeService,
    serve_agentscope,
    serve_legacy_agentscope,
    serve_restartable_agentscope,
)
from live.agentscope_service.redis_process import serve_redis
from live.langgraph_service.process import serve_langgraph
from live.open_managed_agents_service.process import serve_open_managed_agents
from polysession import Client, Session
from polysession.testing import ServerProcess

JUDGED_BY = {
    "agentscope_legacy": "agentscope_legacy",
    "agentscope": "agentscope",
    "adk": "adk",
    "langgraph": "langgraph",
    "anthropic": "open_managed_agents",
}
"""The option of the service that a test file needs, by the beginning of its name."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the test files whose service is not available."""
    for judged, service in JUDGED_BY.items():
        if collection_path.name.startswith(f"test_{judged}"):
            return None if config.getoption(f"{service}_python") else True
    return None


@pytest.fixture(scope="session")
def agentscope_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentScopeService]:
    # The link is not resolved: the interpreter of a virtual environment finds its packages by it.
    python = Path(request.config.getoption("agentscope_python")).absolute()
    with (
        serve_models() as models_url,
        serve_agentscope(python, tmp_path_factory.mktemp("agentscope"), models_url) as service,
    ):
        yield service


@pytest.fixture(scope="session")
def legacy_agentscope_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentScopeService]:
    """Run the first published service, 2.0.0, with its own Redis server."""
    python = Path(request.config.getoption("agentscope_legacy_python")).absolute()
    workdir = tmp_path_factory.mktemp("agentscope-legacy")
    with (
        serve_models() as models_url,
        serve_redis(python, workdir) as redis_port,
        serve_legacy_agentscope(python, workdir, models_url, redis_port) as service,
    ):
        yield service


@pytest.fixture
def restartable_service(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[AgentScopeService, ServerProcess]]:
    """Run a service that a test may kill and start again."""
    python = Path(request.config.getoption("agentscope_python")).absolute()
    with serve_models() as models_url, serve_restartable_agentscope(python, tmp_path, models_url) as restartable:
        yield restartable


@pytest.fixture(scope="session")
def adk_python(request: pytest.FixtureRequest) -> Path:
    """Return the interpreter with the ADK API server."""
    return Path(request.config.getoption("adk_python")).absolute()


@pytest.fixture(scope="session")
def adk_server(adk_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server that stores its sessions in SQLite."""
    with serve_adk(adk_python, tmp_path_factory.mktemp("adk")) as server:
        yield server


@pytest.fixture
def adk_user() -> str:
    """Return a new user of the ADK server."""
    return f"user-{uuid.uuid4().hex}"


@pytest.fixture
def adk_client(adk_server: ServerProcess, adk_user: str) -> Iterator[Client]:
    """Return a client for the user."""
    with open_client(adk_server.base_url, adk_user) as client:
        yield client


@pytest.fixture
def adk_session(adk_client: Client) -> Session:
    """Return a new session of the user."""
    return adk_client.sessions.create()


@pytest.fixture(scope="session")
def langgraph_python(request: pytest.FixtureRequest) -> Path:
    """Return the interpreter with LangGraph's Agent Server."""
    return Path(request.config.getoption("langgraph_python")).absolute()


@pytest.fixture(scope="session")
def langgraph_server(langgraph_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server with graphs that follow the script."""
    with serve_langgraph(langgraph_python, tmp_path_factory.mktemp("langgraph")) as server:
        yield server


@pytest.fixture(scope="session")
def open_managed_agents_python(request: pytest.FixtureRequest) -> Path:
    """Return the interpreter with open-managed-agents."""
    return Path(request.config.getoption("open_managed_agents_python")).absolute()


@pytest.fixture(scope="session")
def open_managed_agents(
    open_managed_agents_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Run an independent server for the API of Anthropic's Managed Agents."""
    with serve_open_managed_agents(open_managed_agents_python, tmp_path_factory.mktemp("oma")) as server:
        yield server
