"""Settings of the clients whose requests are on a tape."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from polysession.plugins import choose_provider, load_provider, open_provider
from polysession.settings import secret_names
from polysession.testing.tape_file import TapeError
from polysession.testing.tape_secrets import REDACTED

_NOWHERE: Final = "https://tape.invalid"


@dataclass(frozen=True)
class RecordedClient:
    """A recorded client.

    Attributes:
        provider: Name of the provider.
        settings: Its settings without secrets. From a base URL without TLS, such as one on this machine, only the path
            is stored.
        secrets: Its secrets.
    """

    provider: str
    settings: dict[str, Any]
    secrets: frozenset[str]


def recorded_client(provider: str | None, options: Mapping[str, Any]) -> RecordedClient:
    """Return the recorded client for these options.

    Raises:
        UsageError: As for `Client`.
    """
    profile = options.get("profile")
    name, _ = choose_provider(provider, os.environ, profile)
    settings_type = load_provider(name).settings_type
    given = {key: value for key, value in options.items() if key in settings_type.model_fields}
    settings = open_provider(name, given, os.environ, profile).settings
    values = settings.model_dump(mode="json", exclude_none=True, exclude=set(secret_names(settings_type)))
    secrets = {key: REDACTED for key in settings_type.model_fields if isinstance(getattr(settings, key), SecretStr)}
    parts = urlsplit(settings.base_url)
    base_url = settings.base_url if parts.scheme == "https" else _NOWHERE + parts.path
    return RecordedClient(name, {**values, **secrets, "base_url": base_url}, frozenset(settings.secrets()))


def recorded_provider(recorded: Mapping[str, object]) -> str:
    """Return the first provider on a tape.

    Raises:
        TapeError: No client was recorded.
    """
    name = next(iter(recorded), None)
    if name is None:
        raise TapeError("the tape names no provider; pass one")
    return name


def replayed_options(
    recorded: Mapping[str, Mapping[str, Any]], provider: str | None, options: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return provider and options of a client in a replay: as recorded, unless the caller gives them.

    Raises:
        TapeError: Neither the caller nor the tape names a provider.
    """
    name = provider or recorded_provider(recorded)
    settings = recorded.get(name, {"base_url": _NOWHERE})
    return name, {**settings, **options, "base_url": settings["base_url"], "profile": ""}
