"""Cost of an additional client in a process that has already created one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx
import qca

from benchmarks.hand_clients import TOKEN
from polysession import Client


@contextmanager
def makers(base_url: str) -> Iterator[dict[str, Callable[[int], None]]]:
    """Return functions that create and close n clients."""
    context = httpx.create_ssl_context()
    made: dict[str, Callable[[], Any]] = {
        "hand": httpx.Client,
        "hand, TLS context shared": lambda: httpx.Client(verify=context),
        "polysession": lambda: Client("qoder", token=TOKEN, base_url=base_url),
        "qca-sdk": lambda: qca.Managed(pat=TOKEN, base_url=base_url),
        "anthropic": lambda: anthropic.Anthropic(api_key=TOKEN, base_url=base_url),
    }

    def repeated(make: Callable[[], Any]) -> Callable[[int], None]:
        def work(times: int) -> None:
            for _ in range(times):
                make().close()

        return work

    works = {name: repeated(make) for name, make in made.items()}
    for work in works.values():
        work(1)
    yield works
