"""Both clients of the SDK `anthropic` follow the emulator's turns, validating strictly.

Backend: https://pypi.org/project/anthropic/2.14.0/ (read 2026-11)
"""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import beta_async_tool
from anthropic.lib.sessions import accumulate_managed_agents_event

from polysession import Feature
from polysession.emulation import AskApproval, EmulatorHandle, Fail, Fault, Say
from polysession.testing import covers
from polysession_anthropic.emulator import AnthropicEmulator
from providers.anthropic.test_emulator_judged import handle, judge
from support.sdk_judge import Judge

__all__ = ["handle", "judge"]

pytestmark = pytest.mark.evidence("anthropic", "judge", by="anthropic")

START = ["session.status_running", "session.thread_status_running", "user.message", "span.model_request_start"]
SAID = ["agent.message", "span.model_request_end"]
END = ["session.thread_status_idle", "session.usage", "session.status_idle"]
IDLE = "session.status_idle"


class Talk:
    """A new session with an open stream."""

    def __init__(self, judge: Judge, *previews: str, **fields: Any) -> None:
        self._judge = judge
        self.id = judge.new_session(**fields).id
        self._stream = judge(lambda sdk: sdk.sessions.events.stream(self.id, event_deltas=list(previews)))

    def send(self, *events: Any) -> list[Any]:
        sent: list[Any] = self._judge(lambda sdk: sdk.sessions.events.send(self.id, events=list(events))).data
        return sent

    def say(self, text: str) -> Any:
        (sent,) = self.send(message(text))
        return sent

    def until(self, *types: str) -> list[Any]:
        return self._judge.until(self._stream, *types)

    def turn(self, text: str) -> list[Any]:
        self.say(text)
        return self.until(IDLE)

    def history(self, **query: Any) -> list[Any]:
        return self._judge.every(lambda sdk: sdk.sessions.events.list(self.id, **query))


def message(text: str) -> Any:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def kinds(events: list[Any]) -> list[str]:
    """Return the types of events, without previews."""
    return [event.type for event in events if not event.type.startswith("event_")]


@covers(
    Feature.SESSIONS_SEND,
    Feature.SESSIONS_STREAM,
    Feature.SESSIONS_RUN,
    Feature.SESSIONS_EVENTS,
    Feature.SESSIONS_EVENTS_NEWEST_FIRST,
    Feature.SESSIONS_MESSAGES_NEWEST_FIRST,
)
def test_a_plain_turn_has_previews_that_fold_into_the_message(judge: Judge) -> None:
    talk = Talk(judge, "agent.message")
    sent = talk.say("hello there")
    events = talk.until(IDLE)

    assert kinds(events) == START + SAID + END
    assert (events[2].id, events[2].processed_at) == (sent.id, sent.processed_at)
    snapshot, texts = None, []
    for event in events[4:]:
        snapshot = accumulate_managed_agents_event(snapshot, event)
        texts.append("".join(block.text for block in snapshot.content) if snapshot else None)
    assert texts[:6] == ["", "You ", "You said: ", "You said: hello ", "You said: hello there", "You said: hello there"]
    assert events[-1].stop_reason.type == "end_turn"
    assert events[-2].usage.list_cost.amount == "1"
    assert kinds(events) == [event.type for event in talk.history(limit=3)]
    newest = talk.history(order="desc", types=["agent.message", IDLE])
    assert [event.type for event in newest] == [IDLE, "agent.message"]


def test_a_stream_has_no_previews_by_default(judge: Judge) -> None:
    assert [event.type for event in Talk(judge).turn("hello")] == START + SAID + END


@covers(Feature.SESSIONS_STREAM)
def test_thinking_is_started_and_completed_without_text(judge: Judge) -> None:
    events = Talk(judge, "agent.message", "agent.thinking").turn("/think")

    assert [event.event.type for event in events if event.type == "event_start"] == ["agent.thinking", "agent.message"]
    assert kinds(events) == [*START, "agent.thinking", *SAID, *END]


@covers(Feature.SESSIONS_STREAM)
def test_a_tool_is_used(judge: Judge) -> None:
    events = Talk(judge).turn("/tool")

    use = ["agent.tool_use", "span.model_request_end", "agent.tool_result", "span.model_request_start"]
    assert kinds(events) == START + use + SAID + END
    assert (events[6].tool_use_id, events[6].is_error) == (events[4].id, False)


@covers(Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_APPROVAL, Feature.SESSIONS_PENDING_ACTIONS)
def test_approvals_are_answered_one_by_one(judge: Judge) -> None:
    talk = Talk(judge)
    asked = talk.turn("/ask 2")
    ids = asked[-1].stop_reason.event_ids
    assert ids == [event.id for event in asked if event.type == "agent.tool_use"]

    answers = [{"type": "user.tool_confirmation", "tool_use_id": use_id, "result": "deny"} for use_id in ids]
    talk.send(answers[0])
    half = talk.until(IDLE)
    (sent,) = talk.send({**answers[1], "result": "allow"})
    rest = talk.until(IDLE)

    assert kinds(half) == ["user.tool_confirmation", *END]
    assert half[-1].stop_reason.event_ids == ids[1:]
    assert (rest[0].id, rest[-1].stop_reason.type) == (sent.id, "end_turn")
    results = {event.tool_use_id: event.is_error for event in rest if event.type == "agent.tool_result"}
    assert results == {ids[0]: True, ids[1]: False}
    with pytest.raises(anthropic.BadRequestError):
        talk.send(answers[0])


@covers(Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_OUTPUT)
def test_the_client_runs_a_tool(judge: Judge) -> None:
    talk = Talk(judge)
    (use_id,) = talk.turn("/client-tool")[-1].stop_reason.event_ids
    output = [{"type": "text", "text": "42"}]
    (sent,) = talk.send({"type": "user.custom_tool_result", "custom_tool_use_id": use_id, "content": output})

    assert sent.processed_at is not None
    assert talk.until(IDLE)[-1].stop_reason.type == "end_turn"


@covers(Feature.SESSIONS_ANSWER_OUTPUT)
def test_tools_of_a_self_hosted_environment_are_answered(judge: Judge) -> None:
    environment = judge(lambda sdk: sdk.environments.create(name="own", config={"type": "self_hosted"}))
    talk = Talk(judge, environment_id=environment.id)
    (use_id,) = talk.turn("/ask")[-1].stop_reason.event_ids
    talk.send({"type": "user.tool_confirmation", "tool_use_id": use_id, "result": "allow"})
    assert talk.until(IDLE)[-1].stop_reason.event_ids == [use_id]
    talk.send({"type": "user.tool_result", "tool_use_id": use_id, "content": [{"type": "text", "text": "42"}]})

    assert talk.until(IDLE)[-1].stop_reason.type == "end_turn"


@covers(Feature.SESSIONS_CANCEL)
def test_an_interrupted_turn_says_end_turn(judge: Judge) -> None:
    talk = Talk(judge, "agent.message")
    talk.say("/slow 100")
    talk.until("event_delta")
    (sent,) = talk.send({"type": "user.interrupt"})
    events = talk.until(IDLE)

    assert sent.processed_at is None
    received = [(event.id, event.processed_at is None) for event in events if event.type == "user.interrupt"]
    assert received == [(sent.id, True), (sent.id, False)]
    assert events[-1].stop_reason.type == "end_turn"
    assert "agent.message" not in kinds(events)
    assert [event.id for event in talk.history(types=["user.interrupt"])] == [sent.id]


def test_an_outcome_ends_with_the_interrupt_before_it_is_evaluated(judge: Judge) -> None:
    talk = Talk(judge, "agent.message")
    rubric = {"type": "text", "content": "It is long."}
    talk.send({"type": "user.define_outcome", "description": "/slow 100", "rubric": rubric})
    talk.until("event_delta")
    talk.send({"type": "user.interrupt"})
    (evaluation,) = [event for event in talk.until(IDLE) if event.type.startswith("span.outcome")]

    assert (evaluation.type, evaluation.result) == ("span.outcome_evaluation_end", "interrupted")
    assert evaluation.outcome_evaluation_start_id == ""


def test_an_interrupt_may_have_no_id(judge: Judge) -> None:
    talk = Talk(judge, "agent.message")
    control(judge).hide_interrupt_ids(talk.id)
    for _ in range(2):
        talk.say("/slow 100")
        talk.until("event_delta")
        (sent,) = talk.send({"type": "user.interrupt"})
        received = [event.id for event in talk.until(IDLE) if event.type == "user.interrupt"]
        assert (sent.id, received) == ("", ["", ""])

    assert [event.id for event in talk.history(types=["user.interrupt"])] == ["", ""]


@covers(Feature.SESSIONS_CANCEL)
def test_an_interrupt_drops_pending_actions(judge: Judge) -> None:
    talk = Talk(judge)
    talk.turn("/ask 2")
    talk.send({"type": "user.interrupt"}, message("hello"))
    given_up, next_turn = talk.until(IDLE), talk.until(IDLE)

    assert kinds(given_up) == ["user.interrupt", "agent.tool_result", "agent.tool_result", *END]
    assert [event.is_error for event in given_up[1:3]] == [True, True]
    assert given_up[-1].stop_reason.type == "end_turn"
    assert kinds(next_turn) == START + SAID + END


@covers(Feature.SESSIONS_SEND)
def test_messages_queue_and_are_answered_in_one_turn(judge: Judge) -> None:
    talk = Talk(judge)
    talk.say("/slow 3")
    sent = [talk.say("one"), talk.say("two")]
    assert [event.processed_at for event in sent] == [None, None]
    assert [event.id for event in talk.history(types=["user.message"])][1:] == [event.id for event in sent]
    first, second = talk.until(IDLE), talk.until(IDLE)

    waiting = [event.id for event in first if event.type == "user.message" and event.processed_at is None]
    assert waiting == [event.id for event in sent]
    assert [event.id for event in second if event.type == "user.message"] == waiting
    assert all(event.processed_at for event in second)
    answers = [event.content[0].text for event in second if event.type == "agent.message"]
    assert answers == ["You said: one", "You said: two"]


@covers(Feature.SESSIONS_RUN)
def test_a_failure_is_reported_and_the_queue_is_flushed(judge: Judge) -> None:
    talk = Talk(judge)
    judge.handle.script([Say("wait a moment", pause_s=0.1), Fail()], session=talk.id)
    talk.say("go")
    lost = talk.say("lost")
    events = talk.until(IDLE)

    (error,) = [event.error for event in events if event.type == "session.error"]
    assert (error.type, error.retry_status.type) == ("model_request_failed_error", "exhausted")
    assert events[-1].stop_reason.type == "retries_exhausted"
    assert judge(lambda sdk: sdk.sessions.retrieve(talk.id)).status == "idle"
    assert lost.id not in [event.id for event in talk.history()]


@covers(Feature.SESSIONS_RUN)
def test_a_refusal_has_details(judge: Judge) -> None:
    talk = Talk(judge)
    control(judge).refuse(talk.id, explanation="Not that.")
    last = talk.turn("hello")[-1]

    assert (last.stop_reason.type, last.stop_details.explanation) == ("refusal", "Not that.")


def test_a_budget_pauses_and_a_raised_one_resumes(judge: Judge) -> None:
    budget = {"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}}
    talk = Talk(judge, budget=budget)
    paused = talk.turn("/tool")
    assert kinds(paused)[-3:] == END
    assert paused[-1].stop_reason.type == "budget_reached"
    assert paused[-2].budget.max_list_cost.amount == "1"
    with pytest.raises(anthropic.BadRequestError):
        talk.say("more")
    (ignored,) = talk.send({"type": "user.interrupt"})
    budget["max_list_cost"] = {"amount": "3", "currency": "USD"}
    judge(lambda sdk: sdk.sessions.update(talk.id, budget=budget))
    resumed = talk.until(IDLE)

    assert kinds(resumed)[:2] == ["session.updated", "session.status_running"]
    assert resumed[0].budget.max_list_cost.amount == "3"
    assert resumed[-1].stop_reason.type == "end_turn"
    assert ignored.id not in [event.id for event in talk.history()]


def test_the_request_that_reaches_the_budget_may_end_the_turn(judge: Judge) -> None:
    budget = {"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}}
    talk = Talk(judge, budget=budget)
    thread, _, session = talk.turn("hello")[-3:]
    assert (thread.stop_reason.type, session.stop_reason.type) == ("end_turn", "budget_reached")
    with pytest.raises(anthropic.BadRequestError):
        talk.say("more")
    budget["max_list_cost"] = {"amount": "9", "currency": "USD"}
    judge(lambda sdk: sdk.sessions.update(talk.id, budget=budget))

    assert kinds(talk.history())[-1] == "session.updated"
    assert talk.turn("more")[-1].stop_reason.type == "end_turn"


def test_a_removed_budget_resumes_and_never_comes_back(judge: Judge) -> None:
    budget = {"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}}
    talk = Talk(judge, budget=budget)
    talk.turn("/tool")
    judge(lambda sdk: sdk.sessions.update(talk.id, budget=None))
    resumed = talk.until(IDLE)

    assert (resumed[0].to_dict()["budget"], resumed[-1].stop_reason.type) == (None, "end_turn")
    with pytest.raises(anthropic.BadRequestError) as caught:
        judge(lambda sdk: sdk.sessions.update(talk.id, budget=budget))
    assert caught.value.error_code == "budget_create_only"


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_the_request_of_another_agent_is_answered_in_its_thread(judge: Judge) -> None:
    talk = Talk(judge)
    use = AskApproval("delete", {"path": "a"}, "deleted")
    use_id = control(judge).consult_about(talk.id, "reviewer", "May I?", use)
    asked = talk.until(IDLE)
    (event,) = [event for event in asked if event.type == "agent.tool_use"]
    assert (event.id, asked[-1].stop_reason.event_ids) == (use_id, [use_id])
    talk.send({"type": "user.tool_confirmation", "tool_use_id": use_id, "result": "allow"})
    answered = talk.until(IDLE)

    assert answered[0].session_thread_id == event.session_thread_id
    assert "agent.tool_result" not in kinds(answered)
    of_child = judge.every(lambda sdk: sdk.sessions.threads.events.list(event.session_thread_id, session_id=talk.id))
    assert [event.type for event in of_child][-1] == "agent.tool_result"


def test_an_interrupt_of_another_agent_drops_its_request(judge: Judge) -> None:
    talk = Talk(judge)
    use = AskApproval("delete", {"path": "a"}, "deleted")
    thread_ids = []
    for _ in range(2):
        use_id = control(judge).consult_about(talk.id, "reviewer", "May I?", use)
        (event,) = [event for event in talk.until(IDLE) if event.type == "agent.tool_use"]
        thread_ids.append(event.session_thread_id)
    talk.send({"type": "user.interrupt", "session_thread_id": thread_ids[0]})
    half = talk.until(IDLE)
    talk.send({"type": "user.interrupt", "session_thread_id": thread_ids[1]})
    rest = talk.until(IDLE)

    assert half[-1].stop_reason.event_ids == [use_id]
    assert kinds(rest) == ["user.interrupt", *END]
    assert rest[-1].stop_reason.type == "end_turn"
    of_child = judge.every(lambda sdk: sdk.sessions.threads.events.list(thread_ids[0], session_id=talk.id))
    assert (of_child[-1].type, of_child[-1].is_error) == ("agent.tool_result", True)
    with pytest.raises(anthropic.NotFoundError):
        talk.send({"type": "user.interrupt", "session_thread_id": "sthr_none"})


def test_the_stream_of_a_thread_is_followed(judge: Judge) -> None:
    talk = Talk(judge)
    (own,) = judge.every(lambda sdk: sdk.sessions.threads.list(talk.id))
    stream = judge(lambda sdk: sdk.sessions.threads.events.stream(own.id, session_id=talk.id))
    talk.say("hello")

    assert kinds(judge.until(stream, IDLE)) == START + SAID + END


def test_a_new_stream_begins_now_and_shows_no_open_message(judge: Judge) -> None:
    talk = Talk(judge, "agent.message")
    talk.say("/slow 100")
    talk.until("event_delta")
    late = judge(lambda sdk: sdk.sessions.events.stream(talk.id, event_deltas=["agent.message"]))
    talk.until("event_delta")
    talk.send({"type": "user.interrupt"})

    received = [event.type for event in judge.until(late, IDLE)]
    assert received == ["user.interrupt", "span.model_request_end", "user.interrupt", *END]


def test_a_running_session_is_neither_archived_nor_deleted(judge: Judge) -> None:
    talk = Talk(judge)
    talk.say("/slow 100")
    with pytest.raises(anthropic.BadRequestError, match="Cannot delete session while it is running"):
        judge(lambda sdk: sdk.sessions.delete(talk.id))
    with pytest.raises(anthropic.BadRequestError):
        judge(lambda sdk: sdk.sessions.archive(talk.id))
    talk.send({"type": "user.interrupt"})
    talk.until(IDLE)
    control(judge).lag(talk.id, seconds=60)
    assert judge(lambda sdk: sdk.sessions.retrieve(talk.id)).status == "running"
    control(judge).lag(talk.id, seconds=0)
    judge(lambda sdk: sdk.sessions.delete(talk.id))

    assert kinds(talk.until())[-1] == "session.deleted"


def test_an_error_in_the_stream_is_raised(judge: Judge) -> None:
    talk = Talk(judge)
    control(judge).break_streams(talk.id)

    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        talk.until(IDLE)


@covers(Feature.SESSIONS_SEND_IMAGE, Feature.SESSIONS_SEND_DOCUMENT, Feature.SESSIONS_MESSAGES)
def test_images_and_documents_are_sent_and_listed(judge: Judge) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
    document = {"type": "document", "source": source, "title": "A"}
    talk = Talk(judge)
    talk.send({"type": "user.message", "content": [image, document, {"type": "text", "text": "what is this?"}]})
    talk.until(IDLE)

    asked, answer = talk.history(types=["user.message", "agent.message"])
    assert [part.to_dict(exclude_none=True) for part in asked.content[:2]] == [image, document]
    assert [part.type for part in answer.content] == ["text"]


def test_the_tool_runner_of_the_sdk_answers_over_a_break(handle: EmulatorHandle) -> None:
    """The recovery of the SDK: open the stream, list the events, skip known events."""

    @beta_async_tool
    async def lookup(query: str) -> str:
        """Look something up."""
        return f"{query} is in stock"

    async def run() -> list[Any]:
        async with httpx2.AsyncClient(trust_env=False) as http:
            options: dict[str, Any] = {"base_url": handle.base_url, "api_key": "sk-ant-judge", "max_retries": 0}
            sessions = anthropic.AsyncAnthropic(**options, http_client=http).beta.sessions
            session = await sessions.create(agent=handle.agent_id, environment_id=str(handle.environment_id))
            handle.faults.add(Fault("drop", path="/stream", at_byte=900))
            await sessions.events.send(session.id, events=[message("/client-tool")])
            return [call async for call in sessions.events.tool_runner(session.id, tools=[lookup], max_idle=0.1)]

    (call,) = asyncio.run(run())

    assert (call.name, call.is_error) == ("lookup", False)
    assert handle.faults.waiting() == []


def control(judge: Judge) -> AnthropicEmulator:
    assert isinstance(judge.handle.control, AnthropicEmulator)
    return judge.handle.control
