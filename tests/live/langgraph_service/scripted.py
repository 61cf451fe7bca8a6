"""A model that follows a script, chosen by the first word of the user's message.

It needs no account and no network.

The interpreter of the server's virtual environment runs this file; ours lacks the packages.
"""

# mypy: disable-error-code="import-not-found,misc"

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

USAGE = {
    "input_tokens": 7,
    "output_tokens": 5,
    "total_tokens": 12,
    "input_token_details": {"cache_read": 3},
    "output_token_details": {"reasoning": 2},
}
ENDS = {
    "/tool": "The tool has answered.",
    "/ask": "The decision was heard.",
    "/client-tool": "The output was received.",
    "/mixed": "Both have answered.",
    "/question": "The reply was received.",
}


def command_of(messages: Sequence[BaseMessage]) -> tuple[str, str, str]:
    """Return the user's last message: its text, its first word, and the rest."""
    text = next((message.text for message in reversed(messages) if isinstance(message, HumanMessage)), "")
    word, _, rest = text.partition(" ")
    return text, word, rest.strip()


class ScriptedModel(BaseChatModel):
    """A model that performs the next step of the script in each call."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> "ScriptedModel":
        """Return this model: its script contains the tool calls."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("the server streams")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        text, word, rest = command_of(messages)
        calls = [] if isinstance(messages[-1], HumanMessage) is False else _calls(word, rest)
        if word == "/fail":
            raise RuntimeError("the model is out of order")
        if calls:
            for index, (name, arguments) in enumerate(calls):
                called = {"name": name, "args": arguments, "id": f"call_{uuid.uuid4().hex[:8]}", "index": index}
                yield _chunk([{"type": "tool_call_chunk", **called}], tool_call_chunks=[called])
        else:
            async for chunk_of_words in _say(text, word, rest):
                yield chunk_of_words
        yield _chunk([], usage_metadata=USAGE, chunk_position="last")


async def _say(text: str, word: str, rest: str) -> AsyncIterator[ChatGenerationChunk]:
    thought, said, pause_s = "", ENDS.get(word, f"You said: {text}"), 0.0
    if word == "/think":
        thought, said = "The user wants to see me think.", "I have thought about it."
    elif word == "/slow":
        said, pause_s = "".join(f"word{n} " for n in range(int(rest or 10))), 0.1
    elif word == "/long":
        said = "".join(f"word{n} " for n in range(int(rest or 1000)))
    for piece in _pieces(thought):
        yield _chunk([{"type": "reasoning", "reasoning": piece, "index": 0}])
    for piece in _pieces(said):
        await asyncio.sleep(pause_s)
        yield _chunk([{"type": "text", "text": piece, "index": 1 if thought else 0}])


def _calls(word: str, rest: str) -> list[tuple[str, str]]:
    number = int(rest) if rest.isdigit() else 1
    lookups = [("lookup", f'{{"query": "item {n}"}}') for n in range(number)]
    calls: dict[str, Callable[[], list[tuple[str, str]]]] = {
        "/tool": lambda: lookups,
        "/ask": lambda: lookups,
        "/client-tool": lambda: lookups,
        "/mixed": lambda: [("lookup", f'{{"query": "item {n}"}}') for n in range(2)],
        "/wait": lambda: [("wait", f'{{"seconds": {float(rest or 1)}}}')],
        "/boom": lambda: [("boom", "{}")],
    }
    return calls[word]() if word in calls else []


def _pieces(text: str) -> list[str]:
    return re.findall(r"[^ ]* |[^ ]+", text)


def _chunk(content: list[Any], **fields: Any) -> ChatGenerationChunk:
    metadata = {"model_provider": "openai", "output_version": "v1"}
    return ChatGenerationChunk(message=AIMessageChunk(content=content, response_metadata=metadata, **fields))
