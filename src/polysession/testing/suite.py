"""One suite of tests for an emulator, a tape or a real backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
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
class _Source:
    """Where the answers of a suite come from: see the properties of `SuiteBackend`."""

    provider: str
    session_values: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tape: Tape | None = None


@dataclass(frozen=True, kw_only=True)
class SuiteBackend:
    """The backend of a test, from the fixture `backend`.

    A tape is opened when the test first needs it, so that a scripted test, which has no tape, can be skipped.

    Attributes:
        kind: `emulator`, `tape` or `live`.
        emulator: The running emulator; None for the other kinds.
    """

    kind: BackendKind
    emulator: EmulatorHandle | None = None
    _open: Callable[[], _Source] = field(repr=False)

    @classmethod
    def of_emulator(cls, emulator: EmulatorHandle) -> SuiteBackend:
        """Return a running emulator as a `SuiteBackend`."""
        source = _Source(provider=emulator.provider, session_values=emulator.session_values, settings=emulator.settings)
        return cls(kind="emulator", emulator=emulator, _open=lambda: source)

    @classmethod
    def of_live(cls, live: LiveBackend) -> SuiteBackend:
        """Return a real backend as a `SuiteBackend`."""
        values = _to_values(live.session_values)
        source = _Source(provider=live.provider, session_values=values, settings=live.settings)
        return cls(kind="live", _open=lambda: source)

    @classmethod
    def of_tape(cls, open_tape: Callable[[], Tape], live: Callable[[], LiveBackend]) -> SuiteBackend:
        """Return a tape as a `SuiteBackend`.

        Args:
            open_tape: Opens the tape. It is called once, when the test first needs the tape.
            live: Returns the backend to record. It is not called in a replay.
        """

        def source() -> _Source:
            tape = open_tape()
            recorded = live() if tape.records else None
            provider = tape.provider if recorded is None else recorded.provider
            values = tape.remember("session_values", lambda: {} if recorded is None else recorded.session_values)
            settings = {} if recorded is None else recorded.settings
            return _Source(provider=provider, session_values=_to_values(values), settings=settings, tape=tape)

        return cls(kind="tape", _open=source)

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self._source.provider

    @property
    def session_values(self) -> Mapping[str, Any]:
        """Arguments of `sessions.create` for a working session: `create(title="T", **session_values)`."""
        return self._source.session_values

    @property
    def tape(self) -> Tape | None:
        """The open tape; None for the other kinds."""
        return self._source.tape

    def client(self, **options: Any) -> AbstractContextManager[Client]:
        """A `Client` for the backend; options are as for `Client`."""
        options = {**self._source.settings, **options}
        return Client(self.provider, **options) if self.tape is None else self.tape.client(self.provider, **options)

    def async_client(self, **options: Any) -> AbstractAsyncContextManager[AsyncClient]:
        """An `AsyncClient` for the backend; options are as for `AsyncClient`."""
        options = {**self._source.settings, **options}
        if self.tape is None:
            return AsyncClient(self.provider, **options)
        return self.tape.async_client(self.provider, **options)

    def script(self, script: Iterable[Act | ToolUse]) -> None:
        """Set the agent's acts in its next turn, or skip the test if the agent is real.

        See `EmulatorHandle.script`. Call it before anything else of the backend: a scripted test has no tape.
        """
        if self.emulator is None:
            pytest.skip(f"scripted replies need the emulator, but this run uses --polysession-backend={self.kind}")
        self.emulator.script(script)

    @cached_property
    def _source(self) -> _Source:
        return self._open()


def _to_values(values: Mapping[str, Any]) -> dict[str, Any]:
    model = values.get("model")
    return {**values, "model": ModelConfig.model_validate(model)} if model else dict(values)
