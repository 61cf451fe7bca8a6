"""The official SDK checks the LangGraph emulator.

langgraph-sdk sends the requests, and its types describe the responses.

The SDK does not validate responses against its types, so pydantic does it here. The emulator differs from the types
where the real server does: new threads and responses to writes have no `interrupts`, checkpoints no `checkpoint_map`.

Backend: https://pypi.org/project/langgraph-sdk/0.4.14/ (read 2026-11-30)
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, get_type_hints

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError
from langgraph_sdk.schema import Assistant, Run, Thread, ThreadState
from pydantic import TypeAdapter

from polysession import Feature
from polysession.emulation import Say, serve
from polysession.testing import covers
from support.sdk_judge import Judge, settle

pytestmark = pytest.mark.evidence("langgraph", "judge", by="langgraph-sdk")

UNKNOWN = str(uuid.uuid4())
LIMIT_S = 20.0
SHOWN_LATER: dict[str, Any] = {"interrupts": {}}
NOT_JUDGED = {"context", "extracted", "cancel_reason"}
"""Fields that are optional, or whose type in the SDK is not a JSON type."""


def is_a(shape: Any, answer: Any) -> bool:
    """Whether a value has each field of the SDK's type, with a value of that field's type."""
    for name, kind in get_type_hints(shape).items():
        if name not in NOT_JUDGED:
            TypeAdapter(kind).validate_python(_completed(answer[name]) if "checkpoint" in name else answer[name])
    return True


def _completed(checkpoint: Any) -> Any:
    return checkpoint and {"checkpoint_map": None, **checkpoint}  # the real server omits them, too


@pytest.fixture(params=["sync", "async"])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    with serve("langgraph") as handle:
        options: Any = {"base_url": handle.base_url, "trust_env": False}
        if request.param == "sync":
            with httpx.Client(**options) as http:
                yield Judge(handle, SyncLangGraphClient(http), lambda answer: answer)
            return
        with asyncio.Runner() as runner:
            http_client = httpx.AsyncClient(**options)
            yield Judge(handle, LangGraphClient(http_client), lambda answer: runner.run(settle(answer)))
            runner.run(http_client.aclose())


def command(judge: Judge, thread_id: str, method: str, **params: Any) -> Any:
    body = {"id": 1, "method": method, "params": params}
    return judge(lambda sdk: sdk.http.post(f"/threads/{thread_id}/commands", json=body))


def start(judge: Judge, thread_id: str, text: str) -> str:
    given = {"messages": [{"role": "user", "content": text}]}
    answer = command(judge, thread_id, "run.start", assistant_id="agent", input=given)
    assert answer["type"] == "success"
    return str(answer["result"]["run_id"])


def follow(judge: Judge, run_id: str, ask: Callable[[Any], Any]) -> list[Any]:
    """Return the parts of a stream up to the end of a run, or all parts if the stream ends."""
    end = {"status": "run_done", "run_id": run_id}
    parts = judge.up_to(judge(ask), lambda part: part.data == end)
    assert all(part.id for part in parts)
    return parts


def cancel(thread_id: str, run_id: str, sdk: Any) -> Any:
    return sdk.runs.cancel(thread_id, run_id)


def new_thread(judge: Judge, **fields: Any) -> str:
    return str(judge(lambda sdk: sdk.threads.create(**fields))["thread_id"])


@covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_ID, Feature.SESSIONS_GET, Feature.SESSIONS_DELETE)
def test_a_thread_is_created_read_and_deleted(judge: Judge) -> None:
    thread_id = str(uuid.uuid4())
    created = judge(lambda sdk: sdk.threads.create(thread_id=thread_id, metadata={"team": "red"}))
    assert is_a(Thread, SHOWN_LATER | created)
    assert judge(lambda sdk: sdk.threads.get(thread_id)) == created
    again = judge(lambda sdk: sdk.threads.create(thread_id=thread_id, if_exists="do_nothing"))
    assert again == created
    with pytest.raises(ConflictError):
        judge(lambda sdk: sdk.threads.create(thread_id=thread_id))
    judge(lambda sdk: sdk.threads.delete(thread_id))
    with pytest.raises(NotFoundError):
        judge(lambda sdk: sdk.threads.get(thread_id))
    with pytest.raises(UnprocessableEntityError):
        judge(lambda sdk: sdk.threads.get("nope"))


@covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_METADATA)
def test_metadata_is_merged_and_null_stays(judge: Judge) -> None:
    thread_id = new_thread(judge, metadata={"a": 1, "b": {"c": 2}})
    updated = judge(lambda sdk: sdk.threads.update(thread_id, metadata={"a": None, "b": {"d": 3}, "assistant_id": "x"}))
    assert is_a(Thread, SHOWN_LATER | updated)
    assert updated["metadata"] == {"a": None, "b": {"d": 3}}
    with pytest.raises(NotFoundError):
        judge(lambda sdk: sdk.threads.update(UNKNOWN, metadata={}))


@covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_METADATA, Feature.SESSIONS_LIST_OLDEST_FIRST)
def test_threads_are_searched_and_counted(judge: Judge) -> None:
    ids = [new_thread(judge, metadata={"number": number % 2}) for number in range(5)]
    search: dict[str, Any] = {"sort_by": "created_at", "sort_order": "asc", "metadata": {"number": 0}}

    def searched(sdk: Any, **page: int) -> Any:
        return sdk.threads.search(**search, **page)

    pages = [judge(partial(searched, limit=2, offset=at)) for at in (0, 2)]
    assert [[each["thread_id"] for each in page] for page in pages] == [[ids[0], ids[2]], [ids[4]]]
    assert judge(lambda sdk: sdk.threads.count(metadata={"number": 0})) == 3
    assert judge(lambda sdk: sdk.threads.count(status="busy")) == 0
    (one,) = judge(lambda sdk: sdk.threads.search(ids=[ids[3]], select=["thread_id", "status"]))
    assert one == {"thread_id": ids[3], "status": "idle"}
    with pytest.raises(UnprocessableEntityError):
        judge(lambda sdk: sdk.threads.search(limit=1001))


@covers(Feature.AGENTS_CREATE, Feature.AGENTS_GET, Feature.AGENTS_LIST)
def test_assistants_are_created_read_and_searched(judge: Judge) -> None:
    created = judge(lambda sdk: sdk.assistants.create("agent", name="mine", description="d"))
    assert is_a(Assistant, created)
    assert judge(lambda sdk: sdk.assistants.get(created["assistant_id"])) == created
    found = judge(lambda sdk: sdk.assistants.search(graph_id="agent"))
    assert [each["name"] for each in found] == ["mine", "agent"]
    assert all(is_a(Assistant, each) for each in found)
    with pytest.raises(NotFoundError):
        judge(lambda sdk: sdk.assistants.create("nope"))
    with pytest.raises(NotFoundError):
        judge(lambda sdk: sdk.assistants.get(UNKNOWN))
    with pytest.raises(UnprocessableEntityError):
        judge(lambda sdk: sdk.assistants.get("agent"))


def _use_assistant(method: str, assistant_id: str, sdk: Any) -> Any:
    return getattr(sdk.assistants, method)(assistant_id)


@covers(Feature.AGENTS_UPDATE, Feature.AGENTS_DELETE, Feature.AGENTS_UPDATE_NAME, Feature.AGENTS_UPDATE_DESCRIPTION)
def test_assistants_are_changed_and_deleted(judge: Judge) -> None:
    created = judge(lambda sdk: sdk.assistants.create("agent", name="mine", description="d", metadata={"a": 1}))
    assistant_id = created["assistant_id"]
    changes: dict[str, Any] = {"name": "yours", "description": "e", "metadata": {"b": 2}, "context": {"c": 3}}
    changed = judge(lambda sdk: sdk.assistants.update(assistant_id, **changes))
    assert is_a(Assistant, changed)
    assert changed == {
        **created,
        **changes,
        "metadata": {"a": 1, "b": 2},
        "config": {"configurable": {"c": 3}},
        "version": 2,
        "updated_at": changed["updated_at"],
    }
    assert judge(lambda sdk: sdk.assistants.get(assistant_id)) == changed
    with pytest.raises(NotFoundError):
        judge(lambda sdk: sdk.assistants.update(assistant_id, graph_id="nope"))
    judge(lambda sdk: sdk.assistants.delete(assistant_id))
    for use in ("get", "update", "delete"):
        with pytest.raises(NotFoundError):
            judge(partial(_use_assistant, use, assistant_id))
    with pytest.raises(UnprocessableEntityError):
        judge(lambda sdk: sdk.assistants.delete("agent"))


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_STREAM, Feature.SESSIONS_MESSAGES)
def test_a_turn_is_followed_and_stored(judge: Judge) -> None:
    thread_id = new_thread(judge)
    run_id = start(judge, thread_id, "hello")
    whole = follow(judge, run_id, lambda sdk: sdk.threads.join_stream(thread_id, last_event_id="-"))
    assert [part.event for part in whole[:2]] == ["metadata", "values"]
    assert [part.data["seq"] for part in whole if "seq" in part.data] == list(range(1, len(whole) - 1))
    later = follow(judge, run_id, lambda sdk: sdk.threads.join_stream(thread_id, last_event_id=whole[3].id))
    assert later == whole[4:]
    alone = follow(judge, run_id, lambda sdk: sdk.runs.join_stream(thread_id, run_id, last_event_id="-"))
    assert alone == whole[:-1]
    assert follow(judge, run_id, lambda sdk: sdk.runs.join_stream(thread_id, run_id)) == []

    run = judge(lambda sdk: sdk.runs.get(thread_id, run_id))
    assert is_a(Run, run)
    assert run["status"] == "success"
    assert judge(lambda sdk: sdk.runs.list(thread_id, status="success")) == [run]
    assert is_a(Thread, judge(lambda sdk: sdk.threads.get(thread_id)))
    state = judge(lambda sdk: sdk.threads.get_state(thread_id))
    assert is_a(ThreadState, state)
    assert [message["type"] for message in state["values"]["messages"]] == ["human", "ai"]


@covers(Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_APPROVAL, Feature.SESSIONS_PENDING_ACTIONS)
def test_interrupts_are_answered(judge: Judge) -> None:
    thread_id = new_thread(judge)
    run_id = start(judge, thread_id, "/ask 2")
    parts = follow(judge, run_id, lambda sdk: sdk.threads.join_stream(thread_id, last_event_id="-"))
    assert [len(part.data["params"]["interrupts"]) for part in parts if part.event == "values"][-1] == 1
    waiting = judge(lambda sdk: sdk.threads.get(thread_id))
    assert is_a(Thread, waiting)
    ((interrupt,),) = waiting["interrupts"].values()
    state = judge(lambda sdk: sdk.threads.get_state(thread_id))
    assert is_a(ThreadState, state)
    assert [each["id"] for each in state["interrupts"]] == [interrupt["id"]]

    decisions = {"decisions": [{"type": "approve"}, {"type": "reject", "message": "no"}]}
    responses = [{"interrupt_id": interrupt["id"], "response": decisions}]
    assert command(judge, thread_id, "input.respond", responses=responses)["result"] == {}
    (answered, asked) = judge(lambda sdk: sdk.runs.list(thread_id))
    assert asked["run_id"] == run_id
    follow(judge, answered["run_id"], lambda sdk: sdk.threads.join_stream(thread_id, last_event_id=parts[-1].id))
    assert judge(lambda sdk: sdk.threads.get(thread_id))["interrupts"] == {}
    refused = command(judge, thread_id, "input.respond", responses=responses)
    assert (refused["type"], refused["error"]) == ("error", "no_such_interrupt")


@covers(Feature.SESSIONS_CANCEL)
def test_runs_are_cancelled_and_waiting_ones_are_ended(judge: Judge) -> None:
    thread_id = new_thread(judge)
    judge.handle.script([Say("a b c d", pause_s=30.0)])
    run_id = start(judge, thread_id, "go")
    judge(lambda sdk: sdk.runs.cancel(thread_id, run_id))
    assert judge(lambda sdk: sdk.runs.get(thread_id, run_id))["status"] == "interrupted"
    assert judge(lambda sdk: sdk.threads.get(thread_id))["status"] == "idle"
    for unknown in (run_id, UNKNOWN):
        with pytest.raises(NotFoundError):
            judge(partial(cancel, thread_id, unknown))

    asked = start(judge, thread_id, "/ask")
    follow(judge, asked, lambda sdk: sdk.threads.join_stream(thread_id, last_event_id="-"))
    judge(lambda sdk: sdk.threads.update_state(thread_id, None, as_node="__end__"))
    assert judge(lambda sdk: sdk.threads.get(thread_id))["status"] == "idle"


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("run.start", {}, "invalid_argument"),
        ("run.start", {"assistant_id": "nope", "input": {}}, "unknown_error"),
        ("input.respond", {"interrupt_id": "x", "response": 1}, "no_such_interrupt"),
        ("state.get", {}, "unknown_command"),
    ],
)
def test_commands_are_rejected_with_status_200(judge: Judge, method: str, params: Any, code: str) -> None:
    refused = command(judge, new_thread(judge), method, **params)
    assert (refused["type"], refused["id"], refused["error"]) == ("error", 1, code)


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER)
def test_the_typed_events_of_a_thread_are_followed_and_answered() -> None:
    """The SDK's newest interface: commands and `stream/events`.

    No other part of the SDK uses it.
    """

    async def story(base_url: str) -> tuple[list[Any], Any]:
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as http:
            threads = LangGraphClient(http).threads
            async with threads.stream(assistant_id="agent") as thread:
                await thread.run.start(input={"messages": [{"role": "user", "content": "/ask"}]})
                events = []
                async for event in thread.events:
                    events.append(event)
                    if event["params"]["data"].get("event") == "interrupted":
                        break
                while not thread.interrupts:  # noqa: ASYNC110  (a task of the SDK reads them and has no event to wait for)
                    await asyncio.sleep(0)
                await thread.run.respond({"decisions": [{"type": "approve"}]})
                return events, await asyncio.wait_for(thread.output, LIMIT_S)

    with serve("langgraph") as handle:
        events, output = asyncio.run(story(handle.base_url))
    assert [each["method"] for each in events[-3:]] == ["values", "input.requested", "lifecycle"]
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert [message["type"] for message in output["messages"]] == ["human", "ai", "tool", "ai"]


@covers(Feature.SESSIONS_RUN)
def test_a_second_message_waits_for_the_active_run(judge: Judge) -> None:
    """The server waits five seconds before it applies the strategy."""
    thread_id = new_thread(judge)
    control: Any = judge.handle.control
    control.busy_wait_s = LIMIT_S
    judge.handle.script([Say("a b", pause_s=0.1)])
    first, second = start(judge, thread_id, "one"), start(judge, thread_id, "two")
    assert judge(lambda sdk: sdk.runs.get(thread_id, first))["status"] == "success"
    control.busy_wait_s = 0.0
    judge.handle.script([Say("a b", pause_s=30.0)])
    follow(judge, second, lambda sdk: sdk.threads.join_stream(thread_id, last_event_id="-"))
    third = start(judge, thread_id, "three")
    for strategy, code in (("reject", "unknown_error"), ("interrupt", None)):
        given = {"messages": [{"role": "user", "content": strategy}]}
        answer = command(judge, thread_id, "run.start", assistant_id="agent", input=given, multitaskStrategy=strategy)
        assert answer.get("error") == code
    assert judge(lambda sdk: sdk.runs.get(thread_id, third))["status"] == "interrupted"


@covers(Feature.SESSIONS_STREAM)
def test_events_may_be_lost_and_runs_deleted(judge: Judge) -> None:
    thread_id = new_thread(judge)
    runs = [start(judge, thread_id, "one")]
    follow(judge, runs[0], lambda sdk: sdk.threads.join_stream(thread_id, last_event_id="-"))
    control: Any = judge.handle.control
    control.forget_events(thread_id)
    runs.append(start(judge, thread_id, "two"))
    parts = follow(judge, runs[1], lambda sdk: sdk.threads.join_stream(thread_id, last_event_id="-"))
    assert parts[0].data["run_id"] == runs[1]
    judge(lambda sdk: sdk.runs.delete(thread_id, runs[0]))
    assert [each["run_id"] for each in judge(lambda sdk: sdk.runs.list(thread_id))] == [runs[1]]
    with pytest.raises(NotFoundError):
        judge(lambda sdk: sdk.runs.delete(thread_id, runs[0]))
