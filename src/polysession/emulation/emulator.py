"""The base class of emulators: an ASGI application with state and some initial resources."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from polysession.emulation.api import Route
from polysession.emulation.scripts import Scripts
from polysession.session import ModelConfig

Generation = Literal["current", "legacy"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InitialResources:
    """Ids of the resources that exist when an emulator starts; None if the backend has no such resource.

    Attributes:
        agent_id: An agent that a session can be created for; empty where the backend has no agents.
        environment_id: An environment that a session can be created in.
        credential_id: A model credential.
        workspace_id: A workspace that a session can be created on.
        model: A model for sessions and agents.
    """

    agent_id: str = ""
    environment_id: str | None = None
    credential_id: str | None = None
    workspace_id: str | None = None
    model: ModelConfig | None = None


class Emulator(ABC):
    """One backend's wire protocol, with its state in memory.

    Attributes:
        base_path: Path between the origin and the routes, such as `/api`; empty for none.
        routes: The routes of the emulator, for its documentation and tests.
        app: The application to serve; see `build_app`.
        initial: Resources that exist from the start.
        settings: Client settings, besides `base_url`, that a `Client` of the emulator needs.
        generation: The generation of the backend that it emulates.
        version: The version that it reports as the backend's; None if it reports none.
        scripts: The queued scripts: `self.scripts.take(session_id, message)` returns the agent's acts in answer to a
            message. An emulator whose agents can ask questions replaces it with `Scripts(has_questions=True)`.
    """

    base_path: ClassVar[str] = ""
    routes: Sequence[Route] = ()
    app: ASGIApp
    initial: InitialResources
    settings: Mapping[str, str]
    version: str | None = None

    def __init__(self, generation: Generation = "current") -> None:
        """Create the initial resources, and emulate one generation of the backend."""
        self.generation: Generation = generation
        self.scripts: Scripts = Scripts()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        self._loop = asyncio.get_running_loop()
        await self.app(scope, receive, send)

    def run_in_server(self, action: Callable[[], T]) -> T:
        """Run an action in the server's event loop, where the state lives, and wait for its result.

        For use in methods that tests call from another thread.

        Raises:
            RuntimeError: The emulator has not answered a request yet.
        """
        if self._loop is None:
            raise RuntimeError("the emulator has no event loop before its first request; send one first")

        async def act() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    @abstractmethod
    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session run a turn that no client started for `duration_s` seconds, then return to idle.

        Raises:
            KeyError: There is no such session.
        """

    def open_streams(self, session_id: str) -> int:
        """Return the number of open streams of a session, so that a test can wait for one before it sends a message.

        Raises:
            KeyError: There is no such session.
            NotImplementedError: The emulator does not count them.
        """
        raise NotImplementedError(f"{type(self).__name__} does not count open streams (session {session_id!r})")


@dataclass(slots=True)
class TurnClock:
    """A turn that ends at a set time, without a timer in the background."""

    _ends_at_s: float = field(default=0.0)

    def start(self, duration_s: float) -> None:
        """Start a turn that ends `duration_s` seconds from now."""
        self._ends_at_s = time.monotonic() + duration_s

    def stop(self) -> bool:
        """End the turn now; return whether one was running."""
        was_running = self.running
        self._ends_at_s = 0.0
        return was_running

    @property
    def running(self) -> bool:
        """Whether a turn is running at this moment."""
        return time.monotonic() < self._ends_at_s
