"""`polysession sessions ...`."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Annotated, Final

import typer

from polysession import UNSET, Feature, Session, SessionStatus
from polysession.cli.invocation import Invocation, command
from polysession.cli.json_output import age, record_json, session_fields
from polysession.cli.parsing import (
    capabilities,
    model_config,
    moment,
    native_body,
    pairs,
)
from polysession.cli.printing import Output, one_line
from polysession.errors import UsageError
from polysession.plugins import load_provider

sessions: Final = typer.Typer(
    help="Create, read, change and end sessions.", no_args_is_help=True, rich_markup_mode=None
)

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Id of the session.")]
Raw = Annotated[bool, typer.Option("--raw", help="With --json: the backend's own object too, as `raw`.")]
NativeJson = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="Further fields in the backend's own words: JSON, @FILE, or - for stdin."),
]
ModelName = Annotated[str | None, typer.Option(metavar="NAME", help="The model, as the backend calls it.")]
ModelType = Annotated[
    str | None, typer.Option(metavar="KIND", help="Kind of access to the model, where the backend has kinds.")
]
Credential = Annotated[
    str | None, typer.Option(metavar="CREDENTIAL", help="Id of the model's credential, where the backend has such.")
]
ModelParameters = Annotated[str | None, typer.Option(metavar="JSON", help="Settings of the model.")]


@command(sessions, "list")
def list_sessions(
    invocation: Invocation,
    *,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only sessions of this agent.")] = None,
    status: Annotated[
        list[SessionStatus] | None,
        typer.Option(metavar="STATUS", help=f"Only those that are one of: {', '.join(SessionStatus)}. Repeatable."),
    ] = None,
    title_contains: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only sessions with this text in their title.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Only sessions with this tag; repeatable.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only sessions with this metadata; repeatable.")
    ] = None,
    created_after: Annotated[str | None, typer.Option(metavar="TIME", help="ISO 8601; without a zone, UTC.")] = None,
    created_before: Annotated[str | None, typer.Option(metavar="TIME", help="Likewise.")] = None,
    include_archived: Annotated[bool, typer.Option("--include-archived", help="Archived sessions too.")] = False,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="The other way round.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after so many sessions; else all are read.")
    ] = None,
    page_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="Sessions in each request.")] = None,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """List sessions, newest first.

    Example: polysession sessions list --provider qoder --status idle --limit 20
    """
    output = invocation.output
    with invocation.client() as client, output.counting("sessions", prints=output.as_json) as counter:
        native = native_body(native_json, load_provider(client.provider).session_query_type, client.provider)
        found = client.sessions.list(
            agent=agent,
            statuses=tuple(status or ()),
            title_contains=title_contains,
            tags=tuple(tag or ()),
            metadata=pairs(metadata, "--metadata") or None,
            created_after=moment(created_after, "--created-after"),
            created_before=moment(created_before, "--created-before"),
            include_archived=include_archived,
            oldest_first=oldest_first,
            page_size=page_size,
            native=native,
        )
        shown = counter.over(islice(found, limit))
        if output.as_json:
            for session in shown:
                output.json(record_json(session, raw=raw))
            return
        rows = [_row(session) for session in shown]
    output.table(("id", "status", "age", "title"), rows)


@command(sessions, "get")
def get_session(invocation: Invocation, session: SessionId, *, raw: Raw = False) -> None:
    """Show a session.

    Example: polysession sessions get sess_123 --provider qoder --json
    """
    with invocation.client() as client:
        _show(invocation.output, client.sessions.get(session), raw=raw)


@command(sessions, "create")
def create_session(
    invocation: Invocation,
    *,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Id of the agent to talk to.")] = None,
    environment: Annotated[
        str | None, typer.Option(metavar="ENVIRONMENT", help="Id of the environment that tools run in.")
    ] = None,
    workspace: Annotated[str | None, typer.Option(metavar="WORKSPACE", help="Id of the workspace to work on.")] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Label for people.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Repeatable.")] = None,
    capability: Annotated[
        list[str] | None, typer.Option(metavar="REF[=JSON]", help="An ability, and its configuration; repeatable.")
    ] = None,
    model: ModelName = None,
    model_type: ModelType = None,
    credential: Credential = None,
    model_parameters: ModelParameters = None,
    permission_mode: Annotated[str | None, typer.Option(metavar="MODE", help="How tool calls are approved.")] = None,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Create a session. With --emulated, what is not given is filled in with what the emulator has.

    Example: polysession sessions create --provider qoder --agent agent_1 --environment env_1 --title "Ticket 42"
    """
    with invocation.connect() as (client, emulator):
        chosen_model = model_config(model, model_type, credential, model_parameters)
        if emulator is not None:
            agent, environment = agent or emulator.agent_id, environment or emulator.environment_id
            if chosen_model is None and client.supports(Feature.SESSIONS_UPDATE_MODEL):
                chosen_model = emulator.model
        made = client.sessions.create(
            agent=agent,
            environment=environment,
            workspace=workspace,
            title=title,
            metadata=pairs(metadata, "--metadata") or None,
            tags=tag or None,
            capabilities=capabilities(capability),
            model=chosen_model,
            permission_mode=permission_mode,
            native=native_body(native_json, load_provider(client.provider).new_session_type, client.provider),
        )
        _show(invocation.output, made, raw=raw)


@command(sessions, "update")
def update_session(
    invocation: Invocation,
    session: SessionId,
    *,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Set the title.")] = None,
    clear_title: Annotated[bool, typer.Option("--clear-title", help="Remove the title.")] = False,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Set a key, and leave the others; repeatable.")
    ] = None,
    remove_metadata: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Remove a key; repeatable.")] = None,
    clear_metadata: Annotated[bool, typer.Option("--clear-metadata", help="Remove every key.")] = False,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Replace all tags by these; repeatable.")] = None,
    add_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Add to the tags; repeatable.")] = None,
    remove_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Take from the tags; repeatable.")] = None,
    clear_tags: Annotated[bool, typer.Option("--clear-tags", help="Remove every tag.")] = False,
    model: ModelName = None,
    model_type: ModelType = None,
    credential: Credential = None,
    model_parameters: ModelParameters = None,
    clear_model: Annotated[bool, typer.Option("--clear-model", help="Remove the model.")] = False,
    permission_mode: Annotated[
        str | None, typer.Option(metavar="MODE", help="Set how tool calls are approved.")
    ] = None,
    clear_permission_mode: Annotated[
        bool, typer.Option("--clear-permission-mode", help="Remove the permission mode.")
    ] = False,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Change what is given, and leave the rest alone.

    Example: polysession sessions update sess_123 --provider qoder --title Done --remove-metadata team
    """
    new_model = model_config(model, model_type, credential, model_parameters)
    patch = _metadata_patch(metadata, remove_metadata)
    changes = {
        "title": _change("title", title, clear=clear_title),
        "metadata": _change("metadata", patch or None, clear=clear_metadata),
        "tags": _change("tags", tag or None, clear=clear_tags),
        "model": _change("model", new_model, clear=clear_model),
        "permission_mode": _change("permission-mode", permission_mode, clear=clear_permission_mode),
    }
    wanted = {name: value for name, value in changes.items() if value is not UNSET}
    edits = {"add_tags": tuple(add_tag or ()), "remove_tags": tuple(remove_tag or ())}
    if not wanted and not any(edits.values()) and native_json is None:
        raise UsageError("nothing to change: give at least one option that says what")
    with invocation.client() as client:
        native = native_body(native_json, load_provider(client.provider).session_changes_type, client.provider)
        changed = client.sessions.update(session, **wanted, **edits, native=native)  # type: ignore[arg-type]
        _show(invocation.output, changed, raw=raw)


@command(sessions, "archive")
def archive_session(invocation: Invocation, session: SessionId, *, raw: Raw = False) -> None:
    """Put a session away: readable, closed to new work.

    Example: polysession sessions archive sess_123 --provider qoder
    """
    with invocation.client() as client:
        _show(invocation.output, client.sessions.archive(session), raw=raw)


@command(sessions, "delete")
def delete_session(
    invocation: Invocation,
    session: SessionId,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Only a terminal is asked.")] = False,
) -> None:
    """Delete a session for good.

    Example: polysession sessions delete sess_123 --provider qoder --yes
    """
    if not yes and at_terminal():
        typer.confirm(f"Delete session {one_line(session)} for good?", abort=True, err=True)
    with invocation.client() as client:
        client.sessions.delete(session)
        if invocation.json:
            invocation.output.json({"provider": client.provider, "session_id": session, "deleted": True})
        else:
            invocation.output.text(f"deleted {session}")


@command(sessions, "cancel")
def cancel_session(invocation: Invocation, session: SessionId, *, raw: Raw = False) -> None:
    """Stop the turn that is running. The session stays.

    Example: polysession sessions cancel sess_123 --provider qoder
    """
    with invocation.client() as client:
        answer = client.sessions.cancel(session)
    if invocation.json:
        invocation.output.json(answer.model_dump(mode="json", exclude=None if raw else {"raw"}))
    else:
        invocation.output.text(answer.state.value.replace("_", " "))


def at_terminal() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty()


def _metadata_patch(given: list[str] | None, removed: list[str] | None) -> dict[str, str | None]:
    patch: dict[str, str | None] = dict(pairs(given, "--metadata"))
    for key in removed or ():
        if patch.get(key) is not None:
            raise UsageError(f"metadata {key!r} is both set and removed; give one of the two")
        patch[key] = None
    return patch


def _change(name: str, value: object, *, clear: bool) -> object:
    """The trio of an update: a value, None to clear, or `UNSET`."""
    if clear and value is not None:
        raise UsageError(f"--clear-{name} removes what another option sets; give one of the two")
    if clear:
        return None
    return UNSET if value is None else value


def _show(output: Output, session: Session, *, raw: bool) -> None:
    if output.as_json:
        output.json(record_json(session, raw=raw))
    else:
        output.fields(session_fields(session))


def _row(session: Session) -> tuple[str, ...]:
    return (session.id, session.status.value, age(session.updated_at or session.created_at), session.title or "")
