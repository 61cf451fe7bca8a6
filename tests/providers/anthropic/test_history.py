"""The end of a turn that is on another page than its start."""

from __future__ import annotations

from polysession_anthropic.history import _interrupted
from polysession_managed_agents.wire import WireEvent


def test_an_end_with_nothing_before_it_tells_nothing_of_an_interrupt() -> None:
    """Another server of this wire begins the history of a session with an idle status."""
    assert _interrupted([WireEvent(id="sevt_1", type="session.status_idle")], "sevt_1") is None
