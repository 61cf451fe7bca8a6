"""`polysession sessions ...`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from polysession import Session, SessionStatus
from polysession.cli.confirm import confirm
from polysession.cli.invocation import Invocation
from polysession.cli.json_output import age
from polysession.cli.listing import show_deleted, show_list, show_record
from polysession.cli.new_session import create_with_defaults
from polysession.cli.options import (
    AgentId,
    Credential,
    EnvironmentId,
    Limit,
    ModelName,
    ModelParameters,
    ModelType,
    NativeJson,
    PageSize,
    Raw,
    SessionId,
    Yes,
)
from polysession.cli.parsing import capabilities, change, check_changes, model_config, moment, native_body, pairs
from polysession.cli.register import command
from polysession.errors import UsageError
from polysession.plugins import load_provider

sessions: Final = typer.Typer(
    help="Create, read, change, cancel and delete sessions.", no_args_is_help=True, rich_markup_mode=None
)


@command(sessions, "list", writes="session")
def list_sessions(
    invocation: Invocation,
    *,
    agent: Annotated[str | None, typer.Option(metavar="ID", help="Keep sessions of this agent.")] = None,
    status: Annotated[
        list[SessionStatus] | None,
        typer.Option(metavar="STATUS", help=f"Keep this status: {', '.join(SessionStatus)}. Repeatable."),
    ] = None,
    title_contains: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Keep titles that contain this text.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Keep sessions with this tag. Repeatable.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Keep sessions with this metadata. Repeatable.")
    ] = None,
    created_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Keep newer sessions (ISO 8601); or --created-before.")
    ] = None,
    created_before: Annotated[str | None, typer.Option(metavar="TIME")] = None,
    include_archived: Annotated[bool, typer.Option("--include-archived", help="List archived sessions too.")] = False,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="List the oldest first.")] = False,
    limit: Limit = None,
    page_size: PageSize = None,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """List sessions, newest first.

    Example: polysession sessions list --status idle --limit 20
    """
    with invocation.client() as client:
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
            limit=limit,
            page_size=page_size,
            native=native,
        )
        show_list(invocation.output, client, "sessions", found, ("id", "status", "age", "title"), _row, raw=raw)


@command(sessions, "get", writes="session")
def get_session(invocation: Invocation, session: SessionId, *, raw: Raw = False) -> None:
    """Show a session.

    Example: polysession sessions get sess_123 --json
    """
    with invocation.client() as client:
        show_record(invocation.output, client.sessions.get(session), raw=raw)


@command(sessions, "create", writes="session")
def create_session(
    invocation: Invocation,
    *,
    agent: AgentId = None,
    environment: EnvironmentId = None,
    workspace: Annotated[str | None, typer.Option(metavar="ID", help="Use this workspace.")] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Set the title.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Set a metadata key. Repeatable.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Add a tag. Repeatable.")] = None,
    capability: Annotated[
        list[str] | None, typer.Option(metavar="REF[=JSON]", help="Add a capability of the agent. Repeatable.")
    ] = None,
    model: ModelName = None,
    model_type: ModelType = None,
    credential: Credential = None,
    model_parameters: ModelParameters = None,
    permission_mode: Annotated[
        str | None, typer.Option(metavar="MODE", help="Choose how tool calls are approved.")
    ] = None,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Create a session. Defaults come from the profile's `new_session`.

    Example: polysession sessions create --agent agent_1 --title "Ticket 42"
    """
    with invocation.connect() as (client, emulator):
        created = create_with_defaults(
            invocation,
            client,
            emulator,
            agent=agent,
            environment=environment,
            workspace=workspace,
            title=title,
            metadata=pairs(metadata, "--metadata") or None,
            tags=tag or None,
            capabilities=capabilities(capability),
            model=model_config(model, model_type, credential, model_parameters),
            permission_mode=permission_mode,
            native=native_body(native_json, load_provider(client.provider).new_session_type, client.provider),
        )
        show_record(invocation.output, created, raw=raw)


@command(sessions, "update", writes="session")
def update_session(
    invocation: Invocation,
    session: SessionId,
    *,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Set the title; or --clear-title.")] = None,
    clear_title: Annotated[bool, typer.Option("--clear-title")] = False,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Set a key; or --remove-metadata, --clear-metadata."),
    ] = None,
    remove_metadata: Annotated[list[str] | None, typer.Option(metavar="KEY")] = None,
    clear_metadata: Annotated[bool, typer.Option("--clear-metadata")] = False,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Replace all tags; or --add-tag, --remove-tag, --clear-tags."),
    ] = None,
    add_tag: Annotated[list[str] | None, typer.Option(metavar="TAG")] = None,
    remove_tag: Annotated[list[str] | None, typer.Option(metavar="TAG")] = None,
    clear_tags: Annotated[bool, typer.Option("--clear-tags")] = False,
    model: Annotated[str | None, typer.Option(metavar="ID", help="Set the model; or --clear-model.")] = None,
    model_type: ModelType = None,
    credential: Credential = None,
    model_parameters: ModelParameters = None,
    clear_model: Annotated[bool, typer.Option("--clear-model")] = False,
    permission_mode: Annotated[
        str | None, typer.Option(metavar="MODE", help="Set the mode; or --clear-permission-mode.")
    ] = None,
    clear_permission_mode: Annotated[bool, typer.Option("--clear-permission-mode")] = False,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Change the given fields of a session. Other fields stay.

    Example: polysession sessions update sess_123 --title Done
    """
    new_model = model_config(model, model_type, credential, model_parameters)
    patch = _metadata_patch(metadata, remove_metadata)
    fields = {
        "title": change("title", title, clear=clear_title),
        "metadata": change("metadata", patch or None, clear=clear_metadata),
        "tags": change("tags", tag or None, clear=clear_tags),
        "model": change("model", new_model, clear=clear_model),
        "permission_mode": change("permission-mode", permission_mode, clear=clear_permission_mode),
    }
    edits: dict[str, Any] = {"add_tags": tuple(add_tag or ()), "remove_tags": tuple(remove_tag or ())}
    changes = check_changes(fields, native_json, *edits.values())
    with invocation.client() as client:
        native = native_body(native_json, load_provider(client.provider).session_changes_type, client.provider)
        changed = client.sessions.update(session, **changes, **edits, native=native)
        show_record(invocation.output, changed, raw=raw)


@command(sessions, "archive", writes="session")
def archive_session(invocation: Invocation, session: SessionId, *, raw: Raw = False) -> None:
    """Archive a session (it becomes read-only).

    Example: polysession sessions archive sess_123
    """
    with invocation.client() as client:
        show_record(invocation.output, client.sessions.archive(session), raw=raw)


@command(sessions, "delete", writes=("provider", "session_id", "deleted"))
def delete_session(
    invocation: Invocation,
    session: SessionId,
    *,
    yes: Yes = False,
) -> None:
    """Delete a session permanently.

    Example: polysession sessions delete sess_123 --yes
    """
    confirm(f"Delete session {session} permanently?", yes=yes)
    with invocation.client() as client:
        client.sessions.delete(session)
        show_deleted(invocation.output, client, "session_id", session)


@command(sessions, "cancel", writes=("provider", "session_id", "state", "problems", "raw"))
def cancel_session(invocation: Invocation, session: SessionId, *, raw: Raw = False) -> None:
    """Cancel the running turn of a session. The session remains.

    Example: polysession sessions cancel sess_123
    """
    from polysession.cli.event_text import cancellation_text  # noqa: PLC0415  (help needs no events)

    with invocation.client() as client:
        answer = client.sessions.cancel(session)
    if invocation.json:
        invocation.output.json(answer.model_dump(mode="json", exclude=None if raw else {"raw"}))
    else:
        invocation.output.text(cancellation_text(answer))


def _metadata_patch(given: list[str] | None, removed: list[str] | None) -> dict[str, str | None]:
    patch: dict[str, str | None] = dict(pairs(given, "--metadata"))
    for key in removed or ():
        if patch.get(key) is not None:
            raise UsageError(f"metadata {key!r} is both set and removed; give only one of them")
        patch[key] = None
    return patch


def _row(session: Session) -> tuple[str, ...]:
    return (session.id, session.status.value, age(session.updated_at or session.created_at), session.title or "")
