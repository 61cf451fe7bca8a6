from __future__ import annotations

import pytest

from polysession.emulation.loading import load_emulator
from polysession.errors import BrokenProvider, UnknownProvider, UsageError
from support.acme import AcmeProvider
from support.acme_emulator import AcmeEmulator

pytestmark = pytest.mark.usefixtures("acme_installed")


def test_the_emulator_is_where_the_provider_says() -> None:
    assert load_emulator("acme") is AcmeEmulator


def test_a_provider_may_ship_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AcmeProvider, "emulator", None)

    with pytest.raises(UsageError, match="acme: provider 'acme' has no emulator"):
        load_emulator("acme")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("no_such_module:Emulator", "cannot be loaded: No module named 'no_such_module'"),
        ("support.acme_emulator:Absent", "cannot be loaded: module 'support.acme_emulator' has no attribute 'Absent'"),
        ("support.acme_emulator", "cannot be loaded"),
        ("", "cannot be loaded"),
        ("support.acme:AcmeProvider", "is not a subclass of Emulator"),
        ("support.acme:TOKEN", "is not a subclass of Emulator"),
    ],
)
def test_an_emulator_that_is_not_there_is_broken(monkeypatch: pytest.MonkeyPatch, location: str, said: str) -> None:
    monkeypatch.setattr(AcmeProvider, "emulator", location)

    with pytest.raises(BrokenProvider) as caught:
        load_emulator("acme")

    assert said in caught.value.message
    assert caught.value.provider == "acme"


def test_an_unknown_provider_has_none() -> None:
    with pytest.raises(UnknownProvider):
        load_emulator("no-such-provider")
