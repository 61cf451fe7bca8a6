"""`polysession environments ...` and `polysession models ...`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from polysession import Environment, Model
from polysession.cli.invocation import Invocation
from polysession.cli.json_output import age
from polysession.cli.listing import show_list, show_record
from polysession.cli.options import Limit, NativeJson, PageSize, Raw
from polysession.cli.parsing import native_body, pairs
from polysession.cli.register import command
from polysession.plugins import load_provider

environments: Final = typer.Typer(help="Create and read environments.", no_args_is_help=True, rich_markup_mode=None)
models: Final = typer.Typer(help="List models.", no_args_is_help=True, rich_markup_mode=None)


@command(environments, "list", writes="environment")
def list_environments(
    invocation: Invocation, *, limit: Limit = None, page_size: PageSize = None, raw: Raw = False
) -> None:
    """List the environments that sessions can run in.

    Example: polysession environments list
    """
    with invocation.client() as client:
        found = client.environments.list(limit=limit, page_size=page_size)
        show_list(invocation.output, client, "environments", found, ("id", "age", "name"), _environment_row, raw=raw)


@command(environments, "get", writes="environment")
def get_environment(
    invocation: Invocation,
    environment: Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Id of the environment.")],
    *,
    raw: Raw = False,
) -> None:
    """Show an environment.

    Example: polysession environments get env_123
    """
    with invocation.client() as client:
        show_record(invocation.output, client.environments.get(environment), raw=raw)


@command(environments, "create", writes="environment")
def create_environment(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the environment.")],
    *,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="Set the description.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Set a metadata key. Repeatable.")
    ] = None,
    native_json: NativeJson = None,
    raw: Raw = False,
) -> None:
    """Create an environment.

    Example: polysession environments create sandbox
    """
    with invocation.client() as client:
        native = native_body(native_json, load_provider(client.provider).new_environment_type, client.provider)
        created = client.environments.create(
            name=name, description=description, metadata=pairs(metadata, "--metadata") or None, native=native
        )
        show_record(invocation.output, created, raw=raw)


@command(models, "list", writes="model")
def list_models(invocation: Invocation, *, limit: Limit = None, page_size: PageSize = None, raw: Raw = False) -> None:
    """List the models that sessions and agents can use.

    Example: polysession models list
    """
    with invocation.client() as client:
        found = client.models.list(limit=limit, page_size=page_size)
        headings = ("id", "type", "credential", "default", "name")
        show_list(invocation.output, client, "models", found, headings, _model_row, raw=raw)


def _environment_row(environment: Environment) -> tuple[str, ...]:
    return (environment.id, age(environment.created_at), environment.name)


def _model_row(model: Model) -> tuple[str, ...]:
    default = "yes" if model.is_default else ""
    return (model.id, model.type or "", model.credential_id or "", default, model.name or "")
