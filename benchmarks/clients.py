"""The clients beside each other. Each offers some kinds of work; a kind of work is a function that does it n times."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import anthropic
import everruns_sdk  # type: ignore[import-untyped]
import httpx
import httpx2
import qca
from httpx_aiohttp import HttpxAiohttpClient

from benchmarks import hand, hand_events
from benchmarks.bodies import (
    EVERRUNS_CURSOR,
    EVERRUNS_ID,
    QODER_CURSOR,
    QODER_ID,
    common_events,
    everruns_stream_id,
    qoder_stream_id,
)
from polysession import AsyncClient, Client

Work = dict[str, Callable[[int], None]]
"""What a client can be asked for: `get`, `page`, `update`, `stream` (n events) and `burst` (n at once)."""

TOKEN: Final = "pt-benchmark"  # noqa: S105  (made up)
CHANGES: Final = {"title": "Done", "metadata": {"priority": "high"}}
_ON_AIOHTTP: Final = "polysession._drivers.on_aiohttp"
_PLACES: Final = {
    "qoder": (QODER_ID, qoder_stream_id, QODER_CURSOR),
    "everruns": (EVERRUNS_ID, everruns_stream_id, EVERRUNS_CURSOR),
}
"""A session of each backend, its streams by their number of events, and where they are read from."""
_AUTHORIZATION: Final = {"authorization": f"Bearer {TOKEN}"}


def _repeat(once: Callable[[], object]) -> Callable[[int], None]:
    def work(times: int) -> None:
        for _ in range(times):
            once()

    return work


def _arepeat(runner: asyncio.Runner, once: Callable[[], Awaitable[object]]) -> Callable[[int], None]:
    async def repeat(times: int) -> None:
        for _ in range(times):
            await once()

    return lambda times: runner.run(repeat(times))


def _burst(runner: asyncio.Runner, once: Callable[[], Awaitable[object]]) -> Callable[[int], None]:
    async def all_at_once(times: int) -> None:
        await asyncio.gather(*(once() for _ in range(times)))

    return lambda times: runner.run(all_at_once(times))


def _count(events: Iterator[object], wanted: int) -> None:
    seen = 0
    for _ in events:
        seen += 1
        if seen == wanted:
            return
    raise AssertionError(f"{seen} events came, not {wanted}")


async def _acount(events: AsyncIterator[object], wanted: int) -> None:
    seen = 0
    async for _ in events:
        seen += 1
        if seen == wanted:
            return
    raise AssertionError(f"{seen} events came, not {wanted}")


# --- By hand


@contextmanager
def hand_json(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Plain httpx, JSON to dictionaries."""
    with httpx.Client(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION) as http:

        def read(response: httpx.Response) -> object:
            return json.loads(response.raise_for_status().content)

        def stream(events: int) -> None:
            with http.stream("GET", f"/sessions/{qoder_stream_id(events)}/events/stream") as response:
                _count((json.loads(data) for data in hand_events.split(response.iter_bytes())), events)

        yield {
            "get": _repeat(lambda: read(http.get(f"/sessions/{QODER_ID}"))),
            "page": _repeat(lambda: read(http.get("/sessions", params={"limit": 100}))),
            "update": _repeat(lambda: read(http.post(f"/sessions/{QODER_ID}", json=CHANGES))),
            "stream": stream,
        }


@contextmanager
def hand_typed(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Plain httpx, bytes to pydantic models."""
    with httpx.Client(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION) as http:

        def read(response: httpx.Response) -> object:
            return hand.QoderSession.model_validate_json(response.raise_for_status().content)

        def page() -> object:
            response = http.get("/sessions", params={"limit": 100}).raise_for_status()
            return hand.QoderPage.model_validate_json(response.content)

        def stream(events: int) -> None:
            with http.stream("GET", f"/sessions/{qoder_stream_id(events)}/events/stream") as response:
                frames = hand_events.split(response.iter_bytes())
                _count((hand_events.QODER_EVENT.validate_json(data) for data in frames), events)

        yield {
            "get": _repeat(lambda: read(http.get(f"/sessions/{QODER_ID}"))),
            "page": _repeat(page),
            "update": _repeat(lambda: read(http.post(f"/sessions/{QODER_ID}", json=CHANGES))),
            "stream": stream,
        }


@contextmanager
def hand_lines(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Plain httpx, its own lines to pydantic models."""
    with httpx.Client(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION) as http:

        def stream(events: int) -> None:
            with http.stream("GET", f"/sessions/{qoder_stream_id(events)}/events/stream") as response:
                frames = (line[6:] for line in response.iter_lines() if line.startswith("data: "))
                _count((hand_events.QODER_EVENT.validate_json(data) for data in frames), events)

        yield {"stream": stream}


@asynccontextmanager
async def _closing(http: Any) -> AsyncIterator[Any]:
    try:
        yield http
    finally:
        await http.aclose()


def _async_hand(make: Callable[..., Any]) -> Callable[[str, asyncio.Runner], Any]:
    @contextmanager
    def client(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
        async def made() -> Any:
            return make(base_url=f"{base_url}/qoder", headers=_AUTHORIZATION)

        http = runner.run(made())

        async def get() -> object:
            response = await http.get(f"/sessions/{QODER_ID}")
            return hand.QoderSession.model_validate_json(response.raise_for_status().content)

        async def page() -> object:
            response = await http.get("/sessions", params={"limit": 100})
            return hand.QoderPage.model_validate_json(response.raise_for_status().content)

        async def update() -> object:
            response = await http.post(f"/sessions/{QODER_ID}", json=CHANGES)
            return hand.QoderSession.model_validate_json(response.raise_for_status().content)

        async def stream(events: int) -> None:
            async with http.stream("GET", f"/sessions/{qoder_stream_id(events)}/events/stream") as response:
                frames = hand_events.asplit(response.aiter_bytes())
                await _acount((hand_events.QODER_EVENT.validate_json(data) async for data in frames), events)

        yield {
            "get": _arepeat(runner, get),
            "page": _arepeat(runner, page),
            "update": _arepeat(runner, update),
            "stream": lambda events: runner.run(stream(events)),
            "burst": _burst(runner, get),
        }
        runner.run(http.aclose())

    return client


@contextmanager
def everruns_by_hand(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Plain httpx for Everruns, bytes to pydantic models."""
    http = httpx.AsyncClient(base_url=f"{base_url}/everruns", headers={"authorization": TOKEN})

    async def get() -> object:
        response = await http.get(f"/v1/sessions/{EVERRUNS_ID}")
        return hand.EverrunsSession.model_validate_json(response.raise_for_status().content)

    async def page() -> object:
        response = await http.get("/v1/sessions", params={"limit": 100})
        return hand.EverrunsPage.model_validate_json(response.raise_for_status().content)

    async def stream(events: int) -> None:
        async with http.stream("GET", f"/v1/sessions/{everruns_stream_id(events)}/sse") as response:
            frames = hand_events.asplit(response.aiter_bytes())
            await _acount((hand_events.EVERRUNS_EVENT.validate_json(data) async for data in frames), events)

    yield {
        "get": _arepeat(runner, get),
        "page": _arepeat(runner, page),
        "stream": lambda events: runner.run(stream(events)),
    }
    runner.run(http.aclose())


# --- polysession


@contextmanager
def ours(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """`Client` for Qoder."""
    with Client("qoder", token=TOKEN, base_url=f"{base_url}/qoder") as client:

        def stream(events: int) -> None:
            with client.sessions.stream(qoder_stream_id(events), cursor=QODER_CURSOR) as live:
                _count(live, common_events("qoder", events))

        yield {
            "get": _repeat(lambda: client.sessions.get(QODER_ID)),
            "page": _repeat(lambda: client.sessions.list(page_size=100).page()),
            "update": _repeat(lambda: client.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
            "stream": stream,
        }


def _no_http_client() -> None:
    """Let the client make its own."""


@contextmanager
def _extra(*, aiohttp: bool) -> Iterator[None]:
    """As if the extra `aiohttp` were installed, or not."""
    kept = sys.modules.get(_ON_AIOHTTP)
    if not aiohttp:
        sys.modules[_ON_AIOHTTP] = None  # type: ignore[assignment]  # which makes its import fail
    try:
        yield
    finally:
        sys.modules.pop(_ON_AIOHTTP)
        if kept is not None:
            sys.modules[_ON_AIOHTTP] = kept


def _ours_awaited(client: AsyncClient, runner: asyncio.Runner, backend: str) -> Work:
    """What both backends are asked for."""
    session_id, stream_id, cursor = _PLACES[backend]

    async def page() -> object:
        return await client.sessions.list(page_size=100).page()

    async def stream(events: int) -> None:
        async with client.sessions.stream(stream_id(events), cursor=cursor) as live:
            await _acount(live, common_events(backend, events))

    return {
        "get": _arepeat(runner, lambda: client.sessions.get(session_id)),
        "page": _arepeat(runner, page),
        "stream": lambda events: runner.run(stream(events)),
    }


def _async_ours(
    make_http: Callable[[], Any] = _no_http_client, *, aiohttp: bool = False
) -> Callable[[str, asyncio.Runner], Any]:
    @contextmanager
    def client(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
        async def made() -> tuple[AsyncClient, Any]:
            http = make_http()
            with _extra(aiohttp=aiohttp):
                return AsyncClient("qoder", token=TOKEN, base_url=f"{base_url}/qoder", http_client=http), http

        client, http = runner.run(made())

        async def update() -> object:
            return await client.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})

        yield {
            **_ours_awaited(client, runner, "qoder"),
            "update": _arepeat(runner, update),
            "burst": _burst(runner, lambda: client.sessions.get(QODER_ID)),
        }
        runner.run(client.aclose())
        if http is not None:
            runner.run(http.aclose())

    return client


@contextmanager
def ours_looked_into(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """`Client` for Qoder, whose caller looks at what is made only then."""
    with Client("qoder", token=TOKEN, base_url=f"{base_url}/qoder") as client:

        def page() -> object:
            items = client.sessions.list(page_size=100).page().items
            return [(session.model, session.usage, session.capabilities) for session in items]

        yield {"page": _repeat(page)}


def _ours_for_everruns(*, aiohttp: bool = False) -> Callable[[str, asyncio.Runner], Any]:
    @contextmanager
    def client(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
        with _extra(aiohttp=aiohttp):
            client = AsyncClient("everruns", api_key=TOKEN, base_url=f"{base_url}/everruns")
        yield _ours_awaited(client, runner, "everruns")
        runner.run(client.aclose())

    return client


# --- The vendors' own


@contextmanager
def qca_sdk(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Qoder's SDK."""
    with qca.Managed(base_url=f"{base_url}/qoder", pat=TOKEN, max_retries=0) as sdk:

        def stream(events: int) -> None:
            with sdk.sessions.events.stream(qoder_stream_id(events)) as live:
                _count(iter(live), events)

        yield {
            "get": _repeat(lambda: sdk.sessions.retrieve(QODER_ID)),
            "page": _repeat(lambda: sdk.sessions.list(limit=100)),
            "update": _repeat(lambda: sdk.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
            "stream": stream,
        }


@contextmanager
def qca_sdk_async(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Qoder's SDK, awaited."""
    sdk = qca.AsyncManaged(base_url=f"{base_url}/qoder", pat=TOKEN, max_retries=0)

    async def page() -> object:
        return await sdk.sessions.list(limit=100)

    async def stream(events: int) -> None:
        async with await sdk.sessions.events.stream(qoder_stream_id(events)) as live:
            await _acount(aiter(live), events)

    yield {
        "get": _arepeat(runner, lambda: sdk.sessions.retrieve(QODER_ID)),
        "page": _arepeat(runner, page),
        "update": _arepeat(runner, lambda: sdk.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
        "stream": lambda events: runner.run(stream(events)),
        "burst": _burst(runner, lambda: sdk.sessions.retrieve(QODER_ID)),
    }
    runner.run(sdk.close())


@contextmanager
def anthropic_sdk(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Anthropic's SDK: sessions of the same family."""
    with anthropic.Anthropic(base_url=f"{base_url}/qoder", api_key=TOKEN, max_retries=0) as sdk:
        sessions: Any = sdk.beta.sessions

        def stream(events: int) -> None:
            with sessions.events.stream(qoder_stream_id(events)) as live:
                _count(iter(live), events)

        yield {
            "get": _repeat(lambda: sessions.retrieve(QODER_ID)),
            "page": _repeat(lambda: sessions.list(limit=100)),
            "update": _repeat(lambda: sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
            "stream": stream,
        }


@contextmanager
def anthropic_sdk_async(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Anthropic's SDK, awaited."""
    sdk = anthropic.AsyncAnthropic(base_url=f"{base_url}/qoder", api_key=TOKEN, max_retries=0)
    sessions: Any = sdk.beta.sessions

    async def page() -> object:
        return await sessions.list(limit=100)

    async def stream(events: int) -> None:
        async with await sessions.events.stream(qoder_stream_id(events)) as live:
            await _acount(aiter(live), events)

    yield {
        "get": _arepeat(runner, lambda: sessions.retrieve(QODER_ID)),
        "page": _arepeat(runner, page),
        "update": _arepeat(runner, lambda: sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
        "stream": lambda events: runner.run(stream(events)),
        "burst": _burst(runner, lambda: sessions.retrieve(QODER_ID)),
    }
    runner.run(sdk.close())


@contextmanager
def everruns_sdk_async(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
    """Everruns' SDK, which is async only and cannot update a session."""
    sdk = everruns_sdk.Everruns(api_key=TOKEN, base_url=f"{base_url}/everruns")

    async def stream(events: int) -> None:
        live = sdk.events.stream(everruns_stream_id(events))
        await _acount(aiter(live), events)
        await live.aclose()

    yield {
        "get": _arepeat(runner, lambda: sdk.sessions.get(EVERRUNS_ID)),
        "page": _arepeat(runner, sdk.sessions.list),
        "stream": lambda events: runner.run(stream(events)),
    }
    runner.run(sdk.close())


SYNC: Final = {
    "hand": hand_typed,
    "hand, json.loads": hand_json,
    "hand, iter_lines": hand_lines,
    "polysession": ours,
    "polysession, all looked at": ours_looked_into,
    "qca-sdk": qca_sdk,
    "anthropic": anthropic_sdk,
}
ASYNC: Final = {
    "hand": _async_hand(httpx.AsyncClient),
    "polysession": _async_ours(),
    "polysession[aiohttp]": _async_ours(aiohttp=True),
    "qca-sdk": qca_sdk_async,
    "anthropic": anthropic_sdk_async,
}
EVERRUNS: Final = {
    "hand": everruns_by_hand,
    "polysession": _ours_for_everruns(),
    "polysession[aiohttp]": _ours_for_everruns(aiohttp=True),
    "everruns-sdk": everruns_sdk_async,
}
BURST: Final = {
    "hand": _async_hand(httpx.AsyncClient),
    "hand, httpx2": _async_hand(httpx2.AsyncClient),
    "hand, httpx-aiohttp": _async_hand(HttpxAiohttpClient),
    "polysession": _async_ours(),
    "polysession[aiohttp]": _async_ours(aiohttp=True),
    "polysession, httpx2 injected": _async_ours(httpx2.AsyncClient),
    "qca-sdk": qca_sdk_async,
    "anthropic": anthropic_sdk_async,
}
