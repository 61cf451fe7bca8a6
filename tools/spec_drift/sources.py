"""The sources that are available in a run, and their stored descriptions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from tools.spec_drift import crates, sdks
from tools.spec_drift.backends import BACKENDS
from tools.spec_drift.compare import Finding, changes, gaps, load_accepted
from tools.spec_drift.fingerprint import Fingerprint
from tools.spec_drift.openapi import Document
from tools.spec_drift.scope import Scope

RECORDS: Final = Path(__file__).parents[2] / "tests/spec_drift"
SDKS: Final[Mapping[str, Callable[[Scope], Fingerprint]]] = {
    "anthropic": sdks.anthropic,
    "everruns": sdks.everruns,
    "langgraph": sdks.langgraph,
    "qoder": sdks.qoder,
}
_DESCRIBE: Final = Path(__file__).parents[2] / "tests/live/agentscope_service/describe.py"


def record(backend: str, source: str) -> Path:
    """Return the file of a source's stored description."""
    return RECORDS / backend / f"{source}.json"


def recorded(backend: str) -> dict[str, Fingerprint]:
    """Read the stored descriptions of a backend, by source."""
    paths = sorted((RECORDS / backend).glob("*.json"))
    return {path.stem: Fingerprint.load(path) for path in paths if path.stem != "accepted"}


def installed_sdks() -> dict[tuple[str, str], Fingerprint]:
    """Return the descriptions from the installed SDKs, by backend and source."""
    return {(backend, "sdk"): read(BACKENDS[backend]().scope) for backend, read in SDKS.items()}


def openapi_document(backend: str, place: str) -> dict[tuple[str, str], Fingerprint]:
    """Return a published description from a file or a URL.

    Raises:
        OSError: There is no such file.
        httpx.HTTPError: It cannot be fetched.
    """
    if place.startswith(("http://", "https://")):
        raw = httpx.get(place, follow_redirects=True).raise_for_status().json()
    else:
        raw = json.loads(Path(place).read_text())
    return {(backend, "openapi"): _of_document(backend, raw)}


def agentscope_service(python: Path) -> dict[tuple[str, str], Fingerprint]:
    """Return the descriptions from an interpreter's AgentScope service.

    They are its OpenAPI document, and its events.

    Raises:
        subprocess.CalledProcessError: The service is not installed, or failed.
    """
    ran = subprocess.run([python, _DESCRIBE], capture_output=True, check=True, text=True)  # noqa: S603  (the caller's)
    raw = json.loads(ran.stdout)
    info = raw["openapi"]["info"]
    events = Document(raw["events"]).fingerprint("agentscope.event", info["version"], BACKENDS["agentscope"]().scope)
    return {
        ("agentscope", "openapi"): _of_document("agentscope", raw["openapi"]),
        ("agentscope", "events"): events,
    }


def everruns_crate(folder: Path | None) -> dict[tuple[str, str], Fingerprint]:
    """Return the description from the crate of Everruns' engine.

    The crate is in a folder, or it is cargo's copy of the stored version.

    Raises:
        OSError: The crate is not in the folder.
    """
    path = record("everruns", "crate")
    known = Fingerprint.load(path).version if path.exists() else ""
    found = folder or crates.unpacked(known)
    if found is None:
        return {}
    return {("everruns", "crate"): crates.everruns_contracts(found, BACKENDS["everruns"]().scope)}


def findings(now: Mapping[tuple[str, str], Fingerprint]) -> Iterator[Finding]:
    """Yield the differences of sources from their stored versions, and of those from our code."""
    for (backend, source), fingerprint in now.items():
        path = record(backend, source)
        before = Fingerprint.load(path) if path.exists() else Fingerprint(fingerprint.source, "nothing")
        yield from changes(backend, source, before, fingerprint)
    for backend, read in BACKENDS.items():
        yield from gaps(read(), recorded(backend).values(), load_accepted(RECORDS / backend / "accepted.json"))


def not_available(now: Mapping[tuple[str, str], Fingerprint]) -> list[str]:
    """Return the stored sources that are not available in this run."""
    return [
        f"{backend} {source}" for backend in BACKENDS for source in recorded(backend) if (backend, source) not in now
    ]


def _of_document(backend: str, raw: dict[str, Any]) -> Fingerprint:
    info = raw["info"]
    return Document(raw).fingerprint(info["title"], info["version"], BACKENDS[backend]().scope)
