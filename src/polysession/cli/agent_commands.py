"""`polysession agents ...`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from polysession import Agent
from polysession.cli.invocation import Invocation
from polysession.cli.json_output import age
from polysession.cli.listing import show_list, show_record
from polysession.cli.options import Limit, NativeJson, PageSize, Raw
from polysession.cli.parsing import native_body
from polysession.cli.register import command
from polysession.plugins import load_provider

agents: Final = typer.Typer(help="Create and read agents.", no_args_is_help=True, rich_markup_mode=None)


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
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Id of the agent.")],
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
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    *,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Id of the model that answers.")] = None,
    system_prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="Instructions for the model.")] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="Its purpose, for people.")] = None,
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


def _row(agent: Agent) -> tuple[str, ...]:
    return (agent.id, agent.model or "", age(agent.created_at), agent.name)
