"""Runs open-managed-agents in another process, with its own virtual environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from polysession.testing import ServerProcess, process

KEY: Final = "sk-ant-open-managed-agents"
_SERVER: Final = Path(__file__).parent / "server.py"


@contextlib.contextmanager
def serve_open_managed_agents(python: Path, workdir: Path) -> Iterator[ServerProcess]:
    """Run a server while the context is open.

    Args:
        python: Interpreter of the environment in which it is installed.
        workdir: Folder for its database.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(workdir),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMA_API_KEY": KEY,
        "OMA_RUNTIME_BACKEND": "local",
        "OMA_EVENT_POLL_INTERVAL_SECONDS": "0.02",
        "DATABASE_URL": f"sqlite+aiosqlite:///{workdir / 'sessions.db'}",
    }
    with process([python, _SERVER, "{port}"], ready="/health", cwd=workdir, env=environment) as server:
        yield server
