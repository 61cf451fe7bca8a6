"""Metrics of clients, read by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from polysession import AsyncClient, Client, ConnectError, NotFound, RetryPolicy
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.otel import Metrics

FAST = RetryPolicy(attempts=3, max_wait_s=0.01)


class Measured:
    """Collects metrics."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.observer = Metrics(MeterProvider([self._reader], shutdown_on_exit=False))

    def points(self, name: str) -> list[tuple[dict[str, Any], float]]:
        """The attributes of each series, with its sum, or for a histogram its count."""
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        found = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        return [
            (dict(point.attributes or {}), point.count if hasattr(point, "count") else getattr(point, "value"))  # noqa: B009
            for metric in found
            for point in metric.data.data_points
        ]


@pytest.fixture
def measured() -> Measured:
    return Measured()


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


def follow_broken_turn(emulator: EmulatorHandle, measured: Measured, *, is_async: bool) -> None:
    """Follow a turn whose first connection breaks."""
    where: dict[str, Any] = {"agent": emulator.agent_id, "environment": emulator.environment_id}
    fault = Fault("drop", streams_only=True, at_byte=900)
    if not is_async:
        with Client("qoder", observers=[measured.observer], retry=FAST, **emulator.settings) as client:
            session = client.sessions.create(**where)
            emulator.faults.add(fault)
            with client.sessions.run(session, "hello") as turn:
                turn.wait()
        return

    async def follow() -> None:
        async with AsyncClient("qoder", observers=[measured.observer], retry=FAST, **emulator.settings) as client:
            session = await client.sessions.create(**where)
            emulator.faults.add(fault)
            async with client.sessions.run(session, "hello") as turn:
                await turn.wait()

    asyncio.run(follow())


@pytest.mark.parametrize("is_async", [False, True])
def test_a_turn_is_measured_with_its_connections(emulator: EmulatorHandle, measured: Measured, is_async: bool) -> None:  # noqa: FBT001
    follow_broken_turn(emulator, measured, is_async=is_async)

    of_run = {"gen_ai.provider.name": "qoder", "polysession.operation": "sessions.run"}
    assert measured.points("polysession.client.stream.reconnections") == [(of_run, 1)]
    assert measured.points("polysession.client.stream.active") == [(of_run, 0)]
    (attributes, count) = measured.points("gen_ai.client.operation.duration")[0]
    assert (attributes["polysession.turn.outcome"], count) == ("completed", 1)


def test_tokens_are_measured_by_their_type(measured: Measured) -> None:
    with (
        serve("everruns") as emulator,
        Client("everruns", observers=[measured.observer], **emulator.settings) as client,
    ):
        result = client.sessions.ask(client.sessions.create(agent=emulator.agent_id), "hello")

    assert result.usage is not None
    types = {attributes["gen_ai.token.type"] for attributes, _ in measured.points("gen_ai.client.token.usage")}
    assert {"input", "output"} <= types


def test_an_open_stream_counts_as_active(emulator: EmulatorHandle, measured: Measured) -> None:
    with Client("qoder", observers=[measured.observer], **emulator.settings) as client:
        session = client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id)
        with client.sessions.stream(session):
            assert [count for _, count in measured.points("polysession.client.stream.active")] == [1]
    assert [count for _, count in measured.points("polysession.client.stream.active")] == [0]


def test_attempts_are_measured_and_retries_counted(emulator: EmulatorHandle, measured: Measured) -> None:
    with Client("qoder", observers=[measured.observer], retry=FAST, **emulator.settings) as client:
        emulator.faults.add(Fault("status", status=503))
        with pytest.raises(NotFound):
            client.sessions.get("sess_none")

    statuses = [
        attributes["http.response.status_code"] for attributes, _ in measured.points("http.client.request.duration")
    ]
    assert sorted(statuses) == [404, 503]
    assert [count for _, count in measured.points("polysession.client.retries")] == [1]


def test_a_request_without_an_answer_has_the_class_of_its_error(measured: Measured) -> None:
    with (
        Client(
            "qoder", token="pt-x", base_url="http://127.0.0.1:9", observers=[measured.observer], retry=None
        ) as client,
        pytest.raises(ConnectError),
    ):
        client.sessions.get("sess_1")

    assert measured.points("http.client.request.duration")[0][0]["error.type"] == "ConnectError"
