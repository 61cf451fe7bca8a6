"""Clients with the SDKs of the vendors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import everruns_sdk  # type: ignore[import-untyped]
import qca

from benchmarks.bodies import EVERRUNS_ID, QODER_ID, everruns_stream_id, qoder_stream_id
from benchmarks.hand_clients import TOKEN
from benchmarks.work import Work, at_once, count, count_async, repeat, repeat_async


@contextmanager
def qca_sdk(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Open a client with Qoder's SDK."""
    with qca.Managed(base_url=f"{base_url}/qoder", pat=TOKEN, max_retries=0) as sdk:

        def stream(events: int) -> None:
            with sdk.sessions.events.stream(qoder_stream_id(events)) as live:
                count(iter(live), events)

        yield {
            "get": repeat(lambda: sdk.sessions.retrieve(QODER_ID)),
            "page": repeat(lambda: sdk.sessions.list(limit=100)),
            "update": repeat(lambda: sdk.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
            "stream": stream,
        }


@contextmanager
def qca_sdk_async(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Open a client with Qoder's async SDK."""
    sdk = qca.AsyncManaged(base_url=f"{base_url}/qoder", pat=TOKEN, max_retries=0)

    async def page() -> object:
        return await sdk.sessions.list(limit=100)

    async def stream(events: int) -> None:
        async with await sdk.sessions.events.stream(qoder_stream_id(events)) as live:
            await count_async(aiter(live), events)

    yield {
        "get": repeat_async(runner, lambda: sdk.sessions.retrieve(QODER_ID)),
        "page": repeat_async(runner, page),
        "update": repeat_async(
            runner, lambda: sdk.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})
        ),
        "stream": lambda events: runner.run(stream(events)),
        "burst": at_once(runner, lambda: sdk.sessions.retrieve(QODER_ID)),
    }
    runner.run(sdk.close())


@contextmanager
def anthropic_sdk(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Open a client with Anthropic's SDK, whose wire format is of the same family."""
    with anthropic.Anthropic(base_url=f"{base_url}/qoder", api_key=TOKEN, max_retries=0) as sdk:
        sessions: Any = sdk.beta.sessions

        def stream(events: int) -> None:
            with sessions.events.stream(qoder_stream_id(events)) as live:
                count(iter(live), events)

        yield {
            "get": repeat(lambda: sessions.retrieve(QODER_ID)),
            "page": repeat(lambda: sessions.list(limit=100)),
            "update": repeat(lambda: sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
            "stream": stream,
        }


@contextmanager
def anthropic_sdk_async(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Open a client with Anthropic's async SDK."""
    sdk = anthropic.AsyncAnthropic(base_url=f"{base_url}/qoder", api_key=TOKEN, max_retries=0)
    sessions: Any = sdk.beta.sessions

    async def page() -> object:
        return await sessions.list(limit=100)

    async def stream(events: int) -> None:
        async with await sessions.events.stream(qoder_stream_id(events)) as live:
            await count_async(aiter(live), events)

    yield {
        "get": repeat_async(runner, lambda: sessions.retrieve(QODER_ID)),
        "page": repeat_async(runner, page),
        "update": repeat_async(runner, lambda: sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
        "stream": lambda events: runner.run(stream(events)),
        "burst": at_once(runner, lambda: sessions.retrieve(QODER_ID)),
    }
    runner.run(sdk.close())


@contextmanager
def everruns_sdk_async(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Open a client with Everruns' SDK, which is async only and cannot update a session."""
    sdk = everruns_sdk.Everruns(api_key=TOKEN, base_url=f"{base_url}/everruns")

    async def stream(events: int) -> None:
        live = sdk.events.stream(everruns_stream_id(events))
        await count_async(aiter(live), events)
        await live.aclose()

    yield {
        "get": repeat_async(runner, lambda: sdk.sessions.get(EVERRUNS_ID)),
        "page": repeat_async(runner, sdk.sessions.list),
        "stream": lambda events: runner.run(stream(events)),
    }
    runner.run(sdk.close())
