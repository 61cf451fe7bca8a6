"""The `polysession` command. Needs the extra `polysession[cli]`; its emulators need `polysession[emulator]`."""

from __future__ import annotations

import io
import os
import signal
import sys

from polysession._version import __version__

_FAILED = 1
_USAGE = 2
_INTERRUPTED = 130
_TERMINATED = 143


def main() -> None:
    """Run the command. The version is printed before anything else is imported."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  (open until the process ends)
    if sys.stdout is None:
        sys.stderr.write("polysession: standard output is closed\n")
        sys.exit(_FAILED)
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"polysession {__version__}\n")
        return
    try:
        from polysession.cli.app import run  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"polysession: the command needs {error.name!r}. Install it with: pip install 'polysession[all]'\n"
        )
        sys.exit(_USAGE)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an encoding that lacks a character must not end a command
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())


def _terminate(*_: object) -> None:
    """End the command after SIGTERM like after Ctrl-C: connections are closed, and it shows what continues."""
    sys.exit(_TERMINATED)
