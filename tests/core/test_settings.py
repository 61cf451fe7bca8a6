from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from polysession._core.flow import PathText
from polysession.errors import MissingCredentials, UsageError
from polysession.settings import (
    BaseUrl,
    FromEnv,
    HeaderSecret,
    HeaderText,
    ProviderSettings,
    check_base_url,
    check_header_value,
    clear_text_address,
    header_secrets,
    load_settings,
)
from support.acme import BASE_URL, TOKEN, AcmeSettings

ACCEPTED = "Accepted: base_url (or ACME_URL), headers, token (or ACME_TOKEN, ACME_PAT), region"


class LooseSettings(ProviderSettings):
    """As a plugin may declare them: a secret without a check, and settings that are required."""

    base_url: BaseUrl
    user: HeaderText
    key: SecretStr | None = None


def load(given: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> AcmeSettings:
    return load_settings(AcmeSettings, "acme", given or {}, environ or {})


def shown(error: BaseException) -> str:
    """All that an error and what led to it may show."""
    parts = traceback.format_exception(error)
    link: BaseException | None = error
    while link is not None:
        parts += [repr(link), str(link)]
        link = link.__cause__ or link.__context__
    return "".join(parts)


def problem(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(given, environ)
    return caught.value


@pytest.mark.parametrize(
    ("given", "environ", "token", "base_url"),
    [
        ({"token": TOKEN}, {}, TOKEN, BASE_URL),
        ({"token": SecretStr(TOKEN)}, {}, TOKEN, BASE_URL),
        ({}, {"ACME_PAT": "b"}, "b", BASE_URL),
        ({}, {"ACME_TOKEN": "a", "ACME_PAT": "b"}, "a", BASE_URL),
        ({}, {"ACME_TOKEN": "", "ACME_PAT": "b"}, "b", BASE_URL),
        ({"token": "c"}, {"ACME_TOKEN": "a", "ACME_URL": "http://127.0.0.1:1/"}, "c", "http://127.0.0.1:1"),
        ({"token": None, "base_url": ""}, {"ACME_TOKEN": "a"}, "a", BASE_URL),
        ({"token": "c", "base_url": "http://a"}, {"ACME_URL": "http://b"}, "c", "http://a"),
    ],
)
def test_an_argument_wins_over_the_environment_and_the_first_variable_over_the_next(
    given: Mapping[str, Any], environ: Mapping[str, str], token: str, base_url: str
) -> None:
    settings = load(given, environ)

    assert (settings.token.get_secret_value(), settings.base_url) == (token, base_url)


def test_a_missing_secret_says_where_it_may_be_given() -> None:
    error = problem({})

    assert isinstance(error, MissingCredentials)
    assert str(error) == f"acme: setting 'token' is missing. {ACCEPTED}"


def test_another_missing_setting_is_a_usage_error() -> None:
    with pytest.raises(
        UsageError, match=r"setting 'user' is missing\. Accepted: base_url, headers, user, key"
    ) as caught:
        load_settings(LooseSettings, "loose", {"base_url": "http://a"}, {})

    assert not isinstance(caught.value, MissingCredentials)


def test_an_unknown_setting_says_what_is_accepted() -> None:
    assert str(problem({"token": TOKEN, "tokn": "x"})) == f"acme: unknown setting 'tokn'. {ACCEPTED}"


@pytest.mark.parametrize("name", ["token", "region"])
@pytest.mark.parametrize(
    "text", ["c4n4ry\r\nX: y", "c4n4ry\n", " c4n4ry", "c4n4ry\x00", "c4n4ry\x7f", "c4n4ry\u00e9", "\t"]
)
def test_a_header_value_that_could_break_out_is_refused_and_not_repeated(name: str, text: str) -> None:
    error = problem({"token": TOKEN} | {name: text})

    assert f"invalid setting: {name}: must be printable ASCII" in error.message
    assert "c4n4ry" not in shown(error)


def test_a_header_value_may_not_be_empty() -> None:
    with pytest.raises(ValueError, match="not empty"):
        check_header_value("")


@pytest.mark.parametrize("token", [5, ["c4n4ry"], b"c4n4ry\n"])
def test_a_secret_of_another_type_is_not_repeated(token: Any) -> None:
    error = problem({"token": token})

    assert "invalid setting: token: " in error.message
    assert "c4n4ry" not in shown(error)


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("https://acme.example", "https://acme.example"),
        ("https://acme.example/api//", "https://acme.example/api"),
        ("HTTP://LOCALHOST:8080/a", "HTTP://LOCALHOST:8080/a"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_a_base_url_loses_its_trailing_slash(url: str, used: str) -> None:
    assert check_base_url(url) == used


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("acme.example", "absolute http"),
        ("ftp://acme.example", "absolute http"),
        ("https://", "absolute http"),
        ("https:///api", "absolute http"),
        ("https://me:c4n4ry@acme.example", "user name"),
        ("https://@acme.example", "user name"),
        ("https://acme.example?key=c4n4ry", "query"),
        ("https://acme.example/api?", "query"),
        ("https://acme.example/api#", "fragment"),
        ("https://acme.example/api#c4n4ry", "fragment"),
        ("https://acme.example:port", "must have a port up to"),
        ("https://acme.example:65536", "must have a port up to"),
        ("https://[::1", "Invalid IPv6"),
        ("https://acme..example", "label empty"),
        (f"https://{'a' * 64}.example", "label"),
        ("https://acme.example/ü", "plain ASCII"),
        ("https://me:c4n4ry@acme℀.example", "plain ASCII"),
        ("https://acme.example/a b", "plain ASCII"),
        ("https://acme.example/\n", "plain ASCII"),
        ("\thttps://acme.example", "plain ASCII"),
    ],
)
def test_a_base_url_that_is_no_plain_address_is_refused(url: str, said: str) -> None:
    error = problem({"token": TOKEN, "base_url": url})

    assert "invalid setting: base_url: " in error.message
    assert said in error.message
    assert "c4n4ry" not in shown(error)


def test_settings_are_frozen() -> None:
    settings: Any = load({"token": TOKEN})

    with pytest.raises(ValidationError, match="frozen"):
        settings.region = "us"


def test_settings_show_no_secret() -> None:
    settings = load({"token": TOKEN})

    assert TOKEN not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.secrets() == (TOKEN,)


@pytest.mark.parametrize(("key", "secrets"), [(None, ()), (SecretStr(""), ()), (SecretStr("k"), ("k",))])
def test_an_empty_secret_is_none(key: SecretStr | None, secrets: tuple[str, ...]) -> None:
    assert LooseSettings(base_url="http://a", user="u", key=key).secrets() == secrets


def test_a_variable_is_read_from_wherever_it_is_marked() -> None:
    class Marked(ProviderSettings):
        base_url: Annotated[BaseUrl, FromEnv("ONE", "TWO")]

    assert load_settings(Marked, "marked", {}, {"TWO": "http://two"}).base_url == "http://two"


class PathSettings(ProviderSettings):
    user_id: PathText


@pytest.mark.parametrize("text", ["alice", "a.b", "ü@x"])
def test_an_id_that_can_stand_in_a_path_is_taken(text: str) -> None:
    assert PathSettings(base_url="http://127.0.0.1", user_id=text).user_id == text


@pytest.mark.parametrize("text", ["", "..", "a/b", "a b", "a\n"])
def test_an_id_that_cannot_stand_in_a_path_is_a_usage_error(text: str) -> None:
    with pytest.raises(ValidationError, match="must be an id without slashes"):
        PathSettings(base_url="http://127.0.0.1", user_id=text)


def test_a_setting_that_cannot_stand_in_a_path_is_not_quoted() -> None:
    given = {"base_url": BASE_URL, "user_id": "s3cret/../x"}
    with pytest.raises(UsageError) as caught:
        load_settings(PathSettings, "acme", given, {})
    assert "s3cret" not in shown(caught.value)


def test_a_token_in_a_header_is_a_secret_without_its_scheme_too() -> None:
    headers = {"X-Proxy-Authorization": "Bearer t0ken", "x-key": "a b", "x-empty": ""}

    assert set(header_secrets(headers)) == {"Bearer t0ken", "t0ken", "a b"}


def test_values_of_headers_are_secrets() -> None:
    headers = {"Authorization": "Bearer t0ken", "x-key": "k3y", "proxy-authorization": "bare"}
    settings = load_settings(OnlyAddress, "acme", {"base_url": BASE_URL, "headers": headers}, {})

    assert set(settings.secrets()) == {"Bearer t0ken", "t0ken", "k3y", "bare"}
    assert not {"t0ken", "k3y", "bare"} & set(repr(settings).replace("'", " ").split())
    assert set(settings.headers) == {"authorization", "x-key", "proxy-authorization"}


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"bad name": "secret"}, "'bad name' is not a valid header name"),
        ({"": "secret"}, "'' is not a valid header name"),
        ({"X-Key": "secret", "x-key": "secret"}, "a header is given twice"),
        ({"x-key": "sec\nret"}, "headers.x-key: .*printable ASCII"),
        ({"x-key": ""}, "headers.x-key: .*printable ASCII"),
        ("x-key: secret", "headers: Input should be a valid"),
    ],
)
def test_a_wrong_header_is_refused_without_showing_its_value(headers: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        load_settings(OnlyAddress, "acme", {"base_url": BASE_URL, "headers": headers}, {})
    assert "sec" not in str(caught.value)


class OnlyAddress(ProviderSettings):
    """No setting of its own."""


class TwoKinds(ProviderSettings):
    one_of: ClassVar[tuple[str, ...]] = ("token", "key")

    token: Annotated[HeaderSecret | None, FromEnv("TOKEN")] = None
    key: Annotated[HeaderSecret | None, FromEnv("KEY")] = None
    base_url: BaseUrl = BASE_URL
    keys_url: BaseUrl = BASE_URL


@pytest.mark.parametrize(
    ("given", "environ", "chosen"),
    [
        ({"key": "k"}, {"TOKEN": "t"}, (None, "k")),
        ({"key": None}, {"TOKEN": "t"}, ("t", None)),
        ({}, {"KEY": "k"}, (None, "k")),
        ({}, {"KEY": "k", "TOKEN": "t"}, ("t", None)),
    ],
)
def test_one_of_two_credentials_is_taken(
    given: Mapping[str, Any], environ: Mapping[str, str], chosen: tuple[str | None, str | None]
) -> None:
    settings = load_settings(TwoKinds, "acme", given, environ)

    values = (settings.token, settings.key)
    assert tuple(value and value.get_secret_value() for value in values) == chosen


def test_two_credentials_are_one_too_many_and_none_is_too_few() -> None:
    with pytest.raises(UsageError, match="set only one of 'token' or 'key'"):
        load_settings(TwoKinds, "acme", {"token": "t", "key": "k"}, {})
    with pytest.raises(
        MissingCredentials, match=r"setting 'token' or 'key' is missing\. Accepted: base_url, headers, token \(or "
    ):
        load_settings(TwoKinds, "acme", {}, {})


def test_any_address_may_carry_a_secret_in_clear_text() -> None:
    settings = TwoKinds(key=SecretStr("k"), keys_url="http://keys.example")
    assert clear_text_address(settings) == "http://keys.example"
