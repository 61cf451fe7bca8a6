from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.errors
import pytest

from polysession import AsyncClient, Client, MissingCredentials, PlainSecretWarning, UnknownProvider, UsageError
from polysession.plugins import choose_provider, open_provider
from polysession.profiles import config_path, find_profile, read_profiles
from polysession.settings import secret_names
from support.acme import TOKEN, AcmeProvider, AcmeSettings

pytestmark = pytest.mark.usefixtures("acme_installed")

STAGING = 'provider = "acme"\nregion = "eu"\ntoken = { env = "STAGING_TOKEN" }\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), "STAGING_TOKEN": TOKEN}


def write(environ: dict[str, str], text: str, mode: int = 0o600) -> Path:
    path = config_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def settings(environ: dict[str, str], name: str | None = None, **given: Any) -> AcmeSettings:
    opened = open_provider(name, given, environ, None if "POLYSESSION_PROFILE" in environ else "staging")
    assert isinstance(opened.settings, AcmeSettings)
    return opened.settings


def test_a_profile_names_the_provider_and_its_settings(environ: dict[str, str]) -> None:
    write(environ, f"[profiles.staging]\n{STAGING}")

    found = settings(environ)

    assert (found.region, found.token.get_secret_value()) == ("eu", TOKEN)


def test_arguments_win_over_the_profile_and_the_profile_over_the_environment(environ: dict[str, str]) -> None:
    write(environ, f'[profiles.staging]\n{STAGING}base_url = "https://profile.example"\n')
    environ |= {"ACME_URL": "https://environment.example", "ACME_TOKEN": "other", "POLYSESSION_PROVIDER": "nobody"}

    assert settings(environ).base_url == "https://profile.example"
    assert settings(environ).token.get_secret_value() == TOKEN
    assert settings(environ, base_url="https://argument.example").base_url == "https://argument.example"
    assert settings(environ, base_url="", region=None).base_url == "https://profile.example"


def test_what_the_profile_leaves_out_comes_from_the_environment(environ: dict[str, str]) -> None:
    write(environ, '[profiles.staging]\nprovider = "acme"\n')

    assert settings(environ | {"ACME_TOKEN": "from-env"}).token.get_secret_value() == "from-env"


def test_the_environment_may_name_the_profile(environ: dict[str, str]) -> None:
    write(environ, f"[profiles.staging]\n{STAGING}")
    environ["POLYSESSION_PROFILE"] = "staging"

    assert settings(environ).region == "eu"
    assert (
        open_provider(None, {}, environ | {"POLYSESSION_PROVIDER": "acme", "ACME_TOKEN": "x"}, "").settings.region
        is None
    )


def test_a_profile_of_the_environment_gives_way_to_a_provider_that_is_named(environ: dict[str, str]) -> None:
    write(environ, '[profiles.staging]\nprovider = "another"\nregion = "eu"\n')
    environ |= {"POLYSESSION_PROFILE": "staging", "ACME_TOKEN": TOKEN}

    assert settings(environ, "acme").region is None
    with pytest.raises(UnknownProvider, match="'another'"):
        settings(environ)


def test_the_default_profile_is_used_where_neither_a_provider_nor_a_profile_is_named(environ: dict[str, str]) -> None:
    write(environ, f'default = "staging"\n[profiles.staging]\n{STAGING}[profiles.staging.new_session]\nagent = "a"\n')

    name, profile = choose_provider(None, environ)
    assert (name, profile and profile.name, profile and profile.new_session) == ("acme", "staging", {"agent": "a"})
    assert choose_provider("other", environ) == ("other", None)
    assert choose_provider(None, environ | {"POLYSESSION_PROVIDER": "other"}) == ("other", None)
    with pytest.raises(UnknownProvider, match="no provider is given"):
        choose_provider(None, environ, "")


def test_a_default_that_does_not_exist_lists_the_profiles(environ: dict[str, str]) -> None:
    write(environ, f'default = "stagin"\n[profiles.staging]\n{STAGING}')

    with pytest.raises(UsageError, match=r"no profile 'stagin' in .*\. It has: staging"):
        choose_provider(None, environ)


def test_a_profile_that_is_asked_for_must_fit_the_provider(environ: dict[str, str]) -> None:
    write(environ, '[profiles.staging]\nprovider = "another"\n')

    with pytest.raises(UsageError, match=r"profile 'staging' in .* is for provider 'another', not for 'acme'"):
        settings(environ, "acme")


@pytest.mark.parametrize("client_type", [Client, AsyncClient])
def test_clients_take_a_profile(client_type: type, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    write(environ, f"[profiles.staging]\n{STAGING}")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert client_type(profile="staging").provider == "acme"
    monkeypatch.setenv("POLYSESSION_PROFILE", "staging")
    assert client_type().provider == "acme"


def test_an_unknown_profile_lists_what_there_is(environ: dict[str, str]) -> None:
    with pytest.raises(
        UsageError, match=r"no profile 'staging' in .*config\.toml\. The file has no profiles, or does not"
    ):
        find_profile("staging", environ)
    write(environ, '[profiles.one]\nprovider = "acme"\n[profiles.two]\nprovider = "acme"\n')
    with pytest.raises(UsageError, match=r"It has: one, two$"):
        find_profile("staging", environ)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[profiles.staging", "cannot read .*config.toml"),
        ('[profile.staging]\nprovider = "acme"', r"has the unknown top-level key 'profile'; expected 'default' and \["),
        ("default = 3", "'default' must be the name of a profile"),
        (
            '[profiles.a]\nprovider = "acme"\nnew_session = 3',
            "'new_session' accepts text values for agent, environment",
        ),
        (
            '[profiles.a]\nprovider = "acme"\nnew_session = { agnt = "x" }',
            "'new_session' accepts text values for agent, env",
        ),
        ("profiles = 3", "'profiles' is not a table"),
        ("[profiles.staging]\nregion = 'eu'", 'names no provider; add: provider = "..."'),
        ("[profiles]\nstaging = 3", "profile 'staging' in .* names no provider"),
        ("[profiles.staging]\nprovider = 'acme'\ntokn = 'x'", r"unknown setting 'tokn'.* Used: profile 'staging' in"),
        ("[profiles.staging]\nprovider = 'acme'\ntoken = {file = 'x'}", "invalid setting: token"),
        ("[profiles.staging]\nprovider = 'acme'\ntoken = {keyring = 'x'}", "a keyring entry must be 'service/user'"),
        ("[profiles.staging]\nprovider = 'acme'\nregion = {env = 'NONE'}", "variable 'NONE', which is not set"),
    ],
)
@pytest.mark.filterwarnings("ignore::polysession.PlainSecretWarning")
def test_mistakes_in_the_file_are_told(text: str, said: str, environ: dict[str, str]) -> None:
    write(environ, text)

    with pytest.raises(UsageError, match=said):
        settings(environ)


def test_a_file_that_cannot_be_read_is_told(environ: dict[str, str]) -> None:
    config_path(environ).mkdir(parents=True)

    with pytest.raises(UsageError, match="cannot read"):
        read_profiles(environ)


@pytest.mark.parametrize("reference", ['{ env = "NOT_SET" }', '{ env = "EMPTY" }'])
def test_a_secret_that_refers_to_nothing_is_missing(reference: str, environ: dict[str, str]) -> None:
    write(environ, f'[profiles.staging]\nprovider = "acme"\ntoken = {reference}\n')

    with pytest.raises(MissingCredentials, match=r"'token' of profile 'staging' in .* refers to the environment"):
        settings(environ | {"EMPTY": ""})
    assert settings(environ, token="given").token.get_secret_value() == "given"


def test_a_plain_secret_is_warned_about_once_and_never_shown(environ: dict[str, str]) -> None:
    path = write(environ, f'[profiles.staging]\nprovider = "acme"\ntoken = "{TOKEN}"\n')

    with pytest.warns(PlainSecretWarning) as warned:
        assert settings(environ).token.get_secret_value() == TOKEN
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings(environ)
    (warning,) = warned
    assert str(warning.message).startswith(
        f"{path} stores profiles.staging.token as plain text; use a reference: {{ env"
    )
    assert "chmod" not in str(warning.message)
    assert TOKEN not in str(warning.message) + repr(find_profile("staging", environ))


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_plain_secret_that_others_can_read_is_told(mode: int, environ: dict[str, str]) -> None:
    path = write(environ, f'[profiles.staging]\nprovider = "acme"\ntoken = "{TOKEN}"\n', mode)

    with pytest.warns(PlainSecretWarning, match=f"Other users of this machine can read the file: chmod 600 {path}"):
        settings(environ)


def test_a_plain_secret_that_is_not_used_is_not_warned_about(environ: dict[str, str]) -> None:
    write(environ, f'[profiles.staging]\nprovider = "acme"\ntoken = "{TOKEN}"\n')

    settings(environ, token="given")


class Memory(keyring.backend.KeyringBackend):
    """A keyring that holds one entry; it is locked for the user `locked`."""

    def get_password(self, service: str, username: str) -> str | None:
        if username == "locked":
            raise keyring.errors.KeyringLocked("locked")
        return TOKEN if (service, username) == ("acme/eu", "alice") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError


@pytest.fixture
def memory() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(Memory())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("memory")
def test_a_secret_may_be_in_the_keyring(environ: dict[str, str]) -> None:
    text = '[profiles.staging]\nprovider = "acme"\ntoken = {{ keyring = "acme/eu/{}" }}\n'
    write(environ, text.format("alice"))
    assert settings(environ).token.get_secret_value() == TOKEN
    write(environ, text.format("bob"))
    with pytest.raises(MissingCredentials, match="the keyring entry 'acme/eu/bob', which does not exist"):
        settings(environ)
    write(environ, text.format("locked"))
    with pytest.raises(UsageError, match="the keyring cannot be read: locked"):
        settings(environ)


def test_without_the_keyring_library_the_extra_is_named(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    write(environ, '[profiles.staging]\nprovider = "acme"\ntoken = { keyring = "acme/alice" }\n')

    with pytest.raises(UsageError, match=r"pip install 'polysession\[keyring\]'"):
        settings(environ)


@pytest.mark.parametrize("given", ["", "relative"])
def test_without_an_absolute_folder_the_file_is_in_the_home(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")

    assert config_path({"XDG_CONFIG_HOME": given}) == Path("/home/alice/.config/polysession/config.toml")


def test_secret_settings_are_known_by_their_type() -> None:
    assert secret_names(AcmeSettings) == {"headers", "token"}
    assert secret_names(AcmeProvider.settings_type) == {"headers", "token"}


def test_a_client_without_a_profile_reads_no_toml() -> None:
    code = (
        "import sys; from polysession import Client; Client('qoder', token='x').close()\n"
        "assert 'tomllib' not in sys.modules and 'polysession.profiles' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PATH": ""})  # noqa: S603


def test_a_byte_order_mark_before_the_file_is_skipped(environ: dict[str, str]) -> None:
    """Editors on Windows write one."""
    path = write(environ, "")
    path.write_bytes(f"[profiles.staging]\n{STAGING}".encode("utf-8-sig"))

    assert settings(environ).region == "eu"
