"""`python -m tools.spec_drift` prints a table, and exits with 1 for a difference."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.spec_drift.backends import BACKENDS
from tools.spec_drift.compare import table
from tools.spec_drift.sources import (
    agentscope_service,
    everruns_crate,
    findings,
    installed_sdks,
    not_available,
    openapi_document,
    record,
)


def main(arguments: list[str]) -> int:
    """Compare the available sources, and store them with `--write`. Returns the exit code."""
    options = _parser().parse_args(arguments)
    now = installed_sdks() | everruns_crate(options.everruns_crate)
    for value in options.openapi:
        backend, _, place = value.partition("=")
        if backend not in BACKENDS or not place:
            sys.stderr.write(f"--openapi takes BACKEND=PATH_OR_URL, not {value!r}; backends: {', '.join(BACKENDS)}\n")
            return 2
        now |= openapi_document(backend, place)
    if options.agentscope_python:
        now |= agentscope_service(options.agentscope_python)
    if options.write:
        for (backend, source), fingerprint in now.items():
            fingerprint.save(record(backend, source))
    found = list(findings(now))
    compared = ", ".join(
        f"{backend} {source} ({each.source} {each.version})" for (backend, source), each in now.items()
    )
    sys.stdout.write(f"compared: {compared}\n")
    sys.stdout.write(f"not available: {', '.join(not_available(now)) or 'nothing'}\n")
    sys.stdout.write(f"{table(found)}\n{len(found)} differences\n" if found else "no difference\n")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s spec_drift --", description="Compare what backends publish with our code."
    )
    parser.add_argument(
        "--openapi",
        metavar="BACKEND=PATH_OR_URL",
        action="append",
        default=[],
        help="a published OpenAPI document; may be repeated",
    )
    parser.add_argument(
        "--agentscope-python", metavar="PATH", type=Path, help="interpreter with the AgentScope service"
    )
    parser.add_argument(
        "--everruns-crate",
        metavar="PATH",
        type=Path,
        help="folder of the unpacked crate everruns-contracts; default: cargo's copy of the stored version",
    )
    parser.add_argument("--write", action="store_true", help="store the current descriptions")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
