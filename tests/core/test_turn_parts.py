"""Turns of several parts: which answers are sent, what the result holds, and who is warned."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from polysession import ACTION, AsyncClient, Client
from polysession._core.turn import ActionAnswers, TurnSummary, add_usage
from polysession._drivers import async_stream, stream_base, sync_stream
from polysession.action import Answer, Approve, Deny, PendingAction, ToolApproval
from polysession.emulation import EmulatorHandle, serve
from polysession.errors import (
    ActionRequiredError,
    PolysessionError,
    TurnCancelled,
    TurnFailed,
    TurnLimitReached,
    UnsupportedOperation,
    UsageError,
)
from polysession.event import ActionRequired, MessageCompleted, Outcome, TurnEnded
from polysession.feature import TurnLife
from polysession.message import Message, Role, TextBlock
from polysession.result import TurnResult
from polysession.session import SessionStatus, Usage


def approval(action_id: str, group: str | None = None) -> ToolApproval:
    return ToolApproval(id=action_id, name="rm", arguments={}, group=group)


A, B = approval("a"), approval("b")
G1, G2, H1 = approval("g1", "g"), approval("g2", "g"), approval("h1", "h")


@pytest.mark.parametrize(
    ("actions", "answers", "sent"),
    [
        ([A, B], {"a": Approve(A), "b": Deny(B)}, [Approve(A), Deny(B)]),
        ([A, B], {"b": Deny(B)}, [Deny(B)]),
        ([A, B], {}, []),
        ([G1, G2], {"g1": Approve(G1), "g2": Approve(G2)}, [Approve(G1), Approve(G2)]),
        ([G1, G2], {"g1": Approve(G1)}, []),
        ([G1, A, G2, H1], {"g1": Approve(G1), "h1": Approve(H1), "a": Deny(A)}, [Deny(A), Approve(H1)]),
        ([G1, A, G2], {"g1": Deny(G1), "g2": Deny(G2), "a": Deny(A)}, [Deny(G1), Deny(G2), Deny(A)]),
    ],
)
def test_the_answers_of_complete_groups_are_sent(
    actions: list[PendingAction], answers: dict[str, Answer], sent: list[Answer]
) -> None:
    given = [(action, answers.get(action.id)) for action in actions]

    assert ActionAnswers.to_send(actions, given) == sent


def test_no_action_is_asked_about_twice() -> None:
    answers = ActionAnswers()

    assert answers.to_ask([A, B]) == [A, B]
    assert answers.to_ask([B, G1]) == [G1]
    assert answers.to_ask([A, B, G1]) == []


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (None, None, None),
        (Usage(input_tokens=1), None, Usage(input_tokens=1)),
        (None, Usage(input_tokens=1), Usage(input_tokens=1)),
        (
            Usage(input_tokens=1, credits=Decimal("0.1")),
            Usage(input_tokens=2, output_tokens=5, credits=Decimal("0.2")),
            Usage(input_tokens=3, output_tokens=5, credits=Decimal("0.3")),
        ),
    ],
)
def test_usages_are_added(one: Usage | None, other: Usage | None, both: Usage | None) -> None:
    assert add_usage(one, other) == both


def test_a_result_has_the_messages_and_the_usage_of_all_parts() -> None:
    summary = TurnSummary()
    said = [
        Message(provider="p", id=text, session_id="s", role=Role.ASSISTANT, content=(TextBlock(text=text),))
        for text in ("one", "two")
    ]

    for message, continues in zip(said, (True, False), strict=True):
        summary.take(MessageCompleted(session_id="s", message=message))
        summary.take(ActionRequired(session_id="s", actions=(A if continues else B,)))
        ended = TurnEnded(
            session_id="s", outcome=Outcome.REQUIRES_ACTION, continues=continues, usage=Usage(output_tokens=2)
        )
        assert (summary.take(ended) is None) is continues

    assert summary.result == TurnResult(
        outcome=Outcome.REQUIRES_ACTION, messages=tuple(said), actions=(B,), usage=Usage(output_tokens=4)
    )


def test_a_result_survives_storage() -> None:
    message = Message(provider="p", id="m", session_id="s", role=Role.ASSISTANT, source=b'{"id": "m"}')
    result = TurnResult(outcome=Outcome.REQUIRES_ACTION, messages=(message,), actions=(A, G1), usage=Usage())
    for options in ({}, {"exclude_unset": True}, {"exclude_defaults": True}, {"exclude_none": True}):
        stored = result.model_dump_json(**options)  # type: ignore[arg-type]
        assert TypeAdapter(TurnResult).validate_json(stored) == result


@pytest.mark.parametrize(
    ("outcome", "error", "words"),
    [
        (Outcome.FAILED, TurnFailed, "the turn failed (odd): no model"),
        (Outcome.CANCELLED, TurnCancelled, "the turn was cancelled (odd)"),
        (Outcome.LIMIT_REACHED, TurnLimitReached, "the turn was stopped at a limit (odd)"),
        (Outcome.REQUIRES_ACTION, ActionRequiredError, "the turn waits for an answer to approval 'a' of 'rm'"),
    ],
)
def test_another_outcome_than_completed_is_raised(outcome: Outcome, error: type[PolysessionError], words: str) -> None:
    result = TurnResult(outcome=outcome, native_reason="odd", error="no model", actions=(A,))

    with pytest.raises(error) as caught:
        result.raise_for_outcome()

    assert words in str(caught.value)
    if isinstance(caught.value, ActionRequiredError):
        assert caught.value.actions == (A,)


def test_a_completed_turn_raises_nothing() -> None:
    TurnResult(outcome=Outcome.COMPLETED).raise_for_outcome()


@pytest.fixture(scope="module")
def qoder() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


def values(handle: EmulatorHandle) -> dict[str, Any]:
    return {"agent": handle.agent_id, "environment": handle.environment_id}


def test_a_turn_that_is_never_entered_warns(qoder: EmulatorHandle) -> None:
    with Client("qoder", **qoder.settings) as client:
        session = client.sessions.create(**values(qoder))
        client.sessions.run(session, "hello")
        with pytest.warns(RuntimeWarning, match=r"sessions\.run was never entered, so nothing was sent"):
            gc.collect()
        assert list(client.sessions.messages(session)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_action": 5}, "on_action must be a function"),
        ({"on_cursor": 5}, "on_cursor must be a function"),
        ({"cancel_on_exit": "yes"}, "cancel_on_exit must be True, False or None"),
    ],
)
def test_wrong_options_are_refused_at_once(qoder: EmulatorHandle, options: dict[str, Any], message: str) -> None:
    with Client("qoder", **qoder.settings) as client, pytest.raises(UsageError, match=message) as caught:
        client.sessions.run("s1", "hello", **options)
    assert (caught.value.provider, caught.value.operation) == ("qoder", "sessions.run")


def test_an_attended_turn_cannot_be_left_alone(qoder: EmulatorHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client("qoder", **qoder.settings) as client:
        monkeypatch.setattr(type(client._provider), "turn_life", TurnLife.ATTENDED)
        with pytest.raises(UnsupportedOperation, match="turns of this backend end when their stream is closed"):
            client.sessions.run("s1", "hello", cancel_on_exit=False)


def test_an_answer_that_cannot_be_sent_leaves_the_session_waiting(qoder: EmulatorHandle) -> None:
    wrong: Any = lambda _: 5  # noqa: E731
    with Client("qoder", **qoder.settings) as client:
        session = client.sessions.create(**values(qoder))
        with client.sessions.run(session, "/ask", on_action=wrong, deadline_s=20) as turn:
            with pytest.raises(UsageError, match="an answer must be an Approve"):
                turn.wait()
            assert turn.result.outcome is Outcome.REQUIRES_ACTION
        stored = ACTION.dump_json(turn.result.actions[0])
        assert client.sessions.ask(session, [Approve(ACTION.validate_json(stored))], deadline_s=20).text


def test_on_action_may_be_async(qoder: EmulatorHandle) -> None:
    async def main() -> TurnResult:
        async def approve(action: PendingAction) -> Answer:
            await asyncio.sleep(0)
            return Approve(action)

        async with AsyncClient("qoder", **qoder.settings) as client:
            session = await client.sessions.create(**values(qoder))
            return await client.sessions.ask(session, "/ask 2", on_action=approve, deadline_s=20)

    assert asyncio.run(main()).outcome is Outcome.COMPLETED


def test_the_deadline_stands_still_while_an_action_is_decided(
    qoder: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each decision takes longer than the deadline, by the clock of the drivers."""
    decided: list[PendingAction] = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 1000 * len(decided))
    for module in (async_stream, sync_stream, stream_base):
        monkeypatch.setattr(module, "time", clock)

    def approve(action: PendingAction) -> Answer:
        decided.append(action)
        return Approve(action)

    async def main() -> TurnResult:
        async with AsyncClient("qoder", **qoder.settings) as client:
            session = await client.sessions.create(**values(qoder))
            return await client.sessions.ask(session, "/ask", on_action=approve, deadline_s=60)

    with Client("qoder", **qoder.settings) as client:
        session = client.sessions.create(**values(qoder))
        assert client.sessions.ask(session, "/ask", on_action=approve, deadline_s=60).outcome is Outcome.COMPLETED
    assert asyncio.run(main()).outcome is Outcome.COMPLETED
    assert len(decided) == 2


@pytest.mark.parametrize("how", ["timeout", "cancelled twice"])
def test_a_turn_is_cancelled_although_its_task_is(qoder: EmulatorHandle, how: str) -> None:
    async def follow(client: AsyncClient, session: Any, started: asyncio.Event) -> None:
        async with client.sessions.run(session, "/slow 100", cancel_on_exit=True, deadline_s=60) as turn:
            async for _ in turn:
                started.set()

    async def main() -> SessionStatus:
        async with AsyncClient("qoder", **qoder.settings) as client:
            session = await client.sessions.create(**values(qoder))
            started = asyncio.Event()
            task = asyncio.create_task(follow(client, session, started))
            await started.wait()
            if how == "timeout":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(task, 0.01)
            else:
                task.cancel()
                await asyncio.sleep(0)  # the first cancellation is being handled
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            async with asyncio.timeout(20):
                while (read := await client.sessions.get(session)).status is SessionStatus.RUNNING:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # the backend is asked, so that no event can be waited for
            return read.status

    assert asyncio.run(main()) is SessionStatus.IDLE
