"""Profiles: a provider with its settings, under a name, in the user's configuration file.

The file is `polysession/config.toml` in `$XDG_CONFIG_HOME`, by default `~/.config`:

    default = "staging"

    [profiles.staging]
    provider = "acme"
    base_url = "https://staging.acme.example"
    token = { env = "STAGING_TOKEN" }

    [profiles.staging.new_session]
    agent = "agent_1"

`default` names the profile that is used where neither a provider nor a profile is named. `new_session` has defaults for
the sessions that the `polysession` command creates.
"""

from __future__ import annotations

import os
import stat
import tomllib
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from polysession.errors import MissingCredentials, UsageError
from polysession.settings import ProviderSettings, secret_names

VARIABLE: Final = "POLYSESSION_PROFILE"

NEW_SESSION_KEYS: Final = ("agent", "environment", "model", "model_type", "credential")
"""Defaults that a profile may have for new sessions, each a text."""

_TABLE: Final = "profiles"
_DEFAULT: Final = "default"
_NEW_SESSION: Final = "new_session"
_READABLE_BY_OTHERS: Final = stat.S_IRGRP | stat.S_IROTH


class PlainSecretWarning(UserWarning):
    """A configuration file holds a secret as plain text. The message names the file and the key, never the value."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile.

    Attributes:
        name: Its name.
        provider: The provider that it is for.
        path: The file that it stands in.
        values: Its settings as the file has them; a secret may be among them.
        new_session: Defaults for new sessions of the command, by `NEW_SESSION_KEYS`.
    """

    name: str
    provider: str
    path: Path
    values: Mapping[str, Any] = field(repr=False)
    new_session: Mapping[str, str] = field(default_factory=dict)

    def plain_secrets(self, settings_type: type[ProviderSettings]) -> tuple[str, ...]:
        """Return the dotted names of the secrets that the file stores as plain text."""
        secret = secret_names(settings_type) & set(self.values)
        return tuple(key for name in sorted(secret) for key in _plain(name, self.values[name]))

    def settings(
        self, settings_type: type[ProviderSettings], overridden: Collection[str], environ: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the settings with their references resolved. Warns of each plain-text secret, once in a process.

        Args:
            settings_type: Says which settings are secret.
            overridden: Settings with another source: their references are not resolved.
            environ: The environment.

        Raises:
            MissingCredentials: A secret refers to an unset variable or a missing keyring entry.
            UsageError: Another setting refers to one, or a reference cannot be read.
        """
        secret = secret_names(settings_type)
        used = {name: value for name, value in self.values.items() if name not in overridden}
        for key in self.plain_secrets(settings_type):
            if key.partition(".")[0] in used:
                _warn_once(_plain_secret(self.path, f"{_TABLE}.{self.name}.{key}"))
        return {name: self._resolve(name, used[name], environ, secret=name in secret) for name in used}

    def _resolve(self, key: str, value: Any, environ: Mapping[str, str], *, secret: bool) -> Any:
        """Return a value with its references resolved."""
        if not isinstance(value, Mapping):
            return value
        reference = next(iter(value.items())) if len(value) == 1 else ("", None)
        match reference:
            case ("env", str(variable)):
                found = environ.get(variable)
                missing = f"the environment variable {variable!r}, which is not set"
            case ("keyring", str(entry)):
                found = self._from_keyring(key, entry)
                missing = f"the keyring entry {entry!r}, which does not exist"
            case _:
                return {name: self._resolve(f"{key}.{name}", value[name], environ, secret=secret) for name in value}
        if not found:
            kind = MissingCredentials if secret else UsageError
            raise kind(f"setting {key!r} of {self.described} refers to {missing}", provider=self.provider)
        return found

    def _from_keyring(self, key: str, entry: str) -> str | None:
        service, _, user = entry.rpartition("/")
        if not service or not user:
            raise UsageError(
                f"setting {key!r} of {self.described}: a keyring entry must be 'service/user', not {entry!r}",
                provider=self.provider,
            )
        try:
            import keyring  # noqa: PLC0415  (an extra)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"setting {key!r} of {self.described} needs the package keyring: pip install 'polysession[keyring]'",
                provider=self.provider,
            ) from error
        try:
            return keyring.get_password(service, user)
        except keyring.errors.KeyringError as error:
            raise UsageError(
                f"setting {key!r} of {self.described}: the keyring cannot be read: {error}", provider=self.provider
            ) from error

    @property
    def described(self) -> str:
        """Description of the profile for a message."""
        return f"profile {self.name!r} in {self.path}"


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the configuration file, which may not exist."""
    given = Path(environ.get("XDG_CONFIG_HOME") or "")
    folder = given if given.is_absolute() else Path("~/.config").expanduser()
    return folder / "polysession" / "config.toml"


def read_profiles(environ: Mapping[str, str]) -> dict[str, Profile]:
    """Every profile by its name, in the order of the file. There are none if there is no file.

    Raises:
        UsageError: The file cannot be read, or holds something else than profiles.
    """
    return _read(environ)[0]


def default_profile(environ: Mapping[str, str]) -> Profile | None:
    """The profile that the file names as its default; None if it names none.

    Raises:
        UsageError: There is no such profile, or the file cannot be read.
    """
    profiles, default = _read(environ)
    return None if default is None else _named(default, profiles, environ)


def _read(environ: Mapping[str, str]) -> tuple[dict[str, Profile], str | None]:
    """The profiles, and the name of the default one."""
    path = config_path(environ)
    try:
        return parse_profiles(path.read_text("utf-8-sig"), path)
    except FileNotFoundError:
        return {}, None
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def parse_profiles(text: str, path: Path) -> tuple[dict[str, Profile], str | None]:
    """The profiles in the text of a configuration file, and the name of the default one.

    Raises:
        UsageError: It is not TOML, or holds something else than profiles.
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    tables, default = document.pop(_TABLE, {}), document.pop(_DEFAULT, None)
    if document:
        expected = f"{_DEFAULT!r} and [{_TABLE}.NAME] tables"
        raise UsageError(f"{path} has the unknown top-level key {next(iter(document))!r}; expected {expected}")
    if not isinstance(tables, Mapping):
        raise UsageError(f"{path}: {_TABLE!r} is not a table; a profile begins with [{_TABLE}.NAME]")
    if default is not None and not isinstance(default, str):
        raise UsageError(f"{path}: {_DEFAULT!r} must be the name of a profile, in quotes")
    return {name: _profile(name, table, path) for name, table in tables.items()}, default


def find_profile(name: str, environ: Mapping[str, str]) -> Profile:
    """The profile of that name.

    Raises:
        UsageError: No profile has this name (the message lists the names), or the file cannot be read.
    """
    return _named(name, read_profiles(environ), environ)


def _named(name: str, profiles: Mapping[str, Profile], environ: Mapping[str, str]) -> Profile:
    if name not in profiles:
        listed = f"It has: {', '.join(profiles)}" if profiles else "The file has no profiles, or does not exist"
        raise UsageError(f"no profile {name!r} in {config_path(environ)}. {listed}")
    return profiles[name]


def choose_profile(name: str | None, provider: str | None, environ: Mapping[str, str]) -> Profile | None:
    """Return the profile to use, or None.

    A profile from the environment variable is ignored if the caller names another provider than the profile does.

    Raises:
        UsageError: There is no such profile, it is for another provider, or the file cannot be read.
    """
    chosen = environ.get(VARIABLE) if name is None else name
    if not chosen:
        return None
    profile = find_profile(chosen, environ)
    if provider is None or provider == profile.provider:
        return profile
    if name is None:
        return None
    raise UsageError(f"{profile.described} is for provider {profile.provider!r}, not for {provider!r}")


def _profile(name: str, table: object, path: Path) -> Profile:
    values = dict(table) if isinstance(table, Mapping) else {}
    provider = values.pop("provider", None)
    if not isinstance(provider, str) or not provider:
        raise UsageError(f'profile {name!r} in {path} names no provider; add: provider = "..."')
    return Profile(name, provider, path, values, _new_session(name, values.pop(_NEW_SESSION, {}), path))


def _new_session(name: str, table: object, path: Path) -> Mapping[str, str]:
    defaults: dict[str, Any] = dict(table) if isinstance(table, Mapping) else {_NEW_SESSION: None}
    for key, value in defaults.items():
        if key not in NEW_SESSION_KEYS or not isinstance(value, str):
            accepted = ", ".join(NEW_SESSION_KEYS)
            raise UsageError(f"profile {name!r} in {path}: {_NEW_SESSION!r} accepts text values for {accepted}")
    return defaults


def _plain(key: str, value: Any) -> Iterator[str]:
    """Dotted names of the texts in a secret setting; references to other places are left out."""
    if isinstance(value, str) and value:
        yield key
    elif isinstance(value, Mapping) and not (len(value) == 1 and next(iter(value)) in {"env", "keyring"}):
        for name, inner in value.items():
            yield from _plain(f"{key}.{name}", inner)


def _plain_secret(path: Path, key: str) -> str:
    message = (
        f'{path} stores {key} as plain text; use a reference: {{ env = "NAME" }} or {{ keyring = "service/user" }}'
    )
    if readable_by_others(path):
        message += f". Other users of this machine can read the file: chmod 600 {path}"
    return message


def readable_by_others(path: Path) -> bool:
    """Whether the file's mode lets other users of the machine read it; False where there are no such modes."""
    return os.name == "posix" and bool(path.stat().st_mode & _READABLE_BY_OTHERS)


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, PlainSecretWarning, stacklevel=2)
