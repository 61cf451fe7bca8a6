"""Conversations with the same events on the AgentScope service and on its emulator."""

from collections.abc import Callable
from typing import Any, Final

from live.storyteller import Conversation

Story = Callable[[Conversation], None]
STORIES: Final[dict[str, Story]] = {}

_OUTPUT: Final = {"output": "found", "state": "success"}
_SESSION: Final = "/sessions/<session>?agent_id=<agent>"
_MODEL: Final = {"type": "t", "credential_id": "<credential>", "model": "scripted", "parameters": {}}


def _story(tell: Story) -> Story:
    STORIES[tell.__name__.removeprefix("_")] = tell
    return tell


def _first_turn(message: str, *until: str) -> Callable[[Conversation], None]:
    def begin(it: Conversation) -> None:
        it.listen()
        it.send_message(message)
        it.raise_for_outcome(*until)

    return begin


_request_approvals: Final = _first_turn("/ask 2", "REQUIRE_USER_CONFIRM")
_request_outputs: Final = _first_turn("/client-tool 2", "REQUIRE_EXTERNAL_EXECUTION")


STORIES["thinking"] = _first_turn("/think", "REPLY_END")
STORIES["one tool"] = _first_turn("/tool", "REPLY_END")
STORIES["two tools"] = _first_turn("/tool 2", "REPLY_END")
STORIES["model error"] = _first_turn("/fail", "REPLY_END")


@_story
def _plain_turns(it: Conversation) -> None:
    it.listen()
    for text in ("hello there", "and again"):
        it.send_message(text)
        it.raise_for_outcome("REPLY_END")


@_story
def _approved_one_by_one(it: Conversation) -> None:
    _request_approvals(it)
    it.answer(True)
    it.raise_for_outcome("REQUIRE_USER_CONFIRM")
    it.answer(True)
    it.raise_for_outcome("REPLY_END")


@_story
def _denied_then_approved(it: Conversation) -> None:
    _request_approvals(it)
    it.answer(False)
    it.raise_for_outcome("REQUIRE_USER_CONFIRM")
    it.answer(True)
    it.raise_for_outcome("REPLY_END")


@_story
def _approved_for_good(it: Conversation) -> None:
    _request_approvals(it)
    it.answer(True, rules=it.required()["suggested_rules"])
    it.raise_for_outcome("CUSTOM")
    it.answer(False)
    it.raise_for_outcome("REPLY_END")
    it.send_message("/ask 1")
    it.raise_for_outcome("REPLY_END")


@_story
def _wrong_decisions(it: Conversation) -> None:
    _request_approvals(it)
    for _ in range(2):
        it.answer(True, call={"id": "wrong"})
        it.raise_for_outcome("REPLY_START")
    it.send_input({"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": []})
    it.raise_for_outcome("REPLY_START")
    it.answer(True)
    it.raise_for_outcome("REQUIRE_USER_CONFIRM")


@_story
def _messages_while_waiting(it: Conversation) -> None:
    _request_approvals(it)
    it.send_message("never mind")
    it.raise_for_outcome("REPLY_END")
    it.send_input(None)
    it.raise_for_outcome()
    it.interrupt()
    it.raise_for_outcome("REPLY_END")
    it.send_message("hello")
    it.raise_for_outcome("REPLY_END")


@_story
def _late_answers(it: Conversation) -> None:
    _first_turn("/ask 1", "REQUIRE_USER_CONFIRM")(it)
    it.answer(True)
    it.raise_for_outcome("REPLY_END")
    it.answer(True)
    it.raise_for_outcome("REPLY_START")
    it.send_results()
    it.raise_for_outcome("REPLY_START")


@_story
def _results_one_by_one(it: Conversation) -> None:
    _request_outputs(it)
    it.send_results(_OUTPUT)
    it.raise_for_outcome("TOOL_RESULT_END")
    it.send_results({}, {"output": "no state"})
    it.raise_for_outcome("REPLY_END")


@_story
def _results_at_once(it: Conversation) -> None:
    _request_outputs(it)
    source = {"type": "url", "url": "http://files.test/a.png", "media_type": "image/png"}
    blocks = [{"type": "text", "text": "one"}, {"type": "data", "source": source}]
    it.send_results({"output": blocks, "state": "error"}, _OUTPUT)
    it.raise_for_outcome("REPLY_END")


@_story
def _wrong_results(it: Conversation) -> None:
    _request_outputs(it)
    it.answer(True)
    it.raise_for_outcome("REPLY_END")
    it.send_message("never mind")
    it.raise_for_outcome("REPLY_END")
    it.send_results()
    it.raise_for_outcome("REPLY_START")
    it.interrupt()
    it.raise_for_outcome("REPLY_END")


@_story
def _interrupted_while_streaming(it: Conversation) -> None:
    it.listen()
    it.send_message("/slow 50")
    it.wait("TEXT_BLOCK_DELTA", 2)
    it.send_message("too early")
    it.do("PATCH", _SESSION, {"name": "too early"})
    it.interrupt()
    it.raise_for_outcome("REPLY_END")
    it.send_message("continue")
    it.raise_for_outcome("REPLY_END")


@_story
def _interrupted_when_idle(it: Conversation) -> None:
    it.listen()
    it.interrupt()
    it.raise_for_outcome("REPLY_START")
    it.send_message("hello")
    it.raise_for_outcome("REPLY_END")
    it.interrupt()
    it.raise_for_outcome("REPLY_START")
    it.listen()
    it.raise_for_outcome()


@_story
def _deleted_while_streaming(it: Conversation) -> None:
    it.listen()
    it.send_message("/slow 50")
    it.wait("TEXT_BLOCK_DELTA", 2)
    it.do("DELETE", _SESSION)
    it.wait("REPLY_END")
    it.record_events()


@_story
def _named_by_the_model(it: Conversation) -> None:
    it.new_session(chat_model_config=_MODEL)
    it.listen()
    it.send_input(None)
    it.raise_for_outcome("REPLY_END")
    it.send_message("A title")
    it.raise_for_outcome("CUSTOM")
    it.send_message("hello")
    it.raise_for_outcome("REPLY_END")


@_story
def _without_a_model(it: Conversation) -> None:
    it.new_session()
    it.listen()
    it.send_message("hello")
    it.raise_for_outcome("REPLY_END")
    it.interrupt()
    it.raise_for_outcome("REPLY_END")


@_story
def _without_credential(it: Conversation) -> None:
    it.listen()
    it.do("DELETE", "/credential/<credential>")
    it.send_message("hello")
    it.raise_for_outcome("REPLY_END")


@_story
def _wrong_agents(it: Conversation) -> None:
    it.listen()
    message = {"name": "user", "role": "user", "content": [{"type": "text", "text": "hello"}]}
    it.send_input(message, agent="lost")
    it.raise_for_outcome("REPLY_END")
    it.side.create("<other agent>", "/agent/", {"name": "Other"})
    it.send_input(message, agent="<other agent>")
    it.raise_for_outcome("REPLY_END")


@_story
def _other_users(it: Conversation) -> None:
    it.listen()
    message: dict[str, Any] = {"name": "user", "role": "user", "content": []}
    it.send_input(message, user="<other user>")
    it.raise_for_outcome("REPLY_END")
    it.send_input({"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": []}, user="<other user>")
    it.raise_for_outcome("REPLY_END")
    it.send_input(message, session="lost")
    it.raise_for_outcome()


@_story
def _inputs(it: Conversation) -> None:
    it.listen()
    text = {"type": "text", "text": "hello"}
    message = {"name": "user", "role": "user", "content": [text]}
    picture = {"type": "data", "source": {"type": "base64", "data": "QUJD", "media_type": "image/png"}}
    for turn_input in (
        None,
        [message, message | {"name": "b"}],
        message | {"id": "mine", "metadata": {"a": 1}, "created_at": "2020-01-01T00:00:00"},
        message | {"id": "mine"},
        message | {"content": [picture, text, text]},
        message | {"role": "system"},
        [],
    ):
        it.send_input(turn_input)
        it.raise_for_outcome("REPLY_END")


@_story
def _cold_connections(it: Conversation) -> None:
    it.listen()
    it.send_message("hello")
    it.raise_for_outcome("REPLY_END")
    for after in (None, it.cursor(), "99999999-0", "nonsense"):
        it.listen(after)
        it.record_events()
    it.listen(it.cursor())
    it.send_message("/slow 10")
    it.wait("TEXT_BLOCK_DELTA", 3)
    it.listen(it.cursor())
    it.raise_for_outcome("REPLY_END")


@_story
def _cold_connection_to_a_parked_session(it: Conversation) -> None:
    _request_approvals(it)
    it.listen()
    it.raise_for_outcome()


def _in_mode(mode: str) -> Story:
    def tell(it: Conversation) -> None:
        it.do("PATCH", _SESSION, {"permission_mode": mode})
        it.listen()
        it.send_message("/ask 1")
        it.raise_for_outcome("REQUIRE_USER_CONFIRM" if mode == "default" else "REPLY_END")

    return tell


STORIES.update(
    {f"permission mode {mode}": _in_mode(mode) for mode in ("accept_edits", "dont_ask", "explore", "bypass")}
)
