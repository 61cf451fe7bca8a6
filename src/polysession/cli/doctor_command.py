"""`polysession doctor`."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import typer
from rich.text import Text

from polysession import __version__
from polysession.cli.errors import ExitCode
from polysession.cli.invocation import Invocation, command
from polysession.cli.printing import Output, one_line

if TYPE_CHECKING:
    from polysession.cli.diagnosis import Finding

_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "red", "skipped": "dim"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(doctor)


def doctor(invocation: Invocation) -> None:
    """Look for what keeps a provider from working.

    Says what to do about it, and shows no secret.

    Example: polysession doctor --provider qoder
    """
    from polysession.cli.diagnosis import Finding, State, examine  # noqa: PLC0415  (help needs no HTTP library)

    with invocation.patient() as patient:
        findings = [
            Finding("polysession", State.OK, f"{__version__} on Python {platform.python_version()}"),
            *examine(patient),
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
