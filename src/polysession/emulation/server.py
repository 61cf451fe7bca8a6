"""Serves an emulator on a loopback port, in a separate thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.emulation.emulator import Emulator, Generation
from polysession.emulation.faults import FaultMiddleware, Faults
from polysession.emulation.loading import load_emulator
from polysession.emulation.script import Act, ToolUse
from polysession.errors import PolysessionError, UsageError
from polysession.feature import Feature
from polysession.plugins import load_provider
from polysession.session import ModelConfig, Session

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from polysession.emulation.loopback import LoopbackServer

_STARTUP_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class EmulatorHandle:
    """A running emulator.

    Attributes:
        provider: Name of the provider.
        base_url: Base URL for `Client(base_url=...)` and for the backend's official SDK.
        settings: All settings for a `Client` of the emulator, including `base_url`: `Client(name, **handle.settings)`.
        agent_id: Id of an agent; empty if the backend has none.
        environment_id: Id of an environment; None if the backend has none.
        credential_id: Id of a model credential; None if the backend has none.
        workspace_id: Id of a workspace; None if the backend has none.
        model: A model for sessions and agents; None if the backend has no choice of models.
        control: The emulator itself, such as `handle.control.start_turn(session_id, duration_s=5)`.
        faults: Faults for the next requests: `handle.faults.add(Fault("drop", at_byte=100))`.
    """

    provider: str
    base_url: str
    settings: dict[str, Any]
    agent_id: str
    environment_id: str | None
    credential_id: str | None
    workspace_id: str | None
    model: ModelConfig | None
    control: Emulator
    faults: Faults

    @property
    def origin(self) -> str:
        """Scheme, host and port: `base_url` without the backend's path."""
        return self.base_url.removesuffix(self.control.base_path)

    def client(self, **options: Any) -> Client:
        """Return a `Client` for the emulator; options are as for `Client`, and override the emulator's settings."""
        return Client(self.provider, **{**self.settings, **options})

    def async_client(self, **options: Any) -> AsyncClient:
        """Return an `AsyncClient` for the emulator; options are as for `AsyncClient`."""
        return AsyncClient(self.provider, **{**self.settings, **options})

    @property
    def session_values(self) -> dict[str, Any]:
        """Arguments of `sessions.create` for a working session: an agent, an environment and a model."""
        return session_values(
            self.provider, agent_id=self.agent_id, environment_id=self.environment_id, model=self.model
        )

    def script(self, script: Iterable[Act | ToolUse], *, session: Session | str | None = None) -> None:
        """Set the agent's acts in its next turn; they replace the default answer to the message.

        Example: `handle.script([Think("Hm."), AskApproval("delete", {"path": "a"}), Say("Done.")])`.

        Args:
            script: The acts in order: `Say`, `Think`, `UseTools`, `Ask`, `Fail`, or a single `ToolUse`, `AskApproval`
                or `ClientTool`.
            session: The script runs in the next turn of this session; None for the next turn of any session.

        Raises:
            UsageError: An item of the script is not an act.
        """
        session_id = session.id if isinstance(session, Session) else session
        self.control.scripts.add(script, session_id=session_id)


def session_values(
    provider: str, *, agent_id: str | None, environment_id: str | None, model: ModelConfig | None
) -> dict[str, Any]:
    """Return the arguments of `sessions.create` that have a value and that the provider supports."""
    values = {
        Feature.SESSIONS_CREATE_AGENT: ("agent", agent_id),
        Feature.SESSIONS_CREATE_ENVIRONMENT: ("environment", environment_id),
        Feature.SESSIONS_CREATE_MODEL: ("model", model),
    }
    declared = load_provider(provider)
    return {name: value for feature, (name, value) in values.items() if value and declared.support(feature).support}


@contextlib.contextmanager
def serve(name: str, *, generation: Generation = "current", port: int = 0) -> Iterator[EmulatorHandle]:
    """Serve the emulator of one backend on 127.0.0.1 while the context is open.

    Args:
        name: Name of an installed provider.
        generation: `"current"`, or `"legacy"` for the oldest published version of the backend.
        port: TCP port; 0 for a free port.

    Raises:
        UnknownProvider: No provider has that name.
        UsageError: The provider has no emulator, the generation is unknown, or the port is in use.
    """
    if generation not in get_args(Generation):
        accepted = " or ".join(repr(known) for known in get_args(Generation))
        raise UsageError(f"unknown generation {generation!r}; expected {accepted}", provider=name)
    emulator = load_emulator(name)(generation)
    faults = Faults()
    with serve_app(FaultMiddleware(emulator, faults), port=port) as origin:
        base_url = origin + emulator.base_path
        yield EmulatorHandle(
            provider=name,
            base_url=base_url,
            settings={"base_url": base_url, **emulator.settings},
            agent_id=emulator.initial.agent_id,
            environment_id=emulator.initial.environment_id,
            credential_id=emulator.initial.credential_id,
            workspace_id=emulator.initial.workspace_id,
            model=emulator.initial.model,
            control=emulator,
            faults=faults,
        )


@contextlib.contextmanager
def serve_app(app: ASGIApp, *, port: int = 0) -> Iterator[str]:
    """Serve an application on 127.0.0.1 while the context is open; yields its origin, `http://127.0.0.1:PORT`.

    Raises:
        UsageError: The port is in use.
    """
    listener = _listen(port)
    with _serving(app, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _listen(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            f"cannot listen on 127.0.0.1:{port}: {error}. Choose another port, or 0 for a free one"
        ) from error
    return listener


@contextlib.contextmanager
def _serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    server = _loopback_server(app)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, daemon=True, name="polysession-emulator"
    )
    thread.start()
    try:
        _wait_until_started(server)
        yield
    finally:
        server.stop()
        thread.join()
        listener.close()


def _loopback_server(app: ASGIApp) -> LoopbackServer:
    from polysession.emulation.loopback import LoopbackServer  # noqa: PLC0415  (an extra: only needed to serve)

    return LoopbackServer(app)


def _wait_until_started(server: LoopbackServer) -> None:
    server.is_settled.wait(_STARTUP_LIMIT_S)
    if not server.started:
        raise PolysessionError("the emulator did not start in time")
