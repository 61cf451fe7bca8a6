"""`polysession doctor`."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import typer
from rich.text import Text

from polysession import __version__
from polysession.cli.errors import ExitCode
from polysession.cli.invocation import Invocation
from polysession.cli.printing import Output, one_line
from polysession.cli.register import command

if TYPE_CHECKING:
    from polysession.cli.findings import Finding

_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "red", "skipped": "dim"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, writes=("healthy", "findings"))(doctor)


def doctor(invocation: Invocation) -> None:
    """Check the configuration and the connection to the backend.

    Prints a fix for each problem. Secrets are not shown.

    Example: polysession doctor
    """
    from polysession.cli.diagnosis import examine  # noqa: PLC0415  (help needs no HTTP library)
    from polysession.cli.findings import Finding, State  # noqa: PLC0415  (likewise)

    with invocation.doctor_target() as target:
        findings = [
            Finding("polysession", State.OK, f"{__version__} on Python {platform.python_version()}"),
            *examine(target),
        ]
    healthy = all(finding.state is not State.PROBLEM for finding in findings)
    if invocation.json:
        invocation.output.json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        _show(invocation.output, findings)
    if not healthy:
        raise typer.Exit(ExitCode.FAILED)


def _show(output: Output, findings: list[Finding]) -> None:
    rows: list[tuple[str | Text, ...]] = []
    for finding in findings:
        rows.append((Text(finding.state.value, _STYLES[finding.state.value]), finding.check, finding.message))
        if finding.fix:
            rows.append(("", "", Text(f"fix: {one_line(finding.fix)}", "bold")))
    output.table(("", "", ""), rows, last_folds=True)
