"""Clients written by hand with httpx: the baselines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from benchmarks import agentscope_bodies, hand, hand_events
from benchmarks.bodies import EVERRUNS_ID, PACED, QODER_ID, everruns_stream_id, qoder_stream_id
from benchmarks.work import OpenClient, Work, at_once, count, count_async, repeat, repeat_async

TOKEN: Final = "pt-benchmark"  # noqa: S105  (made up)
CHANGES: Final = {"title": "Done", "metadata": {"priority": "high"}}
_AUTHORIZATION: Final = {"authorization": f"Bearer {TOKEN}"}


@contextmanager
def hand_json(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Open a plain httpx client that reads JSON as dictionaries."""
    with httpx.Client(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION) as http:

        def read(response: httpx.Response) -> object:
            return json.loads(response.raise_for_status().content)

        def stream(events: int) -> None:
            with http.stream("GET", f"/sessions/{qoder_stream_id(events)}/events/stream") as response:
                count((json.loads(data) for data in hand_events.split(response.iter_bytes())), events)

        yield {
            "get": repeat(lambda: read(http.get(f"/sessions/{QODER_ID}"))),
            "page": repeat(lambda: read(http.get("/sessions", params={"limit": 100}))),
            "update": repeat(lambda: read(http.post(f"/sessions/{QODER_ID}", json=CHANGES))),
            "stream": stream,
        }


@contextmanager
def hand_typed(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Open a plain httpx client that reads bytes as pydantic models."""
    with httpx.Client(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION) as http:

        def read(response: httpx.Response) -> object:
            return hand.QoderSession.model_validate_json(response.raise_for_status().content)

        def page() -> object:
            response = http.get("/sessions", params={"limit": 100}).raise_for_status()
            return hand.QoderPage.model_validate_json(response.content)

        def events_of(number: int) -> Iterator[object]:
            with http.stream("GET", f"/sessions/{qoder_stream_id(number)}/events/stream") as response:
                for data in hand_events.split(response.iter_bytes()):
                    yield hand_events.QODER_EVENT.validate_json(data)

        yield {
            "get": repeat(lambda: read(http.get(f"/sessions/{QODER_ID}"))),
            "page": repeat(page),
            "update": repeat(lambda: read(http.post(f"/sessions/{QODER_ID}", json=CHANGES))),
            "stream": lambda events: count(events_of(events), events),
            "paced": lambda events: count(events_of(PACED + events), events),
            "held_page": lambda pages: [page() for _ in range(pages)],
            "held_stream": lambda events: list(events_of(events)),
        }


@contextmanager
def hand_lines(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Open a plain httpx client that reads the lines of `iter_lines` as pydantic models."""
    with httpx.Client(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION) as http:

        def stream(events: int) -> None:
            with http.stream("GET", f"/sessions/{qoder_stream_id(events)}/events/stream") as response:
                frames = (line[6:] for line in response.iter_lines() if line.startswith("data: "))
                count((hand_events.QODER_EVENT.validate_json(data) for data in frames), events)

        yield {"stream": stream}


def hand_async(make: Callable[..., Any]) -> OpenClient:
    """Return a function that opens an async HTTP client which reads bytes as pydantic models."""

    @contextmanager
    def client(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
        async def opened() -> Any:
            return make(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION)

        http = runner.run(opened())

        async def get() -> object:
            response = await http.get(f"/sessions/{QODER_ID}")
            return hand.QoderSession.model_validate_json(response.raise_for_status().content)

        async def page() -> object:
            response = await http.get("/sessions", params={"limit": 100})
            return hand.QoderPage.model_validate_json(response.raise_for_status().content)

        async def update() -> object:
            response = await http.post(f"/sessions/{QODER_ID}", json=CHANGES)
            return hand.QoderSession.model_validate_json(response.raise_for_status().content)

        yield {
            "get": repeat_async(runner, get),
            "page": repeat_async(runner, page),
            "update": repeat_async(runner, update),
            **_streams(
                http, runner, lambda number: f"/sessions/{qoder_stream_id(number)}/events/stream", "QODER_EVENT"
            ),
            "burst": at_once(runner, get),
        }
        runner.run(http.aclose())

    return client


@contextmanager
def everruns_by_hand(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Open a plain httpx client for Everruns that reads bytes as pydantic models."""
    http = httpx.AsyncClient(base_url=f"{base_url}/everruns", headers={"authorization": TOKEN})

    async def get() -> object:
        response = await http.get(f"/v1/sessions/{EVERRUNS_ID}")
        return hand.EverrunsSession.model_validate_json(response.raise_for_status().content)

    async def page() -> object:
        response = await http.get("/v1/sessions", params={"limit": 100})
        return hand.EverrunsPage.model_validate_json(response.raise_for_status().content)

    yield {
        "get": repeat_async(runner, get),
        "page": repeat_async(runner, page),
        **_streams(http, runner, lambda number: f"/v1/sessions/{everruns_stream_id(number)}/sse", "EVERRUNS_EVENT"),
    }
    runner.run(http.aclose())


@contextmanager
def agentscope_by_hand(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Open a plain httpx client for AgentScope that reads bytes as pydantic models."""
    http = httpx.AsyncClient(base_url=f"{base_url}/agentscope", headers={"x-user-id": "bench"})

    async def page(agent_id: str = agentscope_bodies.AGENT_OF_MANY) -> hand.AgentScopeList:
        response = await http.get("/sessions/", params={"agent_id": agent_id})
        return hand.AgentScopeList.model_validate_json(response.raise_for_status().content)

    async def get() -> object:
        listed = await page(agentscope_bodies.AGENT_OF_ONE)
        return next(view for view in listed.sessions if view.session.id == agentscope_bodies.SESSION_ID)

    yield {
        "get": repeat_async(runner, get),
        "page": repeat_async(runner, page),
        **_streams(
            http,
            runner,
            lambda number: f"/sessions/{agentscope_bodies.stream_id(number)}/stream?agent_id=agent_1",
            "AGENTSCOPE_EVENT",
        ),
    }
    runner.run(http.aclose())


def _streams(http: Any, runner: asyncio.Runner, path: Callable[[int], str], adapter: str) -> Work:
    """Return both kinds of streams, read by an adapter from `hand_events`."""
    event = getattr(hand_events, adapter)

    async def events_of(number: int) -> AsyncIterator[object]:
        async with http.stream("GET", path(number)) as response:
            async for data in hand_events.asplit(response.aiter_bytes()):
                yield event.validate_json(data)

    async def read(number: int, wanted: int) -> None:
        events = events_of(number)
        await count_async(events, wanted)
        await events.aclose()  # type: ignore[attr-defined]  # an async generator

    return {
        "stream": lambda events: runner.run(read(events, events)),
        "paced": lambda events: runner.run(read(PACED + events, events)),
    }
