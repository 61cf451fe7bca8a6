"""Finds providers by name, through pluggy and the entry points of installed distributions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.abc import InspectLoader
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Final

import pluggy

from polysession._core.provider import PROVIDER_API_VERSION, Provider
from polysession.errors import BrokenProvider, DuplicateProvider, UnknownProvider, UsageError
from polysession.feature import Feature, FeatureSupport
from polysession.settings import ProviderSettings, load_settings, warn_of_clear_text

if TYPE_CHECKING:
    from polysession.profiles import Profile

PROJECT: Final = "polysession"
GROUP: Final = "polysession.providers"

_METHODS: Final[Mapping[Feature, str]] = {
    Feature.SESSIONS_CREATE: "create_session",
    Feature.SESSIONS_GET: "get_session",
    Feature.SESSIONS_LIST: "list_sessions",
    Feature.SESSIONS_UPDATE: "update_session",
    Feature.SESSIONS_ARCHIVE: "archive_session",
    Feature.SESSIONS_DELETE: "delete_session",
    Feature.SESSIONS_CANCEL: "cancel_session",
    Feature.SESSIONS_SEND: "send_message",
    Feature.SESSIONS_STREAM: "stream_events",
    Feature.SESSIONS_RUN: "start_turn",
    Feature.SESSIONS_EVENTS: "list_events",
    Feature.SESSIONS_MESSAGES: "list_messages",
    Feature.SESSIONS_ANSWER: "answer_actions",
    Feature.SESSIONS_PENDING_ACTIONS: "pending_actions",
    Feature.SESSIONS_REJOIN: "rejoin_turn",
    Feature.AGENTS_CREATE: "create_agent",
    Feature.AGENTS_GET: "get_agent",
    Feature.AGENTS_LIST: "list_agents",
    Feature.AGENTS_UPDATE: "update_agent",
    Feature.AGENTS_ARCHIVE: "archive_agent",
    Feature.AGENTS_DELETE: "delete_agent",
    Feature.ENVIRONMENTS_CREATE: "create_environment",
    Feature.ENVIRONMENTS_GET: "get_environment",
    Feature.ENVIRONMENTS_LIST: "list_environments",
    Feature.MODELS_LIST: "list_models",
}

hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a provider package's implementation of a hook."""

hookspec: Final = pluggy.HookspecMarker(PROJECT)


class ProviderHooks:
    """The hooks that a provider package implements."""

    @hookspec
    @abstractmethod
    def polysession_provider(self) -> type[Provider[Any]]:
        """Return the provider class."""


def installed_providers() -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points by provider name, sorted; none is imported. More than one for a name is a conflict."""
    found: dict[str, list[EntryPoint]] = {}
    for entry_point in _entry_points():
        found.setdefault(entry_point.name, []).append(entry_point)
    return {name: tuple(found[name]) for name in sorted(found)}


def _entry_points() -> Iterator[EntryPoint]:
    """Those of our group, each distribution once. Parsing the texts of all the others would cost far more."""
    seen: set[str] = set()
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except ValueError:  # another distribution's broken file is no reason to find none of ours
            continue
        if f"[{GROUP}]" in text and distribution.name not in seen:
            seen.add(distribution.name)
            yield from distribution.entry_points.select(group=GROUP)
    if PROJECT not in seen:
        yield from _bundled()


def unreadable_distributions() -> list[str]:
    """The installed distributions whose entry points cannot be read, so that a provider of theirs is not found."""
    found: list[str] = []
    for distribution in distributions():
        try:
            distribution.read_text("entry_points.txt")
        except ValueError:
            found.append(distribution.name)
    return sorted(found)


def _bundled() -> Iterator[EntryPoint]:
    """The providers that lie beside this package, for an installation without metadata, such as a copied folder."""
    for module in iter_modules([str(Path(__file__).parents[1])]):
        if not module.name.startswith(f"{PROJECT}_"):
            continue
        spec = module.module_finder.find_spec(module.name, None)
        source = spec.loader.get_source(module.name) if spec and isinstance(spec.loader, InspectLoader) else None
        if source is not None and "polysession_provider" in source:
            yield EntryPoint(module.name.removeprefix(f"{PROJECT}_"), module.name, GROUP)


@cache
def load_provider(name: str) -> type[Provider[Any]]:
    """The provider class of that name. Imports that one plugin, so that a broken one does not affect the others.

    Raises:
        UnknownProvider: No installed distribution offers it.
        DuplicateProvider: More than one does.
        BrokenProvider: It does not import, or does not declare what a provider must.
    """
    installed = installed_providers()
    if name not in installed:
        raise UnknownProvider(_unknown(name, installed))
    offers = installed[name]
    if len(offers) > 1:
        raise DuplicateProvider(
            f"several packages offer provider {name!r}: {_distributions(offers)}. Uninstall all but one"
        )
    answer = _ask(offers[0])
    if not (isinstance(answer, type) and issubclass(answer, Provider)):
        raise _broken(offers[0], f"polysession_provider returned {answer!r}, which is not a subclass of Provider")
    problem = _declaration_problem(answer, name) or _feature_problem(answer)
    if problem:
        raise _broken(offers[0], problem)
    return answer


def open_provider(
    name: str | None, given: Mapping[str, Any], environ: Mapping[str, str], profile: str | None = None
) -> Provider[Any]:
    """A provider with its settings: those that were given, then the profile's, then the environment's.

    Args:
        name: Provider name; None takes the profile's, or reads `POLYSESSION_PROVIDER`.
        given: Settings that the caller passed.
        environ: The environment.
        profile: Profile name; None reads `POLYSESSION_PROFILE`, empty text means none.

    Raises:
        UnknownProvider: No name was given, or nothing is installed under it.
        PluginError: See `load_provider`.
        UsageError: See `load_settings` and `polysession.profiles`.
    """
    chosen, found = choose_provider(name, environ, profile)
    provider_class = load_provider(chosen)
    settings_type = provider_class.settings_type
    if found is None:
        return _opened(provider_class, load_settings(settings_type, chosen, given, environ))
    meant = {key: value for key, value in given.items() if value is not None and value != ""}
    replaced = meant.keys() if meant.keys().isdisjoint(settings_type.one_of) else {*meant, *settings_type.one_of}
    try:
        values = {**given, **found.settings(settings_type, replaced, environ), **meant}
        return _opened(provider_class, load_settings(settings_type, chosen, values, environ))
    except UsageError as error:
        if found.described not in error.message:
            error.message = f"{error.message}. Used: {found.described}"
        raise


def _opened(provider_class: type[Provider[Any]], settings: ProviderSettings) -> Provider[Any]:
    warn_of_clear_text(settings, provider_class.name)
    return provider_class(settings)


def choose_provider(
    name: str | None, environ: Mapping[str, str], profile: str | None = None
) -> tuple[str, Profile | None]:
    """Return the name of the chosen provider, and its profile or None.

    The default profile of the configuration file is used where neither a provider nor a profile is named.

    Raises:
        UnknownProvider: No name was given.
        UsageError: See `polysession.profiles.choose_profile`.
    """
    found = None
    if environ.get("POLYSESSION_PROFILE") if profile is None else profile:
        from polysession.profiles import choose_profile  # noqa: PLC0415  (it reads TOML, which few need)

        found = choose_profile(profile, name, environ)
    chosen = name or (found.provider if found else environ.get("POLYSESSION_PROVIDER"))
    if not chosen and profile is None:
        from polysession.profiles import default_profile  # noqa: PLC0415  (likewise)

        found = default_profile(environ)
        chosen = found.provider if found else None
    if not chosen:
        names = ", ".join(installed_providers())
        raise UnknownProvider(f"no provider is given; name one, or set POLYSESSION_PROVIDER. Installed: {names}")
    return chosen, found


def _ask(entry_point: EntryPoint) -> object:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(ProviderHooks)
    try:
        manager.register(entry_point.load(), name=entry_point.name)
        manager.check_pending()
        answers: list[object] = manager.hook.polysession_provider()
    except Exception as error:  # a plugin may fail in any way
        raise _broken(entry_point, f"{type(error).__name__}: {error}") from error
    if not answers:
        raise _broken(entry_point, "it does not implement the hook polysession_provider, or returns None from it")
    return answers[0]


def _declaration_problem(provider: type[Provider[Any]], name: str) -> str | None:
    """Return the first problem in the declaration of a provider class, or None."""
    missing = [field for field in ("name", "docs_url", "settings_type", "features") if not hasattr(provider, field)]
    if missing or provider.__abstractmethods__:
        return f"{provider.__name__} lacks {', '.join([*missing, *sorted(provider.__abstractmethods__)])}"
    if provider.name != name:
        return f"its entry point is named {name!r}, but its class is named {provider.name!r}"
    if provider.api_version != PROVIDER_API_VERSION:
        return f"it needs provider API {provider.api_version}; this polysession has {PROVIDER_API_VERSION}"
    return _settings_problem(provider)


def _settings_problem(provider: type[Provider[Any]]) -> str | None:
    if not _is_subclass(provider.settings_type, ProviderSettings):
        return f"{provider.__name__}.settings_type is not a subclass of ProviderSettings"
    owner = provider.settings_type.model_fields.get(provider.owner_setting or "")
    if provider.owner_setting is not None and (owner is None or owner.is_required()):
        return f"{provider.__name__}.owner_setting is {provider.owner_setting!r}, which is not a setting with a default"
    return None


def _is_subclass(value: object, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)


def _feature_problem(provider: type[Provider[Any]]) -> str | None:
    declared: object = provider.features
    if not isinstance(declared, Mapping):
        return f"{provider.__name__}.features is {declared!r}, not a mapping"
    for feature, support in declared.items():
        if not isinstance(feature, Feature) or not isinstance(support, FeatureSupport):
            return f"{provider.__name__}.features maps {feature!r} to {support!r}, not a Feature to a FeatureSupport"
    for operation, method in _METHODS.items():
        if provider.support(operation).support and getattr(provider, method) is getattr(Provider, method):
            return f"{provider.__name__} declares {operation.value!r}, but does not define {method}"
    return None


def _broken(entry_point: EntryPoint, problem: str) -> BrokenProvider:
    return BrokenProvider(
        f"provider {entry_point.name!r} of {_distributions([entry_point])} is broken: {problem}",
        provider=entry_point.name,
    )


def _distributions(offers: Iterable[EntryPoint]) -> str:
    return " and ".join(f"{offer.dist.name} {offer.dist.version}" if offer.dist else offer.value for offer in offers)


def _unknown(name: str, installed: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415  (only a wrong name needs it)

    names = sorted(installed)
    close = difflib.get_close_matches(name, names, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    broken = unreadable_distributions()
    skipped = f". Skipped, because their entry points cannot be read: {', '.join(broken)}" if broken else ""
    return f"unknown provider {name!r}.{guess} Installed: {', '.join(names) or 'none'}{skipped}"
