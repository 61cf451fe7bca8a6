"""Settings of the contract tests."""

import pytest

from polysession_adk import turns

_SOONER = {"POLL_S": (0.02, 0.1), "_LOOKS_S": (0.0, 0.01, 0.04, 0.1, 0.3, 0.6)}


@pytest.fixture(autouse=True)
def _look_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the provider of ADK, which has no stream of a session, look at it sooner: its emulator stores at once."""
    for name, seconds in _SOONER.items():
        monkeypatch.setattr(turns, name, seconds)
