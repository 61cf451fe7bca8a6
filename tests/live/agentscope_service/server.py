"""The real AgentScope service on a loopback port: server.py PORT WORKDIR [DBURL].

The interpreter of the service's virtual environment runs this file; ours lacks the packages.
https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

# mypy: disable-error-code="import-not-found"

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from agentscope.app import create_app
from agentscope.app.message_bus import InMemoryMessageBus
from agentscope.app.storage import AsyncSQLAlchemyStorage
from agentscope.app.workspace_manager import LocalWorkspaceManager
from agentscope.permission import PermissionBehavior, PermissionDecision
from agentscope.tool import ToolBase


class Lookup(ToolBase):  # type: ignore[misc]  # the base class is not installed where types are checked
    """A tool that the caller runs."""

    name = "lookup"
    description = "Look up an item."
    input_schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    is_concurrency_safe = True
    is_read_only = True
    is_external_tool = True

    async def check_permissions(self, *_: Any) -> Any:
        return PermissionDecision(behavior=PermissionBehavior.ALLOW, message="redact")


class UncancelledStorage(AsyncSQLAlchemyStorage):  # type: ignore[misc]  # as above
    """A storage whose queries are never cancelled.

    The service cancels the task of a turn that is interrupted. SQLite's connection is then closed while a query still
    has rows. It keeps its lock until the garbage collector finds the query's cursor, and every write fails meanwhile.
    A database in memory, which has one connection, is lost.
    """

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return found if name.startswith("_") or not inspect.iscoroutinefunction(found) else _uncancelled(found)


def _uncancelled(operation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(operation)
    async def finish(*arguments: Any, **options: Any) -> Any:
        task = asyncio.ensure_future(operation(*arguments, **options))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise

    return finish


async def tools_of_the_caller(*_: str) -> list[ToolBase]:
    return [Lookup()]


def main(port: str, workdir: str, database_url: str | None = None) -> None:
    storage = UncancelledStorage(database_url or f"sqlite+aiosqlite:///{workdir}/service.sqlite")
    app = create_app(
        storage=storage,
        message_bus=InMemoryMessageBus(),
        workspace_manager=LocalWorkspaceManager(basedir=workdir),
        enable_scheduler=False,
        enable_channel_worker=False,
        extra_agent_tools=tools_of_the_caller,
    )
    # Without the limit, an open event stream keeps the process alive after SIGTERM.
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
