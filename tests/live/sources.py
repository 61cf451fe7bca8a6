"""The real services that `nox -s record` can record, one in each line of `SOURCES`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from live.adk_service.process import HERE, serve_adk
from live.agentscope_service.model_stub import serve_models
from live.agentscope_service.process import serve_agentscope, serve_legacy_agentscope
from live.agentscope_service.redis_process import serve_redis
from live.everruns_engine.process import build_engine, engine_version, serve_everruns
from live.langgraph_service.process import serve_langgraph
from support.qoder_recording import ENVIRONMENT, first_environment
from tools.recordings.provenance import Provenance
from tools.recordings.scrubbing import Scrubber

_AGENTSCOPE: Final = "AgentScope agent service (PyPI: agentscope)"
ENGINE_KEY: Final = "canary-key-of-the-engine"
"""API key of a local engine during a recording. It is not a secret."""


@dataclass(frozen=True)
class Source:
    """A running service.

    Attributes:
        name: Argument of `nox -s record --`: the backend's name, with `-legacy` for its older generation.
        base_url: URL of the service.
        service: Name of the service in the header of recordings.
        version: Version of the service.
        secrets: Texts that must not be stored, such as its token.
        replace: Texts with their replacements, such as its directory with a neutral one.
        handle: Object with which tests prepare a recording.
    """

    name: str
    base_url: str
    service: str
    version: str
    secrets: tuple[str, ...] = ()
    replace: Mapping[str, str] = field(default_factory=dict)
    handle: Any = None

    @property
    def backend(self) -> str:
        """Name of the provider."""
        return self.name.partition("-")[0]

    def provenance(self) -> Provenance:
        """Return the header of a recording of today."""
        return Provenance.of_recording(self.name, self.service, self.version)

    def scrubber(self) -> Scrubber:
        """Return the redaction for this source."""
        return Scrubber(self.backend, secrets=self.secrets, replace=self.replace)


@contextlib.contextmanager
def adk(config: pytest.Config, workdir: Path) -> Iterator[Source]:
    """Run ADK's API server with the interpreter of `--adk-python` and a scripted model."""
    with serve_adk(Path(config.getoption("adk_python")).absolute(), workdir) as server:
        version = httpx.get(f"{server.base_url}/version", trust_env=False).json()["version"]
        folders = {str(HERE / "agents"): "/srv/agents", str(workdir): "/srv/adk"}
        service = "Google ADK API server (PyPI: google-adk)"
        yield Source("adk", server.base_url, service, version, replace=folders, handle=server)


@contextlib.contextmanager
def agentscope(config: pytest.Config, workdir: Path) -> Iterator[Source]:
    """Run AgentScope's service with the interpreter of `--agentscope-python`."""
    # The link is not resolved: the interpreter of a virtual environment finds its packages by it.
    python = Path(config.getoption("agentscope_python")).absolute()
    with serve_models() as models_url, serve_agentscope(python, workdir, models_url) as service:
        health = httpx.get(f"{service.base_url}/health", headers={"x-user-id": "probe"}, trust_env=False).json()
        yield Source(
            "agentscope",
            service.base_url,
            _AGENTSCOPE,
            health["version"],
            replace={str(workdir): "/srv/agentscope", models_url: "http://models.test/v1"},
            handle=service,
        )


@contextlib.contextmanager
def agentscope_legacy(config: pytest.Config, workdir: Path) -> Iterator[Source]:
    """Run AgentScope's first published service, and a Redis server.

    The interpreter is that of `--agentscope-python`.
    """
    python = Path(config.getoption("agentscope_python")).absolute()
    with (
        serve_models() as models_url,
        serve_redis(python, workdir) as redis_port,
        serve_legacy_agentscope(python, workdir, models_url, redis_port) as service,
    ):
        description = httpx.get(f"{service.base_url}/openapi.json", trust_env=False).json()
        yield Source(
            "agentscope-legacy",
            service.base_url,
            _AGENTSCOPE,
            description["info"]["version"],
            replace={str(workdir): "/srv/agentscope", models_url: "http://models.test/v1"},
            handle=service,
        )


@contextlib.contextmanager
def everruns(_: pytest.Config, workdir: Path) -> Iterator[Source]:
    """Build and run Everruns' engine.

    The handle is the URL of a second engine, which requires `ENGINE_KEY`.
    """
    engine = build_engine()
    with (
        serve_everruns(engine, workdir / "open") as base_url,
        serve_everruns(engine, workdir / "locked", api_key=ENGINE_KEY) as locked_url,
    ):
        yield Source(
            "everruns",
            base_url,
            "Everruns engine (crate: everruns-serve)",
            engine_version(),
            secrets=(ENGINE_KEY,),
            replace={str(workdir): "/srv/everruns"},
            handle=locked_url,
        )


@contextlib.contextmanager
def langgraph(config: pytest.Config, workdir: Path) -> Iterator[Source]:
    """Run LangGraph's Agent Server with the interpreter of `--langgraph-python`.

    Its graphs are scripted.
    """
    with serve_langgraph(Path(config.getoption("langgraph_python")).absolute(), workdir) as server:
        version = httpx.get(f"{server.base_url}/info", trust_env=False).json()["version"]
        folders = {str(workdir): "/srv/langgraph", server.base_url: "http://langgraph.test"}
        service = "LangGraph Agent Server (PyPI: langgraph-api)"
        yield Source("langgraph", server.base_url, service, version, replace=folders, handle=server)


@contextlib.contextmanager
def qoder(_: pytest.Config, __: Path) -> Iterator[Source]:
    """Use the real Qoder with the token in `QODER_ACCESS_TOKEN`.

    The URL is `QODER_MANAGED_BASE_URL`, if that is set.

    Raises:
        pytest.UsageError: There is no token.
    """
    token = os.environ.get("QODER_ACCESS_TOKEN")
    if not token:
        raise pytest.UsageError("recording Qoder needs a token in QODER_ACCESS_TOKEN; it costs a few credits")
    base_url = os.environ.get("QODER_MANAGED_BASE_URL", "https://api.qoder.com/api/v1/cloud").rstrip("/")
    environment = first_environment(base_url, token)
    today = datetime.now(UTC).date().isoformat()
    yield Source(
        "qoder",
        base_url,
        "Qoder Cloud Agents",
        f"as of {today}",
        secrets=(token,),
        replace={environment: ENVIRONMENT},
        handle=environment,
    )


SOURCES: Final[Mapping[str, Callable[[pytest.Config, Path], AbstractContextManager[Source]]]] = {
    "adk": adk,
    "agentscope": agentscope,
    "agentscope-legacy": agentscope_legacy,
    "everruns": everruns,
    "langgraph": langgraph,
    "qoder": qoder,
}
