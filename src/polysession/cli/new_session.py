"""The session of a command: an existing one, the last one, or a new one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polysession import Feature, ModelConfig, Session, SessionRef
from polysession.cli.invocation import Invocation
from polysession.cli.parsing import model_config
from polysession.cli.state import last_session, remember_session
from polysession.errors import UsageError

if TYPE_CHECKING:
    from polysession import Client
    from polysession.emulation import EmulatorHandle

Continue = Annotated[bool, typer.Option("--continue", "-c", help="Continue the last session of ask or chat.")]


@contextmanager
def open_session(
    invocation: Invocation, session: str | None, given: Mapping[str, Any], *, continues: bool
) -> Iterator[tuple[Client, Session | SessionRef]]:
    """Open a client and a session.

    Args:
        invocation: The common options.
        session: Id of an existing session, or None.
        given: Options of a new session. An omitted option gets its default.
        continues: Whether to continue the last session.

    Raises:
        UsageError: The options contradict each other, or no last session is known.
        PolysessionError: The backend refuses.
    """
    if continues and (session or invocation.emulated):
        raise UsageError("--continue cannot be combined with --session or --emulated")
    if (continues or session) and any(given.values()):
        raise UsageError("--agent, --environment and --model are only for new sessions; remove them")
    with invocation.connect() as (client, emulator):
        if session is not None:
            yield client, client.sessions.get(session)
        elif continues:
            yield client, last_session(client, _profile_name(invocation), os.environ)
        else:
            created = create_with_defaults(invocation, client, emulator, **given)
            if emulator is None:
                _remember(invocation, client, created)
            yield client, created


def create_with_defaults(
    invocation: Invocation, client: Client, emulator: EmulatorHandle | None, **given: Any
) -> Session:
    """Create a session. An omitted option gets its default."""
    defaults = _emulator_defaults(client, emulator) if emulator is not None else _profile_defaults(invocation)
    options = {name: value for name, value in given.items() if value is not None}
    return client.sessions.create(**{**defaults, **options})


def _emulator_defaults(client: Client, emulator: EmulatorHandle) -> dict[str, str | ModelConfig | None]:
    model = emulator.model if client.supports(Feature.SESSIONS_UPDATE_MODEL) else None
    return {"agent": emulator.agent_id, "environment": emulator.environment_id, "model": model}


def _profile_defaults(invocation: Invocation) -> dict[str, str | ModelConfig | None]:
    profile = invocation.chosen_profile()
    if profile is None:
        return {}
    values = profile.new_session
    model = model_config(values.get("model"), values.get("model_type"), values.get("credential"), None)
    return {"agent": values.get("agent"), "environment": values.get("environment"), "model": model}


def _remember(invocation: Invocation, client: Client, session: Session) -> None:
    if invocation.output.notes.is_terminal:
        invocation.output.note(f"session {session.id}")
    try:
        remember_session(client, _profile_name(invocation), session, os.environ)
    except OSError as error:
        invocation.output.note(f"polysession: warning: --continue will not find this session: {error}", "yellow")


def _profile_name(invocation: Invocation) -> str:
    profile = invocation.chosen_profile()
    return profile.name if profile else ""
