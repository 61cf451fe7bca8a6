"""`polysession agents ...`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final

import typer

from polysession import Agent
from polysession.cli.invocation import Invocation, command
from polysession.cli.json_output import age, agent_fields, record_json
from polysession.cli.parsing import native_body
from polysession.cli.printing import Output
from polysession.cli.session_commands import NativeJson, Raw
from polysession.plugins import load_provider

agents: Final = typer.Typer(help="Create and read agents.", no_args_is_help=True, rich_markup_mode=None)


@command(agents, "list")
def list_agents(
    invocation: Invocation,
    *,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after so many agents; else all are read.")
    ] = None,
    page_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="Agents in each request.")] = None,
    raw: Raw = False,
) -> None:
    """List agents, newest first.

    Example: polysession agents list --provider qoder --emulated
    """
    output = invocation.output
    with invocation.client() as client, output.counting("agents", prints=output.as_json) as counter:
        shown = counter.over(islice(client.agents.list(page_size=page_size), limit))
        if output.as_json:
            for agent in shown:
                output.json(record_json(agent, raw=raw))
            return
        rows = [(agent.id, agent.model or "", age(agent.created_at), agent.name) for agent in shown]
    output.table(("id", "model", "age", "name"), rows)


@command(agents, "get")
def get_agent(
    invocation: Invocation,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Id of the agent.")],
    *,
    raw: Raw = False,
) -> None:
    """Show an agent.

    Example: polysession agents get agent_123 --provider qoder
    """
    with invocation.client() as client:
        _show(invocation.output, client.agents.get(agent), raw=raw)


@command(agents, "create")
def create_agent(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    *,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Id of the model that answers.")] = None,
    system_prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What precedes every conversation.")] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Create an agent.

    Example: polysession agents create helper --provider qoder --model ultimate
    """
    with invocation.client() as client:
        native = native_body(native_json, load_provider(client.provider).new_agent_type, client.provider)
        made = client.agents.create(
            name=name, model=model, system_prompt=system_prompt, description=description, native=native
        )
        _show(invocation.output, made, raw=raw)


def _show(output: Output, agent: Agent, *, raw: bool) -> None:
    if output.as_json:
        output.json(record_json(agent, raw=raw))
    else:
        output.fields(agent_fields(agent))
