"""Tests against real services: collected only when the command line names the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from live.agentscope_service.model_stub import serve_models
from live.agentscope_service.process import AgentScopeService, serve_agentscope


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_live = collection_path.name.startswith("test_agentscope_")
    return True if is_live and not config.getoption("agentscope_python") else None


@pytest.fixture(scope="session")
def agentscope_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentScopeService]:
    # Not resolved: in a virtual environment the link is what finds the packages.
    python = Path(request.config.getoption("agentscope_python")).absolute()
    with (
        serve_models() as models_url,
        serve_agentscope(python, tmp_path_factory.mktemp("agentscope"), models_url) as service,
    ):
        yield service
