"""Builds the Everruns engine from its crate, and starts and stops it. Only recording needs it, and Rust.

`CARGO_TARGET_DIR` says where cargo builds; a first build takes some minutes.
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
    """Version of the crate that serves."""
    dependencies = tomllib.loads(_CRATE.read_text(encoding="utf-8"))["dependencies"]
    return str(dependencies["everruns-serve"]).removeprefix("=")


def build_engine() -> Path:
    """The program, built again if its source has changed.

    Raises:
        RuntimeError: There is no cargo, or it failed; the message holds what it printed.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        raise RuntimeError("recording from the Everruns engine needs Rust 1.94 or newer: cargo was not found")
    built = subprocess.run(  # noqa: S603  (cargo is the developer's own)
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
    """Run the engine while the context is open; gives its base URL.

    Args:
        engine: The program.
        workdir: Where it keeps its sessions.
        api_key: The key that it asks for; without one it asks for none.

    Raises:
        RuntimeError: It did not start; the message holds what it printed.
    """
    workdir.mkdir(exist_ok=True)
    environment = os.environ | {"SERVE_API_KEYS": api_key}
    with process([engine, workdir / "sessions"], ready=_prints_address, env=environment) as server:
        yield next(filter(None, map(_ADDRESS.fullmatch, server.output.splitlines()))).group()
        server.stop()


def _prints_address(server: ServerProcess) -> bool:
    return any(map(_ADDRESS.fullmatch, server.output.splitlines()))
