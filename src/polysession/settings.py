"""Settings of a provider: read from arguments, then from the environment."""

from __future__ import annotations

import string
import warnings
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from polysession._validation import problems_text
from polysession.errors import MissingCredentials, UsageError

T = TypeVar("T")

_HEADER_NAME: Final = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")


class FromEnv:
    """Marks a setting that may come from the environment; the first variable that is set is used."""

    def __init__(self, *names: str) -> None:
        self.names = names


def check_base_url(url: str) -> str:
    """An absolute http or https address without its trailing slash.

    Raises:
        ValueError: It has another scheme, no host, or a user, query or fragment.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be plain ASCII without spaces or control characters")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an absolute http:// or https:// address")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("must not contain a user name, password, query or fragment")
    parts.hostname.encode("idna")  # raises ValueError for a part of the name that is empty or long
    try:
        _ = parts.port
    except ValueError:  # it quotes what is there, which may be a part of a password
        raise ValueError("must have a port up to 65535") from None
    return url.rstrip("/")


def check_header_value(text: str) -> str:
    """Text that can stand in an HTTP header.

    Raises:
        ValueError: It is empty, not ASCII, or holds a line break or another control character.
    """
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError("must be printable ASCII without line breaks and outer spaces, and not empty")
    return text


def check_header_names(headers: Mapping[str, T]) -> Mapping[str, T]:
    """Headers by their names in lower case.

    Raises:
        ValueError: A text is not the name of a header, or two names differ in their case only.
    """
    for name in headers:
        if not isinstance(name, str) or not name or set(name) - _HEADER_NAME:
            raise ValueError(f"{name!r} is not a valid header name")
    found = {name.lower(): value for name, value in headers.items()}
    if len(found) < len(headers):
        raise ValueError("a header is given twice, with different capitals")
    return found


def _check_secret(secret: SecretStr) -> SecretStr:
    check_header_value(secret.get_secret_value())
    return secret


BaseUrl = Annotated[str, AfterValidator(check_base_url)]
"""The type of a setting that is an address: `http` or `https`, without user, query or fragment."""
HeaderText = Annotated[str, AfterValidator(check_header_value)]
"""The type of a setting that is sent in a header; see `check_header_value`."""
HeaderSecret = Annotated[SecretStr, AfterValidator(_check_secret)]
"""The type of a secret that is sent in a header. `get_secret_value()` reads it; no message shows it."""
Headers = Annotated[Mapping[str, HeaderSecret], AfterValidator(check_header_names)]


class ProviderSettings(BaseModel):
    """Base of a provider's settings. Secrets are `SecretStr`, so that no repr shows them.

    Attributes:
        one_of: Optional settings, such as two kinds of credential; exactly one is required. If one is given as
            an argument, the environment is not read for the others. If several are in the environment, the first one is
            used.
        base_url: Address of the backend.
        headers: Headers that are added to each request, such as those of a gateway in front of the backend.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    one_of: ClassVar[tuple[str, ...]] = ()

    base_url: BaseUrl
    headers: Headers = Field(default_factory=dict)

    def secrets(self) -> tuple[str, ...]:
        """The secret values themselves, those of headers among them, to keep them out of messages."""
        found: list[str] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr) and value:
                found.append(value.get_secret_value())
            elif isinstance(value, Mapping):
                secrets = {key: item.get_secret_value() for key, item in value.items() if isinstance(item, SecretStr)}
                found += header_secrets(secrets)
        return tuple(found)


def header_secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of headers, which may all be secret; authorisation also without its scheme."""
    bare = [value.partition(" ")[2] for name, value in headers.items() if name.lower().endswith("authorization")]
    return tuple([value for value in (*headers.values(), *bare) if value])


class ClearTextWarning(UserWarning):
    """A credential is sent over plain HTTP, so others on the network can read it."""


S = TypeVar("S", bound=ProviderSettings)


def clear_text_address(settings: ProviderSettings) -> str | None:
    """The address of another machine that a secret is sent to over plain HTTP; None for no such address.

    Addresses are `base_url`, and each other setting whose name ends in `_url`.
    """
    for name in type(settings).model_fields:
        parts = urlsplit(str(getattr(settings, name)) if name.endswith("_url") else "")
        if parts.scheme == "http" and settings.secrets() and not _is_loopback(parts.hostname or ""):
            return parts.geturl()
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def warn_of_clear_text(settings: ProviderSettings, provider: str) -> None:
    """Warn if the credential is sent over plain HTTP to another machine."""
    address = clear_text_address(settings)
    if address is not None:
        warnings.warn(
            f"{provider}: the credential is sent in clear text to {address}; use https",
            ClearTextWarning,
            stacklevel=4,
        )


def load_settings(settings_type: type[S], provider: str, given: Mapping[str, Any], environ: Mapping[str, str]) -> S:
    """Settings from arguments, then from the environment. None and empty text count as not given.

    Raises:
        MissingCredentials: A secret was given nowhere.
        UsageError: A setting is unknown, missing or not usable.
    """
    unknown = sorted(set(given) - set(settings_type.model_fields))
    if unknown:
        raise UsageError(f"unknown setting {unknown[0]!r}. {_accepted(settings_type)}", provider=provider)
    values = {name: value for name, value in given.items() if value is not None and value != ""}
    for name, variables in variables_of(settings_type).items():
        has_other = name in settings_type.one_of and not values.keys().isdisjoint(settings_type.one_of)
        found = next((environ[variable] for variable in variables if environ.get(variable)), None)
        if found is not None and not has_other:
            values.setdefault(name, found)
    _require(settings_type, provider, values)
    try:
        return settings_type(**values)
    except ValidationError as error:
        # `from None`: pydantic's error still holds the input, and the input may be a secret.
        raise UsageError(f"invalid setting: {problems_text(error)}", provider=provider) from None


def variables_of(settings_type: type[ProviderSettings]) -> dict[str, tuple[str, ...]]:
    """Return the environment variables of each setting; the first one that is set is used."""
    return {
        name: mark.names
        for name, info in settings_type.model_fields.items()
        for mark in info.metadata
        if isinstance(mark, FromEnv)
    }


def secret_names(settings_type: type[ProviderSettings]) -> frozenset[str]:
    """The settings that are secret, or hold secrets."""
    return frozenset(name for name, info in settings_type.model_fields.items() if _holds_secret(info.annotation))


def _holds_secret(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, SecretStr):
        return True
    return any(_holds_secret(part) for part in get_args(annotation))


def _require(settings_type: type[ProviderSettings], provider: str, values: Mapping[str, Any]) -> None:
    for name, info in settings_type.model_fields.items():
        if info.is_required() and name not in values:
            kind = MissingCredentials if info.annotation is SecretStr else UsageError
            raise kind(f"setting {name!r} is missing. {_accepted(settings_type)}", provider=provider)
    listed = " or ".join(map(repr, settings_type.one_of))
    match [name for name in settings_type.one_of if name in values]:
        case []:
            if listed:
                raise MissingCredentials(f"setting {listed} is missing. {_accepted(settings_type)}", provider=provider)
        case [_, _, *_]:
            raise UsageError(f"set only one of {listed}", provider=provider)


def _accepted(settings_type: type[ProviderSettings]) -> str:
    variables = variables_of(settings_type)
    listed = [
        f"{name} (or {', '.join(variables[name])})" if name in variables else name
        for name in settings_type.model_fields
    ]
    return f"Accepted: {', '.join(listed)}"
