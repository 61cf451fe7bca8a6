"""Traces of turns, in OpenTelemetry's words for generative AI. Needs the extra `polysession[otel]`.

    client = Client("qoder", observers=[Tracing()])

Backend: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/ (read 2026-11-25; in development there)
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer

from polysession._version import __version__
from polysession.errors import PolysessionError
from polysession.event import Outcome
from polysession.message import TextBlock
from polysession.observing import TurnContent, TurnWatched, hookimpl
from polysession.result import TurnResult
from polysession.session import Usage

_OPERATION: Final = "invoke_agent"
_PORTS: Final = {"http": 80, "https": 443}


class Tracing:
    """One CLIENT span for each turn that `run` follows.

    It starts when the turn's block is entered and ends with the turn: when it completes or fails, is cancelled, or is
    left early. It is a child of the span that is current then.

    Args:
        tracer_provider: Where spans go; None for the global provider.
        content: Record the content of messages as well. Off by default, because it may be private.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None, *, content: bool = False) -> None:
        self._tracer = get_tracer("polysession", __version__, tracer_provider)
        self._content = content
        self._spans: dict[TurnWatched, Span] = {}

    @hookimpl
    def polysession_turn_started(self, turn: TurnWatched) -> None:
        """Start the span, with all that a sampler may want to know."""
        address = urlsplit(turn.base_url)
        attributes = {
            "gen_ai.operation.name": _OPERATION,
            "gen_ai.provider.name": turn.provider,
            "gen_ai.conversation.id": turn.session_id,
            "gen_ai.agent.id": turn.agent_id,
            "gen_ai.request.model": turn.model,
            "server.address": address.hostname,
            "server.port": address.port or _PORTS.get(address.scheme),
            "gen_ai.input.messages": _input(turn.content) if self._content else None,
        }
        known = {name: value for name, value in attributes.items() if value is not None}
        self._spans[turn] = self._tracer.start_span(_OPERATION, kind=SpanKind.CLIENT, attributes=known)

    @hookimpl
    def polysession_turn_ended(self, turn: TurnWatched, result: TurnResult | None, error: BaseException | None) -> None:
        """End the span."""
        span = self._spans.pop(turn)
        if result is not None:
            self._note(span, result)
        elif error is not None:
            _fail(span, type(error).__qualname__, error.message if isinstance(error, PolysessionError) else "")
        span.end()

    def _note(self, span: Span, result: TurnResult) -> None:
        span.set_attribute("polysession.turn.outcome", result.outcome.value)
        span.set_attribute("gen_ai.response.finish_reasons", [result.native_reason or result.outcome.value])
        span.set_attributes(_usage(result.usage))
        if self._content:
            said = [_message("assistant", message.text) for message in result.messages]
            span.set_attribute("gen_ai.output.messages", json.dumps(said, ensure_ascii=False))
        if result.outcome is Outcome.FAILED:
            _fail(span, result.native_reason or result.outcome.value, result.error or "")


def _fail(span: Span, kind: str, message: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, message or None))


def _usage(usage: Usage | None) -> dict[str, int]:
    if usage is None:
        return {}
    counted = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_creation_tokens,
    }
    return {name: value for name, value in counted.items() if value is not None}


def _input(content: TurnContent) -> str | None:
    """The caller's message; None if the turn continues with answers to the agent."""
    if isinstance(content, str):
        return json.dumps([_message("user", content)], ensure_ascii=False)
    text = "".join(block.text for block in content if isinstance(block, TextBlock))
    return json.dumps([_message("user", text)], ensure_ascii=False) if text else None


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}
