"""The `polysession` command. Needs the extra `polysession[cli]`; its emulators need `polysession[emulator]`."""

from __future__ import annotations

import sys

from polysession._version import __version__

_INTERRUPTED = 130


def main() -> None:
    """Run the command. The version is told before anything else is imported."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"polysession {__version__}\n")
        return
    try:
        from polysession.cli.app import app  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        sys.exit(f"polysession: the command needs {error.name!r}. Install it with: pip install 'polysession[all]'")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    app(prog_name="polysession")
