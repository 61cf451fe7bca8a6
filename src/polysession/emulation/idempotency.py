"""Idempotency keys: a write that is repeated with the same key gets the first response again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from polysession.emulation.answers import Answer, EventStream, Refusal


@dataclass(frozen=True, slots=True)
class _Kept:
    request: tuple[str, str, bytes]
    answer: Answer | EventStream


@dataclass(slots=True)
class Idempotency:
    """How one backend handles repeated writes.

    Only successful responses are kept: a refused request changed nothing, so it may run again. Responses are kept until
    the emulator stops.

    Attributes:
        headers: Names of the headers that may hold a key; the first one in the request is used.
        methods: HTTP methods for which keys are honoured.
        mismatch: Refusal of a key that is used again for a different request.
    """

    headers: Sequence[str]
    methods: Collection[str]
    mismatch: Callable[[], Refusal]
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)

    async def answer(
        self,
        method: str,
        path: str,
        headers: Headers,
        content: bytes,
        run: Callable[[], Awaitable[Answer | EventStream]],
    ) -> Answer | EventStream:
        """Return the kept response, or else the response of `run`. Each credential has its own keys."""
        key = next((headers[name] for name in self.headers if name in headers), None)
        if key is None or method not in self.methods:
            return await run()
        scope = (headers.get("authorization", ""), key)
        request = (method, path, content)
        if scope not in self._kept:
            self._kept[scope] = _Kept(request, await run())
        kept = self._kept[scope]
        if kept.request != request:
            raise self.mismatch()
        return kept.answer
