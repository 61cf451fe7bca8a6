"""What several of the calls to Everruns share.

Backend: https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from polysession.provider_api import SessionRef, UsageError, path_segment


def session_path(ref: SessionRef) -> str:
    """Path of a session."""
    return f"/v1/sessions/{path_segment(ref.id, 'session id')}"


def cursor_number(cursor: str) -> int:
    """The number in a list's cursor.

    Raises:
        UsageError: It is none.
    """
    if not (cursor.isascii() and cursor.isdecimal()):
        raise UsageError(f"{cursor!r} is not a cursor of this list")
    return int(cursor)
