"""Several agents: one transfers to others, some run in sequence, two run in parallel."""

# mypy: disable-error-code="import-not-found"

from google.adk.agents import LlmAgent, ParallelAgent, SequentialAgent
from scripted import ScriptedModel


def member(name: str, description: str = "Is one of the crew.", **options: object) -> LlmAgent:
    """Return an agent that follows the script."""
    return LlmAgent(name=name, model=ScriptedModel(model="scripted"), description=description, **options)


pair = ParallelAgent(name="pair", sub_agents=[member("left"), member("right")])
line = SequentialAgent(name="line", description="Is a line.", sub_agents=[member("first"), pair])
root_agent = member("chief", "Hands over to others.", sub_agents=[member("writer"), line])
