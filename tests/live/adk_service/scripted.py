"""A model that follows a script, chosen by the first word of the user's message.

It needs no account and no network.

The interpreter of the server's virtual environment runs this file; ours lacks the packages.
"""

# mypy: disable-error-code="import-not-found,misc"

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.genai import types

USAGE = types.GenerateContentResponseUsageMetadata(
    prompt_token_count=11,
    candidates_token_count=7,
    thoughts_token_count=3,
    cached_content_token_count=4,
    total_token_count=21,
)
ENDS = {
    "/tool": "The tool has answered.",
    "/ask": "The decision was heard.",
    "/client-tool": "The output was received.",
    "/mixed": "Both have answered.",
    "/question": "The reply was received.",
}


class ScriptedModel(BaseLlm):
    """A model that performs the next step of the script in each call."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        message, responses = _last_message(llm_request)
        word, _, rest = message.partition(" ")
        is_next = responses < int(rest or 1) if word == "/row" else not responses
        calls = _calls(word, rest) if is_next else []
        if calls:
            for piece in ("item", " 0") if word == "/typing" and stream else ():
                yield _fragment_of_call(piece)
            yield _whole([types.Part(function_call=types.FunctionCall(name=n, args=a)) for n, a in calls])
        elif word == "/fail":
            raise RuntimeError("the model is out of order")
        elif word == "/fail-late":
            yield _fragment("So ")
            raise RuntimeError("the model is out of order")
        elif word == "/refuse":
            yield LlmResponse(error_code="SAFETY", error_message="blocked by the safety filter")
        elif word == "/empty":
            yield LlmResponse(content=types.Content(role="model", parts=[]), finish_reason=types.FinishReason.STOP)
        elif word == "/picture":
            picture = types.Blob(data=b"\x89PNG\xfb\xff", mime_type="image/png")
            yield _whole([types.Part(inline_data=picture)])
        else:
            async for response in _say(word, rest, message, stream=stream):
                yield response


async def _say(word: str, rest: str, message: str, *, stream: bool) -> AsyncGenerator[LlmResponse, None]:
    thought, text, pause_s, reason = "", f"You said: {message}", 0.0, "STOP"
    if word == "/think":
        thought, text = "The user wants to see me think.", "I have thought about it."
    elif word == "/slow":
        text, pause_s = "".join(f"word{n} " for n in range(int(rest or 10))), 0.1
    elif word == "/long":
        text = "".join(f"word{n} " for n in range(int(rest or 1000)))
    elif word == "/cut":
        text, reason = "As long as it may be", "MAX_TOKENS"
    elif word in ENDS:
        text = ENDS[word]
    for piece in _pieces(thought) if stream else ():
        yield _fragment(piece, thought=True)
    for piece in _pieces(text):
        await asyncio.sleep(pause_s)
        if stream:
            yield _fragment(piece)
    parts = [types.Part(text=thought, thought=True)] if thought else []
    yield _whole([*parts, types.Part(text=text)], reason)


def _calls(word: str, rest: str) -> list[tuple[str, dict[str, Any]]]:
    number = int(rest) if rest.isdigit() else 1
    queries = [{"query": f"item {n}"} for n in range(number)]
    schema = {"type": "string", "enum": ["red", "green"]}
    calls: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "/tool": [("lookup", query) for query in queries],
        "/row": [("lookup", {"query": "item 0"})],
        "/typing": [("lookup", {"query": "item 0"})],
        "/ask": [("lookup_with_approval", query) for query in queries],
        "/client-tool": [("lookup_by_caller", query) for query in queries],
        "/mixed": [("lookup_with_approval", {"query": "item 0"}), ("lookup_by_caller", {"query": "item 1"})],
        "/question": [("adk_request_input", {"message": "Which colour?", "response_schema": schema})],
        "/ask-more": [("book", {"place": "Rome"})],
        "/ticket": [("open_ticket", {"topic": "otters"})],
        "/wait": [("wait", {"seconds": float(rest or 1)})] if word == "/wait" else [],
        "/hold": [("hold", {"path": rest})],
        "/block": [("block", {"seconds": float(rest or 1)})] if word == "/block" else [],
        "/boom": [("boom", {})],
        "/note": [("note", {"text": rest or "hello"})],
        "/state": [("remember", {"value": rest or "blue"})],
        "/transfer": [("transfer_to_agent", {"agent_name": rest or "writer"})],
    }
    return calls.get(word, [])


def _last_message(request: LlmRequest) -> tuple[str, int]:
    """Return the user's last message, and the number of results and messages since."""
    message, responses = "", 0
    for content in request.contents:
        parts = content.parts or []
        texts = [part.text for part in parts if part.text and content.role == "user"]
        is_of_others = bool(texts) and texts[0].startswith(
            "For context"
        )  # the format in which an agent gets the work of other agents
        if texts and not is_of_others:
            message, responses = texts[-1], 0
        responses += is_of_others + sum(part.function_response is not None for part in parts)
    return message, responses


def _pieces(text: str) -> list[str]:
    return re.findall(r"[^ ]* |[^ ]+", text)


def _fragment(text: str, *, thought: bool = False) -> LlmResponse:
    part = types.Part(text=text, thought=True) if thought else types.Part(text=text)
    content = types.Content(role="model", parts=[part])
    return LlmResponse(content=content, partial=True, model_version="script-1")


def _fragment_of_call(piece: str) -> LlmResponse:
    arguments = [types.PartialArg(json_path="$.query", string_value=piece)]
    call = types.FunctionCall(name="lookup", partial_args=arguments, will_continue=True)
    content = types.Content(role="model", parts=[types.Part(function_call=call)])
    return LlmResponse(content=content, partial=True, model_version="script-1")


def _whole(parts: list[types.Part], reason: str = "STOP") -> LlmResponse:
    return LlmResponse(
        content=types.Content(role="model", parts=parts),
        partial=False,
        usage_metadata=USAGE,
        finish_reason=types.FinishReason(reason),
        model_version="script-1",
    )
