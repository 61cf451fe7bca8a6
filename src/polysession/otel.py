"""Traces and metrics, by OpenTelemetry's conventions for generative AI. Needs the extra `polysession[otel]`.

    client = Client("qoder", observers=[Tracing(), Metrics()])

Backend: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/ and
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ (read 2026-11; in development there)
"""

from __future__ import annotations

import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer

from polysession._version import __version__
from polysession.errors import PolysessionError
from polysession.event import Outcome
from polysession.message import TextBlock
from polysession.observing import RequestSent, ResponseReceived, TurnContent, TurnWatched, hookimpl
from polysession.result import TurnResult
from polysession.session import Usage

_OPERATION: Final = "invoke_agent"
_TOKEN_TYPES: Final = {
    "gen_ai.usage.input_tokens": "input",
    "gen_ai.usage.output_tokens": "output",
    "gen_ai.usage.cache_read.input_tokens": "cache_read",
    "gen_ai.usage.cache_creation.input_tokens": "cache_creation",
}
_PORTS: Final = {"http": 80, "https": 443}


class Tracing:
    """One CLIENT span for each turn that `run` follows.

    The span starts when the block of the turn is entered. It ends when the turn completes or fails, is cancelled, or is
    left early. Its parent is the current span.

    Args:
        tracer_provider: Provider of the tracer; None for the global provider.
        content: Whether to record the content of messages. False by default, because the content may be private.
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


class Metrics:
    """Metrics of clients. One object may observe several clients.

    | instrument | kind | unit | counts |
    |---|---|---|---|
    | `http.client.request.duration` | histogram | s | each attempt at a call |
    | `polysession.client.retries` | counter | | attempts after the first |
    | `polysession.client.stream.reconnections` | counter | | connections of a stream after its first |
    | `polysession.client.stream.active` | up-down counter | | open connections of streams |
    | `gen_ai.client.operation.duration` | histogram | s | each turn, from its block to its end |
    | `gen_ai.client.token.usage` | histogram | | tokens of each turn, where the backend counts them |

    Args:
        meter_provider: Provider of the meter; None for the global provider.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        meter = get_meter("polysession", __version__, meter_provider)
        self._requests = meter.create_histogram("http.client.request.duration", "s", "Duration of each attempt")
        self._retries = meter.create_counter("polysession.client.retries", description="Attempts after the first")
        self._reconnections = meter.create_counter(
            "polysession.client.stream.reconnections", description="Connections of a stream after its first"
        )
        self._streams = meter.create_up_down_counter(
            "polysession.client.stream.active", description="Open connections of streams"
        )
        self._turns = meter.create_histogram("gen_ai.client.operation.duration", "s", "Duration of each turn")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", description="Tokens of each turn")
        self._started_s: dict[TurnWatched, float] = {}

    @hookimpl
    def polysession_after_response(self, request: RequestSent, response: ResponseReceived) -> None:
        """Count an attempt."""
        attributes: dict[str, str | int] = {
            "gen_ai.provider.name": request.provider,
            "polysession.operation": request.operation,
            "http.request.method": request.method,
        }
        if response.status is not None:
            attributes["http.response.status_code"] = response.status
        if response.error is not None:
            attributes["error.type"] = type(response.error).__qualname__
        self._requests.record(response.elapsed_s, attributes)
        if request.attempt > 1:
            self._retries.add(1, _of(request.provider, request.operation))

    @hookimpl
    def polysession_stream_opened(self, provider: str, operation: str, connection: int) -> None:
        """Count a connection."""
        self._streams.add(1, _of(provider, operation))
        if connection > 1:
            self._reconnections.add(1, _of(provider, operation))

    @hookimpl
    def polysession_stream_closed(self, provider: str, operation: str) -> None:
        """Count a connection no longer."""
        self._streams.add(-1, _of(provider, operation))

    @hookimpl
    def polysession_turn_started(self, turn: TurnWatched) -> None:
        """Note when a turn began."""
        self._started_s[turn] = time.monotonic()

    @hookimpl
    def polysession_turn_ended(self, turn: TurnWatched, result: TurnResult | None, error: BaseException | None) -> None:
        """Count a turn."""
        attributes = {"gen_ai.operation.name": _OPERATION, "gen_ai.provider.name": turn.provider}
        if result is not None:
            outcome = {"polysession.turn.outcome": result.outcome.value}
            for name, count in _usage(result.usage).items():
                self._tokens.record(count, {**attributes, "gen_ai.token.type": _TOKEN_TYPES[name]})
        else:
            outcome = {} if error is None else {"error.type": type(error).__qualname__}
        self._turns.record(time.monotonic() - self._started_s.pop(turn), {**attributes, **outcome})


def _of(provider: str, operation: str) -> dict[str, str]:
    return {"gen_ai.provider.name": provider, "polysession.operation": operation}


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
