"""polysession's clients.

They also run with earlier versions of the library: see `baseline`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any, Final

import polysession
from benchmarks import agentscope_bodies
from benchmarks.bodies import (
    EVERRUNS_CURSOR,
    EVERRUNS_ID,
    PACED,
    QODER_CURSOR,
    QODER_ID,
    common_events,
    everruns_stream_id,
    qoder_stream_id,
)
from benchmarks.work import OpenClient, Work, at_once, count, count_async, repeat, repeat_async
from polysession import AsyncClient, Client

TOKEN: Final = "pt-benchmark"  # noqa: S105  (made up)
CLIENTS: Final[dict[str, dict[str, Any]]] = {
    "qoder": {"token": TOKEN},
    "everruns": {"api_key": TOKEN},
    "agentscope": {"user_id": "bench", "agent_id": agentscope_bodies.AGENT_OF_ONE},
}
"""Settings of each backend, besides the URL."""


def _cursor(event_id: str, position: object) -> str:
    """Return the cursor after an event.

    It is base64url of JSON, or, in earlier versions, the id of the event.
    """
    if not hasattr(polysession, "Paginator"):
        return event_id
    return urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


_AIOHTTP_TRANSPORTS: Final = ("polysession._drivers.on_aiohttp", "polysession._drivers.aiohttp_client")
_CHOOSES_AIOHTTP: Final = "http" in inspect.signature(AsyncClient.__init__).parameters
_SESSION_IDS: Final = {"qoder": QODER_ID, "everruns": EVERRUNS_ID, "agentscope": agentscope_bodies.SESSION_ID}
_STREAM_IDS: Final[dict[str, Callable[[int], str]]] = {
    "qoder": qoder_stream_id,
    "everruns": everruns_stream_id,
    "agentscope": agentscope_bodies.stream_id,
}
_CURSORS: Final = {
    "qoder": _cursor(QODER_CURSOR, [QODER_CURSOR]),
    "everruns": _cursor(EVERRUNS_CURSOR, {"since_id": EVERRUNS_CURSOR}),
    "agentscope": None,
}


@cache
def _page_size(list_sessions: Callable[..., Any]) -> str:
    """Return the parameter for the size of a page, which has another name in earlier versions."""
    return "page_size" if "page_size" in inspect.signature(list_sessions).parameters else "limit"


def _list(client: Any, backend: str) -> Any:
    """Return the list of 100 sessions."""
    of = {"agent": agentscope_bodies.AGENT_OF_MANY} if backend == "agentscope" else {}
    return client.sessions.list(**of, **{_page_size(client.sessions.list): 100})


@contextmanager
def ours(base_url: str, _runner: asyncio.Runner) -> Iterator[Work]:
    """Open a `Client` for Qoder."""
    with Client("qoder", base_url=f"{base_url}/qoder", **CLIENTS["qoder"]) as client:

        def events_of(number: int) -> Iterator[object]:
            with client.sessions.stream(qoder_stream_id(number), cursor=_CURSORS["qoder"]) as live:
                yield from live

        yield {
            "get": repeat(lambda: client.sessions.get(QODER_ID)),
            "page": repeat(lambda: _list(client, "qoder").page()),
            "update": repeat(lambda: client.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})),
            "stream": lambda events: count(events_of(events), common_events("qoder", events)),
            "paced": lambda events: count(events_of(PACED + events), common_events("qoder", events)),
            "held_page": lambda pages: [_list(client, "qoder").page() for _ in range(pages)],
            "held_stream": lambda events: list(islice(events_of(events), common_events("qoder", events))),
        }


def ours_async(
    make_http: Callable[[], Any] | None = None, *, backend: str = "qoder", aiohttp: bool = False
) -> OpenClient:
    """Return a function that opens an `AsyncClient`.

    The client uses its own HTTP client, aiohttp, or a given HTTP client.
    """

    @contextmanager
    def client(base_url: str, runner: asyncio.Runner) -> Iterator[Work]:
        async def opened() -> tuple[AsyncClient, Any]:
            http = make_http() if make_http else None
            settings: dict[str, Any] = {**CLIENTS[backend], "base_url": f"{base_url}/{backend}", "http_client": http}
            if _CHOOSES_AIOHTTP:
                chosen: dict[str, Any] = {"http": "aiohttp"} if aiohttp else {}
                return AsyncClient(backend, **settings, **chosen), http
            with _extra(aiohttp=aiohttp):
                return AsyncClient(backend, **settings), http

        client, http = runner.run(opened())
        yield _work(client, runner, backend)
        runner.run(client.aclose())
        if http is not None:
            runner.run(http.aclose())

    return client


def _work(client: AsyncClient, runner: asyncio.Runner, backend: str) -> Work:
    """Return the kinds of work for a backend."""

    async def update() -> object:
        return await client.sessions.update(QODER_ID, title="Done", metadata={"priority": "high"})

    async def page() -> object:
        return await _list(client, backend).page()

    async def read(number: int, events: int) -> None:
        async with client.sessions.stream(_STREAM_IDS[backend](number), cursor=_CURSORS[backend]) as live:
            if backend == "agentscope":
                await count_async(_turns(live), events // agentscope_bodies.EVENTS_PER_TURN)
            else:
                await count_async(live, common_events(backend, events))

    work: Work = {
        "get": repeat_async(runner, lambda: client.sessions.get(_SESSION_IDS[backend])),
        "page": repeat_async(runner, page),
        "stream": lambda events: runner.run(read(events, events)),
        "paced": lambda events: runner.run(read(PACED + events, events)),
    }
    if backend == "qoder":
        work["update"] = repeat_async(runner, update)
        work["burst"] = at_once(runner, lambda: client.sessions.get(QODER_ID))
    return work


async def _turns(live: AsyncIterator[Any]) -> AsyncIterator[object]:
    async for event in live:
        if event.type == "turn.ended":
            yield event


@contextmanager
def _extra(*, aiohttp: bool) -> Iterator[None]:
    """Let earlier versions, which use aiohttp if it is installed, use it or not."""
    kept = {name: sys.modules.get(name) for name in _AIOHTTP_TRANSPORTS}
    if not aiohttp:
        sys.modules.update(dict.fromkeys(_AIOHTTP_TRANSPORTS, None))  # type: ignore[arg-type]  # makes their import fail
    try:
        yield
    finally:
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


SYNC: Final[dict[str, OpenClient]] = {"polysession": ours}
ASYNC: Final[dict[str, OpenClient]] = {
    "polysession": ours_async(),
    "polysession[aiohttp]": ours_async(aiohttp=True),
}
EVERRUNS: Final[dict[str, OpenClient]] = {
    "polysession": ours_async(backend="everruns"),
    "polysession[aiohttp]": ours_async(backend="everruns", aiohttp=True),
}
AGENTSCOPE: Final[dict[str, OpenClient]] = {
    "polysession": ours_async(backend="agentscope"),
    "polysession[aiohttp]": ours_async(backend="agentscope", aiohttp=True),
}
BY_GROUP: Final = {"sync": SYNC, "async": ASYNC, "everruns": EVERRUNS, "agentscope": AGENTSCOPE}
