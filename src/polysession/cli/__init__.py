"""The `polysession` command. Needs the extra `polysession[cli]`; its emulators need `polysession[emulator]`."""

from __future__ import annotations

import io
import os
import sys

from polysession._version import __version__

_FAILED = 1
_USAGE = 2
_INTERRUPTED = 130


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
        from polysession.cli.app import end_on_sigterm, run  # noqa: PLC0415  (an extra)
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
    end_on_sigterm()
    sys.exit(run())
