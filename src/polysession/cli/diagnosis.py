"""What `polysession doctor` looks at, one finding for each thing. No finding holds a secret."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from polysession import Client, Feature
from polysession._drivers.transport import observed_http_client
from polysession.errors import (
    AuthenticationFailed,
    MalformedResponse,
    MissingCredentials,
    NotFound,
    PermissionDenied,
    PolysessionError,
    RateLimited,
    TransportError,
    UnexpectedRedirect,
    UnknownProvider,
    UsageError,
)
from polysession.plugins import choose_provider, installed_providers, load_provider, open_provider
from polysession.profiles import Profile, config_path, read_profiles, readable_by_others
from polysession.settings import ClearTextWarning, ProviderSettings, clear_text_address, secret_names, variables_of

if TYPE_CHECKING:
    import httpx  # noqa: TID251  (the type of what is observed)

_TIMEOUT_S: Final = 10.0
_SKEW_LIMIT_S: Final = 60
_PROXIES: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


class State(StrEnum):
    """How a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What.
        state: How it is.
        message: What was found.
        fix: What to do about it; empty if nothing.
    """

    check: str
    state: State
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class DoctorTarget:
    """What is to be examined.

    Attributes:
        provider: Provider name, if one was given.
        profile: Profile name, if one was given.
        given: Settings that were given as arguments.
        environ: The environment.
        direct: Go to the backend past any proxy: it is an emulator on this machine.
    """

    provider: str | None
    profile: str | None
    given: Mapping[str, Any]
    environ: Mapping[str, str]
    direct: bool = False


def examine(patient: DoctorTarget) -> Iterator[Finding]:
    """Look at everything, and stop where the rest depends on what is wrong."""
    yield from _configuration(patient.environ)
    try:
        name, profile = choose_provider(patient.provider, patient.environ, patient.profile)
        provider = load_provider(name)
    except UnknownProvider as error:
        fix = "name one by --provider, POLYSESSION_PROVIDER or a profile; pip install the package that offers it"
        yield Finding("provider", State.PROBLEM, error.message, fix)
        return
    except UsageError as error:
        yield Finding("profile", State.PROBLEM, error.message, "correct the name of the profile, or the file")
        return
    except PolysessionError as error:
        yield Finding("provider", State.PROBLEM, error.message, "install a version of the package that fits, or none")
        return
    origins = (offer.dist for offer in installed_providers()[name])
    told = " and ".join(f"{origin.name} {origin.version}" for origin in origins if origin)
    yield Finding("provider", State.OK, f"{name}, of {told or 'no distribution'}")
    if profile is not None:
        yield Finding("profile", State.OK, profile.described)
    try:
        with warnings.catch_warnings(action="ignore", category=ClearTextWarning):  # a finding below
            settings = open_provider(patient.provider, patient.given, patient.environ, patient.profile).settings
    except UsageError as error:
        yield Finding("settings", State.PROBLEM, error.message, _settings_fix(error, provider.settings_type))
        return
    yield from _settings(settings, patient.given, profile, patient.environ)
    if (address := clear_text_address(settings)) is not None:
        message = f"the credential is sent in clear text to {address}"
        yield Finding("settings", State.WARNING, message, "use an https address")
    yield from _route(settings, patient)
    yield from _conversation(name, patient, settings)


def _configuration(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The configuration file: whether it can be read, and whether secrets stand in it."""
    path = config_path(environ)
    try:
        profiles = read_profiles(environ)
    except UsageError as error:
        yield Finding("configuration", State.PROBLEM, error.message, "correct the file; docs/cli.md shows one")
        return
    listed = f"{path}: profiles {', '.join(profiles)}" if profiles else f"no profiles; they would be in {path}"
    yield Finding("configuration", State.OK, listed)
    plain = [f"{profile.name}.{key}" for profile in profiles.values() for key in _plain_secrets(profile)]
    if plain:
        readable = ", which others on this machine can read" if readable_by_others(path) else ""
        message = f"plain secrets in {path}{readable}: {', '.join(plain)}"
        fix = 'refer to them: { env = "NAME" } or { keyring = "service/user" }'
        yield Finding("configuration", State.WARNING, message, fix + (f"; chmod 600 {path}" if readable else ""))


def _plain_secrets(profile: Profile) -> tuple[str, ...]:
    try:
        return profile.plain_secrets(load_provider(profile.provider).settings_type)
    except PolysessionError:
        return ()  # another profile's provider may be missing; the chosen one's is told of by itself


def _settings_fix(error: UsageError, settings_type: type[ProviderSettings]) -> str:
    if not isinstance(error, MissingCredentials):
        return "correct the setting where it was given"
    variables = [names[0] for key, names in variables_of(settings_type).items() if key in secret_names(settings_type)]
    return f"set {' or '.join(variables)}, or put it in a profile" if variables else "put it in a profile"


def _settings(
    settings: ProviderSettings, given: Mapping[str, Any], profile: Profile | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Each setting, and where it comes from. Of a secret only that it is set."""
    secret = secret_names(type(settings))
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        if value is None or value == {}:
            continue
        shown = f"{key} is set" if key in secret else f"{key} is {value}"
        yield Finding("settings", State.OK, f"{shown}, by {_source(key, settings, given, profile, environ)}")


def _source(
    key: str, settings: ProviderSettings, given: Mapping[str, Any], profile: Profile | None, environ: Mapping[str, str]
) -> str:
    if given.get(key) not in {None, ""}:
        return "argument"
    if profile is not None and profile.values.get(key) not in (None, ""):
        return f"profile {profile.name!r}"
    variables = variables_of(type(settings)).get(key, ())
    return next((f"the variable {variable}" for variable in variables if environ.get(variable)), "default")


def _route(settings: ProviderSettings, patient: DoctorTarget) -> Iterator[Finding]:
    """What lies between here and the backend."""
    url = urlsplit(settings.base_url)
    if url.scheme == "http" and settings.secrets() and not _is_local(url.hostname or ""):
        message = f"{settings.base_url} is not encrypted, and credentials are sent to it"
        yield Finding("encryption", State.WARNING, message, "use https:// if the backend offers it")
    named = [name for name in _PROXIES if patient.environ.get(name) or patient.environ.get(name.lower())]
    if named and not patient.direct:
        yield Finding("proxy", State.OK, f"the environment sets {', '.join(named)}; they are heeded")


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Watch:
    """Remembers the last response, and when it came."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.date: str | None = None
        self.came_at = datetime.min.replace(tzinfo=UTC)

    def see(self, response: httpx.Response) -> None:
        """Look at a response."""
        self.status = response.status_code
        self.date = response.headers.get("date")
        self.came_at = datetime.now(UTC)


def _conversation(name: str, patient: DoctorTarget, settings: ProviderSettings) -> Iterator[Finding]:
    """Ask the backend for little, and judge its answer."""
    watch = _Watch()
    with (
        observed_http_client(watch.see, timeout_s=_TIMEOUT_S, direct=patient.direct) as http_client,
        Client(
            patient.provider, profile=patient.profile, http_client=http_client, retry=None, **patient.given
        ) as client,
    ):
        failure = _ask(client)
        if watch.status is None:
            yield _unreachable(failure, settings)
            return
        yield Finding("reachability", State.OK, f"{settings.base_url} answers")
        yield _authorisation(failure, name, settings)
        yield _clock(watch)
        yield _version(client)


def _ask(client: Client) -> PolysessionError | None:
    """The smallest question that needs authorisation; what went wrong with it."""
    try:
        if client.supports(Feature.AGENTS_LIST):
            client.agents.list(page_size=1).page()
        else:
            client.sessions.list().page()
    except PolysessionError as error:
        return error
    return None


def _unreachable(failure: PolysessionError | None, settings: ProviderSettings) -> Finding:
    if failure is None or not isinstance(failure, TransportError):
        message = failure.message if failure else "nothing could be asked"
        return Finding("reachability", State.SKIPPED, message)
    fix = f"see that the backend is up, and that {settings.base_url} is its address and can be reached from here"
    return Finding("reachability", State.PROBLEM, failure.message, fix)


def _authorisation(failure: PolysessionError | None, name: str, settings: ProviderSettings) -> Finding:
    given = sorted(name for name in secret_names(type(settings)) if getattr(settings, name))
    check, secrets = "authorisation", ", ".join(given) or "the credential"
    match failure:
        case None:
            return Finding(check, State.OK, "the backend takes the request")
        case PermissionDenied():
            return Finding(check, State.PROBLEM, str(failure), f"ask for the right to list agents, or renew {secrets}")
        case AuthenticationFailed():
            return Finding(check, State.PROBLEM, str(failure), f"renew {secrets}")
        case NotFound() | UnexpectedRedirect() | MalformedResponse():
            fix = f"correct base_url: {settings.base_url} answers, and not as {name} does"
            return Finding(check, State.PROBLEM, str(failure), fix)
        case RateLimited():
            return Finding(check, State.WARNING, str(failure), "ask less often, and try again later")
        case _:
            return Finding(check, State.PROBLEM, str(failure), "try again later; then ask the backend's operator")


def _clock(watch: _Watch) -> Finding:
    """Compare the clocks. Times in lists and the validity of certificates and tokens depend on them."""
    try:
        theirs = parsedate_to_datetime(watch.date or "")
    except ValueError:
        return Finding("clock", State.SKIPPED, "the backend tells no time")
    skew_s = round((watch.came_at - theirs.astimezone(UTC)).total_seconds())
    if abs(skew_s) <= _SKEW_LIMIT_S:
        return Finding("clock", State.OK, "this machine and the backend agree on the time")
    ahead = "ahead of" if skew_s > 0 else "behind"
    message = f"this machine is {abs(skew_s)} seconds {ahead} the backend"
    return Finding("clock", State.WARNING, message, "set the clock of this machine, by NTP for example")


def _version(client: Client) -> Finding:
    try:
        version = client.backend_version()
    except PolysessionError as error:
        return Finding("version", State.WARNING, str(error), "see whether the backend is healthy")
    if version is None:
        return Finding("version", State.SKIPPED, "the backend tells no version")
    return Finding("version", State.OK, f"{client.provider} {version}")
