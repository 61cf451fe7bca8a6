"""The compared clients, by group. The first of each group is the baseline."""

from __future__ import annotations

from typing import Final

import httpx
import httpx2
from httpx_aiohttp import HttpxAiohttpClient

from benchmarks import our_clients
from benchmarks.hand_clients import agentscope_by_hand, everruns_by_hand, hand_async, hand_json, hand_lines, hand_typed
from benchmarks.our_clients import ours_async
from benchmarks.sdk_clients import anthropic_sdk, anthropic_sdk_async, everruns_sdk_async, qca_sdk, qca_sdk_async
from benchmarks.work import OpenClient

SYNC: Final[dict[str, OpenClient]] = {
    "hand": hand_typed,
    "hand, json.loads": hand_json,
    "hand, iter_lines": hand_lines,
    **our_clients.SYNC,
    "qca-sdk": qca_sdk,
    "anthropic": anthropic_sdk,
}
ASYNC: Final[dict[str, OpenClient]] = {
    "hand": hand_async(httpx.AsyncClient),
    **our_clients.ASYNC,
    "qca-sdk": qca_sdk_async,
    "anthropic": anthropic_sdk_async,
}
EVERRUNS: Final[dict[str, OpenClient]] = {
    "hand": everruns_by_hand,
    **our_clients.EVERRUNS,
    "everruns-sdk": everruns_sdk_async,
}
AGENTSCOPE: Final[dict[str, OpenClient]] = {"hand": agentscope_by_hand, **our_clients.AGENTSCOPE}
BURST: Final[dict[str, OpenClient]] = {
    "hand": hand_async(httpx.AsyncClient),
    "hand, httpx2": hand_async(httpx2.AsyncClient),
    "hand, httpx-aiohttp": hand_async(HttpxAiohttpClient),
    **our_clients.ASYNC,
    "polysession, httpx2 injected": ours_async(httpx2.AsyncClient),
    "qca-sdk": qca_sdk_async,
    "anthropic": anthropic_sdk_async,
}
GROUPS: Final = {"sync": SYNC, "async": ASYNC, "everruns": EVERRUNS, "agentscope": AGENTSCOPE, "burst": BURST}
