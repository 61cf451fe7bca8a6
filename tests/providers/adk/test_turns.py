"""Plans of streams and turns of the ADK API server, stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from polysession._core.plans import BodyEnd, Head
from polysession.action import Approve, Deny, Reply, ToolExecution, ToolOutput
from polysession.errors import Conflict, ConnectionLost, InvalidRequest, UsageError
from polysession.event import TurnEnded
from polysession.message import MediaBlock, TextBlock
from polysession.provider_api import decode_cursor
from polysession_adk import AdkRun
from polysession_adk.turns import MARKER, Cursor
from support.adk_events import (
    abort_event,
    answer,
    call,
    confirmation,
    event,
    failure,
    fragment,
    message,
    result,
    stored,
    text,
)
from support.adk_turns import (
    BROKEN,
    CLEAN,
    CLIENT_TOOL,
    OPERATIONS,
    PATH,
    PROVIDER,
    SAID,
    body,
    frame,
    frames_response,
    marked,
    summaries,
    turn,
)
from support.flows import ok, step

HEAD = Head(200, {"content-type": "text/event-stream"})


QUESTION = answer(call("q1", "adk_request_input", message="Which?"), longRunningToolIds=["q1"], id="ev-2")


CREDENTIAL = answer(call("k1", "adk_request_credential"), longRunningToolIds=["k1"], id="ev-2")


ASKED = event(confirmation("r1", "c1", "lookup", query="a"), longRunningToolIds=["r1"], id="ev-3")


ASKED_TWICE = event(
    confirmation("r1", "c1", "lookup", query="a"),
    confirmation("r2", "c2", "lookup", query="b"),
    longRunningToolIds=["r1", "r2"],
    id="ev-3",
)


def test_a_message_is_sent_by_the_call_whose_response_is_the_stream() -> None:
    content = [
        TextBlock(text="See"),
        MediaBlock(type="image", data="iVBOR/v/", media_type="image/png", title="a.png"),
        MediaBlock(type="document", url="https://files.example/a.pdf", media_type="application/pdf"),
    ]
    native = AdkRun(state_delta={"k": 1}, custom_metadata={"mine": True}, service_tier="flex")

    sent = turn(content, native=native).start()

    assert (sent.method, sent.path, sent.headers["accept"], sent.repeatable) == (
        "POST",
        "/run_sse",
        "text/event-stream",
        False,
    )
    marker = body(sent)["customMetadata"].pop(MARKER)
    assert len(marker) == 32
    assert {**body(sent), "customMetadata": {"mine": True}} == {
        "appName": "assistant",
        "userId": "alice",
        "sessionId": "s1",
        "streaming": True,
        "newMessage": {
            "role": "user",
            "parts": [
                {"text": "See"},
                {"inlineData": {"mimeType": "image/png", "displayName": "a.png", "data": "iVBOR/v/"}},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "https://files.example/a.pdf"}},
            ],
        },
        "stateDelta": {"k": 1},
        "customMetadata": {"mine": True},
        "serviceTier": "flex",
    }
    assert body(turn().start())["customMetadata"] != body(turn().start())["customMetadata"]


def test_an_uploaded_file_is_rejected() -> None:
    with pytest.raises(UsageError, match="no uploaded files"):
        turn([MediaBlock(type="image", file_id="file_1")])


def test_a_turn_starts_with_the_response_and_ends_with_the_body() -> None:
    plan = turn()

    assert summaries(plan.opened(HEAD, again=False)) == ["turn.started"]
    assert summaries(plan.read(frame(fragment(text("You "))))) == ["message.delta"]
    assert summaries(plan.read(frame(SAID))) == ["message.completed", "usage"]
    assert summaries(plan.ended(CLEAN)) == ["turn.ended completed", "Finished"]
    assert plan.silence_s is None
    assert plan.rejoin() is None


def test_pending_actions_are_delivered_at_the_end_of_the_body() -> None:
    plan = turn()
    assert summaries(plan.read(frame(CLIENT_TOOL))) == ["tool_call.completed", "usage"]
    assert summaries(plan.read(frame(ASKED))) == []
    assert summaries(plan.ended(CLEAN)) == ["action.required", "turn.ended requires_action", "Finished"]


def test_a_repeated_frame_counts_once_and_equal_text_counts_twice() -> None:
    plan = turn()
    piece = fragment(text("ha"), timestamp=1.0)
    frames = [piece, piece, fragment(text("ha"), timestamp=2.0)]
    assert [summaries(plan.read(frame(each))) for each in frames] == [["message.delta"], [], ["message.delta"]]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ((SAID,), ["message.completed", "usage", "turn.ended completed"]),
        ((SAID, abort_event()), ["message.completed", "usage", "turn.ended completed"]),
        ((abort_event(),), ["turn.ended cancelled"]),
        ((event(errorCode="SAFETY"),), ["error", "turn.ended failed"]),
    ],
)
def test_a_broken_turn_is_completed_from_the_history(history: tuple[bytes, ...], expected: list[str]) -> None:
    plan = turn()
    plan.read(frame(fragment(text("You "))))
    ours = [marked(plan, each) for each in (message(text("hello")), *history)]
    others = [SAID, message(text("theirs"), id="ev-7", invocationId="e-2")]

    assert summaries(plan.ended(BROKEN)) == ["Reconcile"]
    (look,), items = step(plan.reconcile(), ok(stored(others[0], *ours, others[1])))

    assert (look.method, look.path) == ("GET", PATH)
    assert summaries(items) == [*expected, "Finished"]


def test_actions_are_pending_after_a_break_unless_an_abort_closed_them() -> None:
    """The server stores the abort some milliseconds after the break.

    Servers older than 2.11.0 do not store it.
    """
    plan = turn()
    asked = marked(plan, CLIENT_TOOL)
    sealed = marked(plan, abort_event(result("c1", "ask_caller", {"error": "aborted"})))
    _, items = step(plan.reconcile(), ok(stored(asked)), ok(stored(asked, sealed)))
    assert summaries(items) == [
        *["tool_call.completed", "usage", "tool_result.completed", "turn.ended cancelled", "Finished"]
    ]

    plan = turn()
    _, items = step(plan.reconcile(), *[ok(stored(marked(plan, CLIENT_TOOL)))] * 5)
    assert summaries(items) == [
        *["tool_call.completed", "usage", "action.required", "turn.ended requires_action", "Finished"]
    ]


def test_a_message_cut_between_frames_is_never_complete() -> None:
    plan = turn()
    called, given = answer(call("c1", "lookup")), event(result("c1", "lookup", {"result": "A"}), id="ev-2")
    history = [marked(plan, each) for each in (called, given)]
    for each in (*history, fragment(text("So "), id="ev-3")):
        plan.read(frame(each))
    assert summaries(plan.ended(CLEAN)) == ["Reconcile"]
    _, items = step(plan.reconcile(), *[ok(stored(*history))] * 5)
    assert summaries(items) == ["turn.ended failed", "Finished"]


def test_a_body_that_ends_inside_a_frame_is_broken() -> None:
    assert summaries(turn().ended(BodyEnd(None, inside_frame=True))) == ["Reconcile"]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([fragment(text("You "))], ["turn.ended failed", "Finished"]),
        ([answer(call("c1", "lookup"))], ["turn.ended failed", "Finished"]),
        ([event(result("c1", "lookup", {"result": "A"}))], ["turn.ended completed", "Finished"]),
    ],
)
def test_a_body_that_ends_before_an_expected_event_is_reconciled(frames: list[bytes], expected: list[str]) -> None:
    plan = turn()
    for each in frames:
        plan.read(frame(each))
    assert summaries(plan.ended(CLEAN)) == ["Reconcile"]
    _, items = step(plan.reconcile(), *[ok(stored())] * 5)
    assert summaries(items) == expected


@pytest.mark.parametrize("frames", [[], [SAID], [event(actions={"stateDelta": {"heard": "x"}})], [CLIENT_TOOL]])
def test_a_body_that_ends_after_a_final_event_is_complete(frames: list[bytes]) -> None:
    plan = turn()
    for each in frames:
        plan.read(frame(each))
    assert summaries(plan.ended(CLEAN))[-1] == "Finished"


def test_streamed_events_are_not_delivered_again_from_the_history() -> None:
    plan = turn()
    plan.read(frame(marked(plan, answer(call("c1", "lookup", query="a")))))
    mine = [
        answer(call("c1", "lookup", query="a")),
        event(result("c1", "lookup", {"result": "A"}), id="ev-4"),
        answer(text("Done"), id="ev-5"),
    ]
    _, items = step(plan.reconcile(), ok(stored(*[marked(plan, each) for each in mine])))

    assert summaries(items) == [
        "tool_result.completed",
        "message.completed",
        "usage",
        "turn.ended completed",
        "Finished",
    ]
    ended = next(each for each in items if isinstance(each, TurnEnded))
    assert ended.usage is not None
    assert ended.usage.input_tokens == 22


def test_an_end_that_is_never_stored_becomes_a_failure() -> None:
    plan = turn()
    half = marked(plan, answer(call("c1", "lookup")))
    looks, items = step(plan.reconcile(), *[ok(stored(half))] * 5)

    assert [each.after_s for each in looks] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert summaries(items) == ["tool_call.completed", "usage", "turn.ended failed", "Finished"]
    assert decode_cursor(Cursor, plan.cursor, "ADK").is_ended


def test_an_unreadable_stored_event_belongs_to_no_turn() -> None:
    _, items = step(turn().reconcile(), *[ok(stored(b"5"))] * 5)
    assert summaries(items) == ["turn.ended failed", "Finished"]


def test_a_reconciliation_that_fails_once_loses_no_event() -> None:
    plan = turn()
    said = marked(plan, SAID)
    flow = plan.reconcile()
    next(flow)
    flow.send(ok(stored()))
    with pytest.raises(ConnectionLost):
        flow.throw(ConnectionLost("again"))
    _, items = step(plan.reconcile(), ok(stored(said)))
    assert summaries(items) == ["message.completed", "usage", "turn.ended completed", "Finished"]


def test_a_server_without_markers_identifies_the_turn_by_its_invocation() -> None:
    plan = turn()
    plan.read(frame(fragment(text("You "), id="f-1")))
    history = [message(text("old"), invocationId="e-0"), answer(text("Old"), invocationId="e-0", id="ev-2")]
    history += [message(text("hello"), id="ev-3"), answer(text("You wrote"), id="ev-4")]
    _, items = step(plan.reconcile(), ok(stored(*history)))
    assert summaries(items) == ["message.completed", "usage", "turn.ended completed", "Finished"]


@pytest.mark.parametrize(
    ("history", "given", "function", "response"),
    [
        (ASKED, Approve("r1"), "adk_request_confirmation", {"confirmed": True}),
        (ASKED, Deny("r1"), "adk_request_confirmation", {"confirmed": False}),
        (ASKED, Deny("r1", "no"), "adk_request_confirmation", {"confirmed": False, "payload": {"reason": "no"}}),
        (CLIENT_TOOL, ToolOutput("c1", "42"), "ask_caller", {"result": "42"}),
        (CLIENT_TOOL, ToolOutput("c1", "no", is_error=True), "ask_caller", {"error": "no"}),
        (QUESTION, Reply("q1", "red"), "adk_request_input", {"result": "red"}),
    ],
)
def test_an_answer_is_a_response_to_the_waiting_call(
    history: bytes, given: Any, function: str, response: dict[str, Any]
) -> None:
    (part,) = body(turn([given], history).start())["newMessage"]["parts"]
    assert part == {"functionResponse": {"id": given.action, "name": function, "response": response}}


def test_an_answer_may_contain_the_action_instead_of_its_id() -> None:
    action = ToolExecution(id="c1", name="ask_caller", arguments={})
    assert body(turn([ToolOutput(action, "42")], CLIENT_TOOL).start())["newMessage"]["parts"]


def test_answers_of_one_turn_are_sent_together_and_the_rest_stays_pending() -> None:
    both = turn([Approve("r1"), Deny("r2")], ASKED_TWICE)
    assert len(body(both.start())["newMessage"]["parts"]) == 2
    assert summaries(both.ended(CLEAN)) == ["turn.ended completed", "Finished"]

    one = turn([Approve("r2")], ASKED_TWICE)
    ends = one.ended(CLEAN)
    assert summaries(ends) == ["action.required", "turn.ended requires_action", "Finished"]
    assert [each.id for each in ends[0].actions] == ["r1"]  # type: ignore[union-attr]


def test_a_client_output_becomes_a_result_that_the_server_does_not_stream() -> None:
    opened = turn([ToolOutput("c1", "no", is_error=True)], CLIENT_TOOL).opened(HEAD, again=False)
    assert summaries(opened) == ["turn.started", "tool_result.completed"]
    assert (opened[1].tool_call_id, opened[1].text, opened[1].is_error) == ("c1", "no", True)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("history", "given", "error"),
    [
        (CLIENT_TOOL, [ToolOutput("none", "42")], Conflict),
        (CLIENT_TOOL, [Approve("c1")], UsageError),
        (ASKED, [ToolOutput("r1", "42")], UsageError),
        (QUESTION, [ToolOutput("q1", "42")], UsageError),
        (CREDENTIAL, [ToolOutput("k1", "secret")], UsageError),
    ],
)
def test_answers_of_the_wrong_type_are_rejected(history: bytes, given: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        turn(given, history)
    assert "secret" not in str(caught.value)


def test_a_repeated_answer_is_a_conflict() -> None:
    given = message(result("c1", "ask_caller", {"result": "42"}), id="ev-4")
    with pytest.raises(Conflict, match="is not pending"):
        turn([ToolOutput("c1", "42")], CLIENT_TOOL, given)
    sealed = abort_event(result("c1", "ask_caller", {"error": "aborted"}))
    with pytest.raises(Conflict, match="is not pending"):
        turn([ToolOutput("c1", "42")], CLIENT_TOOL, sealed)


def test_answers_of_several_turns_are_rejected() -> None:
    other = answer(call("c2", "ask_caller"), longRunningToolIds=["c2"], id="ev-7", invocationId="e-2")
    with pytest.raises(UsageError, match="several turns"):
        turn([ToolOutput("c1", "1"), ToolOutput("c2", "2")], CLIENT_TOOL, other)


def test_a_message_that_is_not_followed_is_read_to_its_end() -> None:
    (sent,), nothing = step(OPERATIONS.send_message("s1", "hello"), frames_response(SAID))
    assert nothing is None
    assert body(sent)["streaming"] is False
    assert sent.timeout_s is None

    look, sent = step(
        OPERATIONS.answer_actions("s1", [ToolOutput("c1", "42")]), ok(stored(CLIENT_TOOL)), frames_response()
    )[0]
    assert (look.path, sent.path) == (PATH, "/run_sse")


def test_a_response_with_nothing_but_an_error_is_an_error() -> None:
    stale = frames_response(failure("StaleSessionError", "changed meanwhile"))

    assert PROVIDER.is_refusal(stale)
    assert PROVIDER.read_error(stale)[:2] == ("changed meanwhile", "StaleSessionError")
    assert PROVIDER.error_classes["StaleSessionError"] is Conflict
    assert PROVIDER.error_classes["ValueError"] is InvalidRequest
    for fine in (
        frames_response(),
        frames_response(SAID),
        frames_response(event(errorCode="E"), failure("E", "e")),
        ok({"error": "no"}),
    ):
        assert not PROVIDER.is_refusal(fine)
