"""Declarations: a provider's declarations are true, and its code stays within its limits."""

from __future__ import annotations

import ast
import importlib
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from polysession import (
    AgentCapability,
    Answer,
    Approve,
    Client,
    Event,
    Feature,
    MediaBlock,
    Outcome,
    PolysessionError,
    Reply,
    RetryPolicy,
    Session,
    SessionStatus,
    Support,
    TextBlock,
    ToolApproval,
    ToolOutput,
    UnsupportedOperation,
)
from polysession._core.fields import AGENT_CLEAR_FIELDS, AGENT_UPDATE_FIELDS, CLEAR_FIELDS, UPDATE_FIELDS
from polysession.plugins import open_provider
from polysession.provider_api import Call, NativeBody, NewSession, SessionQuery, SessionRef
from polysession.testing.backend import Backend
from polysession.testing.base import CANARY, ContractBase
from polysession.testing.faces import Face
from polysession.testing.fault_server import FaultServer, http
from polysession.testing.marks import covers

_NO_RETRY: Final = RetryPolicy(attempts=1)
_HTTP_AND_WAITING: Final = frozenset(
    {
        "aiohttp",
        "anyio",
        "asyncio",
        "http.client",
        "httpx",
        "httpx2",
        "requests",
        "socket",
        "time",
        "trio",
        "urllib.request",
        "urllib3",
    }
)
_COMMON_TYPES: Final = frozenset(
    member.model_fields["type"].default
    for member in get_args(Event)  # each event class has a fixed type
)


_NATIVE_BODIES: Final = (
    "new_session",
    "session_changes",
    "session_query",
    "new_agent",
    "new_environment",
    "message",
    "answer",
)


def _update(**changes: Any) -> Callable[[Client, Session], object]:
    return lambda client, session: client.sessions.update(session, **changes)


def _create(**values: Any) -> Callable[[Client, Session], object]:
    return lambda client, _: client.sessions.create(**values)


def _list(**query: Any) -> Callable[[Client, Session], object]:
    return lambda client, _: list(client.sessions.list(**query))


def _agent(**values: Any) -> Callable[[Client, Session], object]:
    return lambda client, _: client.agents.create(name="contract", **values)


def _agent_update(**changes: Any) -> Callable[[Client, Session], object]:
    return lambda client, _: client.agents.update("agent_1", **changes)


def _environment(**values: Any) -> Callable[[Client, Session], object]:
    return lambda client, _: client.environments.create(name="contract", **values)


def _run(client: Client, session: Session, **options: Any) -> None:
    with client.sessions.run(session, "hello", deadline_s=5, **options) as turn:
        turn.wait()


def _rejoin(client: Client, session: Session) -> None:
    with client.sessions.rejoin(session, "Y3Vyc29y", deadline_s=5) as turn:
        turn.wait()


def _stream(client: Client, session: Session) -> None:
    with client.sessions.stream(session, deadline_s=5) as events:
        next(events)


_IMAGE: Final = MediaBlock(type="image", url="https://images.example/a.png", media_type="image/png")
_DOCUMENT: Final = MediaBlock(type="document", url="https://files.example/a.pdf", media_type="application/pdf")
_LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)

ATTEMPTS: Final[dict[Feature, Callable[[Client, Session], object]]] = {
    Feature.SESSIONS_CREATE: _create(),
    Feature.SESSIONS_GET: lambda client, session: client.sessions.get(session),
    Feature.SESSIONS_LIST: _list(),
    Feature.SESSIONS_UPDATE: _update(),
    Feature.SESSIONS_ARCHIVE: lambda client, session: client.sessions.archive(session),
    Feature.SESSIONS_DELETE: lambda client, session: client.sessions.delete(session),
    Feature.SESSIONS_CANCEL: lambda client, session: client.sessions.cancel(session),
    Feature.SESSIONS_SEND: lambda client, session: client.sessions.send(session, "hello"),
    Feature.SESSIONS_STREAM: _stream,
    Feature.SESSIONS_RUN: _run,
    Feature.SESSIONS_EVENTS: lambda client, session: list(client.sessions.events(session)),
    Feature.SESSIONS_MESSAGES: lambda client, session: list(client.sessions.messages(session)),
    Feature.SESSIONS_ANSWER: lambda client, session: client.sessions.answer(session, [ToolOutput("call_1", "42")]),
    Feature.SESSIONS_PENDING_ACTIONS: lambda client, session: client.sessions.pending_actions(session),
    Feature.SESSIONS_REJOIN: _rejoin,
    Feature.ENVIRONMENTS_CREATE: _environment(),
    Feature.ENVIRONMENTS_GET: lambda client, _: client.environments.get("environment_1"),
    Feature.ENVIRONMENTS_LIST: lambda client, _: list(client.environments.list()),
    Feature.MODELS_LIST: lambda client, _: list(client.models.list()),
    Feature.AGENTS_CREATE: _agent(),
    Feature.AGENTS_GET: lambda client, _: client.agents.get("agent_1"),
    Feature.AGENTS_LIST: lambda client, _: list(client.agents.list()),
    Feature.AGENTS_UPDATE: _agent_update(),
    Feature.AGENTS_ARCHIVE: lambda client, _: client.agents.archive("agent_1"),
    Feature.AGENTS_DELETE: lambda client, _: client.agents.delete("agent_1"),
    Feature.SESSIONS_CREATE_AGENT: _create(agent="agent_1"),
    Feature.SESSIONS_CREATE_ENVIRONMENT: _create(environment="environment_1"),
    Feature.SESSIONS_CREATE_WORKSPACE: _create(workspace="workspace_1"),
    Feature.SESSIONS_CREATE_TITLE: _create(title="Ticket"),
    Feature.SESSIONS_CREATE_METADATA: _create(metadata={"team": "red"}),
    Feature.SESSIONS_CREATE_TAGS: _create(tags=["red"]),
    Feature.SESSIONS_CREATE_CAPABILITIES: _create(capabilities=[AgentCapability(ref="web_fetch")]),
    Feature.SESSIONS_CREATE_MODEL: _create(model="model_1"),
    Feature.SESSIONS_CREATE_PERMISSION_MODE: _create(permission_mode="default"),
    Feature.SESSIONS_CREATE_ID: _create(id="session-1"),
    Feature.SESSIONS_CREATE_OWNER: _create(owner="alice"),
    Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY: _create(idempotency_key="key-1"),
    Feature.SESSIONS_UPDATE_TITLE: _update(title="Done"),
    Feature.SESSIONS_UPDATE_METADATA: _update(metadata={"team": "blue"}),
    Feature.SESSIONS_UPDATE_TAGS: _update(tags=["blue"]),
    Feature.SESSIONS_UPDATE_TAGS_EDIT: _update(add_tags=["blue"]),
    Feature.SESSIONS_UPDATE_MODEL: _update(model="model_1"),
    Feature.SESSIONS_UPDATE_PERMISSION_MODE: _update(permission_mode="default"),
    Feature.SESSIONS_UPDATE_TITLE_CLEAR: _update(title=None),
    Feature.SESSIONS_UPDATE_METADATA_REMOVE: _update(metadata={"team": None}),
    Feature.SESSIONS_UPDATE_METADATA_CLEAR: _update(metadata=None),
    Feature.SESSIONS_UPDATE_TAGS_CLEAR: _update(tags=None),
    Feature.SESSIONS_UPDATE_MODEL_CLEAR: _update(model=None),
    Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR: _update(permission_mode=None),
    Feature.SESSIONS_LIST_OWNER: _list(owner="alice"),
    Feature.SESSIONS_LIST_ORIGIN: _list(origin="schedule"),
    Feature.SESSIONS_LIST_AGENT: _list(agent="agent_1"),
    Feature.SESSIONS_LIST_STATUSES: _list(statuses=[SessionStatus.IDLE]),
    Feature.SESSIONS_LIST_TITLE_CONTAINS: _list(title_contains="Ticket"),
    Feature.SESSIONS_LIST_TAGS: _list(tags=["red"]),
    Feature.SESSIONS_LIST_METADATA: _list(metadata={"team": "red"}),
    Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: _list(include_archived=True),
    Feature.SESSIONS_LIST_CREATED: _list(created_after=_LONG_AGO),
    Feature.SESSIONS_LIST_OLDEST_FIRST: _list(oldest_first=True),
    Feature.SESSIONS_LIST_PAGE_SIZE: _list(page_size=5),
    Feature.SESSIONS_SEND_IMAGE: lambda client, session: client.sessions.send(session, [TextBlock(text="See"), _IMAGE]),
    Feature.SESSIONS_SEND_DOCUMENT: lambda client, session: client.sessions.send(
        session, [TextBlock(text="Read"), _DOCUMENT]
    ),
    Feature.SESSIONS_SEND_IDEMPOTENCY_KEY: lambda client, session: client.sessions.send(
        session, "hello", idempotency_key="key-1"
    ),
    Feature.SESSIONS_RUN_IDEMPOTENCY_KEY: lambda client, session: _run(client, session, idempotency_key="key-1"),
    Feature.SESSIONS_EVENTS_NEWEST_FIRST: lambda client, session: list(
        client.sessions.events(session, newest_first=True)
    ),
    Feature.SESSIONS_MESSAGES_NEWEST_FIRST: lambda client, session: list(
        client.sessions.messages(session, newest_first=True)
    ),
    Feature.SESSIONS_ANSWER_APPROVAL: lambda client, session: client.sessions.answer(session, [Approve("call_1")]),
    Feature.SESSIONS_ANSWER_OUTPUT: lambda client, session: client.sessions.answer(
        session, [ToolOutput("call_1", "42")]
    ),
    Feature.SESSIONS_ANSWER_ARGUMENTS: lambda client, session: client.sessions.answer(
        session, [Approve("call_1", arguments={"path": "a"})]
    ),
    Feature.SESSIONS_ANSWER_QUESTION: lambda client, session: client.sessions.answer(session, [Reply("call_1", "yes")]),
    Feature.ENVIRONMENTS_CREATE_DESCRIPTION: _environment(description="Builds what is broken"),
    Feature.ENVIRONMENTS_CREATE_METADATA: _environment(metadata={"team": "red"}),
    Feature.AGENTS_CREATE_MODEL: _agent(model="model_1"),
    Feature.AGENTS_CREATE_SYSTEM_PROMPT: _agent(system_prompt="Be brief."),
    Feature.AGENTS_CREATE_DESCRIPTION: _agent(description="Mends what is broken"),
    Feature.AGENTS_UPDATE_NAME: _agent_update(name="contract"),
    Feature.AGENTS_UPDATE_MODEL: _agent_update(model="model_1"),
    Feature.AGENTS_UPDATE_SYSTEM_PROMPT: _agent_update(system_prompt="Be brief."),
    Feature.AGENTS_UPDATE_DESCRIPTION: _agent_update(description="Mends what is broken"),
    Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR: _agent_update(system_prompt=None),
    Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR: _agent_update(description=None),
}
"""A call that uses the feature, for each feature."""


class DeclarationContract(ContractBase):
    """Every feature is declared, and the declarations are true."""

    @pytest.mark.parametrize("feature", list(Feature), ids=str)
    def test_every_feature_is_declared_and_explained(self, feature: Feature) -> None:
        declared = self.declared().features.get(feature)

        assert declared is not None, f"declare {feature.name}: native(), emulated(cost) or unsupported(hint)"
        assert declared.support is Support.NATIVE or declared.note, (
            "add the cost of the emulation, or a hint for an alternative"
        )

    @pytest.mark.parametrize("feature", list(Feature), ids=str)
    def test_what_is_declared_is_what_happens(self, face: Face, backend: Backend, feature: Feature) -> None:
        """Unsupported features are refused before anything is sent; supported ones are not refused."""
        refused: UnsupportedOperation | None = None
        with FaultServer(http(404)) as server:
            settings = {**backend.settings, "base_url": server.url}
            with self.open(face, settings, retry=_NO_RETRY, timeout=5) as client:
                try:
                    ATTEMPTS[feature](client, self.some_session())
                except UnsupportedOperation as error:
                    refused = error
                except PolysessionError:
                    pass

        needed = [feature, *_NEEDS.get(feature, ())]
        missing = [each for each in needed if not self.supports(each)]
        if not missing:
            assert refused is None or refused.feature != feature, "it is declared as supported, but was refused"
            return
        assert refused is not None, "it is declared as unsupported, but was not refused"
        assert refused.feature in missing
        assert (refused.provider, refused.attempts) == (self.provider, 0)
        assert server.connections == 0
        assert refused.hint == self.declared().support(Feature(refused.feature)).note

    @covers(Feature.SESSIONS_RUN)
    def test_the_table_of_events_is_what_is_seen(self, client: Client, session: Session) -> None:
        table = self.declared().event_types()

        for said in (self.script.plain, self.script.think, self.script.tool, self.script.client_tool):
            received = [event for event in self.events_of_turn(client, session, said) if not event.synthetic]
            assert received, "the backend sent none of the events"
            for event in received:
                assert event.native_type in table, f"{event.native_type!r} is not in event_types"
                assert event.type in table[event.native_type], (
                    f"{event.native_type!r} must be declared as {event.type!r}"
                )

    def events_of_turn(self, client: Client, session: Session, said: str) -> list[Event]:
        """Return the events of a turn, including those after an answer if it needed one."""
        events, result = self.run(client, session, said)
        if result.outcome is Outcome.REQUIRES_ACTION:
            answers: list[Answer] = [
                Approve(action) if isinstance(action, ToolApproval) else ToolOutput(action, "42")
                for action in result.actions
            ]
            events += self.run(client, session, answers)[0]
        return events

    @covers(needs=lambda declared: bool(declared.event_types()))
    def test_the_table_of_events_names_common_events(self) -> None:
        for native_type, common in self.declared().event_types().items():
            assert set(common) <= _COMMON_TYPES, f"{native_type!r} is declared as an unknown event type"

    @pytest.mark.parametrize(
        "name", ["new_session", "session_changes", "session_query", "new_agent", "new_environment", "message", "answer"]
    )
    def test_a_type_of_native_bodies_is_one(self, name: str) -> None:
        declared = getattr(self.declared(), f"{name}_type")
        assert declared is None or issubclass(declared, NativeBody)

    def test_the_resume_mode_is_public(self, face: Face, backend: Backend) -> None:
        with self.open(face, backend.settings) as client:
            assert client.resume_mode is self.declared().resume_mode

    def test_the_provider_names_its_documentation(self) -> None:
        assert self.declared().docs_url.startswith("https://")

    def test_no_repr_shows_a_secret(self, face: Face, backend: Backend) -> None:
        settings = {**backend.settings, **self.canaries()}
        with self.open(face, settings) as client:
            shown = f"{client!r} {client.sessions!r} {open_provider(self.provider, settings, {}).settings!r}"
        assert CANARY not in shown
        assert self.provider in shown

    def test_a_flow_reaches_for_nothing(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        """A flow builds its first call without a network, and without waiting."""

        def forbidden(*_: object, **__: object) -> None:
            pytest.fail("the provider opens a socket or sleeps; only a driver may do that")

        provider = open_provider(self.provider, backend.settings, {})
        owner = self.owner(backend)  # the core fills it in, where the backend needs one
        ref = SessionRef("sess_1", "agent_1", owner)
        query = SessionQuery(agent=backend.agent_id, owner=owner)
        new = NewSession(**{"owner": owner, **self.session_values(backend)})
        flows: dict[Feature, Callable[[], Iterator[Call]]] = {
            Feature.SESSIONS_CREATE: lambda: provider.create_session(new),
            Feature.SESSIONS_GET: lambda: provider.get_session(ref),
            Feature.SESSIONS_LIST: lambda: provider.list_sessions(query, None),
            Feature.SESSIONS_DELETE: lambda: provider.delete_session(ref),
            Feature.SESSIONS_CANCEL: lambda: provider.cancel_session(ref),
            Feature.SESSIONS_MESSAGES: lambda: provider.list_messages(ref, None, None),
        }
        monkeypatch.setattr(socket, "socket", forbidden)
        monkeypatch.setattr(time, "sleep", forbidden)
        for feature in filter(self.supports, flows):
            call = next(flows[feature]())
            assert isinstance(call, Call)
            assert call.path.startswith("/")

    def test_the_provider_imports_the_provider_api_only(self) -> None:
        """The emulator may import more, because it is a server."""
        root = importlib.import_module(self.declared().__module__.partition(".")[0])
        emulator = (self.declared().emulator or "").partition(":")[0]
        for module, path in _modules(root.__name__, Path(str(root.__file__))):
            if emulator and (module == emulator or module.startswith(f"{emulator}.")):
                continue
            for imported in _imports(path):
                banned = [name for name in _HTTP_AND_WAITING if f"{imported}.".startswith(f"{name}.")]
                assert not banned, f"{module} imports {imported}; only a driver does I/O and waits"
                allowed = imported.partition(".")[0] != "polysession" or imported.startswith("polysession.provider_api")
                assert allowed, f"{module} imports {imported}; import it from polysession.provider_api"


_FIELD_OF: Final = {feature: Feature(feature.operation) for feature in Feature}
_NEEDS: Final[dict[Feature, tuple[Feature, ...]]] = {
    **{feature: (operation,) for feature, operation in _FIELD_OF.items() if operation is not feature},
    Feature.SESSIONS_ANSWER: (Feature.SESSIONS_ANSWER_OUTPUT,),
    Feature.SESSIONS_ANSWER_ARGUMENTS: (Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_APPROVAL),
    Feature.SESSIONS_UPDATE_METADATA_REMOVE: (Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_METADATA),
    **{
        clearing: (Feature(clearing.operation), fields[name])
        for fields, to_clear in ((UPDATE_FIELDS, CLEAR_FIELDS), (AGENT_UPDATE_FIELDS, AGENT_CLEAR_FIELDS))
        for name, clearing in to_clear.items()
    },
}
"""Additional values for a call in `ATTEMPTS`."""


def _modules(name: str, file: Path) -> Iterator[tuple[str, Path]]:
    """Return the modules of a package, or the single module, with their files."""
    if file.name != "__init__.py":
        yield name, file
        return
    for path in sorted(file.parent.rglob("*.py")):
        parts = path.relative_to(file.parent).with_suffix("").parts
        yield ".".join([name, *(part for part in parts if part != "__init__")]), path


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
