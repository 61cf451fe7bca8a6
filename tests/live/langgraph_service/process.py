"""Runs LangGraph's Agent Server in another process, with its own virtual environment."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from polysession.testing import ServerProcess, process

HERE: Final = Path(__file__).parent
_SERVED: Final = ("auth.py", "graphs.py", "scripted.py")
_RUNS_AT_ONCE: Final = 24


@contextlib.contextmanager
def serve_langgraph(python: Path, workdir: Path, *, with_auth: bool = False) -> Iterator[ServerProcess]:
    """Run a server while the context is open.

    It stores its threads when it is stopped, but not when it is killed.

    Args:
        python: Interpreter of the environment in which it is installed.
        workdir: Folder for its threads. The graphs are copied into it, because the server writes next to them.
        with_auth: Whether it requires a key: see `auth.py`.
    """
    for name in _SERVED:
        shutil.copy(HERE / name, workdir / name)
    config = json.loads((HERE / "langgraph.json").read_text())
    if with_auth:
        config["auth"] = {"path": "./auth.py:auth"}
    (workdir / "langgraph.json").write_text(json.dumps(config))
    environment = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "HOME": str(workdir),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    }
    options = ["--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", "{port}"]
    options += ["--n-jobs-per-worker", str(_RUNS_AT_ONCE)]
    command: list[str | Path] = [python.parent / "langgraph", "dev", *options]
    with process(command, ready="/ok", cwd=workdir, env=environment, start_limit_s=90.0) as server:
        yield server
