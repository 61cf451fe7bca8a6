"""How far an agent has come with a reply.

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
    """One use of a tool, as far as it has come.

    Attributes:
        state: In the service's words.
    """

    use: ToolUse
    id: str = field(default_factory=lambda: hex_id("call_"))
    state: str = "pending"

    @property
    def arguments(self) -> str:
        """The arguments as the model wrote them."""
        return json.dumps(dict(self.use.arguments))

    @property
    def rule(self) -> Json:
        """The rule that allows such a call for good."""
        content = " ".join(map(str, self.use.arguments.values()))
        return {"tool_name": self.use.name, "rule_content": content, "behavior": "allow", "source": "suggested"}

    def block(self) -> Json:
        """The call as the events that ask for an answer show it."""
        rules = [self.rule] if self.state == "asking" else []
        return tool_call_block(self.id, self.use.name, self.arguments, self.state, rules)


def read_arguments(text: str) -> dict[str, Any] | None:
    """Arguments as a caller sends them back; None if they are not a JSON object."""
    try:
        arguments = json.loads(text)
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None


@dataclass(slots=True)
class Progress:
    """How far an agent has come with its reply.

    Attributes:
        steps: Rounds of model call and tools that are done.
        calls: The tool calls that have no result yet.
        rest: What the agent does after them.
        received: By tool call, the results that no tool of the service gave, as the agent received them.
    """

    reply_id: str
    steps: int = 0
    calls: list[ToolCall] = field(default_factory=list)
    rest: tuple[Act, ...] = ()
    received: dict[str, Json] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Status of a session whose agent has come so far and does not work."""
        states = {call.state for call in self.calls}
        if "asking" in states:
            return "awaiting_permission"
        return "awaiting_external_result" if "submitted" in states else "idle"
