"""Errors of the command: the exit status of each kind, and its message."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

from rich.text import Text

from polysession.cli.printing import printable, stderr_console
from polysession.errors import (
    ActionRequiredError,
    AuthenticationFailed,
    Conflict,
    ConnectError,
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
    TurnCancelled,
    TurnFailed,
    TurnLimitReached,
    UnexpectedRedirect,
    UnsupportedOperation,
    UsageError,
)


class ExitCode(IntEnum):
    """Exit statuses of the command."""

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
    SERVER_ERROR = 10
    DEADLINE_EXCEEDED = 11
    BROKEN_PLUGIN = 12
    TURN_NOT_COMPLETED = 13
    ACTION_REQUIRED = 14
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


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
        ServerError: ExitCode.SERVER_ERROR,
        UnexpectedRedirect: ExitCode.SERVER_ERROR,
        MalformedResponse: ExitCode.SERVER_ERROR,
        DeadlineExceeded: ExitCode.DEADLINE_EXCEEDED,
        TurnFailed: ExitCode.TURN_NOT_COMPLETED,
        TurnCancelled: ExitCode.TURN_NOT_COMPLETED,
        TurnLimitReached: ExitCode.TURN_NOT_COMPLETED,
        ActionRequiredError: ExitCode.ACTION_REQUIRED,
    }
)


_EXAMINED: Final = (AuthenticationFailed, ConnectError, UnexpectedRedirect)
"""Errors with a cause that `polysession doctor` finds."""

_PYTHON_CALL: Final = re.compile(r"(?:native=)?\b([A-Z]\w+)\((\w+=[^()]*)\)")
_PYTHON_ARGUMENT: Final = re.compile(r"\b(agent|environment|workspace|model)=(?:\.\.\.|(?=[\s,;]))")
_MODEL_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"id": "--model", "type": "--model-type", "credential_id": "--credential", "parameters": "--model-parameters"}
)


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code of an error: the exit code of its nearest base class that has one."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), ExitCode.FAILED)


def report(error: Exception, *, as_json: bool, debug: bool) -> ExitCode:
    """Write an error to stderr; return the exit status."""
    code = exit_code(error)
    if debug:
        sys.stderr.write(printable("".join(traceback.format_exception(error))))
    if as_json:
        sys.stderr.write(json.dumps({"error": error_form(error)}) + "\n")
        return code
    if isinstance(error, UsageError):
        text = in_options(str(error))
    elif isinstance(error, PolysessionError):
        text = str(error) + (". Run polysession doctor to find the cause" if isinstance(error, _EXAMINED) else "")
    elif isinstance(error, OSError):  # such as a full disk, a port in use or a missing file
        text = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    else:
        text = f"unexpected {type(error).__name__}: {error}. This is a bug in polysession; --debug prints the traceback"
    stderr_console().print(Text(printable(f"polysession: {text}"), style="red"))
    return code


def in_options(text: str) -> str:
    """Return a message that names the command's options instead of Python arguments."""
    return _PYTHON_ARGUMENT.sub(r"--\1 ...", _PYTHON_CALL.sub(_as_options, text))


def _as_options(call: re.Match[str]) -> str:
    """Return the options for a model, or for a native body."""
    arguments = [argument.partition("=") for argument in call[2].split(", ")]
    if call[1] == "ModelConfig":
        return " ".join(f"{_MODEL_OPTIONS.get(name, name)} {value.strip(chr(39))}" for name, _, value in arguments)
    fields = ", ".join(f'"{name}": {value}' for name, _, value in arguments)
    return f"--native-json '{{{fields}}}'"


def error_form(error: Exception) -> dict[str, Any]:
    """Return an error as JSON values."""
    text = in_options(str(error)) if isinstance(error, UsageError) else str(error)
    form: dict[str, Any] = {"kind": type(error).__name__, "exit_code": int(exit_code(error)), "message": text}
    names = ("provider", "operation", "status", "code", "request_id", "retryable", "outcome_unknown", "already_done")
    return form | {name: getattr(error, name, None) for name in names}


def discard_output() -> None:
    """Discard output that stdout cannot write, so that the interpreter's last flush does not fail."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
