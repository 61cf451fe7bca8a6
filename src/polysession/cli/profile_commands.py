"""`polysession profiles ...`."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

import typer

from polysession.cli.invocation import Invocation
from polysession.cli.options import (
    AgentId,
    Credential,
    EnvironmentId,
    ModelName,
    ModelType,
    complete_profile,
    complete_provider,
)
from polysession.cli.parsing import model_config, pairs
from polysession.cli.profile_file import read_text, with_default, with_profile, write_text
from polysession.cli.register import command
from polysession.errors import MissingCredentials, PolysessionError, UsageError
from polysession.plugins import load_provider
from polysession.profiles import Profile, config_path, default_profile, find_profile, read_profiles
from polysession.settings import load_settings, secret_names

profiles: Final = typer.Typer(
    help="Manage profiles: providers with their settings.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the profile.", autocompletion=complete_profile)]


@command(
    profiles,
    "list",
    writes=("name", "provider", "default", "settings", "secrets", "new_session"),
    has_client=False,
)
def list_profiles(invocation: Invocation) -> None:
    """List the profiles of the configuration file. Secrets are not shown.

    Example: polysession profiles list
    """
    found = read_profiles(os.environ)
    default = default_profile(os.environ)
    forms = [_form(profile, is_default=default is not None and default.name == name) for name, profile in found.items()]
    output = invocation.output
    if output.as_json:
        for form in forms:
            output.json(form)
        return
    if not forms:
        output.note(f"no profiles in {config_path(os.environ)}; polysession profiles add --help shows how to add one")
        return
    rows = [
        (
            "*" if form["default"] else "",
            form["name"],
            form["provider"],
            ", ".join(f"{key}={value}" for key, value in (form["settings"] | form["new_session"]).items()),
        )
        for form in forms
    ]
    output.table(("", "name", "provider", "settings"), rows)


@command(profiles, "use", writes=("name", "provider"), has_client=False)
def use_profile(invocation: Invocation, name: Name) -> None:
    """Set the default profile. It applies without a provider or a profile.

    Example: polysession profiles use staging
    """
    profile = find_profile(name, os.environ)
    _make_default(name)
    for variable in ("POLYSESSION_PROFILE", "POLYSESSION_PROVIDER"):
        if os.environ.get(variable):
            invocation.output.note(f"{variable} is set, and overrides the default profile", "yellow")
    _show(invocation, profile, "is now the default")


@command(profiles, "add", writes=("name", "provider"), has_client=False)
def add_profile(
    invocation: Invocation,
    name: Name,
    *,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Choose the provider (required).", autocompletion=complete_provider),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Store a provider setting (no secrets). Repeatable."),
    ] = None,
    from_env: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VARIABLE", help="Read a setting from this variable. Repeatable."),
    ] = None,
    from_keyring: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=ENTRY", help="Read it from the keyring entry SERVICE/USER."),
    ] = None,
    agent: AgentId = None,
    environment: EnvironmentId = None,
    model: ModelName = None,
    model_type: ModelType = None,
    credential: Credential = None,
    use: Annotated[bool, typer.Option("--use", help="Make it the default profile.")] = False,
) -> None:
    """Add a profile. --agent, --environment and --model apply to new sessions.

    Example: polysession profiles add work --provider qoder --from-env token=PAT
    """
    if provider is None:
        raise UsageError("--provider is missing; a profile needs a provider")
    if name in read_profiles(os.environ):
        raise UsageError(f"profile {name!r} already exists; edit it in {config_path(os.environ)}")
    model_config(model, model_type, credential, None)
    values = pairs(settings, "--set")
    for key in sorted(secret_names(load_provider(provider).settings_type) & set(values)):
        raise UsageError(f"{key!r} is a secret; use --from-env {key}=VARIABLE or --from-keyring {key}=SERVICE/USER")
    references = {key: {"env": variable} for key, variable in pairs(from_env, "--from-env", "KEY=VARIABLE").items()}
    references |= {
        key: {"keyring": entry} for key, entry in pairs(from_keyring, "--from-keyring", "KEY=SERVICE/USER").items()
    }
    twice = sorted(set(values) & set(references))
    if twice:
        raise UsageError(f"setting {twice[0]!r} is given twice; give it once")
    _check_settings(invocation, provider, values, references)
    given = {"agent": agent, "environment": environment, "model": model}
    given |= {"model_type": model_type, "credential": credential}
    _add(name, {"provider": provider, **values, **references}, {key: value for key, value in given.items() if value})
    if use:
        _make_default(name)
    _show(invocation, find_profile(name, os.environ), "was added")


def _check_settings(
    invocation: Invocation, provider: str, values: dict[str, str], references: dict[str, dict[str, str]]
) -> None:
    """Check the settings like a client, except that secrets may still be missing.

    Raises:
        UsageError: A setting is unknown or wrong, or a required setting is missing.
    """
    settings_type = load_provider(provider).settings_type
    given: dict[str, Any] = dict(values)
    for key, reference in references.items():
        outer, dot, inner = key.partition(".")
        value = "x" if outer in secret_names(settings_type) else os.environ.get(reference.get("env", ""))
        given[outer] = given.get(outer, {}) | {inner: value} if dot else value
    try:
        load_settings(settings_type, provider, given, os.environ)
    except MissingCredentials as error:
        invocation.output.note(f"polysession: warning: {error.message}", "yellow")


def _add(name: str, values: dict[str, Any], new_session: dict[str, str]) -> None:
    path = config_path(os.environ)
    before = read_text(path)
    table: dict[str, Any] = {}
    for key, value in values.items():
        outer, dot, inner = key.partition(".")
        table |= {outer: table.get(outer, {}) | {inner: value}} if dot else {key: value}
    if new_session:
        table["new_session"] = new_session
    write_text(path, before, with_profile(before, name, values, new_session), {"profiles": {name: table}})


def _make_default(name: str) -> None:
    path = config_path(os.environ)
    before = read_text(path)
    write_text(path, before, with_default(before, name), {"default": name})


def _show(invocation: Invocation, profile: Profile, done: str) -> None:
    if invocation.json:
        invocation.output.json({"name": profile.name, "provider": profile.provider})
    else:
        invocation.output.text(f"{profile.described} {done}")


def _form(profile: Profile, *, is_default: bool) -> dict[str, Any]:
    """Return a profile as JSON values. For secrets, only their names are included."""
    try:
        secret = secret_names(load_provider(profile.provider).settings_type)
    except PolysessionError:
        secret = frozenset(profile.values)  # with an unknown provider, any setting may be secret
    return {
        "name": profile.name,
        "provider": profile.provider,
        "default": is_default,
        "settings": {key: value for key, value in profile.values.items() if key not in secret},
        "secrets": [key for key in profile.values if key in secret],
        "new_session": dict(profile.new_session),
    }
