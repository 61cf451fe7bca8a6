"""How a command fails: the exit code of each kind of error, and its one paragraph."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

from rich.text import Text

from polysession.cli.printing import printable, stderr_console
from polysession.errors import (
    AuthenticationFailed,
    Conflict,
    DeadlineExceeded,
    MalformedResponse,
    MissingCredentials,
    NotFound,
    PluginError,
    PolysessionError,
    RateLimited,
    ServerError,
    StatusError,
    TransportError,
    UnexpectedRedirect,
    UnsupportedOperation,
    UsageError,
)


class ExitCode(IntEnum):
    """What the command's exit status says."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNSUPPORTED = 3
    NOT_AUTHORISED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    REFUSED = 7
    RATE_LIMITED = 8
    NO_CONNECTION = 9
    BACKEND_FAULT = 10
    WAIT_EXCEEDED = 11
    BROKEN_PLUGIN = 12
    TURN_NOT_COMPLETED = 13
    ACTION_REQUIRED = 14
    INTERRUPTED = 130
    NOBODY_READS = 141


_CODES: Final[Mapping[type[PolysessionError], ExitCode]] = MappingProxyType(
    {
        MissingCredentials: ExitCode.NOT_AUTHORISED,
        UnsupportedOperation: ExitCode.UNSUPPORTED,
        UsageError: ExitCode.USAGE,
        PluginError: ExitCode.BROKEN_PLUGIN,
        TransportError: ExitCode.NO_CONNECTION,
        AuthenticationFailed: ExitCode.NOT_AUTHORISED,
        NotFound: ExitCode.NOT_FOUND,
        Conflict: ExitCode.CONFLICT,
        StatusError: ExitCode.REFUSED,
        RateLimited: ExitCode.RATE_LIMITED,
        ServerError: ExitCode.BACKEND_FAULT,
        UnexpectedRedirect: ExitCode.BACKEND_FAULT,
        MalformedResponse: ExitCode.BACKEND_FAULT,
        DeadlineExceeded: ExitCode.WAIT_EXCEEDED,
    }
)


def exit_code(error: BaseException) -> ExitCode:
    """The exit code of an error: that of the nearest class that has one."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), ExitCode.FAILED)


def tell(error: Exception, *, as_json: bool, debug: bool) -> ExitCode:
    """Tell an error on stderr, and say with which status to exit."""
    code = exit_code(error)
    if debug:
        sys.stderr.write(printable("".join(traceback.format_exception(error))))
    if as_json:
        sys.stderr.write(json.dumps({"error": error_form(error)}) + "\n")
        return code
    if isinstance(error, PolysessionError):
        text = str(error)
    else:
        text = f"unexpected {type(error).__name__}: {error}. This is a defect; --debug shows where"
    stderr_console().print(Text(printable(f"polysession: {text}"), style="red"))
    return code


def error_form(error: Exception) -> dict[str, Any]:
    """An error as JSON values."""
    form: dict[str, Any] = {"kind": type(error).__name__, "exit_code": int(exit_code(error)), "message": str(error)}
    names = ("provider", "operation", "status", "code", "request_id", "retryable", "outcome_unknown", "already_done")
    return form | {name: getattr(error, name, None) for name in names}


def forget_stdout() -> None:
    """Send what is still to be written to nowhere, so that the interpreter's last flush does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
