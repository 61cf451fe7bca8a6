"""One span for each turn, as OpenTelemetry's conventions for generative AI say; judged by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from polysession import AsyncClient, Client, Feature, MediaBlock, TextBlock, ToolOutput
from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.errors import PolysessionError
from polysession.message import Block
from polysession.otel import Tracing
from polysession.session import Session

PRIVATE = "private words"


class Traced:
    """Collects spans."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    def attribute(self, name: str) -> Any:
        return (self.span.attributes or {}).get(name)


@pytest.fixture
def traced() -> Traced:
    return Traced()


@pytest.fixture(params=list(emulated_providers()), scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.fixture
def client(emulator: EmulatorHandle, traced: Traced) -> Iterator[Client]:
    with Client(emulator.provider, observers=[Tracing(traced.provider)], **emulator.settings) as client:
        yield client


def new_session(client: Client, emulator: EmulatorHandle) -> Session:
    model = emulator.model if client.supports(Feature.SESSIONS_UPDATE_MODEL) else None
    return client.sessions.create(
        agent=emulator.agent_id, environment=emulator.environment_id, title="Ticket 42", model=model
    )


def test_a_turn_is_one_span(client: Client, emulator: EmulatorHandle, traced: Traced) -> None:
    session = new_session(client, emulator)
    with client.sessions.run(session, PRIVATE) as turn:
        result = turn.wait()

    assert (traced.span.name, traced.span.kind) == ("invoke_agent", SpanKind.CLIENT)
    expected = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": emulator.provider,
        "gen_ai.conversation.id": session.id,
        "gen_ai.agent.id": session.agent_id,
        "server.address": "127.0.0.1",
        "server.port": int(emulator.base_url.split(":")[2].split("/")[0]),
        "polysession.turn.outcome": "completed",
        "gen_ai.response.finish_reasons": (result.native_reason,),
    }
    attributes = dict(traced.span.attributes or {})
    assert {name: attributes[name] for name in expected} == expected
    assert traced.span.status.status_code is StatusCode.UNSET
    assert PRIVATE not in traced.span.to_json()
    if result.usage is not None:
        assert attributes["gen_ai.usage.input_tokens"] == result.usage.input_tokens
        assert attributes["gen_ai.usage.output_tokens"] == result.usage.output_tokens


def test_what_is_known_at_the_start_is_there_for_a_sampler(
    client: Client, emulator: EmulatorHandle, traced: Traced
) -> None:
    class Starts(SpanProcessor):
        def __init__(self) -> None:
            self.attributes: list[dict[str, Any]] = []

        def on_start(self, span: Span, parent_context: object = None) -> None:  # noqa: ARG002
            self.attributes.append(dict(span.attributes or {}))

    session, starts = new_session(client, emulator), Starts()
    traced.provider.add_span_processor(starts)
    with client.sessions.run(session, "hi") as turn:
        assert starts.attributes[0]["gen_ai.conversation.id"] == session.id
        turn.wait()


def test_a_turn_that_fails_is_an_error(client: Client, emulator: EmulatorHandle, traced: Traced) -> None:
    with client.sessions.run(new_session(client, emulator), "/fail") as turn:
        result = turn.wait()

    assert traced.span.status.status_code is StatusCode.ERROR
    assert traced.attribute("error.type") == (result.native_reason or "failed")


def test_a_child_of_the_current_span(client: Client, emulator: EmulatorHandle, traced: Traced) -> None:
    session = new_session(client, emulator)
    app = traced.provider.get_tracer("app")
    with app.start_as_current_span("work") as work, client.sessions.run(session, "hi") as turn:
        turn.wait()

    turn_span = next(span for span in traced.spans if span.name == "invoke_agent")
    assert turn_span.parent is not None
    assert turn_span.parent.span_id == work.get_span_context().span_id


@pytest.fixture
def qoder() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


def test_a_broken_backend_names_the_error(qoder: EmulatorHandle, traced: Traced) -> None:
    with Client("qoder", observers=[Tracing(traced.provider)], **qoder.settings) as client:
        session = new_session(client, qoder)
        qoder.faults.add(Fault("status", path="/events", status=500))
        with pytest.raises(PolysessionError), client.sessions.run(session, "hi") as turn:
            turn.wait()

    assert traced.attribute("error.type") == "ServerError"
    assert traced.span.status.status_code is StatusCode.ERROR


def test_cancellation_ends_the_span(qoder: EmulatorHandle, traced: Traced) -> None:
    async def run() -> None:
        async with AsyncClient("qoder", observers=[Tracing(traced.provider)], **qoder.settings) as client:
            session = await client.sessions.create(
                agent=qoder.agent_id, environment=qoder.environment_id, title="Ticket 42"
            )
            async with asyncio.timeout(0.5), client.sessions.run(session, "/slow 60") as turn:
                await turn.wait()

    with pytest.raises(TimeoutError):
        asyncio.run(run())

    assert traced.attribute("error.type") == "CancelledError"
    assert traced.span.end_time is not None


def test_leaving_early_ends_the_span_without_an_error(qoder: EmulatorHandle, traced: Traced) -> None:
    with Client("qoder", observers=[Tracing(traced.provider)], **qoder.settings) as client:
        session = new_session(client, qoder)
        with client.sessions.run(session, "hi") as turn:
            next(turn)

    assert traced.attribute("polysession.turn.outcome") is None
    assert traced.span.status.status_code is StatusCode.UNSET


def test_content_is_recorded_when_asked_for(qoder: EmulatorHandle, traced: Traced) -> None:
    with Client("qoder", observers=[Tracing(traced.provider, content=True)], **qoder.settings) as client:
        session = new_session(client, qoder)
        picture = MediaBlock(type="image", url="https://pictures.example/1.png")
        contents: list[str | list[Block]] = ["hi", [TextBlock(text="hi"), picture], [picture]]
        for content in contents:
            with client.sessions.run(session, content) as turn:
                turn.wait()
        with client.sessions.run(session, "/client-tool") as turn:
            (asked,) = turn.wait().actions
        with client.sessions.run(session, [ToolOutput(asked, "42")]) as turn:
            turn.wait()

    said = [json.loads((span.attributes or {}).get("gen_ai.input.messages", "null")) for span in traced.spans]  # type: ignore[arg-type]
    hi = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    tool = [{"role": "user", "parts": [{"type": "text", "content": "/client-tool"}]}]
    assert said == [hi, hi, None, tool, None]
    answered = json.loads((traced.spans[0].attributes or {})["gen_ai.output.messages"])  # type: ignore[arg-type]
    assert answered == [{"role": "assistant", "parts": [{"type": "text", "content": "You said: hi"}]}]
