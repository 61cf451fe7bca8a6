"""Findings of `polysession doctor`, and its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """State of a finding."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. It holds no secret.

    Attributes:
        check: Name of the check.
        state: Whether something is wrong.
        message: Description of the result.
        fix: How to fix the problem; empty without a problem.
    """

    check: str
    state: State
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class DoctorTarget:
    """The target of `doctor`.

    Attributes:
        provider: Provider name, if one was given.
        profile: Profile name, if one was given.
        given: Settings from the arguments.
        environ: The environment.
        direct: Whether to use no proxy, because the backend is an emulator on this machine.
    """

    provider: str | None
    profile: str | None
    given: Mapping[str, Any]
    environ: Mapping[str, str]
    direct: bool = False
