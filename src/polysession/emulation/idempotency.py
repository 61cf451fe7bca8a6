"""Idempotency keys: a write that is repeated under its key gets the first answer again."""

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
    """How one backend repeats writes.

    Only successes are kept: a request that was refused changed nothing, so it may run again. Answers are kept as long
    as the emulator runs.

    Attributes:
        headers: Names of the headers that may hold a key; the first one present counts.
        methods: Methods that keys are honoured on.
        mismatch: Refusal of a key that comes again with another request.
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
        """The kept answer, or else the one that `run` gives. Each credential has its own keys."""
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
