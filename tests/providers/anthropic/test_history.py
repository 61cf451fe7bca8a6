"""The end of a turn whose start is on another page."""

from __future__ import annotations

from polysession_anthropic.history import _interrupted
from polysession_managed_agents.wire import WireEvent


def test_an_end_without_earlier_events_is_not_an_interrupt() -> None:
    """The server open-managed-agents starts each history with an idle status."""
    assert _interrupted([WireEvent(id="sevt_1", type="session.status_idle")], "sevt_1") is None
