"""The base of every part of the contract: hooks for subclasses to override, and fixtures that use them."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from polysession import (
    AgentCapability,
    Answer,
    Client,
    Event,
    Feature,
    MediaBlock,
    PendingAction,
    RetryPolicy,
    Session,
    TurnResult,
)
from polysession.emulation import serve
from polysession.emulation.emulator import Generation
from polysession.emulation.server import session_values
from polysession.plugins import load_provider
from polysession.provider_api import Provider
from polysession.settings import secret_names
from polysession.testing.arranging import Arranged
from polysession.testing.backend import Backend, Script
from polysession.testing.faces import Face, open_client
from polysession.testing.fault_server import FaultServer, http

AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0.0, max_wait_s=0.05)
CANARY = "c4n4ry"
_LOOK_AGAIN_S = 0.02


class ContractBase(Arranged):
    """The hooks to override, the fixtures, and methods that many tests use.

    Attributes:
        provider: Name of the provider. The only attribute that must be set.
        gaps: The tests that must fail. A key is the name of a test, one case of it such as `"test_x[sync-503]"`, or a
            feature for all tests that cover it.
        generation: The generation of the backend that the emulator uses.
        evidence: The kind of evidence that a passed test gives: `emulated`, `recorded` or `live`.
        script: The messages for the agent.
        has_status_word: Whether the backend reports the status of a session.
        has_deltas: Whether the backend sends messages as deltas, and not only complete.
        patience_s: Seconds after which a turn of the backend counts as hanging.
        permission_mode: A mode other than the default; required if the provider supports permission modes.
        capability: A capability that a session may have.
        image: The image for the tests of `sessions.send image`.
        document: The document for the tests of `sessions.send document`.
        new_agent: Values besides `name` that the backend requires for a new agent.
    """

    generation: ClassVar[Generation] = "current"
    evidence: ClassVar[str] = "emulated"
    script: ClassVar[Script] = Script()
    has_status_word: ClassVar[bool] = True
    has_deltas: ClassVar[bool] = True
    patience_s: ClassVar[float] = 30.0
    permission_mode: ClassVar[str | None] = None
    capability: ClassVar[AgentCapability] = AgentCapability(ref="web_fetch")
    image: ClassVar[MediaBlock] = MediaBlock(type="image", data="iVBORw0KGgo=", media_type="image/png")
    document: ClassVar[MediaBlock] = MediaBlock(type="document", data="JVBERi0xLjQK", media_type="application/pdf")
    new_agent: ClassVar[Mapping[str, Any]] = {}

    # Hooks to override.

    @classmethod
    @contextlib.contextmanager
    def serve(cls) -> Iterator[Backend]:
        """Provide the backend while the tests of this class run. By default it is the provider's emulator."""
        with serve(cls.provider, generation=cls.generation) as emulator:
            yield Backend.of(emulator)

    @classmethod
    def http_client(cls) -> Any:
        """Make the HTTP client to inject into a `Client`; None lets it make its own."""
        return None

    @classmethod
    def async_http_client(cls) -> Any:
        """Make the HTTP client to inject into an `AsyncClient`, inside its event loop; None lets it make its own."""
        return None

    # Fixtures.

    @pytest.fixture(autouse=True)
    def _gap_of_case(self, request: pytest.FixtureRequest) -> None:
        """Mark one case of a test that `gaps` names."""
        for key, gap in self.gaps.items():
            name, _, case = key.partition("[")
            if case and request.function.__name__ == name and case.rstrip("]") in request.node.name.partition("[")[2]:
                request.applymarker(gap.mark)

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Iterator[Backend]:
        """Fixture: the backend of this class, from `serve`."""
        with cls.serve() as backend:
            yield backend

    @pytest.fixture(params=list(Face), ids=str)
    def face(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Face:
        """Fixture: the kind of client. Each test runs with both kinds. Proxies of the environment are not used."""
        monkeypatch.setenv("NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])))
        face: Face = request.param
        return face

    @pytest.fixture
    def client(self, face: Face, backend: Backend) -> Iterator[Client]:
        """Fixture: a client for the backend, without faults. An async client also gets the methods of a `Client`."""
        backend.faults.clear()
        with self.open(face, backend.settings) as client:
            yield client
        backend.faults.clear()

    @pytest.fixture
    def session(self, client: Client, backend: Backend) -> Session:
        """Fixture: a new session, ready for turns; `Backend.session_id` if the provider creates no sessions."""
        if self.supports(Feature.SESSIONS_CREATE):
            return self.new_session(client, backend)
        assert backend.session_id is not None, "Backend.session_id is None, and the provider creates no sessions"
        return client.sessions.get(backend.session_id)

    @pytest.fixture
    def nowhere(self) -> Iterator[FaultServer]:
        """Fixture: a server that no client may reach."""
        with FaultServer(http(500)) as server:
            yield server

    # Common steps of the tests.

    @property
    def said(self) -> list[str]:
        """Return the milestones of an answer that ends its turn."""
        return ["message.delta"] * self.has_deltas + ["message.completed", "turn.ended completed"]

    @property
    def working(self) -> str:
        """The type of the first event that shows the agent at work on its answer."""
        return "message.delta" if self.has_deltas else "turn.started"

    @classmethod
    def declared(cls) -> type[Provider[Any]]:
        """Return the provider's class, to read its declarations."""
        return load_provider(cls.provider)

    @classmethod
    def supports(cls, feature: Feature) -> bool:
        """Whether the provider declares a feature as supported, natively or not."""
        return bool(cls.declared().support(feature).support)

    def open(
        self, face: Face, settings: Mapping[str, Any], **options: Any
    ) -> contextlib.AbstractContextManager[Client]:
        """Open a client with these settings, through the HTTP client of the hooks."""
        injected = {"http_client": self.http_client, "async_http_client": self.async_http_client}
        return open_client(face, self.provider, **{"retry": AT_ONCE, **injected, **settings, **options})

    def session_values(self, backend: Backend) -> dict[str, Any]:
        """Return values for a working session: an agent, an environment and a model if the backend has them."""
        return session_values(
            self.provider, agent_id=backend.agent_id, environment_id=backend.environment_id, model=backend.model
        )

    def owner(self, backend: Backend) -> str | None:
        """Return the user that sessions may belong to; None if the backend's sessions have no owner."""
        setting = self.declared().owner_setting
        return backend.owner_id if setting is None else backend.settings[setting]

    def new_session(self, client: Client, backend: Backend, **values: Any) -> Session:
        """Create a session, with these values in addition to the required ones."""
        return client.sessions.create(**{**self.session_values(backend), **values})

    def agent_values(self, backend: Backend) -> dict[str, Any]:
        """Return values for an agent, with a unique name."""
        model = {"model": backend.model.id} if backend.model and self.supports(Feature.AGENTS_CREATE_MODEL) else {}
        return {"name": f"contract-{uuid.uuid4().hex[:12]}", **model, **self.new_agent}

    def own_agent(self, client: Client, backend: Backend) -> str | None:
        """Return an agent only for this test, to recognise its sessions; the initial one if none can be created."""
        if self.supports(Feature.AGENTS_CREATE) and self.supports(Feature.SESSIONS_CREATE_AGENT):
            return client.agents.create(**self.agent_values(backend)).id
        return backend.agent_id

    def run(self, client: Client, session: Session, content: str | Sequence[Any]) -> tuple[list[Event], TurnResult]:
        """Run a turn within `patience_s` seconds; return its events and its result."""
        with client.sessions.run(session, content, deadline_s=self.patience_s) as turn:
            events = list(turn)
            return events, turn.result

    def waiting(self, client: Client, session: Session) -> PendingAction:
        """Let the agent ask for an answer; return the pending action."""
        said = {
            Feature.SESSIONS_ANSWER_OUTPUT: self.script.client_tool,
            Feature.SESSIONS_ANSWER_APPROVAL: self.script.ask,
            Feature.SESSIONS_ANSWER_QUESTION: self.script.question,
        }
        _, result = self.run(client, session, next(text for feature, text in said.items() if self.supports(feature)))
        return result.actions[0]

    def eventually(self, look: Callable[[], bool], what: str) -> None:
        """Wait until a condition is true.

        Raises:
            AssertionError: The condition is still false after `patience_s` seconds.
        """
        deadline_s = time.monotonic() + self.patience_s
        while not look():
            assert time.monotonic() < deadline_s, f"not true after {self.patience_s} seconds: {what}"
            time.sleep(_LOOK_AGAIN_S)

    def canaries(self) -> dict[str, Any]:
        """Return recognisable values for the settings that hold a secret."""
        declared = self.declared().settings_type
        secrets = secret_names(declared) - {"headers", *declared.one_of[1:]}
        return {**dict.fromkeys(secrets, CANARY), "headers": {"x-canary": CANARY}}

    def some_session(self, session_id: str = "sess_1") -> Session:
        """Return a session that does not exist."""
        return Session(provider=self.provider, id=session_id, agent_id="agent_1")

    def needed(self, hook: str) -> Any:
        """Return the value of a hook that a supported feature needs."""
        value = getattr(self, hook)
        if value is None:
            pytest.fail(f"{type(self).__name__}.{hook} is None: {self.provider} supports a feature that needs it")
        return value


def answers(actions: Sequence[Any], answer: Callable[[Any], Answer]) -> list[Answer]:
    """Return the same answer for each action."""
    return [answer(action) for action in actions]
