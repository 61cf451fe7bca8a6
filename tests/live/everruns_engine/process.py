"""Builds the Everruns engine from its crate, and starts and stops it.

Only recordings need the engine, and Rust.

`CARGO_TARGET_DIR` is the folder of the build. The first build takes some minutes.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from polysession.testing import ServerProcess, process

_CRATE = Path(__file__).with_name("Cargo.toml")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+\S*")


def engine_version() -> str:
    """Return the version of the crate of the server."""
    dependencies = tomllib.loads(_CRATE.read_text(encoding="utf-8"))["dependencies"]
    return str(dependencies["everruns-serve"]).removeprefix("=")


def build_engine() -> Path:
    """Return the program, after a build if its source has changed.

    Raises:
        RuntimeError: There is no cargo, or it failed. The message contains its output.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        raise RuntimeError("recording from the Everruns engine needs Rust 1.94 or newer: cargo was not found")
    built = subprocess.run(  # noqa: S603  (the developer's cargo)
        [cargo, "build", "--manifest-path", _CRATE, "--message-format=json-render-diagnostics"],
        capture_output=True,
        check=False,
        text=True,
    )
    if built.returncode != 0:
        raise RuntimeError(f"cargo could not build the Everruns engine:\n{built.stderr}")
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return Path(next(message["executable"] for message in messages if message.get("executable")))


@contextlib.contextmanager
def serve_everruns(engine: Path, workdir: Path, *, api_key: str = "") -> Iterator[str]:
    """Run the engine while the context is open. Yields its base URL.

    Args:
        engine: The program.
        workdir: Folder for its sessions.
        api_key: API key that it requires; None requires none.

    Raises:
        RuntimeError: It did not start. The message contains its output.
    """
    workdir.mkdir(exist_ok=True)
    environment = os.environ | {"SERVE_API_KEYS": api_key}
    with process([engine, workdir / "sessions"], ready=_prints_address, env=environment) as server:
        yield next(filter(None, map(_ADDRESS.fullmatch, server.output.splitlines()))).group()
        server.stop()


def _prints_address(server: ServerProcess) -> bool:
    return any(map(_ADDRESS.fullmatch, server.output.splitlines()))
