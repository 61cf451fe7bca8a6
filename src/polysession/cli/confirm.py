"""Confirmation of actions that cannot be undone."""

from __future__ import annotations

import sys

import typer

from polysession.cli.printing import one_line
from polysession.errors import UsageError


def confirm(question: str, *, yes: bool) -> None:
    """Ask at the terminal before something is deleted; `yes` skips the question.

    Raises:
        UsageError: There is no terminal for the question.
        Abort: The answer is no.
    """
    if yes:
        return
    if not at_terminal():
        raise UsageError("this cannot be undone, and there is no terminal for a confirmation; add --yes to confirm")
    typer.confirm(one_line(question), abort=True, err=True)


def at_terminal() -> bool:
    """Return whether stdin is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()
