"""Checks of `polysession doctor` that send requests to the backend."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from polysession import Client, Feature, Page
from polysession._drivers.transport import observed_http_client
from polysession.cli.findings import DoctorTarget, Finding, State
from polysession.errors import (
    AuthenticationFailed,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    PolysessionError,
    RateLimited,
    TransportError,
    UnexpectedRedirect,
)
from polysession.plugins import load_provider
from polysession.profiles import Profile
from polysession.settings import ClearTextWarning, ProviderSettings, secret_names

if TYPE_CHECKING:
    import httpx  # noqa: TID251  (the type of what is observed)

_TIMEOUT_S: Final = 10.0
_SKEW_LIMIT_S: Final = 60


class _Watch:
    """Keeps facts about the last response."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.date: str | None = None
        self.came_at = datetime.min.replace(tzinfo=UTC)

    def see(self, response: httpx.Response) -> None:
        """Keep the facts of a response."""
        self.status = response.status_code
        self.date = response.headers.get("date")
        self.came_at = datetime.now(UTC)


def check_backend(
    name: str, target: DoctorTarget, settings: ProviderSettings, profile: Profile | None
) -> Iterator[Finding]:
    """Send small requests to the backend and check the responses.

    Args:
        name: Provider name.
        target: The target of `doctor`.
        settings: The provider's settings.
        profile: The profile in use, or None.
    """
    watch = _Watch()
    with (
        warnings.catch_warnings(action="ignore", category=ClearTextWarning),  # has its own finding
        observed_http_client(watch.see, timeout_s=_TIMEOUT_S, direct=target.direct) as http_client,
        Client(target.provider, profile=target.profile, http_client=http_client, retry=None, **target.given) as client,
    ):
        failure = _ask(client)
        if watch.status is None:
            yield _unreachable(failure, settings)
            return
        yield Finding("reachability", State.OK, f"{settings.base_url} responds")
        yield _authorisation(failure, name, settings)
        if failure is None:
            yield from _resources(client, settings, profile)
        yield _clock(watch)
        yield _version(client)


def _ask(client: Client) -> PolysessionError | None:
    """Make the smallest request that needs authorisation; return its error, or None."""
    try:
        has_agents = client.supports(Feature.AGENTS_LIST)
        page: Page[Any] = client.agents.list(page_size=1).page() if has_agents else client.sessions.list().page()
    except PolysessionError as error:
        return error
    if page.problems and not page.items:
        return MalformedResponse(f"a list has no readable item: {page.problems[0]}", provider=client.provider)
    return None


def _unreachable(failure: PolysessionError | None, settings: ProviderSettings) -> Finding:
    if failure is None or not isinstance(failure, TransportError):
        message = failure.message if failure else "no request could be sent"
        return Finding("reachability", State.SKIPPED, message)
    fix = f"check that the backend is running, and that {settings.base_url} is its address and reachable from here"
    return Finding("reachability", State.PROBLEM, failure.message, fix)


def _authorisation(failure: PolysessionError | None, name: str, settings: ProviderSettings) -> Finding:
    given = sorted(name for name in secret_names(type(settings)) if getattr(settings, name))
    check, secrets = "authorisation", ", ".join(given) or "the credential"
    match failure:
        case None:
            return Finding(check, State.OK, "the backend accepts the request")
        case PermissionDenied():
            return Finding(
                check, State.PROBLEM, str(failure), f"request the permission to list agents, or renew {secrets}"
            )
        case AuthenticationFailed():
            return Finding(check, State.PROBLEM, str(failure), f"renew {secrets}")
        case NotFound() | UnexpectedRedirect() | MalformedResponse():
            fix = f"correct base_url: {settings.base_url} responds, but not like {name}"
            return Finding(check, State.PROBLEM, str(failure), fix)
        case RateLimited():
            return Finding(check, State.WARNING, str(failure), "send fewer requests, and try again later")
        case _:
            return Finding(
                check, State.PROBLEM, str(failure), "try again later, or contact the operator of the backend"
            )


def _resources(client: Client, settings: ProviderSettings, profile: Profile | None) -> Iterator[Finding]:
    """Check that the agent, environment and model in the settings and the profile exist."""
    new_session = profile.new_session if profile else {}
    setting = load_provider(client.provider).agent_setting
    agents = {str(setting): getattr(settings, setting)} if setting else {}
    agents |= {f"new_session.agent of {profile.described}": new_session.get("agent")} if profile else {}
    for where, agent in agents.items():
        if agent and client.supports(Feature.AGENTS_GET):
            yield _existence("agent", agent, where, partial(_find_agent, client, agent))
    environment, model = new_session.get("environment"), new_session.get("model")
    if environment and client.supports(Feature.ENVIRONMENTS_GET):
        get_environment = partial(client.environments.get, environment)
        yield _existence("environment", environment, "new_session.environment", get_environment)
    if model and client.supports(Feature.MODELS_LIST):
        yield _existence("model", model, "new_session.model", partial(_find_model, client, model))


def _existence(check: str, wanted: str, where: str, get: Callable[[], object]) -> Finding:
    """Check that one resource exists."""
    try:
        get()
    except (NotFound, InvalidRequest) as error:
        fix = f"correct {where}; list the {check}s with: polysession {check}s list"
        return Finding(check, State.PROBLEM, f"{check} {wanted!r} cannot be used: {error}", fix)
    except PolysessionError as error:
        return Finding(check, State.WARNING, f"{check} {wanted!r} could not be checked: {error}")
    return Finding(check, State.OK, f"{check} {wanted!r} exists")


def _find_agent(client: Client, agent: str) -> None:
    """Find an agent by its id, or by its name, which some backends also accept."""
    try:
        client.agents.get(agent)
    except (NotFound, InvalidRequest):
        if not client.supports(Feature.AGENTS_LIST) or all(each.name != agent for each in client.agents.list()):
            raise


def _find_model(client: Client, model: str) -> None:
    if all(each.id != model for each in client.models.list()):
        raise NotFound("it is not in the list of models")


def _clock(watch: _Watch) -> Finding:
    """Compare the clocks. Times in lists, certificates and tokens depend on them."""
    try:
        theirs = parsedate_to_datetime(watch.date or "")
    except ValueError:
        return Finding("clock", State.SKIPPED, "the backend sends no date header")
    skew_s = round((watch.came_at - theirs.astimezone(UTC)).total_seconds())
    if abs(skew_s) <= _SKEW_LIMIT_S:
        return Finding("clock", State.OK, "the clocks of this machine and of the backend agree")
    ahead = "ahead of" if skew_s > 0 else "behind"
    message = f"this machine is {abs(skew_s)} seconds {ahead} the backend"
    return Finding("clock", State.WARNING, message, "synchronise the clock of this machine, for example with NTP")


def _version(client: Client) -> Finding:
    try:
        version = client.backend_version()
    except PolysessionError as error:
        return Finding("version", State.WARNING, str(error), "check whether the backend is healthy")
    if version is None:
        return Finding("version", State.SKIPPED, "the backend reports no version")
    return Finding("version", State.OK, f"{client.provider} {version}")
