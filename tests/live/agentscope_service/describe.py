"""Prints the OpenAPI document and the events of the installed AgentScope service.

The interpreter of the service's virtual environment runs this file; ours lacks the packages.
"""

# mypy: disable-error-code="import-not-found"

import json
import sys
import tempfile

from agentscope.app import create_app
from agentscope.app.message_bus import InMemoryMessageBus
from agentscope.app.storage import AsyncSQLAlchemyStorage
from agentscope.app.workspace_manager import LocalWorkspaceManager
from agentscope.event import AgentEvent
from pydantic import TypeAdapter


def main() -> None:
    with tempfile.TemporaryDirectory() as workdir:
        app = create_app(
            storage=AsyncSQLAlchemyStorage(f"sqlite+aiosqlite:///{workdir}/unused.sqlite"),
            message_bus=InMemoryMessageBus(),
            workspace_manager=LocalWorkspaceManager(basedir=workdir),
            enable_scheduler=False,
            enable_channel_worker=False,
        )
        events = TypeAdapter(AgentEvent).json_schema(ref_template="#/components/schemas/{model}")
    schemas = {**events.pop("$defs"), "AgentEvent": events}
    json.dump({"openapi": app.openapi(), "events": {"components": {"schemas": schemas}}}, sys.stdout)


if __name__ == "__main__":
    main()
