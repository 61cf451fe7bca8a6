from __future__ import annotations

import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from polysession import plugins
from polysession.errors import BrokenProvider, DuplicateProvider, MissingCredentials, UnknownProvider
from polysession.plugins import installed_providers, load_provider, open_provider
from polysession.settings import ClearTextWarning
from support.acme import BASE_URL, TOKEN, AcmeProvider
from support.installed import Site

ACME = "acme = support.acme"
MODULE = """
from polysession.provider_api import Feature, hookimpl, native
from support.acme import AcmeProvider

class Other(AcmeProvider):
    name = "other"
    {body}

@hookimpl
def polysession_provider():
    return Other
"""
HOOK = "from polysession.provider_api import hookimpl\n@hookimpl\n"
EMPTY = "from polysession.provider_api import Provider\nclass Empty(Provider): ...\n"
BROKEN = {
    "raises at import": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "lacks a dependency": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "is not Python": ("def", "SyntaxError"),
    "has no hook": ("", "does not implement the hook polysession_provider"),
    "forgot the mark": (
        "def polysession_provider(): ...",
        "does not implement the hook polysession_provider",
    ),
    "misspelt the hook": (
        HOOK + "def polysession_providr(): ...",
        "PluginValidationError: unknown hook 'polysession_providr'",
    ),
    "hook takes an argument": (
        HOOK + "def polysession_provider(name): ...",
        "PluginValidationError: Plugin 'other' for hook 'polysession_provider'",
    ),
    "hook raises": (
        HOOK + "def polysession_provider(): return 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "hook returns None": (
        HOOK + "def polysession_provider(): ...",
        "or returns None from it",
    ),
    "hook returns a text": (
        HOOK + "def polysession_provider(): return 'other'",
        "returned 'other', which is not a subclass of Provider",
    ),
    "hook returns another class": (
        HOOK + "def polysession_provider(): return dict",
        "returned <class 'dict'>, which is not a subclass of Provider",
    ),
    "wrong name": (MODULE.format(body="name = 'acme'"), "entry point is named 'other', but its class is named 'acme'"),
    "wrong version": (MODULE.format(body="api_version = 99"), "needs provider API 99; this polysession has 2"),
    "invalid settings": (MODULE.format(body="settings_type = dict"), "settings_type is not a subclass of Provider"),
    "settings no class": (MODULE.format(body="settings_type = 5"), "settings_type is not a subclass of Provider"),
    "no such owner": (MODULE.format(body="owner_setting = 'user'"), "'user', which is not a setting with a default"),
    "features no mapping": (
        MODULE.format(body="features = [Feature.SESSIONS_GET]"),
        "features is [<Feature.SESSIONS_GET",
    ),
    "feature unknown": (
        MODULE.format(body="features = {'sessions.get': native()}"),
        "features maps 'sessions.get' to FeatureSupport(",
    ),
    "support undeclared": (
        MODULE.format(body="features = {Feature.SESSIONS_GET: True}"),
        "to True, not a Feature to a",
    ),
    "flow missing": (
        MODULE.format(body="features = {Feature.SESSIONS_ARCHIVE: native()}"),
        "declares 'sessions.archive', but does not define archive_session",
    ),
    "declares nothing": (
        EMPTY + HOOK + "def polysession_provider(): return Empty",
        "Empty lacks name, docs_url, settings_type, features, headers, read_error",
    ),
}


@pytest.fixture
def with_acme(site: Site) -> None:
    site.install("acme-sessions", ACME)


def offer(site: Site, source: str) -> None:
    """Install a distribution whose provider `other` is this module."""
    site.module("acme_other", source)
    site.install("acme-other", "other = acme_other", version="2.3")


def test_a_provider_is_found_by_name_and_loaded_once(site: Site) -> None:
    site.install("acme-sessions", ACME)

    assert load_provider("acme") is load_provider("acme") is AcmeProvider


def test_a_sound_provider_in_a_module_of_its_own_loads(site: Site) -> None:
    offer(site, MODULE.format(body="features = {}"))

    assert load_provider("other").name == "other"


@pytest.mark.parametrize(("source", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_provider_says_whose_it_is_and_what_is_wrong(site: Site, source: str, said: str) -> None:
    offer(site, source)

    with pytest.raises(BrokenProvider) as caught:
        load_provider("other")

    assert caught.value.message.startswith("provider 'other' of acme-other 2.3 is broken: ")
    assert said in caught.value.message
    assert caught.value.provider == "other"


def test_an_entry_point_of_nothing_is_broken(site: Site) -> None:
    site.install("acme-other", "other = no_such_module:thing")

    with pytest.raises(BrokenProvider, match="No module named 'no_such_module'"):
        load_provider("other")


def test_a_broken_provider_is_asked_anew_once_it_is_mended(site: Site) -> None:
    site.install("acme-other", "other = acme_other")
    with pytest.raises(BrokenProvider):
        load_provider("other")

    site.module("acme_other", MODULE.format(body=""))

    assert load_provider("other").name == "other"


def test_two_distributions_of_one_name_are_both_named(site: Site) -> None:
    site.install("acme-sessions", ACME)
    site.install("acme-copy", ACME, version="0.1")

    with pytest.raises(DuplicateProvider) as caught:
        load_provider("acme")

    assert "acme-sessions 1.0" in caught.value.message
    assert "acme-copy 0.1" in caught.value.message
    assert "Uninstall all but one" in caught.value.message


def test_neither_a_broken_nor_a_duplicate_provider_hurts_another(site: Site) -> None:
    offer(site, "raise RuntimeError")
    site.install("double-one", "double = support.acme")
    site.install("double-two", "double = support.acme")
    site.install("acme-sessions", ACME)

    assert load_provider("acme") is AcmeProvider
    assert {"acme", "other", "double"} <= set(installed_providers())


def test_a_distribution_that_lies_twice_on_the_path_is_one(site: Site) -> None:
    site.install("acme-sessions", ACME)
    site.install("acme-sessions", ACME, version="0.9")

    assert load_provider("acme") is AcmeProvider


def test_names_are_listed_in_order_and_nothing_is_imported(site: Site) -> None:
    offer(site, "raise RuntimeError")
    site.install("zeta", "zeta = no_such_module", "alpha = no_such_module")

    names = list(installed_providers())

    assert names == sorted(names)
    assert {"alpha", "other", "zeta"} <= set(names)
    assert "acme_other" not in sys.modules


@pytest.mark.parametrize(("name", "guess"), [("acne", " Did you mean 'acme'?"), ("xyzzy", "")])
def test_an_unknown_name_lists_the_installed_and_guesses(site: Site, name: str, guess: str) -> None:
    site.install("acme-sessions", ACME)

    with pytest.raises(UnknownProvider) as caught:
        load_provider(name)

    assert caught.value.message.startswith(f"unknown provider {name!r}.{guess} Installed: acme, ")


def test_without_any_provider_none_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polysession.plugins.distributions", lambda: ())

    with pytest.raises(UnknownProvider, match=r"unknown provider 'acme'\. Installed: none"):
        load_provider("acme")


def test_an_entry_point_without_a_distribution_is_named_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    points = tuple(EntryPoint("acme", value, "polysession.providers") for value in ("one", "two"))
    monkeypatch.setattr("polysession.plugins.installed_providers", lambda: {"acme": points})
    load_provider.cache_clear()

    with pytest.raises(DuplicateProvider, match="several packages offer provider 'acme': one and two"):
        load_provider("acme")


@pytest.mark.usefixtures("with_acme")
@pytest.mark.parametrize(("name", "environ"), [("acme", {}), (None, {"POLYSESSION_PROVIDER": "acme"})])
def test_a_provider_is_opened_with_its_settings(name: str | None, environ: dict[str, str]) -> None:
    provider = open_provider(name, {"region": "eu"}, environ | {"ACME_TOKEN": TOKEN})

    assert isinstance(provider, AcmeProvider)
    assert (provider.settings.region, provider.settings.base_url) == ("eu", BASE_URL)


@pytest.mark.usefixtures("with_acme")
def test_a_name_wins_over_the_environment() -> None:
    environ = {"POLYSESSION_PROVIDER": "no-such-provider", "ACME_TOKEN": TOKEN}

    assert open_provider("acme", {}, environ).name == "acme"


@pytest.mark.usefixtures("with_acme")
@pytest.mark.parametrize("name", [None, ""])
def test_without_a_name_the_installed_are_listed(name: str | None, tmp_path: Path) -> None:
    with pytest.raises(UnknownProvider, match=r"or set POLYSESSION_PROVIDER\. Installed: acme, "):
        open_provider(name, {}, {"POLYSESSION_PROVIDER": "", "XDG_CONFIG_HOME": str(tmp_path)})


@pytest.mark.usefixtures("with_acme")
def test_a_provider_without_its_secret_is_not_opened() -> None:
    with pytest.raises(MissingCredentials, match="ACME_TOKEN, ACME_PAT"):
        open_provider("acme", {}, {})


def test_a_distribution_whose_entry_points_cannot_be_read_harms_nobody(site: Site, tmp_path: Path) -> None:
    site.install("acme-sessions", "acme = support.acme")
    site.install("foreign")
    (tmp_path / "foreign-1.0.dist-info" / "entry_points.txt").write_bytes(b"[\xff]\n")

    assert load_provider("acme").name == "acme"
    with pytest.raises(UnknownProvider, match=r"Skipped, because their entry points cannot be read: foreign"):
        load_provider("acmee")


def test_an_installation_without_metadata_finds_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "polysession_bundled.py").write_text(
        MODULE.format(body="name = 'bundled'").replace("'other'", "'bundled'")
    )
    (tmp_path / "polysession_family.py").write_text("SHARED = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "distributions", list)
    monkeypatch.setattr(plugins, "__file__", str(tmp_path / "polysession" / "plugins.py"))

    assert list(installed_providers()) == ["bundled"]
    assert load_provider("bundled").name == "bundled"
    load_provider.cache_clear()


@pytest.mark.parametrize("base_url", ["http://acme.example", "http://192.0.2.7:8000", "http://[2001:db8::1]"])
def test_a_credential_in_clear_text_is_warned_of(site: Site, base_url: str) -> None:
    site.install("acme-sessions", ACME)

    with pytest.warns(ClearTextWarning, match="acme: the credential is sent in clear text to http"):
        open_provider("acme", {"token": TOKEN, "base_url": base_url}, {})


@pytest.mark.parametrize(
    "base_url",
    ["https://acme.example", "http://127.0.0.1:8000", "http://127.1.2.3", "http://localhost", "http://[::1]:80"],
)
def test_what_stays_on_the_machine_or_is_encrypted_is_not_warned_of(site: Site, base_url: str) -> None:
    site.install("acme-sessions", ACME)

    with warnings.catch_warnings(action="error"):
        open_provider("acme", {"token": TOKEN, "base_url": base_url}, {})
