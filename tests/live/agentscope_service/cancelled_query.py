"""Cancels a query of the service's storage, and writes after it.

Usage: cancelled_query.py DATABASE. The interpreter of the service's virtual environment runs this file; ours lacks
the packages.
"""

# mypy: disable-error-code="import-not-found"

import asyncio
import gc
import sys

from agentscope.app.storage import SessionConfig
from server import UncancelledStorage
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine


async def main(path: str) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}?timeout=0")
    gc.disable()  # a collection may release a lock
    async with UncancelledStorage("", engine=engine) as storage:
        config = SessionConfig(workspace_id="w")
        await storage.upsert_session("user", "agent", config)
        query = asyncio.create_task(storage.list_sessions("user", "agent"))
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *_: query.cancel(), once=True)
        await asyncio.wait({query})
        assert query.cancelled()
        await storage.upsert_session("user", "agent", config)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
