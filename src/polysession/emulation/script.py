"""The scripted agent: the acts of an emulated agent in answer to a message, the same for each backend.

| message begins with | the agent |
|---|---|
| anything else | repeats the text, in several deltas |
| `/think` | thinks first |
| `/tool N` | uses N tools (1 by default) on the server |
| `/ask N` | uses N tools (1 by default) that each need an approval |
| `/client-tool N` | uses N tools (1 by default) that the caller runs |
| `/mixed` | uses a tool that needs an approval and a tool that the caller runs, in one step |
| `/question` | asks a question |
| `/fail` | fails, as if its model had |
| `/slow N` | says N words (10 by default), a tenth of a second apart |
| `/long N` | says N words (1,000 by default) |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeAlias

SLOW_PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Think:
    """Think, before any other act.

    Attributes:
        text: The reasoning.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say the answer, in deltas of one word each.

    Attributes:
        text: The answer.
        pause_s: Seconds between two deltas.
    """

    text: str
    pause_s: float = 0.0

    @property
    def deltas(self) -> tuple[str, ...]:
        """Return the text in pieces."""
        return tuple(re.findall(r"[^ ]* |[^ ]+", self.text))


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One use of a tool that the server runs.

    Attributes:
        name: Name of the tool.
        arguments: Arguments of the call, as JSON values.
        result: Text that the tool returns.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""

    def edited(self, arguments: Mapping[str, Any]) -> Self:
        """Return the same use with other arguments; a changed text is also replaced in the result."""
        result = self.result
        for name, value in self.arguments.items():
            if isinstance(value, str) and value and isinstance(arguments.get(name), str):
                result = result.replace(value, arguments[name])
        return replace(self, arguments=arguments, result=result)


@dataclass(frozen=True, slots=True)
class AskApproval(ToolUse):
    """One use of a tool that the server runs after the caller's approval."""


@dataclass(frozen=True, slots=True)
class ClientTool(ToolUse):
    """One use of a tool that the caller runs; `result` is not used."""


@dataclass(frozen=True, slots=True, init=False)
class UseTools:
    """Use tools, all in one step of the agent.

    Attributes:
        uses: The uses, given as positional arguments.
    """

    uses: tuple[ToolUse, ...]

    def __init__(self, *uses: ToolUse) -> None:
        object.__setattr__(self, "uses", uses)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a question, and wait for the reply.

    If the backend has no questions, the agent sends the question as a message and its turn ends; the remaining acts
    belong to the session's next turn.

    Attributes:
        prompt: The question.
        options: Replies to choose from; empty for any.
    """

    prompt: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail, as if the model failed; the turn ends.

    Attributes:
        message: Text of the error.
    """

    message: str = "the model is out of order"


Act: TypeAlias = Think | Say | UseTools | Ask | Fail


def script_for(message: str) -> tuple[Act, ...]:
    """Return the acts in answer to a message; see the table of commands."""
    command, rest = (*message.split(maxsplit=1), "", "")[:2]
    if command in _COMMANDS:
        return _COMMANDS[command](rest.strip())
    return (Say(f"You said: {message}"),)


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else default


def _lookup(kind: type[ToolUse], number: int) -> ToolUse:
    return kind("lookup", {"query": f"item {number}"}, f"item {number} is in stock")


def _lookups(kind: type[ToolUse], text: str) -> UseTools:
    return UseTools(*(_lookup(kind, number) for number in range(_number(text, 1))))


def _think(_rest: str) -> tuple[Act, ...]:
    return Think("The user wants to see me think."), Say("I have thought about it.")


def _tool(rest: str) -> tuple[Act, ...]:
    return _lookups(ToolUse, rest), Say("The tool has answered.")


def _ask(rest: str) -> tuple[Act, ...]:
    return _lookups(AskApproval, rest), Say("The decision was heard.")


def _client_tool(rest: str) -> tuple[Act, ...]:
    return _lookups(ClientTool, rest), Say("The output was received.")


def _mixed(_rest: str) -> tuple[Act, ...]:
    return UseTools(_lookup(AskApproval, 0), _lookup(ClientTool, 1)), Say("Both have answered.")


def _question(_rest: str) -> tuple[Act, ...]:
    return Ask("Which colour?", ("red", "green")), Say("The reply was received.")


def _fail(_rest: str) -> tuple[Act, ...]:
    return (Fail(),)


def _slow(rest: str) -> tuple[Act, ...]:
    return (Say(_counted(_number(rest, 10)), pause_s=SLOW_PAUSE_S),)


def _long(rest: str) -> tuple[Act, ...]:
    return (Say(_counted(_number(rest, 1000))),)


def _counted(words: int) -> str:
    return "".join(f"word{number} " for number in range(words))


_COMMANDS: Final[Mapping[str, Callable[[str], tuple[Act, ...]]]] = {
    "/think": _think,
    "/tool": _tool,
    "/ask": _ask,
    "/client-tool": _client_tool,
    "/mixed": _mixed,
    "/question": _question,
    "/fail": _fail,
    "/slow": _slow,
    "/long": _long,
}
