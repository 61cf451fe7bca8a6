"""The backend that a provider's tests use, and the messages for its agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from polysession.emulation import EmulatorHandle, Faults
from polysession.session import ModelConfig


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A backend for tests, with its resources.

    Attributes:
        settings: Settings for a client of the backend, including `base_url`.
        faults: Faults for its next responses. For a service that is not an emulator, `polysession.testing.proxy`
            injects them.
        agent_id: An agent for sessions; None if the backend has none.
        environment_id: An environment for sessions.
        workspace_id: A workspace for sessions; None for the workspace of another session.
        model: A model for sessions and agents.
        session_id: An existing session, for a provider that cannot create sessions.
        owner_id: A user that sessions may belong to; None if the backend's sessions have no owner. A provider with an
            `owner_setting` needs no value: tests use the user in `settings`, the only user of that client.
    """

    settings: Mapping[str, Any]
    faults: Faults = field(repr=False)
    agent_id: str | None = None
    environment_id: str | None = None
    workspace_id: str | None = None
    model: ModelConfig | None = None
    session_id: str | None = None
    owner_id: str | None = None

    @classmethod
    def of(cls, emulator: EmulatorHandle) -> Self:
        """Return a running emulator as a `Backend`."""
        return cls(
            settings=emulator.settings,
            faults=emulator.faults,
            agent_id=emulator.agent_id or None,
            environment_id=emulator.environment_id,
            workspace_id=emulator.workspace_id,
            model=emulator.model,
        )


@dataclass(frozen=True, kw_only=True)
class Script:
    """Messages that trigger the agent's behaviour that a test needs.

    The default values work for an emulator whose agent follows `polysession.emulation.script_for`.

    Tests compare the order of the events of each turn: a turn with more thoughts or messages than described here fails
    the tests. The same message must give the same events in each new session.

    Attributes:
        plain: The agent answers with one message, without thoughts and tools.
        plain_answer: The text of that answer, which tests compare; None if it is not known.
        think: The agent thinks, then answers.
        tool: The agent uses a tool on the server once, then answers. It sends no text before the tool call. The call
            has arguments, and the result has text.
        ask: The agent uses a tool that needs an approval once. It answers after the approval or denial.
        ask_twice: The agent uses two tools at the same time, and each needs an approval.
        question: The agent asks a question and waits for the reply.
        client_tool: The agent uses a tool that the caller has to run once. It answers after the output.
        fail: The turn fails.
        slow: The agent sends text for at least five seconds, so that the turn can be interrupted.
        steady: The agent sends a short text in at least three deltas, with pauses between them.
        long: The agent answers with more than 100 words.
    """

    plain: str = "hello there"
    plain_answer: str | None = "You said: hello there"
    think: str = "/think"
    tool: str = "/tool"
    ask: str = "/ask"
    ask_twice: str = "/ask 2"
    question: str = "/question"
    client_tool: str = "/client-tool"
    fail: str = "/fail"
    slow: str = "/slow 100"
    steady: str = "/slow 3"
    long: str = "/long 300"
