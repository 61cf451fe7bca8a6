"""The conversations that the AgentScope service and its emulator must take alike."""

from collections.abc import Callable
from typing import Any, Final

from live.storyteller import Teller

Story = Callable[[Teller], None]
STORIES: Final[dict[str, Story]] = {}

_OUTPUT: Final = {"output": "found", "state": "success"}
_SESSION: Final = "/sessions/<session>?agent_id=<agent>"
_MODEL: Final = {"type": "t", "credential_id": "<credential>", "model": "scripted", "parameters": {}}


def _story(tell: Story) -> Story:
    STORIES[tell.__name__.removeprefix("_")] = tell
    return tell


def _first_turn(message: str, *until: str) -> Callable[[Teller], None]:
    def begin(it: Teller) -> None:
        it.listen()
        it.say(message)
        it.raise_for_outcome(*until)

    return begin


_asked: Final = _first_turn("/ask 2", "REQUIRE_USER_CONFIRM")
_handed_over: Final = _first_turn("/client-tool 2", "REQUIRE_EXTERNAL_EXECUTION")


STORIES["thinking"] = _first_turn("/think", "REPLY_END")
STORIES["one tool"] = _first_turn("/tool", "REPLY_END")
STORIES["two tools"] = _first_turn("/tool 2", "REPLY_END")
STORIES["model error"] = _first_turn("/fail", "REPLY_END")


@_story
def _plain_turns(it: Teller) -> None:
    it.listen()
    for text in ("hello there", "and again"):
        it.say(text)
        it.raise_for_outcome("REPLY_END")


@_story
def _approved_one_by_one(it: Teller) -> None:
    _asked(it)
    it.answer(True)
    it.raise_for_outcome("REQUIRE_USER_CONFIRM")
    it.answer(True)
    it.raise_for_outcome("REPLY_END")


@_story
def _denied_then_approved(it: Teller) -> None:
    _asked(it)
    it.answer(False)
    it.raise_for_outcome("REQUIRE_USER_CONFIRM")
    it.answer(True)
    it.raise_for_outcome("REPLY_END")


@_story
def _approved_for_good(it: Teller) -> None:
    _asked(it)
    it.answer(True, rules=it.required()["suggested_rules"])
    it.raise_for_outcome("CUSTOM")
    it.answer(False)
    it.raise_for_outcome("REPLY_END")
    it.say("/ask 1")
    it.raise_for_outcome("REPLY_END")


@_story
def _wrong_decisions(it: Teller) -> None:
    _asked(it)
    for _ in range(2):
        it.answer(True, call={"id": "wrong"})
        it.raise_for_outcome("REPLY_START")
    it.give({"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": []})
    it.raise_for_outcome("REPLY_START")
    it.answer(True)
    it.raise_for_outcome("REQUIRE_USER_CONFIRM")


@_story
def _messages_while_asked(it: Teller) -> None:
    _asked(it)
    it.say("never mind")
    it.raise_for_outcome("REPLY_END")
    it.give(None)
    it.raise_for_outcome()
    it.interrupt()
    it.raise_for_outcome("REPLY_END")
    it.say("hello")
    it.raise_for_outcome("REPLY_END")


@_story
def _late_answers(it: Teller) -> None:
    _first_turn("/ask 1", "REQUIRE_USER_CONFIRM")(it)
    it.answer(True)
    it.raise_for_outcome("REPLY_END")
    it.answer(True)
    it.raise_for_outcome("REPLY_START")
    it.bring()
    it.raise_for_outcome("REPLY_START")


@_story
def _results_one_by_one(it: Teller) -> None:
    _handed_over(it)
    it.bring(_OUTPUT)
    it.raise_for_outcome("TOOL_RESULT_END")
    it.bring({}, {"output": "no state"})
    it.raise_for_outcome("REPLY_END")


@_story
def _results_at_once(it: Teller) -> None:
    _handed_over(it)
    source = {"type": "url", "url": "http://files.test/a.png", "media_type": "image/png"}
    blocks = [{"type": "text", "text": "one"}, {"type": "data", "source": source}]
    it.bring({"output": blocks, "state": "error"}, _OUTPUT)
    it.raise_for_outcome("REPLY_END")


@_story
def _wrong_results(it: Teller) -> None:
    _handed_over(it)
    it.answer(True)
    it.raise_for_outcome("REPLY_END")
    it.say("never mind")
    it.raise_for_outcome("REPLY_END")
    it.bring()
    it.raise_for_outcome("REPLY_START")
    it.interrupt()
    it.raise_for_outcome("REPLY_END")


@_story
def _interrupted_while_streaming(it: Teller) -> None:
    it.listen()
    it.say("/slow 50")
    it.wait("TEXT_BLOCK_DELTA", 2)
    it.say("too early")
    it.do("PATCH", _SESSION, {"name": "too early"})
    it.interrupt()
    it.raise_for_outcome("REPLY_END")
    it.say("continue")
    it.raise_for_outcome("REPLY_END")


@_story
def _interrupted_when_idle(it: Teller) -> None:
    it.listen()
    it.interrupt()
    it.raise_for_outcome("REPLY_START")
    it.say("hello")
    it.raise_for_outcome("REPLY_END")
    it.interrupt()
    it.raise_for_outcome("REPLY_START")
    it.listen()
    it.raise_for_outcome()


@_story
def _deleted_while_streaming(it: Teller) -> None:
    it.listen()
    it.say("/slow 50")
    it.wait("TEXT_BLOCK_DELTA", 2)
    it.do("DELETE", _SESSION)
    it.wait("REPLY_END")
    it.hear()


@_story
def _named_by_the_model(it: Teller) -> None:
    it.new_session(chat_model_config=_MODEL)
    it.listen()
    it.give(None)
    it.raise_for_outcome("REPLY_END")
    it.say("A title")
    it.raise_for_outcome("CUSTOM")
    it.say("hello")
    it.raise_for_outcome("REPLY_END")


@_story
def _without_a_model(it: Teller) -> None:
    it.new_session()
    it.listen()
    it.say("hello")
    it.raise_for_outcome("REPLY_END")
    it.interrupt()
    it.raise_for_outcome("REPLY_END")


@_story
def _without_credential(it: Teller) -> None:
    it.listen()
    it.do("DELETE", "/credential/<credential>")
    it.say("hello")
    it.raise_for_outcome("REPLY_END")


@_story
def _wrong_agents(it: Teller) -> None:
    it.listen()
    message = {"name": "user", "role": "user", "content": [{"type": "text", "text": "hello"}]}
    it.give(message, agent="lost")
    it.raise_for_outcome("REPLY_END")
    it.side.create("<other agent>", "/agent/", {"name": "Other"})
    it.give(message, agent="<other agent>")
    it.raise_for_outcome("REPLY_END")


@_story
def _other_users(it: Teller) -> None:
    it.listen()
    message: dict[str, Any] = {"name": "user", "role": "user", "content": []}
    it.give(message, user="<other user>")
    it.raise_for_outcome("REPLY_END")
    it.give({"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": []}, user="<other user>")
    it.raise_for_outcome("REPLY_END")
    it.give(message, session="lost")
    it.raise_for_outcome()


@_story
def _inputs(it: Teller) -> None:
    it.listen()
    text = {"type": "text", "text": "hello"}
    message = {"name": "user", "role": "user", "content": [text]}
    picture = {"type": "data", "source": {"type": "base64", "data": "QUJD", "media_type": "image/png"}}
    for wanted in (
        None,
        [message, message | {"name": "b"}],
        message | {"id": "mine", "metadata": {"a": 1}, "created_at": "2020-01-01T00:00:00"},
        message | {"id": "mine"},
        message | {"content": [picture, text, text]},
        message | {"role": "system"},
        [],
    ):
        it.give(wanted)
        it.raise_for_outcome("REPLY_END")


@_story
def _cold_connections(it: Teller) -> None:
    it.listen()
    it.say("hello")
    it.raise_for_outcome("REPLY_END")
    for after in (None, it.cursor(), "99999999-0", "nonsense"):
        it.listen(after)
        it.hear()
    it.listen(it.cursor())
    it.say("/slow 10")
    it.wait("TEXT_BLOCK_DELTA", 3)
    it.listen(it.cursor())
    it.raise_for_outcome("REPLY_END")


@_story
def _cold_connection_to_a_parked_session(it: Teller) -> None:
    _asked(it)
    it.listen()
    it.raise_for_outcome()


def _in_mode(mode: str) -> Story:
    def tell(it: Teller) -> None:
        it.do("PATCH", _SESSION, {"permission_mode": mode})
        it.listen()
        it.say("/ask 1")
        it.raise_for_outcome("REQUIRE_USER_CONFIRM" if mode == "default" else "REPLY_END")

    return tell


STORIES.update(
    {f"permission mode {mode}": _in_mode(mode) for mode in ("accept_edits", "dont_ask", "explore", "bypass")}
)
