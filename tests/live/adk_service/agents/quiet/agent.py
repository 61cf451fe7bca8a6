"""An agent without a model.

Its commands are `/nothing`, `/fail` and `/count N`; every other message changes the state.
"""

# mypy: disable-error-code="import-not-found,misc"

from collections.abc import AsyncGenerator

from google.adk.agents import BaseAgent, InvocationContext
from google.adk.events import Event, EventActions
from google.genai import types


class Quiet(BaseAgent):
    """Sends messages only for `/count N`."""

    async def _run_async_impl(self, ctx: InvocationContext) -> AsyncGenerator[Event, None]:
        parts = ctx.user_content.parts if ctx.user_content else []
        word, _, rest = ((parts[0].text if parts else "") or "").partition(" ")
        if word == "/nothing":
            return
        changes = EventActions(state_delta={"heard": word})
        yield Event(invocation_id=ctx.invocation_id, author=self.name, actions=changes)
        if word == "/fail":
            raise RuntimeError("the agent is out of order")
        for number in range(int(rest) if word == "/count" else 0):
            content = types.Content(role="model", parts=[types.Part(text=f"step {number}")])
            yield Event(invocation_id=ctx.invocation_id, author=self.name, content=content)


root_agent = Quiet(name="quiet", description="Has no model.")
