"""The official SDK of a backend as a judge of its emulator.

Its sync and its async client have one interface.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from polysession.emulation import EmulatorHandle

Ask = Callable[[Any], Any]


class Judge:
    """The SDK's sync or async client.

    Attributes:
        handle: The emulator.
    """

    def __init__(self, handle: EmulatorHandle, client: Any, run: Callable[[Any], Any]) -> None:
        self.handle = handle
        self._client = client
        self._run = run

    def __call__(self, ask: Ask) -> Any:
        return self._run(ask(self._client))

    def every(self, ask: Ask) -> list[Any]:
        """Return all items of all pages."""
        page = ask(self._client)
        return list(page) if not hasattr(page, "__aiter__") else self._run(_gather(page))

    def ids(self, ask: Ask) -> list[str]:
        return [item.id for item in self.every(ask)]

    def until(self, stream: Any, *types: str) -> list[Any]:
        """Return the events of a stream up to the first one of these types.

        Without types, return all events.
        """
        return self.up_to(stream, lambda event: event.type in types)

    def up_to(self, stream: Any, is_last: Callable[[Any], bool]) -> list[Any]:
        """Return the items of a stream up to the first one for which `is_last` is true."""
        if hasattr(stream, "__anext__"):
            return list(self._run(_gather_until(stream, is_last)))
        return _up_to(stream, is_last)

    def new_session(self, **fields: Any) -> Any:
        fields = {"agent": self.handle.agent_id, "environment_id": self.handle.environment_id, **fields}
        return self(lambda sdk: sdk.sessions.create(**fields))


def _up_to(stream: Any, is_last: Callable[[Any], bool]) -> list[Any]:
    found = []
    for event in stream:
        found.append(event)
        if is_last(event):
            break
    return found


async def _gather_until(stream: Any, is_last: Callable[[Any], bool]) -> list[Any]:
    found = []
    async for event in stream:
        found.append(event)
        if is_last(event):
            break
    return found


async def _gather(page: Any) -> list[Any]:
    return [item async for item in page]


async def settle(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


def assert_fields(record: Any, documented: set[str]) -> None:
    """Check that a record has exactly the documented fields."""
    assert record.model_fields_set == documented
    assert not record.model_extra
