"""Responses of the model stub."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polysession.emulation import Act, AskApproval, ClientTool, Fail, Say, Think, ToolUse, UseTools, script_for

_NAMING_TOOL = "generate_structured_output"
_REMINDER = "<system-reminder>"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response of the model.

    Attributes:
        deltas: The `delta` of each chunk.
        pause_s: Seconds to wait after each chunk.
        status: HTTP status of an error; None for a success.
    """

    deltas: tuple[Mapping[str, Any], ...] = ()
    pause_s: float = 0.0
    status: int | None = None


_FIXED = {
    "plain": Answer(tuple({"content": text} for text in ("Hello", ", ", "world."))),
    "slow": Answer(({"content": "tick "},) * 100, pause_s=0.1),
}


def answer_to(request: Mapping[str, Any]) -> Answer | None:
    """Return the model's response to a request; None if no model has that name."""
    if _is_naming(request):
        return Answer((_calls([(_NAMING_TOOL, {"title": "A title"})]),))
    if request["model"] in _FIXED:
        return _FIXED[request["model"]]
    return _scripted(request["messages"]) if request["model"] == "scripted" else None


def _is_naming(request: Mapping[str, Any]) -> bool:
    """Whether the service requests a name for a session.

    It requires the use of a tool for this.
    """
    choice = request.get("tool_choice")
    return isinstance(choice, dict) and choice["function"]["name"] == _NAMING_TOOL


def _scripted(messages: Sequence[Mapping[str, Any]]) -> Answer:
    """Return the next step of the scripted agent.

    Each response since the message was one step of its script.
    """
    last_input = max((index for index, message in enumerate(messages) if _is_human(message)), default=0)
    given = sum(message["role"] == "assistant" for message in messages[last_input:])
    rounds = _rounds(script_for(_text(messages[last_input]) if _is_human(messages[last_input]) else ""))
    return _answer(rounds[min(given, len(rounds) - 1)])


def _rounds(script: Sequence[Act]) -> list[list[Act]]:
    """Return the acts of each response. A response ends with its first use of tools."""
    rounds: list[list[Act]] = [[]]
    for act in script:
        rounds[-1].append(act)
        if isinstance(act, UseTools):
            rounds.append([])
    return rounds


def _answer(acts: Sequence[Act]) -> Answer:
    deltas: list[Mapping[str, Any]] = []
    pause_s = 0.0
    for act in acts:
        match act:
            case Fail():
                return Answer(status=500)
            case Think(text):
                deltas.append({"reasoning_content": text})
            case Say(_, pause_s):
                deltas += [{"content": text} for text in act.deltas]
            case UseTools(uses):
                deltas.append(_calls([_call(use) for use in uses]))
    return Answer(tuple(deltas), pause_s)


def _call(use: ToolUse) -> tuple[str, Mapping[str, Any]]:
    """Return a harmless use of the service's shell tool for a scripted one.

    It writes a file if it needs approval.
    """
    match use:
        case ClientTool():
            return use.name, use.arguments
        case AskApproval():
            return "Bash", {"command": f"touch {use.arguments['query'].replace(' ', '-')}"}
        case _:
            return "Bash", {"command": f"echo {use.result}"}


def _calls(calls: Sequence[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any]:
    return {
        "tool_calls": [
            {
                "index": index,
                "id": f"call_{uuid.uuid4().hex}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for index, (name, arguments) in enumerate(calls)
        ]
    }


def _is_human(message: Mapping[str, Any]) -> bool:
    return message["role"] == "user" and not _text(message).startswith(_REMINDER)


def _text(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def echo_of(text: str) -> str:
    """Return the response of the model `scripted` to a message without a command."""
    return f"You said: {text}"
