from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import pytest

from polysession._core.fields import (
    AGENT_CLEAR_FIELDS,
    AGENT_FIELDS,
    AGENT_UPDATE_FIELDS,
    CLEAR_FIELDS,
    CREATE_FIELDS,
    LIST_FIELDS,
    UPDATE_FIELDS,
)
from polysession._core.flow import Flow
from polysession._core.operations import Operations
from polysession._core.provider import Page
from polysession.change import (
    AgentChanges,
    NativeBody,
    NewAgent,
    NewSession,
    Request,
    SessionChanges,
    SessionQuery,
    SessionRef,
)
from polysession.errors import NotFound, UnsupportedOperation, UsageError
from polysession.feature import Feature, FeatureSupport, native
from polysession.resources import Agent
from polysession.session import AgentCapability, ModelConfig, Session, SessionStatus
from support.acme import AcmeNewSession, AcmeProvider, AcmeSessionChanges, AcmeSessionQuery, acme
from support.flows import ok, step

OURS = Session(provider="acme", id="s1", agent_id="a1")
THEIRS = Session(provider="other", id="s1")
OUR_AGENT = Agent(provider="acme", id="a1", name="helper")
THEIR_AGENT = Agent(provider="other", id="a1", name="helper")

Verb = Callable[..., Any]
VERBS: Mapping[Feature, Verb] = {
    Feature.SESSIONS_CREATE: lambda operations, **values: next(operations.create_session(**values)),
    Feature.SESSIONS_GET: lambda operations: next(operations.get_session("s1")),
    Feature.SESSIONS_LIST: lambda operations, **values: next(operations.list_sessions(**values)(None)),
    Feature.SESSIONS_UPDATE: lambda operations, **values: next(operations.update_session("s1", **values)),
    Feature.SESSIONS_ARCHIVE: lambda operations: next(operations.archive_session("s1")),
    Feature.SESSIONS_DELETE: lambda operations: next(operations.delete_session("s1")),
    Feature.SESSIONS_CANCEL: lambda operations: next(operations.cancel_session("s1")),
    Feature.AGENTS_CREATE: lambda operations, **values: next(operations.create_agent(**{"name": "a"} | values)),
    Feature.AGENTS_GET: lambda operations: next(operations.get_agent("a1")),
    Feature.AGENTS_LIST: lambda operations, page_size=None: next(operations.list_agents(page_size)(None)),
    Feature.AGENTS_UPDATE: lambda operations, **values: next(operations.update_agent("a1", **values)),
    Feature.AGENTS_ARCHIVE: lambda operations: next(operations.archive_agent("a1")),
    Feature.AGENTS_DELETE: lambda operations: next(operations.delete_agent("a1")),
}
VALUES: Mapping[str, Any] = {
    "agent": "a1",
    "environment": "e1",
    "workspace": "w1",
    "title": "",
    "name": "a",
    "metadata": {"team": "red"},
    "tags": ["a"],
    "capabilities": [AgentCapability(ref="web")],
    "model": "m1",
    "permission_mode": "ask",
    "add_tags": ["b"],
    "remove_tags": ["c"],
    "statuses": [SessionStatus.IDLE],
    "title_contains": "Tick",
    "created_after": datetime(2026, 1, 1, tzinfo=UTC),
    "created_before": datetime(2026, 1, 1, tzinfo=UTC),
    "include_archived": True,
    "oldest_first": True,
    "page_size": 3,
    "system_prompt": "Be brief.",
    "description": "Helps.",
    "id": "s1",
    "owner": "alice",
    "origin": "schedule",
    "idempotency_key": "k1",
}


class Recorder(AcmeProvider):
    """Declares every feature, and records what its flows are asked for."""

    features: ClassVar[Mapping[Feature, FeatureSupport]] = dict.fromkeys(Feature, native())

    def __init__(self) -> None:
        super().__init__(acme().settings)
        self.asked: list[Any] = []

    def _record(self, *asked: Any, result: Any = None) -> Flow[Any]:
        self.asked.extend(asked)
        yield from ()
        return result

    def create_session(self, new: NewSession) -> Flow[Session]:
        return self._record(new)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        return self._record(ref, result=OURS)

    def archive_session(self, ref: SessionRef) -> Flow[Session]:
        return self._record(ref, result=OURS)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        return self._record(ref)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        return self._record(ref, changes, result=OURS)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        return self._record(query, cursor)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        return self._record(agent_id, result=OUR_AGENT)

    def update_agent(self, agent_id: str, changes: AgentChanges) -> Flow[Agent]:
        return self._record(agent_id, changes, result=OUR_AGENT)

    def archive_agent(self, agent_id: str) -> Flow[Agent]:
        return self._record(agent_id, result=OUR_AGENT)

    def delete_agent(self, agent_id: str) -> Flow[None]:
        return self._record(agent_id)


def declaring(*declared: Feature) -> Operations:
    """The operations of a provider that declares these features only."""

    class Limited(AcmeProvider):
        features: ClassVar[Mapping[Feature, FeatureSupport]] = dict.fromkeys(declared, native())

    return Operations(Limited(acme().settings))


def asked_by(verb: Callable[[Operations], Flow[Any]]) -> list[Any]:
    """The arguments that an operation gives to a provider's flow."""
    recorder = Recorder()
    step(verb(Operations(recorder)))
    return recorder.asked


def refusal(verb: Callable[[], Any]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        verb()
    return caught.value


@pytest.mark.parametrize("operation", VERBS)
def test_an_operation_that_is_not_declared_makes_no_call(operation: Feature) -> None:
    error = refusal(lambda: VERBS[operation](declaring()))

    assert isinstance(error, UnsupportedOperation)
    assert (error.provider, error.operation, error.feature) == ("acme", operation.value, operation.value)


FIELDS = [
    (operation, name, feature)
    for operation, fields in {
        Feature.SESSIONS_CREATE: CREATE_FIELDS,
        Feature.SESSIONS_UPDATE: UPDATE_FIELDS,
        Feature.SESSIONS_LIST: LIST_FIELDS,
        Feature.AGENTS_CREATE: AGENT_FIELDS,
        Feature.AGENTS_UPDATE: AGENT_UPDATE_FIELDS,
    }.items()
    for name, feature in fields.items()
]


@pytest.mark.parametrize(("operation", "name", "feature"), FIELDS)
def test_a_field_is_sent_only_if_it_is_declared(operation: Feature, name: str, feature: Feature) -> None:
    error = refusal(lambda: VERBS[operation](declaring(operation), **{name: VALUES[name]}))

    assert isinstance(error, UnsupportedOperation)
    assert (error.operation, error.feature) == (operation.value, feature.value)
    assert VERBS[operation](declaring(operation, feature), **{name: VALUES[name]})


CLEARING = [
    (operation, name, fields[name], feature)
    for operation, fields, clearing in (
        (Feature.SESSIONS_UPDATE, UPDATE_FIELDS, CLEAR_FIELDS),
        (Feature.AGENTS_UPDATE, AGENT_UPDATE_FIELDS, AGENT_CLEAR_FIELDS),
    )
    for name, feature in clearing.items()
]


@pytest.mark.parametrize(("operation", "name", "setting", "clearing"), CLEARING)
def test_clearing_a_field_needs_a_feature_of_its_own(
    operation: Feature, name: str, setting: Feature, clearing: Feature
) -> None:
    error = refusal(lambda: VERBS[operation](declaring(operation, setting), **{name: None}))

    assert isinstance(error, UnsupportedOperation)
    assert error.feature == clearing.value
    assert VERBS[operation](declaring(operation, setting, clearing), **{name: None})


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        (Feature.SESSIONS_CREATE, dict.fromkeys(CREATE_FIELDS)),
        (Feature.SESSIONS_CREATE, {"metadata": {}, "tags": [], "capabilities": ()}),
        (Feature.SESSIONS_UPDATE, {"add_tags": [], "remove_tags": ()}),
        (
            Feature.SESSIONS_LIST,
            {"statuses": [], "tags": (), "metadata": {}, "include_archived": False, "page_size": None},
        ),
        (Feature.AGENTS_CREATE, dict.fromkeys(AGENT_FIELDS)),
    ],
)
def test_nothing_asks_for_nothing(operation: Feature, values: dict[str, Any]) -> None:
    assert VERBS[operation](declaring(operation), **values)


@pytest.mark.parametrize(("name", "value"), [("tags", []), ("metadata", {}), ("title", "")])
def test_an_empty_value_of_an_update_is_a_change(name: str, value: Any) -> None:
    assert isinstance(
        refusal(lambda: VERBS[Feature.SESSIONS_UPDATE](declaring(Feature.SESSIONS_UPDATE), **{name: value})),
        UnsupportedOperation,
    )


@pytest.mark.parametrize(
    ("request_type", "fields", "others"),
    [
        (NewSession, CREATE_FIELDS, {"native"}),
        (SessionChanges, UPDATE_FIELDS, {"native"}),
        (SessionQuery, LIST_FIELDS, {"native"}),
        (NewAgent, AGENT_FIELDS, {"native", "name"}),
        (AgentChanges, AGENT_UPDATE_FIELDS, {"native", "version"}),
    ],
)
def test_every_field_of_a_request_has_a_feature(
    request_type: type[Request], fields: Mapping[str, Feature], others: set[str]
) -> None:
    assert set(request_type.model_fields) == set(fields) | others


@pytest.mark.parametrize("edit", ["add_tags", "remove_tags"])
@pytest.mark.parametrize("tags", [["a"], [], None])
def test_tags_are_replaced_or_edited_not_both(tags: list[str] | None, edit: str) -> None:
    verb = Operations(Recorder()).update_session("s1", tags=tags, **{edit: ["b"]})

    assert "either tags, or add_tags and remove_tags" in refusal(lambda: next(verb)).message


NATIVES: list[tuple[Verb, NativeBody]] = [
    (lambda operations, native: operations.create_session(native=native), AcmeNewSession(acme_region="eu")),
    (lambda operations, native: operations.update_session("s1", native=native), AcmeSessionChanges(acme_region="eu")),
    (lambda operations, native: operations.list_sessions(native=native)(None), AcmeSessionQuery(acme_region="eu")),
]


@pytest.mark.parametrize(("verb", "body"), NATIVES)
def test_a_native_body_reaches_the_provider_as_it_is(verb: Verb, body: NativeBody) -> None:
    asked = asked_by(lambda operations: verb(operations, body))

    assert body in [getattr(request, "native", None) for request in asked]


@pytest.mark.parametrize(("verb", "body"), NATIVES)
def test_a_native_body_of_another_kind_is_refused(verb: Verb, body: NativeBody) -> None:
    operations = Operations(acme())

    error = refusal(lambda: next(verb(operations, NativeBody())))

    assert error.message == f"native must be a {type(body).__name__}, not a NativeBody"


def test_a_native_body_is_refused_where_the_provider_takes_none() -> None:
    flow = Operations(acme()).create_agent(name="a", native=AcmeNewSession())

    assert refusal(lambda: next(flow)).message == "acme accepts no native body for this operation"


HANDLES: list[Verb] = [
    lambda operations, session: operations.get_session(session),
    lambda operations, session: operations.update_session(session),
    lambda operations, session: operations.archive_session(session),
    lambda operations, session: operations.delete_session(session),
]


@pytest.mark.parametrize("verb", HANDLES)
@pytest.mark.parametrize(("session", "ref"), [(OURS, SessionRef("s1", "a1")), ("s1", SessionRef("s1"))])
def test_a_session_is_given_whole_or_by_its_id(verb: Verb, session: Session | str, ref: SessionRef) -> None:
    assert asked_by(lambda operations: verb(operations, session))[0] == ref


@pytest.mark.parametrize("verb", HANDLES)
@pytest.mark.parametrize(
    ("session", "said"),
    [
        (THEIRS, "Session 's1' comes from provider 'other'; this client uses 'acme'"),
        (OUR_AGENT, "the session id must be text, not Agent"),
        (None, "the session id must be text, not NoneType"),
        ("../agents", "the session id '../agents' contains '/'"),
    ],
)
def test_a_handle_of_nothing_of_ours_makes_no_call(verb: Verb, session: Any, said: str) -> None:
    assert said in refusal(lambda: next(verb(Operations(Recorder()), session))).message


def test_a_change_of_an_agent_names_the_version_that_the_caller_knows() -> None:
    known = OUR_AGENT.model_copy(update={"version": "3"})
    for agent, version in ((known, "3"), (OUR_AGENT, None), ("a1", None)):
        asked = asked_by(partial(Operations.update_agent, agent=agent, name="b"))
        assert asked == ["a1", AgentChanges(name="b", version=version)]


@pytest.mark.parametrize("agent", [OUR_AGENT, "a1"])
def test_an_agent_is_given_whole_or_by_its_id(agent: Agent | str) -> None:
    assert asked_by(lambda operations: operations.get_agent(agent)) == ["a1"]
    assert asked_by(lambda operations: operations.archive_agent(agent)) == ["a1"]
    assert asked_by(lambda operations: operations.delete_agent(agent)) == ["a1"]
    assert asked_by(lambda operations: operations.create_session(agent=agent))[0].agent == "a1"
    assert asked_by(lambda operations: operations.list_sessions(agent=agent)(None))[0].agent == "a1"


@pytest.mark.parametrize(
    "verb",
    [
        lambda operations, agent: next(operations.get_agent(agent)),
        lambda operations, agent: next(operations.create_session(agent=agent)),
        lambda operations, agent: operations.list_sessions(agent=agent),
    ],
)
@pytest.mark.parametrize("agent", [THEIR_AGENT, 5])
def test_an_agent_of_nothing_of_ours_makes_no_call(verb: Verb, agent: Any) -> None:
    assert refusal(lambda: verb(Operations(acme()), agent)).attempts == 0


@pytest.mark.parametrize("agent_id", ["", "../sessions", "a/b"])
def test_a_malformed_agent_id_does_not_reach_the_provider(agent_id: str) -> None:
    recorder = Recorder()

    assert "agent id" in refusal(lambda: next(Operations(recorder).get_agent(agent_id))).message
    assert recorder.asked == []


def test_a_model_may_be_its_id() -> None:
    new = asked_by(lambda operations: operations.create_session(model="m1"))[0]
    changes = asked_by(lambda operations: operations.update_session("s1", model="m1"))[1]

    assert new.model == changes.model == ModelConfig(id="m1")


@pytest.mark.parametrize("operation", [Feature.SESSIONS_LIST, Feature.AGENTS_LIST])
@pytest.mark.parametrize("page_size", [0, -1, "3"])
def test_a_page_size_counts_from_one_and_is_checked_at_once(operation: Feature, page_size: Any) -> None:
    operations = Operations(acme())
    lists: Mapping[Feature, Verb] = {
        Feature.SESSIONS_LIST: operations.list_sessions,
        Feature.AGENTS_LIST: operations.list_agents,
    }

    error = refusal(lambda: lists[operation](page_size=page_size))

    assert "page_size" in error.message
    assert (error.provider, error.operation) == ("acme", operation.value)


def test_a_list_passes_its_cursor_on() -> None:
    assert asked_by(lambda operations: operations.list_sessions()("next")) == [SessionQuery(), "next"]


def test_a_wrong_argument_is_named() -> None:
    flow = Operations(acme()).create_session(title=5)

    assert refusal(lambda: next(flow)).message == "invalid argument: title: Input should be a valid string"


def missing(*, outcome_unknown: bool) -> NotFound:
    error = NotFound("no such session", attempts=2)
    error.outcome_unknown = outcome_unknown
    return error


def test_a_deletion_that_may_have_been_made_by_an_earlier_attempt_may_find_nothing() -> None:
    calls, _ = step(Operations(acme()).delete_session("s1"), missing(outcome_unknown=True))

    assert [(call.method, call.path) for call in calls] == [("DELETE", "/sessions/s1")]


def test_any_other_deletion_must_find_its_session() -> None:
    with pytest.raises(NotFound):
        step(Operations(acme()).delete_session("s1"), missing(outcome_unknown=False))


def test_a_flow_is_passed_through_to_its_result() -> None:
    calls, session = step(Operations(acme()).get_session("s1"), ok({"id": "s1", "title": "Ticket"}))

    assert [call.path for call in calls] == ["/sessions/s1"]
    assert session.title == "Ticket"
