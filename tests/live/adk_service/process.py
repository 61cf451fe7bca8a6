"""Runs the ADK API server in another process, with its own virtual environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from polysession.testing import ServerProcess, process

HERE: Final = Path(__file__).parent


@contextlib.contextmanager
def serve_adk(
    python: Path, workdir: Path, storage: Literal["sqlite", "memory"] = "sqlite", *options: str
) -> Iterator[ServerProcess]:
    """Run a server while the context is open.

    Args:
        python: Interpreter of the environment in which it is installed.
        workdir: Folder for its sessions.
        storage: Storage of the sessions: a SQLite file, which survives a restart, or memory.
        options: Additional options of its command.
    """
    database = f"sqlite:///{workdir / 'sessions.db'}"
    arguments = ["--host", "127.0.0.1", "--port", "{port}", "--artifact_service_uri", "memory://"]
    arguments += ["--session_service_uri", database if storage == "sqlite" else "memory://"]
    arguments += ["--memory_service_uri", "memory://", *options, str(HERE / "agents")]
    environment = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OTEL_SDK_DISABLED": "true",
        "HOME": str(workdir),
    }
    command: list[str | Path] = [python.parent / "adk", "api_server", *arguments]
    with process(command, ready="/health", cwd=workdir, env=environment) as server:
        yield server
