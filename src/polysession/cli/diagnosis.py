"""Checks of `polysession doctor` on this machine: the configuration, the provider, its settings and the route."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final

from polysession.cli.backend_checks import check_backend
from polysession.cli.findings import DoctorTarget, Finding, State
from polysession.errors import MissingCredentials, PolysessionError, UnknownProvider, UsageError
from polysession.plugins import choose_provider, installed_providers, load_provider, open_provider
from polysession.profiles import Profile, config_path, read_profiles, readable_by_others
from polysession.settings import ClearTextWarning, ProviderSettings, clear_text_address, secret_names, variables_of

_PROXIES: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def examine(target: DoctorTarget) -> Iterator[Finding]:
    """Run all checks, but stop at a problem that the remaining checks depend on."""
    yield from _configuration(target.environ)
    try:
        name, profile = choose_provider(target.provider, target.environ, target.profile)
        provider = load_provider(name)
    except UnknownProvider as error:
        fix = "choose a provider with --provider, POLYSESSION_PROVIDER or a profile, or install its package"
        yield Finding("provider", State.PROBLEM, error.message, fix)
        return
    except UsageError as error:
        yield Finding(
            "profile", State.PROBLEM, error.message, "correct the name of the profile, or the configuration file"
        )
        return
    except PolysessionError as error:
        yield Finding(
            "provider", State.PROBLEM, error.message, "install a compatible version of the package, or uninstall it"
        )
        return
    origins = (offer.dist for offer in installed_providers()[name])
    described = " and ".join(f"{origin.name} {origin.version}" for origin in origins if origin)
    yield Finding("provider", State.OK, f"{name}, from {described or 'no distribution'}")
    if profile is not None:
        yield Finding("profile", State.OK, profile.described)
    try:
        with warnings.catch_warnings(action="ignore", category=ClearTextWarning):  # reported as a finding below
            settings = open_provider(target.provider, target.given, target.environ, target.profile).settings
    except UsageError as error:
        yield Finding("settings", State.PROBLEM, error.message, _settings_fix(error, provider.settings_type))
        return
    yield from _settings(settings, target.given, profile, target.environ)
    yield from _route(settings, target)
    yield from check_backend(name, target, settings, profile)


def _configuration(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check the configuration file: whether it can be read, and whether it contains secrets."""
    path = config_path(environ)
    try:
        profiles = read_profiles(environ)
    except UsageError as error:
        yield Finding("configuration", State.PROBLEM, error.message, "correct the file; docs/cli.md has an example")
        return
    listed = f"{path}: profiles {', '.join(profiles)}" if profiles else f"no profiles in {path}"
    yield Finding("configuration", State.OK, listed)
    plain = [f"{profile.name}.{key}" for profile in profiles.values() for key in _plain_secrets(profile)]
    if plain:
        readable = "; other users of this machine can read the file" if readable_by_others(path) else ""
        message = f"{path} stores secrets as plain text: {', '.join(plain)}{readable}"
        fix = 'store a reference: { env = "NAME" } or { keyring = "service/user" }'
        yield Finding("configuration", State.WARNING, message, fix + (f"; chmod 600 {path}" if readable else ""))


def _plain_secrets(profile: Profile) -> tuple[str, ...]:
    try:
        return profile.plain_secrets(load_provider(profile.provider).settings_type)
    except PolysessionError:
        return ()  # another profile's provider may be missing; the chosen one has its own finding


def _settings_fix(error: UsageError, settings_type: type[ProviderSettings]) -> str:
    if not isinstance(error, MissingCredentials):
        return "correct the setting in the option, the profile or the environment variable"
    variables = [names[0] for key, names in variables_of(settings_type).items() if key in secret_names(settings_type)]
    return f"set {' or '.join(variables)}, or store it in a profile" if variables else "store it in a profile"


def _settings(
    settings: ProviderSettings, given: Mapping[str, Any], profile: Profile | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Report each setting and its source. For a secret, report only that it is set."""
    secret = secret_names(type(settings))
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        if value is None or value == {}:
            continue
        shown = f"{key} is set" if key in secret else f"{key} is {value}"
        yield Finding("settings", State.OK, f"{shown}, {_source(key, settings, given, profile, environ)}")


def _source(
    key: str, settings: ProviderSettings, given: Mapping[str, Any], profile: Profile | None, environ: Mapping[str, str]
) -> str:
    if given.get(key) not in {None, ""}:
        return "from an argument"
    if profile is not None and profile.values.get(key) not in (None, ""):
        return f"from profile {profile.name!r}"
    variables = variables_of(type(settings)).get(key, ())
    return next((f"from the variable {variable}" for variable in variables if environ.get(variable)), "the default")


def _route(settings: ProviderSettings, target: DoctorTarget) -> Iterator[Finding]:
    """Report the network route to the backend."""
    if (address := clear_text_address(settings)) is not None:
        message = f"the credential is sent in clear text to {address}"
        yield Finding("encryption", State.WARNING, message, "use an https address")
    named = [name for name in _PROXIES if target.environ.get(name) or target.environ.get(name.lower())]
    if named and not target.direct:
        yield Finding("proxy", State.OK, f"requests use the proxy settings of the environment: {', '.join(named)}")
