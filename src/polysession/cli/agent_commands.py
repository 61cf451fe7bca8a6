"""`polysession agents ...`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from polysession import Agent
from polysession.cli.confirm import confirm
from polysession.cli.invocation import Invocation
from polysession.cli.json_output import age
from polysession.cli.listing import show_deleted, show_list, show_record
from polysession.cli.options import Limit, NativeJson, PageSize, Raw, Yes
from polysession.cli.parsing import change, check_changes, native_body
from polysession.cli.register import command
from polysession.plugins import load_provider

agents: Final = typer.Typer(
    help="Create, read, change, archive and delete agents.", no_args_is_help=True, rich_markup_mode=None
)

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="Id of the agent.")]


@command(agents, "list", writes="agent")
def list_agents(
    invocation: Invocation,
    *,
    limit: Limit = None,
    page_size: PageSize = None,
    raw: Raw = False,
) -> None:
    """List agents, newest first.

    Example: polysession agents list
    """
    with invocation.client() as client:
        found = client.agents.list(limit=limit, page_size=page_size)
        show_list(invocation.output, client, "agents", found, ("id", "model", "age", "name"), _row, raw=raw)


@command(agents, "get", writes="agent")
def get_agent(
    invocation: Invocation,
    agent: AgentArgument,
    *,
    raw: Raw = False,
) -> None:
    """Show an agent.

    Example: polysession agents get agent_123
    """
    with invocation.client() as client:
        show_record(invocation.output, client.agents.get(agent), raw=raw)


@command(agents, "create", writes="agent")
def create_agent(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the agent.")],
    *,
    model: Annotated[str | None, typer.Option(metavar="ID", help="Use this model.")] = None,
    system_prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="Set the system prompt.")] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="Set the description.")] = None,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Create an agent.

    Example: polysession agents create helper --model ultimate
    """
    with invocation.client() as client:
        native = native_body(native_json, load_provider(client.provider).new_agent_type, client.provider)
        created = client.agents.create(
            name=name, model=model, system_prompt=system_prompt, description=description, native=native
        )
        show_record(invocation.output, created, raw=raw)


@command(agents, "update", writes="agent")
def update_agent(
    invocation: Invocation,
    agent: AgentArgument,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Set the name.")] = None,
    model: Annotated[str | None, typer.Option(metavar="ID", help="Set the model.")] = None,
    system_prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Set the system prompt; or --clear-system-prompt.")
    ] = None,
    clear_system_prompt: Annotated[bool, typer.Option("--clear-system-prompt")] = False,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Set the description; or --clear-description.")
    ] = None,
    clear_description: Annotated[bool, typer.Option("--clear-description")] = False,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Change the given fields of an agent. Other fields stay.

    Example: polysession agents update agent_123 --system-prompt "Be brief."
    """
    fields = {
        "name": change("name", name),
        "model": change("model", model),
        "system_prompt": change("system-prompt", system_prompt, clear=clear_system_prompt),
        "description": change("description", description, clear=clear_description),
    }
    changes = check_changes(fields, native_json)
    with invocation.client() as client:
        native = native_body(native_json, load_provider(client.provider).agent_changes_type, client.provider)
        changed = client.agents.update(agent, **changes, native=native)
        show_record(invocation.output, changed, raw=raw)


@command(agents, "archive", writes="agent")
def archive_agent(invocation: Invocation, agent: AgentArgument, *, raw: Raw = False) -> None:
    """Archive an agent (new sessions cannot use it).

    Example: polysession agents archive agent_123
    """
    with invocation.client() as client:
        show_record(invocation.output, client.agents.archive(agent), raw=raw)


@command(agents, "delete", writes=("provider", "agent_id", "deleted"))
def delete_agent(invocation: Invocation, agent: AgentArgument, *, yes: Yes = False) -> None:
    """Delete an agent permanently. Some backends delete its sessions too.

    Example: polysession agents delete agent_123 --yes
    """
    confirm(f"Delete agent {agent} permanently?", yes=yes)
    with invocation.client() as client:
        client.agents.delete(agent)
        show_deleted(invocation.output, client, "agent_id", agent)


def _row(agent: Agent) -> tuple[str, ...]:
    return (agent.id, agent.model or "", age(agent.created_at), agent.name)
