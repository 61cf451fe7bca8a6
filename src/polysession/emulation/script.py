"""The scripted agent: what an emulated agent does in answer to a message, the same whatever the backend.

| message begins with | the agent |
|---|---|
| anything else | says the text back, in several deltas |
| `/think` | thinks first |
| `/tool` | uses a tool on the server |
| `/ask N` | uses N tools (1 if not said) that each need an approval |
| `/client-tool N` | uses N tools (1 if not said) that the caller has to run |
| `/fail` | fails, as if its model had |
| `/slow N` | says N words (10 if not said), a tenth of a second apart |
| `/long N` | says N words (1,000 if not said) |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

SLOW_PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Think:
    """Reason, before anything is said."""

    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """Answer in these deltas, with that many seconds between two of them."""

    deltas: tuple[str, ...]
    pause_s: float = 0.0

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.deltas)


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One use of a tool, with the result that it will have if it runs."""

    name: str
    arguments: Mapping[str, str]
    result: str


@dataclass(frozen=True, slots=True)
class UseTools:
    """Use tools on the server, all in one step; `ask` needs an approval for each."""

    uses: tuple[ToolUse, ...]
    ask: bool = False


@dataclass(frozen=True, slots=True)
class UseClientTools:
    """Use tools that the caller runs, all in one step."""

    uses: tuple[ToolUse, ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail, as if the model had."""

    message: str


Act: TypeAlias = Think | Say | UseTools | UseClientTools | Fail


def script_for(message: str) -> tuple[Act, ...]:
    """What the agent does in answer to a message."""
    command, rest = (*message.split(maxsplit=1), "", "")[:2]
    if command in _COMMANDS:
        return _COMMANDS[command](rest.strip())
    return (Say(_words(f"You said: {message}")),)


def _words(text: str) -> tuple[str, ...]:
    """A text in deltas of one word each."""
    return tuple(re.findall(r"[^ ]* |[^ ]+", text))


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else default


def _uses(text: str) -> tuple[ToolUse, ...]:
    return tuple(ToolUse("lookup", {"query": f"item {n}"}, f"item {n} is in stock") for n in range(_number(text, 1)))


def _think(_rest: str) -> tuple[Act, ...]:
    return Think("The user wants to see me think."), Say(_words("I have thought about it."))


def _tool(rest: str) -> tuple[Act, ...]:
    return UseTools(_uses(rest)), Say(_words("The tool has answered."))


def _ask(rest: str) -> tuple[Act, ...]:
    return UseTools(_uses(rest), ask=True), Say(_words("The decision was heard."))


def _client_tool(rest: str) -> tuple[Act, ...]:
    return UseClientTools(_uses(rest)), Say(_words("The output was received."))


def _fail(_rest: str) -> tuple[Act, ...]:
    return (Fail("the model is out of order"),)


def _slow(rest: str) -> tuple[Act, ...]:
    return (Say(tuple(f"word{n} " for n in range(_number(rest, 10))), pause_s=SLOW_PAUSE_S),)


def _long(rest: str) -> tuple[Act, ...]:
    return (Say(tuple(f"word{n} " for n in range(_number(rest, 1000)))),)


_COMMANDS: Final[Mapping[str, Callable[[str], tuple[Act, ...]]]] = {
    "/think": _think,
    "/tool": _tool,
    "/ask": _ask,
    "/client-tool": _client_tool,
    "/fail": _fail,
    "/slow": _slow,
    "/long": _long,
}
