"""Messages, answers and history of Qoder, from flows stepped by hand, in whole calls."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from polysession import (
    ACTION,
    Answer,
    Approve,
    Conflict,
    Deny,
    MalformedResponse,
    MediaBlock,
    NotFound,
    PendingAction,
    RawBlock,
    Reply,
    Role,
    TextBlock,
    ToolApproval,
    ToolOutput,
    UsageError,
)
from polysession._core.flow import Call
from polysession._core.operations import Operations
from polysession.change import SessionRef
from polysession.message import Block
from polysession_qoder import QoderProvider, QoderSettings
from support.flows import ok, sent_bodies, step
from support.qoder_events import (
    APPROVAL,
    ASK,
    BEFORE,
    CUSTOM,
    EVENTS,
    EXECUTION,
    MCP,
    MCP_APPROVAL,
    NEWEST_FIRST,
    SEND,
    WAITING,
    WAITING_PAGE,
    JsonObject,
    echo,
    event,
    idle,
    page,
    said,
    shown,
)

PROVIDER = QoderProvider(QoderSettings(token="pt-made-up"))
OPERATIONS = Operations(PROVIDER)


# Messages.

SENT: list[tuple[Block, JsonObject]] = [
    (TextBlock(text="Hi"), {"type": "text", "text": "Hi"}),
    (
        MediaBlock(type="image", url="https://x.example/a.png"),
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
    ),
    (
        MediaBlock(type="image", data="AAAA", media_type="image/png"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    ),
    (
        MediaBlock(type="document", file_id="file_1", title="Report"),
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "title": "Report"},
    ),
]


@pytest.mark.parametrize(("block", "wire"), SENT)
def test_a_message_is_sent(block: Block, wire: JsonObject) -> None:
    calls, _ = step(OPERATIONS.send_message("sess_1", [block]), ok({"data": []}))

    assert [replace(call, body=None) for call in calls] == [SEND]
    assert sent_bodies(calls) == [{"events": [{"type": "user.message", "content": [wire]}]}]


@pytest.mark.parametrize(
    ("block", "what"),
    [
        (MediaBlock(type="image", url="https://x.example", media_type="image/png"), "only together with data"),
        (MediaBlock(type="image", url="https://x.example", title="A"), "title"),
    ],
)
def test_an_unsupported_block_is_refused(block: Block, what: str) -> None:
    for flow in (OPERATIONS.send_message("sess_1", [block]), OPERATIONS.start_turn("sess_1", [block])):
        with pytest.raises(UsageError, match=what):
            step(flow)


# Pending actions, and answers to them.


def test_pending_actions_are_found_in_the_newest_events() -> None:
    calls, actions = step(OPERATIONS.pending_actions("sess_1"), ok(WAITING_PAGE))

    assert calls == [NEWEST_FIRST]
    assert actions == (APPROVAL, MCP_APPROVAL, EXECUTION)


def test_pending_actions_are_looked_for_on_older_pages() -> None:
    pages = [ok(page(WAITING, CUSTOM, next_page="p2")), ok(page(MCP, ASK, next_page="p3"))]

    calls, actions = step(OPERATIONS.pending_actions("sess_1"), *pages)

    assert [call.path for call in calls] == [f"{EVENTS}?order=desc&limit=100", f"{EVENTS}?order=desc&limit=100&page=p2"]
    assert actions == (APPROVAL, MCP_APPROVAL, EXECUTION)


@pytest.mark.parametrize(
    "newest",
    [
        [],
        [echo()],
        [idle("evt_i", "end_turn"), ASK, idle("evt_h", "requires_action", "evt_a")],
        [event("evt_r", "session.status_running"), WAITING, CUSTOM, MCP, ASK],
        [event("evt_t", "session.status_terminated"), WAITING, CUSTOM, MCP, ASK],
        [event("evt_d", "session.deleted"), WAITING, CUSTOM, MCP, ASK],
    ],
)
def test_nothing_is_pending(newest: list[JsonObject]) -> None:
    assert step(OPERATIONS.pending_actions("sess_1"), ok(page(*newest)))[1] == ()


def test_what_was_answered_is_not_pending() -> None:
    answered = [
        event("evt_1", "user.tool_confirmation", tool_use_id="evt_m", result="allow"),
        event("evt_2", "user.custom_tool_result", custom_tool_use_id="evt_c"),
    ]

    assert step(OPERATIONS.pending_actions("sess_1"), ok(page(*answered, WAITING, ASK)))[1] == (APPROVAL,)


def test_an_action_that_is_missing_from_the_events_is_reported() -> None:
    with pytest.raises(MalformedResponse, match="evt_m, evt_c"):
        step(OPERATIONS.pending_actions("sess_1"), ok(page(WAITING, ASK)))


def test_a_list_that_does_not_advance_is_reported() -> None:
    with pytest.raises(MalformedResponse, match="does not advance"):
        step(OPERATIONS.pending_actions("sess_1"), *[ok(page(next_page="p"))] * 2)


@pytest.mark.parametrize("odd", [{"id": "evt_1"}, {"type": ["x"]}, {"type": "user.message", "id": {}}, 5, None])
def test_an_invalid_event_of_a_page_affects_only_itself(odd: Any) -> None:
    listed = ok(page(said("evt_0", "Hello"), odd, ASK, MCP, CUSTOM, WAITING))
    newest_first = ok(page(said("evt_0", "Hello"), odd, WAITING, CUSTOM, MCP, ASK))

    _, actions = step(OPERATIONS.pending_actions("sess_1"), newest_first)
    _, events = step(OPERATIONS.list_events("sess_1", None)(None), listed)
    _, messages = step(OPERATIONS.list_messages("sess_1", None)(None), listed)

    assert actions == (APPROVAL, MCP_APPROVAL, EXECUTION)
    assert [event.raw for event in events.items][:2] == [said("evt_0", "Hello"), odd]
    assert shown(events.items)[0] == "message.completed Hello"
    assert messages.items[0].text == "Hello"


def test_a_confirmation_without_an_id_changes_nothing() -> None:
    unclear = event("evt_1", "user.tool_confirmation", tool_use_id=None)

    assert len(step(OPERATIONS.pending_actions("sess_1"), ok(page(unclear, WAITING, CUSTOM, MCP, ASK)))[1]) == 3


ANSWERS: list[tuple[Answer, JsonObject]] = [
    (Approve(APPROVAL), {"type": "user.tool_confirmation", "tool_use_id": "evt_a", "result": "allow"}),
    (Approve("evt_a"), {"type": "user.tool_confirmation", "tool_use_id": "evt_a", "result": "allow"}),
    (Deny("evt_a"), {"type": "user.tool_confirmation", "tool_use_id": "evt_a", "result": "deny"}),
    (
        Deny(MCP_APPROVAL, "no"),
        {
            "type": "user.tool_confirmation",
            "tool_use_id": "evt_m",
            "result": "deny",
            "deny_message": "no",
            "session_thread_id": "sthr_1",
        },
    ),
    (
        ToolOutput(EXECUTION, "42"),
        {
            "type": "user.custom_tool_result",
            "custom_tool_use_id": "evt_c",
            "content": [{"type": "text", "text": "42"}],
        },
    ),
    (
        ToolOutput("evt_c", "broken", is_error=True),
        {
            "type": "user.custom_tool_result",
            "custom_tool_use_id": "evt_c",
            "content": [{"type": "text", "text": "broken"}],
            "is_error": True,
        },
    ),
]


@pytest.mark.parametrize(("answer", "wire"), ANSWERS)
def test_an_answer_is_sent_after_its_action_was_found_pending(answer: Answer, wire: JsonObject) -> None:
    calls, _ = step(OPERATIONS.answer_actions("sess_1", [answer]), ok(WAITING_PAGE), ok({"data": []}))

    assert [replace(call, body=None) for call in calls] == [NEWEST_FIRST, SEND]
    assert sent_bodies(calls) == [None, {"events": [wire]}]


@pytest.mark.parametrize("action", [APPROVAL, MCP_APPROVAL, EXECUTION], ids=lambda action: str(action.id))
def test_a_stored_action_is_answered_without_its_event(action: PendingAction) -> None:
    stored = ACTION.validate_json(ACTION.dump_json(action))
    answer = ToolOutput(stored, "42") if action is EXECUTION else Approve(stored)

    calls, _ = step(OPERATIONS.answer_actions("sess_1", [answer]), ok(page(WAITING)), ok({"data": []}))

    (sent,) = sent_bodies(calls)[-1]["events"]
    assert sent == {**json.loads(action.reference), **({"result": "allow"} if action is not EXECUTION else OUTPUT)}


OUTPUT = {"content": [{"type": "text", "text": "42"}]}


def test_an_id_without_an_event_in_the_history_is_reported() -> None:
    with pytest.raises(MalformedResponse, match="evt_a"):
        step(OPERATIONS.answer_actions("sess_1", [Approve("evt_a")]), ok(page(WAITING)))


@pytest.mark.parametrize("reference", ["other", "[]", '{"type":"user.message"}', '{"tool_call_id":"1"}'])
def test_an_action_of_another_backend_is_refused(reference: str) -> None:
    foreign = ToolApproval(id="evt_a", name="Bash", arguments={}, reference=reference)

    with pytest.raises(UsageError, match="does not belong to Qoder"):
        step(OPERATIONS.answer_actions("sess_1", [Approve(foreign)]), ok(WAITING_PAGE))


def test_an_action_without_a_reference_is_answered_by_its_id() -> None:
    bare = ToolApproval(id="evt_m", name="find", arguments={})

    calls, _ = step(OPERATIONS.answer_actions("sess_1", [Deny(bare)]), ok(WAITING_PAGE), ok({"data": []}))

    (sent,) = sent_bodies(calls)[-1]["events"]
    assert sent == {**json.loads(MCP_APPROVAL.reference), "result": "deny"}


def test_a_question_is_not_answered() -> None:
    with pytest.raises(UsageError, match="Approve or Deny, not with Reply"):
        step(PROVIDER.answer_actions(SessionRef("sess_1"), (Reply("evt_a", "yes"),)), ok(WAITING_PAGE))


def test_answers_are_sent_together() -> None:
    answers: list[Answer] = [Approve("evt_a"), ToolOutput("evt_c", "42")]

    calls, _ = step(OPERATIONS.answer_actions("sess_1", answers), ok(WAITING_PAGE), ok({"data": []}))

    sent = sent_bodies(calls)[-1]["events"]
    assert [wire["type"] for wire in sent] == ["user.tool_confirmation", "user.custom_tool_result"]


@pytest.mark.parametrize("verb", [OPERATIONS.answer_actions, OPERATIONS.start_turn])
@pytest.mark.parametrize(
    ("answers", "newest", "error", "what"),
    [
        ([Approve("evt_a")], page(BEFORE), Conflict, "no pending actions"),
        ([Approve("evt_x")], WAITING_PAGE, NotFound, "evt_x.*waits for answers to evt_a, evt_m, evt_c"),
        ([Approve("evt_c")], WAITING_PAGE, UsageError, "with ToolOutput, not with Approve"),
        ([ToolOutput("evt_a", "42")], WAITING_PAGE, UsageError, "with Approve or Deny, not with ToolOutput"),
    ],
)
def test_an_answer_to_no_pending_action_is_refused_before_any_send(
    verb: Any, answers: list[Answer], newest: JsonObject, error: type[Exception], what: str
) -> None:
    with pytest.raises(error, match=what):
        step(verb("sess_1", answers), ok(newest))


# History.


def test_events_are_listed_oldest_first() -> None:
    listed = [event("evt_r", "session.status_running"), echo(), said("evt_m", "Hello"), BEFORE]

    calls, found = step(OPERATIONS.list_events("sess_1", 50)("page=p1"), ok(page(*listed, next_page="p2")))

    assert calls == [Call("GET", f"{EVENTS}?limit=50&page=p1")]
    assert shown(found.items) == [
        "turn.started",
        "session.status",
        "message.completed Hi",
        "message.completed Hello",
        "session.status",
        "turn.ended completed",
    ]
    assert found.next_cursor == "page=p2"


def test_tool_uses_of_an_earlier_page_are_looked_up() -> None:
    older = [ok(page(said("evt_1", "x"), CUSTOM, next_page="p2")), ok(page(ASK, next_page="p3"))]

    calls, found = step(OPERATIONS.list_events("sess_1", None)(None), ok(page(MCP, WAITING)), *older)

    wanted = "&types%5B%5D=agent.tool_use&types%5B%5D=agent.mcp_tool_use&types%5B%5D=agent.custom_tool_use"
    assert [call.path for call in calls] == [
        EVENTS,
        f"{EVENTS}?order=desc{wanted}&limit=100",
        f"{EVENTS}?order=desc{wanted}&limit=100&page=p2",
    ]
    (required,) = (item for item in found.items if item.type == "action.required")
    assert required.actions == (APPROVAL, MCP_APPROVAL, EXECUTION)


def test_events_are_listed_newest_first() -> None:
    oldest_first = [event("evt_r", "session.status_running"), ASK, CUSTOM, idle("evt_i", "requires_action", "evt_a")]
    flow = OPERATIONS.list_events("sess_1", 50, newest_first=True)(None)

    calls, found = step(flow, ok(page(*oldest_first[::-1], next_page="p2")))

    assert calls == [Call("GET", f"{EVENTS}?order=desc&limit=50")]
    assert shown(found.items) == [
        "turn.ended requires_action",
        "action.required",
        "session.status",
        "tool_call.completed",
        "tool_call.completed",
        "session.status",
        "turn.started",
    ]
    assert [item.actions for item in found.items if item.type == "action.required"] == [(APPROVAL,)]


def test_messages_are_listed_newest_first() -> None:
    flow = OPERATIONS.list_messages("sess_1", None, newest_first=True)("page=p1")

    calls, found = step(flow, ok(page(said("evt_2", "Hello"), echo("evt_1"))))

    assert calls[0].path.endswith("&order=desc&page=p1")
    assert [message.id for message in found.items] == ["evt_2", "evt_1"]


def test_messages_are_the_events_that_are_messages() -> None:
    listed = [echo("evt_1"), said("evt_2", "Hello"), event("evt_3", "system.message", content="Be brief.")]

    calls, found = step(OPERATIONS.list_messages("sess_1", 50)("after_id=evt_0"), ok(page(*listed)))

    wanted = "types%5B%5D=user.message&types%5B%5D=agent.message&types%5B%5D=system.message"
    assert calls == [Call("GET", f"{EVENTS}?{wanted}&limit=50&after_id=evt_0")]
    assert [(item.id, item.role, item.text) for item in found.items] == [
        ("evt_1", Role.USER, "Hi"),
        ("evt_2", Role.ASSISTANT, "Hello"),
        ("evt_3", Role.SYSTEM, "Be brief."),
    ]


@pytest.mark.parametrize("verb", [OPERATIONS.list_events, OPERATIONS.list_messages])
def test_a_page_that_is_too_large_is_refused(verb: Any) -> None:
    with pytest.raises(UsageError, match="at most 100"):
        step(verb("sess_1", 101)(None))


READ: list[tuple[Any, Block]] = [
    ({"type": "text", "text": "Hi"}, TextBlock(text="Hi")),
    ("Hi", TextBlock(text="Hi")),
    *((wire, block) for block, wire in SENT),
    (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
        RawBlock(payload={"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}}),
    ),
    ({"type": "image", "source": {"type": "url"}}, RawBlock(payload={"type": "image", "source": {"type": "url"}})),
    ({"type": "image"}, RawBlock(payload={"type": "image"})),
    ({"type": "redacted"}, RawBlock(payload={"type": "redacted"})),
    ({"type": "text"}, RawBlock(payload={"type": "text"})),
]


@pytest.mark.parametrize(("wire", "block"), READ)
def test_a_block_is_read(wire: Any, block: Block) -> None:
    listed = event("evt_1", "user.message", content=[wire])

    (message,) = step(OPERATIONS.list_messages("sess_1", None)(None), ok(page(listed)))[1].items

    assert message.content == (block,)
