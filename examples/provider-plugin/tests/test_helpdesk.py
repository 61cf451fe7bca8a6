"""The helpdesk keeps the contract of every provider, and promises of its own."""

from __future__ import annotations

import pytest

from polysession import Client, Feature, Session, ToolOutput, UsageError
from polysession.testing import ProviderContract, covers, never


class TestHelpdesk(ProviderContract):
    """Every test of the contract that fits the declaration, and those below."""

    provider = "helpdesk"
    gaps = {"test_a_turn_with_thinking": never("the helpdesk shows no thoughts", raises=AssertionError)}

    @covers(Feature.SESSIONS_ANSWER_OUTPUT)
    def test_one_output_is_taken_at_a_time(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, "/client-tool 2")
        (action,) = asked.actions

        with pytest.raises(UsageError, match="one tool at a time"):
            client.sessions.answer(session, [ToolOutput(action, "42"), ToolOutput("call-0", "43")])
