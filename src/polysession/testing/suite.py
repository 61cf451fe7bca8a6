"""One suite of tests for an emulator, a tape or a real backend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import pytest

from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.emulation import Act, EmulatorHandle, ToolUse
from polysession.session import ModelConfig
from polysession.testing.tape import Tape

BackendKind = Literal["emulator", "tape", "live"]
BACKEND_KINDS: Final = get_args(BackendKind)


@dataclass(frozen=True, kw_only=True)
class LiveBackend:
    """A real backend for tests, from the fixture `live_backend`.

    Attributes:
        provider: Name of the provider.
        settings: Settings of its clients; omitted settings come from the environment, as for every `Client`.
        agent: Id of the agent for sessions; None for the backend's default agent.
        environment: Id of the environment for sessions.
        model: Model for sessions.
    """

    provider: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    agent: str | None = None
    environment: str | None = None
    model: ModelConfig | None = None

    @classmethod
    def from_environment(cls, provider: str) -> LiveBackend:
        """Read the backend from environment variables.

        `POLYSESSION_TEST_AGENT` and `POLYSESSION_TEST_ENVIRONMENT` apply to sessions, and the provider's variables to
        its clients.
        """
        return cls(
            provider=provider,
            agent=os.environ.get("POLYSESSION_TEST_AGENT"),
            environment=os.environ.get("POLYSESSION_TEST_ENVIRONMENT"),
        )

    @property
    def session_values(self) -> dict[str, Any]:
        """Arguments of `sessions.create`, as JSON."""
        model = None if self.model is None else self.model.model_dump(mode="json", exclude_none=True)
        values = {"agent": self.agent, "environment": self.environment, "model": model}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class SuiteBackend:
    """The backend of a test, from the fixture `backend`.

    Attributes:
        kind: `emulator`, `tape` or `live`.
        provider: Name of the provider.
        session_values: Arguments of `sessions.create` for a working session: `create(title="T", **session_values)`.
        emulator: The running emulator; None for the other kinds.
        tape: The open tape; None for the other kinds.
    """

    kind: BackendKind
    provider: str
    session_values: Mapping[str, Any]
    emulator: EmulatorHandle | None = None
    tape: Tape | None = None
    _settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of_emulator(cls, emulator: EmulatorHandle) -> SuiteBackend:
        """Return a running emulator as a `SuiteBackend`."""
        return cls(
            kind="emulator",
            provider=emulator.provider,
            session_values=emulator.session_values,
            emulator=emulator,
            _settings=emulator.settings,
        )

    @classmethod
    def of_live(cls, live: LiveBackend) -> SuiteBackend:
        """Return a real backend as a `SuiteBackend`."""
        return cls(
            kind="live", provider=live.provider, session_values=_to_values(live.session_values), _settings=live.settings
        )

    @classmethod
    def of_tape(cls, tape: Tape, live: LiveBackend | None) -> SuiteBackend:
        """Return an open tape as a `SuiteBackend`; `live` is the recorded backend, None for a replay."""
        provider = tape.provider if live is None else live.provider
        values = tape.remember("session_values", lambda: {} if live is None else live.session_values)
        settings = {} if live is None else live.settings
        return cls(kind="tape", provider=provider, session_values=_to_values(values), tape=tape, _settings=settings)

    def client(self, **options: Any) -> AbstractContextManager[Client]:
        """A `Client` for the backend; options are as for `Client`."""
        options = {**self._settings, **options}
        return Client(self.provider, **options) if self.tape is None else self.tape.client(self.provider, **options)

    def async_client(self, **options: Any) -> AbstractAsyncContextManager[AsyncClient]:
        """An `AsyncClient` for the backend; options are as for `AsyncClient`."""
        options = {**self._settings, **options}
        if self.tape is None:
            return AsyncClient(self.provider, **options)
        return self.tape.async_client(self.provider, **options)

    def script(self, script: Iterable[Act | ToolUse]) -> None:
        """Set the agent's acts in its next turn, or skip the test if the agent is real.

        See `EmulatorHandle.script`.
        """
        if self.emulator is None:
            pytest.skip(f"scripted replies need the emulator, and this run uses --polysession-backend={self.kind}")
        self.emulator.script(script)


def _to_values(values: Mapping[str, Any]) -> dict[str, Any]:
    model = values.get("model")
    return {**values, "model": ModelConfig.model_validate(model)} if model else dict(values)
