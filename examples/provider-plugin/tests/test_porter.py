"""Porter keeps the contract of every provider, and a few promises of its own."""

from __future__ import annotations

import pytest

from polysession import Client, Feature, Session, ToolOutput, UsageError
from polysession.testing import Backend, ProviderContract, covers, never


class TestPorter(ProviderContract):
    """Every test of the contract that fits what Porter declares, and those below."""

    provider = "porter"
    gaps = {
        "test_a_turn_with_thinking": never("Porter acts, and does not think", raises=AssertionError),
    }

    @covers(Feature.SESSIONS_UPDATE_METADATA)
    def test_a_label_that_is_changed_keeps_the_subject(self, client: Client, backend: Backend) -> None:
        """Porter replaces an errand whole: what was not to change has to be sent along."""
        session = self.new_session(client, backend, title="Ticket 42", metadata={"team": "red"})

        changed = client.sessions.update(session, metadata={"team": "blue"})

        assert (changed.title, changed.metadata) == ("Ticket 42", {"team": "blue"})

    @covers(Feature.SESSIONS_STREAM)
    def test_the_cursor_is_the_number_of_the_last_note(self, client: Client, session: Session) -> None:
        self.run(client, session, "hello")
        with client.sessions.stream(session, cursor="1", deadline_s=self.patience_s) as events:
            assert [next(events).sequence for _ in range(3)] == [2, 3, 4]
            assert events.cursor == "4"

    @covers(Feature.SESSIONS_ANSWER_OUTPUT)
    def test_one_output_is_taken_at_a_time(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, "/client-tool 2")
        (action,) = asked.actions

        with pytest.raises(UsageError, match="one thing at a time"):
            client.sessions.answer(session, [ToolOutput(action, "42"), ToolOutput("call-0", "43")])
