"""Pending actions: approvals, and tools that the caller runs."""

from __future__ import annotations

import pytest

from polysession import (
    ACTION,
    ActionRequiredError,
    Approve,
    Client,
    Conflict,
    Deny,
    Feature,
    NotFound,
    Outcome,
    PendingAction,
    Question,
    Reply,
    Session,
    SessionStatus,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    TurnEnded,
    TurnFailed,
    WhenWaiting,
)
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.cuts import survive
from polysession.testing.faces import Face
from polysession.testing.marks import covers
from polysession.testing.page_answers import answer_to
from polysession.testing.turns import check_each_once, milestones

_ASKED = ["turn.started", "tool_call.completed", "action.required", "turn.ended requires_action"]


class ActionContract(ContractBase):
    """A turn with a pending action asks its caller, waits, and continues after the answer."""

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_APPROVAL)
    def test_a_tool_is_approved(self, client: Client, session: Session) -> None:
        events, asked = self.run(client, session, self.script.ask)
        # A backend may report a held call as a failed result, and let the agent call the tool again later.
        assert [word for word in milestones(events) if word != "tool_result.completed"] == _ASKED
        assert asked.outcome is Outcome.REQUIRES_ACTION
        (action,) = asked.actions
        assert isinstance(action, ToolApproval)
        assert action.name

        events, result = self.run(client, session, [Approve(action)])

        found = [word for word in milestones(events) if word != "tool_call.completed"]
        assert found == ["turn.started", "tool_result.completed", *self.said]
        assert [event.is_error for event in events if event.type == "tool_result.completed"] == [False]
        assert result.outcome is Outcome.COMPLETED
        assert result.actions == ()
        check_each_once(events)

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_APPROVAL)
    def test_a_denial_reaches_the_agent(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, self.script.ask)

        events, result = self.run(client, session, [Deny(action) for action in asked.actions])

        assert [event.is_error for event in events if event.type == "tool_result.completed"] == [True]
        assert result.outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_APPROVAL, Feature.SESSIONS_ANSWER_ARGUMENTS)
    def test_a_tool_is_approved_with_other_arguments(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, self.script.ask)
        (action,) = asked.actions
        assert isinstance(action, ToolApproval)
        edited = {name: "edited" if isinstance(value, str) else value for name, value in action.arguments.items()}

        events, result = self.run(client, session, [Approve(action, arguments=edited)])

        assert [event.is_error for event in events if event.type == "tool_result.completed"] == [False]
        assert result.outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_QUESTION)
    def test_a_question_is_answered(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, self.script.question)
        assert asked.outcome is Outcome.REQUIRES_ACTION
        (action,) = asked.actions
        assert isinstance(action, Question)
        assert action.prompt

        events, result = self.run(client, session, [Reply(action, action.options[0] if action.options else "blue")])

        assert result.outcome is Outcome.COMPLETED
        assert result.actions == ()
        check_each_once(events)

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_QUESTION, Feature.SESSIONS_PENDING_ACTIONS)
    def test_a_question_that_was_stored_is_answered_by_another_process(
        self, client: Client, session: Session, face: Face, backend: Backend
    ) -> None:
        _, asked = self.run(client, session, self.script.question)
        (stored,) = (ACTION.dump_json(action) for action in asked.actions)

        with self.open(face, backend.settings) as other:
            _, result = self.run(other, session, [Reply(ACTION.validate_json(stored), "blue")])
            assert result.outcome is Outcome.COMPLETED
            assert other.sessions.pending_actions(session) == ()

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_APPROVAL)
    def test_an_approval_that_was_stored_is_given_by_another_process(
        self, client: Client, session: Session, face: Face, backend: Backend
    ) -> None:
        """The other process has nothing but the action's JSON."""
        _, asked = self.run(client, session, self.script.ask)
        (stored,) = (ACTION.dump_json(action) for action in asked.actions)

        with self.open(face, backend.settings) as other:
            events, result = self.run(other, session, [Approve(ACTION.validate_json(stored))])

        assert [event.is_error for event in events if event.type == "tool_result.completed"] == [False]
        assert result.outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_APPROVAL)
    def test_a_run_continues_through_actions(self, client: Client, session: Session) -> None:
        """The same program on all backends, with one pending action or two."""
        for said, number in ((self.script.ask, 1), (self.script.ask_twice, 2)):
            asked: list[str] = []

            def approve(action: PendingAction, asked: list[str] = asked) -> Approve:
                asked.append(action.id)
                return Approve(action)

            with client.sessions.run(session, said, on_action=approve, deadline_s=self.patience_s) as turn:
                events = list(turn)

            assert len(asked) == len(set(asked)) == number
            ends = [event for event in events if isinstance(event, TurnEnded)]
            assert [event.continues for event in ends] == [True] * (len(ends) - 1) + [False]
            assert [event.outcome for event in ends][-1] is Outcome.COMPLETED
            assert turn.result.outcome is Outcome.COMPLETED
            assert turn.result.actions == ()
            assert turn.result.text
            check_each_once(events)

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_APPROVAL)
    def test_a_group_of_actions_is_answered_together(self, client: Client, session: Session) -> None:
        """After one of two approvals, a group stays unanswered; without a group, only the other action still waits."""
        first: list[PendingAction] = []

        def approve_first(action: PendingAction) -> Approve | None:
            first.append(action)
            return Approve(action) if len(first) == 1 else None

        with client.sessions.run(
            session, self.script.ask_twice, on_action=approve_first, deadline_s=self.patience_s
        ) as turn:
            events = list(turn)
            left = turn.result.actions

        assert turn.result.outcome is Outcome.REQUIRES_ACTION
        parts = [event for event in events if isinstance(event, TurnEnded)]
        groups = {action.group for action in first}
        if len(first) > 1 and len(parts) == 1 and groups != {None} and len(groups) == 1:  # both are asked for together
            assert {action.id for action in left} == {action.id for action in first}
        else:
            assert left
            assert first[0].id not in {action.id for action in left}
        _, result = self.run(client, session, [Approve(action) for action in left])
        assert result.outcome is Outcome.COMPLETED
        assert result.actions == ()

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_an_action_that_is_left_unanswered_waits(self, client: Client, session: Session) -> None:
        seen: list[PendingAction] = []
        with client.sessions.run(
            session, self.script.client_tool, on_action=seen.append, deadline_s=self.patience_s
        ) as turn:
            result = turn.wait()

        assert result.outcome is Outcome.REQUIRES_ACTION
        assert result.actions == tuple(seen)
        assert self.run(client, session, [ToolOutput(seen[0], "42")])[1].outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_an_error_of_on_action_leaves_the_session_waiting(self, client: Client, session: Session) -> None:
        def fail(_: PendingAction) -> None:
            raise ZeroDivisionError

        with client.sessions.run(session, self.script.client_tool, on_action=fail, deadline_s=self.patience_s) as turn:
            with pytest.raises(ZeroDivisionError):
                turn.wait()
            assert turn.result.outcome is Outcome.REQUIRES_ACTION

        (action,) = turn.result.actions
        assert self.run(client, session, [ToolOutput(action, "42")])[1].outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_to_ask_is_to_run_to_the_end(self, client: Client, session: Session) -> None:
        def answer(action: PendingAction) -> ToolOutput:
            return ToolOutput(action, "42")

        result = client.sessions.ask(session, self.script.client_tool, on_action=answer, deadline_s=self.patience_s)
        assert result.outcome is Outcome.COMPLETED
        with pytest.raises(ActionRequiredError) as caught:
            client.sessions.ask(session, self.script.client_tool, deadline_s=self.patience_s)
        assert (caught.value.provider, len(caught.value.actions)) == (self.provider, 1)
        self.run(client, session, [ToolOutput(action, "42") for action in caught.value.actions])
        with pytest.raises(TurnFailed):
            client.sessions.ask(session, self.script.fail, deadline_s=self.patience_s)

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_a_tool_of_the_caller_is_answered(self, client: Client, session: Session) -> None:
        events, asked = self.run(client, session, self.script.client_tool)
        assert milestones(events) == _ASKED
        (action,) = asked.actions
        assert isinstance(action, ToolExecution)
        (call,) = (event for event in events if event.type == "tool_call.completed")
        assert (action.name, action.arguments) == (call.name, call.arguments)

        events, result = self.run(client, session, [ToolOutput(action, "42")])

        # A backend that echoes an output may do so before the agent works again.
        assert sorted(milestones(events)) == sorted(["turn.started", "tool_result.completed", *self.said])
        (answer,) = (event for event in events if event.type == "tool_result.completed")
        assert (answer.text, answer.is_error) == ("42", False)
        assert result.outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_a_tool_of_the_caller_may_fail(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, self.script.client_tool)

        outputs = [ToolOutput(action, "out of order", is_error=True) for action in asked.actions]
        events, result = self.run(client, session, outputs)

        assert [event.is_error for event in events if event.type == "tool_result.completed"] == [True]
        assert result.outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_PENDING_ACTIONS, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_what_is_pending_is_answered_by_another_process(
        self, client: Client, session: Session, face: Face, backend: Backend
    ) -> None:
        _, result = self.run(client, session, self.script.client_tool)
        (asked,) = result.actions

        with self.open(face, backend.settings) as other:
            (found,) = other.sessions.pending_actions(session)
            assert found == asked
            _, result = self.run(other, session, [ToolOutput(found.id, "42")])
            assert result.outcome is Outcome.COMPLETED
            assert other.sessions.pending_actions(session) == ()

    @covers(Feature.SESSIONS_PENDING_ACTIONS)
    def test_nothing_is_pending_in_a_new_session(self, client: Client, session: Session) -> None:
        assert client.sessions.pending_actions(session) == ()

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_OUTPUT, Feature.SESSIONS_GET)
    def test_an_answer_may_leave_the_turn_to_itself(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, self.script.client_tool)

        client.sessions.answer(session, [ToolOutput(action, "42") for action in asked.actions])

        self.eventually(lambda: client.sessions.get(session).status is SessionStatus.IDLE, "the turn ended")
        if self.supports(Feature.SESSIONS_MESSAGES):
            assert [message.text for message in client.sessions.messages(session)][-1]

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_an_answer_is_taken_once(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, self.script.client_tool)
        outputs = [ToolOutput(action, "42") for action in asked.actions]
        self.run(client, session, outputs)

        with pytest.raises((Conflict, NotFound)) as caught:
            client.sessions.answer(session, outputs)
        assert (caught.value.provider, caught.value.operation) == (self.provider, Feature.SESSIONS_ANSWER)

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_OUTPUT)
    def test_an_answer_to_what_was_not_asked_is_refused(self, client: Client, session: Session) -> None:
        _, asked = self.run(client, session, self.script.client_tool)

        with pytest.raises((Conflict, NotFound)):
            client.sessions.answer(session, [ToolOutput("call_none", "42")])

        assert self.run(client, session, [ToolOutput(action, "42") for action in asked.actions])[1].text

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_APPROVAL)
    def test_an_approval_of_what_was_not_asked_is_refused(self, client: Client, session: Session) -> None:
        with pytest.raises((Conflict, NotFound)):
            client.sessions.answer(session, [Approve("call_none")])

    @covers(
        Feature.SESSIONS_RUN,
        Feature.SESSIONS_ANSWER,
        Feature.SESSIONS_PENDING_ACTIONS,
        Feature.SESSIONS_GET,
        needs=lambda declared: declared.when_waiting is not WhenWaiting.UNKNOWN,
    )
    def test_a_message_while_the_agent_waits_does_what_is_declared(self, client: Client, session: Session) -> None:
        """The message is sent as soon as the action is delivered, and again when the session is no longer running."""
        for waits in (False, True):
            action = self.waiting(client, session)
            if waits:
                self.eventually(
                    lambda: client.sessions.get(session).status is not SessionStatus.RUNNING, "the session waits"
                )
            turn = survive(lambda: self.run(client, session, self.script.plain))
            left = client.sessions.pending_actions(session)

            if self.declared().when_waiting in {WhenWaiting.REFUSED, WhenWaiting.TAKEN_AS_ANSWER}:
                assert isinstance(turn.error, Conflict), turn
            else:
                assert turn.is_completed, turn
            if self.declared().when_waiting is WhenWaiting.DROPS_QUESTION:
                assert left == ()
            else:
                assert [each.id for each in left] == [action.id]
                self.run(client, session, [answer_to(action)])
