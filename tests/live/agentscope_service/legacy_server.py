"""The first published AgentScope service: legacy_server.py PORT WORKDIR REDISPORT.

The interpreter of the service's virtual environment runs this file; ours lacks the packages. The service stores
everything in Redis.
"""

# mypy: disable-error-code="import-not-found"

import sys

import uvicorn
from agentscope.app import LocalWorkspaceManager, RedisStorage, create_app


def main(port: str, workdir: str, redis_port: str) -> None:
    storage = RedisStorage(host="127.0.0.1", port=int(redis_port))
    app = create_app(storage, workspace_manager=LocalWorkspaceManager(basedir=workdir))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
