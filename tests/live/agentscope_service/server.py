"""The real AgentScope service, with everything in memory: server.py PORT WORKDIR [DBURL].

Run by the interpreter of the virtual environment that holds the service, never by ours.
https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

import sys

import uvicorn
from agentscope.app import create_app
from agentscope.app.message_bus import InMemoryMessageBus
from agentscope.app.storage import AsyncSQLAlchemyStorage
from agentscope.app.workspace_manager import LocalWorkspaceManager

IN_MEMORY = "sqlite+aiosqlite:///:memory:"


def main(port: str, workdir: str, database_url: str = IN_MEMORY) -> None:
    app = create_app(
        storage=AsyncSQLAlchemyStorage(database_url),
        message_bus=InMemoryMessageBus(),
        workspace_manager=LocalWorkspaceManager(basedir=workdir),
        enable_scheduler=False,
        enable_channel_worker=False,
    )
    # An open event stream would otherwise keep the process alive after SIGTERM.
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
