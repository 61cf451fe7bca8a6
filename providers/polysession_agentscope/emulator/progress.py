"""Progress of an agent with a reply.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from polysession.emulation import Act, ToolUse, hex_id
from polysession_agentscope.emulator.events import tool_call_block
from polysession_agentscope.emulator.shapes import Json


@dataclass(slots=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        state: The service's name of its state.
    """

    use: ToolUse
    id: str = field(default_factory=lambda: hex_id("call_"))
    state: str = "pending"

    @property
    def arguments(self) -> str:
        """The model's arguments, as JSON text."""
        return json.dumps(dict(self.use.arguments))

    @property
    def rule(self) -> Json:
        """The rule that allows such a call for the rest of the session."""
        content = " ".join(map(str, self.use.arguments.values()))
        return {"tool_name": self.use.name, "rule_content": content, "behavior": "allow", "source": "suggested"}

    def block(self) -> Json:
        """Return the block of the call, as in the events that request an answer."""
        rules = [self.rule] if self.state == "asking" else []
        return tool_call_block(self.id, self.use.name, self.arguments, self.state, rules)


def read_arguments(text: str) -> dict[str, Any] | None:
    """Return the arguments in a caller's decision; None if they are not a JSON object."""
    try:
        arguments = json.loads(text)
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None


@dataclass(slots=True)
class Progress:
    """Progress of an agent with its reply.

    Attributes:
        steps: Number of finished rounds of a model call and its tools.
        calls: The tool calls without a result.
        rest: The acts that follow them.
        received: By id of a call, the results that did not come from a tool of the service.
    """

    reply_id: str
    steps: int = 0
    calls: list[ToolCall] = field(default_factory=list)
    rest: tuple[Act, ...] = ()
    received: dict[str, Json] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Status of the session while no turn runs."""
        states = {call.state for call in self.calls}
        if "asking" in states:
            return "awaiting_permission"
        return "awaiting_external_result" if "submitted" in states else "idle"
