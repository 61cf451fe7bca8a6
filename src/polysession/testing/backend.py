"""Where a provider's tests find its backend, and what to say to its agent."""

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
        settings: Settings of a client for it, `base_url` among them.
        faults: Faults of its next responses. For a service that is not an emulator, `polysession.testing.proxy` adds
            them.
        agent_id: An agent for sessions; None if the backend has none.
        environment_id: An environment for sessions.
        workspace_id: A workspace for sessions; None for the workspace of another session.
        model: A model for sessions and agents.
        session_id: An existing session, for a provider that cannot create sessions.
        owner_id: A user that sessions may belong to; None if the backend has no such thing. A provider with an
            `owner_setting` needs none: tests take the user of `settings`, the only one that the client serves.
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
        """A running emulator."""
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
    """Messages that make the agent do what a test needs.

    The agent of an emulator that follows `polysession.emulation.script_for` does so for the values that stand here.

    Tests compare the order of the events of each turn: a turn that thinks or speaks where the description does not say
    so fails them. The same message must have the same events in each new session.

    Attributes:
        plain: It answers with one message, without thoughts and tools.
        plain_answer: The text of this message, which tests compare; None if it is not known.
        think: It thinks, then answers.
        tool: It uses a tool on the server, once, then answers. It says nothing before the tool. The call has arguments,
            and the result has text.
        ask: It uses a tool that needs an approval, once. It answers after the approval or denial.
        ask_twice: It uses two tools that need an approval each, at the same time.
        question: It asks a question, and waits for the reply.
        client_tool: It uses a tool that the caller has to run, once. It answers after the output.
        fail: Its turn fails.
        slow: It sends text for at least five seconds, so that it can be interrupted.
        steady: It speaks for a moment, in at least three deltas with pauses between.
        long: It answers with more than 100 words.
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
