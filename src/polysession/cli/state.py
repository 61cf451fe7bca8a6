"""Files that the command keeps between runs: the last session of each client, and the history of `chat`.

They are in the folder `polysession` of `$XDG_STATE_HOME`, by default `~/.local/state`. Only their owner can read them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from polysession import Session, SessionRef
from polysession.errors import UsageError

if TYPE_CHECKING:
    from polysession import Client

_SESSIONS: Final = "last_sessions.json"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of these files; create it if needed.

    Raises:
        OSError: The folder cannot be created.
    """
    given = Path(environ.get("XDG_STATE_HOME") or "")
    folder = (given if given.is_absolute() else Path("~/.local/state").expanduser()) / "polysession"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def remember_session(client: Client, profile: str, session: Session, environ: Mapping[str, str]) -> None:
    """Store the address of a session as the last session of this client.

    Args:
        client: The client that created it.
        profile: Name of the profile in use, or empty.
        session: The session.
        environ: The environment.

    Raises:
        OSError: The file cannot be written.
    """
    path = state_folder(environ) / _SESSIONS
    address = {"id": session.id, "agent_id": session.agent_id, "owner_id": session.owner_id}
    text = json.dumps(_read(path) | {_key(client, profile): address}, indent=2)
    written = path.with_suffix(f".{os.getpid()}")
    written.touch(mode=0o600)
    written.write_text(text, encoding="utf-8")
    written.replace(path)


def last_session(client: Client, profile: str, environ: Mapping[str, str]) -> SessionRef:
    """Return the address of the last session of this client. The arguments are as for `remember_session`.

    Raises:
        UsageError: No last session is known.
    """
    address = _read(state_folder(environ) / _SESSIONS).get(_key(client, profile))
    if not isinstance(address, dict):
        raise UsageError(
            "no session to continue: no earlier ask or chat used this backend and profile. Start without --continue"
        )
    return SessionRef(**address)


def _key(client: Client, profile: str) -> str:
    """Return a key of profile and client: profiles may share a backend, and a profile may change its backend."""
    return f"{profile} {client!r}"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
