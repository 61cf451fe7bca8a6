"""Which session is meant, whose it is, and what the other arguments of an operation may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from polysession._core.flow import Flow
from polysession._core.operations import Operations
from polysession._core.provider import Page, TurnInput
from polysession.action import (
    Answer,
    Approve,
    Deny,
    PendingAction,
    Question,
    Reply,
    ToolApproval,
    ToolExecution,
    ToolOutput,
)
from polysession.change import NativeBody, NewEnvironment, NewSession, SessionChanges, SessionQuery, SessionRef
from polysession.errors import Conflict, MalformedResponse, UnsupportedOperation, UsageError
from polysession.feature import Feature, FeatureSupport, WhenWaiting, native
from polysession.message import Block
from polysession.resources import Agent, Environment, Model
from polysession.session import ModelConfig, Session, SessionStatus
from support.acme import AcmeProvider, AcmeSettings, acme
from support.flows import step

APPROVAL = ToolApproval(id="t1", name="rm", arguments={})
EXECUTION = ToolExecution(id="t2", name="screenshot", arguments={})
QUESTION = Question(id="q1", prompt="Which colour?")
LAB = Environment(provider="acme", id="e1")


class AcmeMessage(NativeBody):
    acme_urgent: bool | None = None


class AcmeAnswer(NativeBody):
    acme_comment: str | None = None


class Recorder(AcmeProvider):
    """Declares every feature, and records what its flows are asked for."""

    features: ClassVar[Mapping[Feature, FeatureSupport]] = dict.fromkeys(Feature, native())
    message_type = AcmeMessage
    answer_type = AcmeAnswer
    largest_page = 100

    def __init__(self, settings: AcmeSettings | None = None, *, pending: tuple[PendingAction, ...] = ()) -> None:
        super().__init__(settings or acme().settings)
        self.asked: list[Any] = []
        self.pending = pending

    def _record(self, *asked: Any, result: Any = None) -> Flow[Any]:
        self.asked.extend(asked)
        yield from ()
        return result

    def create_session(self, new: NewSession) -> Flow[Session]:
        return self._record(new)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        return self._record(ref, result=Session(provider="acme", id=ref.id))

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        return self._record(query, cursor)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        return self._record(ref, changes, result=Session(provider="acme", id=ref.id))

    def send_message(self, ref: SessionRef, content: tuple[Block, ...], **options: Any) -> Flow[None]:
        return self._record(ref, content, options)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **options: Any) -> Flow[Any]:
        return self._record(ref, turn_input, options)

    def answer_actions(self, ref: SessionRef, answers: tuple[Answer, ...], **options: Any) -> Flow[None]:
        return self._record(ref, answers, options)

    def list_messages(self, ref: SessionRef, page_size: int | None, cursor: str | None, **options: Any) -> Flow[Any]:
        return self._record(ref, page_size, cursor, options)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        assert ref.id == "s1"
        yield from ()
        return self.pending

    def create_environment(self, new: NewEnvironment) -> Flow[Environment]:
        return self._record(new)

    def get_environment(self, environment_id: str) -> Flow[Environment]:
        return self._record(environment_id, result=Environment(provider="acme", id=environment_id))


class OwnedSettings(AcmeSettings):
    user_id: str | None = None


class Owned(Recorder):
    """Its sessions are addressed by their owner."""

    owner_setting = "user_id"


def owned(user_id: str | None) -> Owned:
    return Owned(OwnedSettings(token="t", user_id=user_id))


def without(*missing: Feature) -> Recorder:
    class Poorer(Recorder):
        features: ClassVar[Mapping[Feature, FeatureSupport]] = {
            feature: native() for feature in Feature if feature not in missing
        }

    return Poorer()


def asked(verb: Callable[[Operations], Flow[Any]], provider: Recorder | None = None) -> list[Any]:
    provider = provider or Recorder()
    step(verb(Operations(provider)))
    return provider.asked


def refusal(verb: Callable[[Operations], Any], provider: Recorder | None = None) -> UsageError:
    provider = provider or Recorder()
    with pytest.raises(UsageError) as caught:
        step(verb(Operations(provider)))
    assert provider.asked == []
    return caught.value


def of(owner_id: str | None) -> Session:
    return Session(provider="acme", id="s1", owner_id=owner_id)


@pytest.mark.parametrize(
    ("user_id", "handle", "owner"),
    [
        ("alice", of("alice"), "alice"),
        ("alice", of(None), "alice"),
        ("alice", "s1", "alice"),
        ("alice", SessionRef("s1", owner_id="alice"), "alice"),
        (None, of("alice"), "alice"),
        (None, SessionRef("s1", owner_id="bob"), "bob"),
    ],
)
def test_a_handle_carries_its_owner(user_id: str | None, handle: Any, owner: str) -> None:
    (ref,) = asked(lambda operations: operations.get_session(handle), owned(user_id))

    assert (ref.id, ref.owner_id) == ("s1", owner)


@pytest.mark.parametrize("handle", [of("alice"), SessionRef("s1", owner_id="alice")])
def test_the_session_of_alice_is_never_read_from_bob(handle: Any) -> None:
    error = refusal(lambda operations: operations.get_session(handle), owned("bob"))

    assert error.message == "session 's1' belongs to 'alice', but the user_id of this client is 'bob'"


@pytest.mark.parametrize("handle", [of(None), "s1", SessionRef("s1")])
def test_a_client_of_many_users_needs_an_owner(handle: Any) -> None:
    assert "session 's1' needs an owner" in refusal(lambda ops: ops.get_session(handle), owned(None)).message


@pytest.mark.parametrize("owner", ["", "a/b", ".."])
def test_an_owner_stands_in_a_path(owner: str) -> None:
    assert "owner" in refusal(lambda ops: ops.get_session(SessionRef("s1", owner_id=owner)), owned(None)).message


@pytest.mark.parametrize(
    "verb",
    [
        lambda operations, **values: operations.create_session(**values),
        lambda operations, **values: operations.list_sessions(**values)(None),
    ],
)
def test_a_creation_and_a_list_have_an_owner(verb: Any) -> None:
    assert asked(verb, owned("alice"))[0].owner == "alice"
    assert asked(lambda operations: verb(operations, owner="bob"), owned(None))[0].owner == "bob"
    assert "this call needs an owner" in refusal(verb, owned(None)).message
    assert "belongs to 'bob'" in refusal(lambda operations: verb(operations, owner="bob"), owned("alice")).message


def test_where_the_credential_decides_an_owner_is_only_information() -> None:
    (ref,) = asked(lambda operations: operations.get_session(of("alice")))

    assert ref.owner_id == "alice"
    assert asked(lambda operations: operations.create_session())[0].owner is None


def test_a_handle_carries_what_the_backend_sent() -> None:
    session = Session(provider="acme", id="s1", source=b'{"id": "s1", "shard": 7}')

    (ref,) = asked(lambda operations: operations.get_session(session))

    assert ref.native == {"id": "s1", "shard": 7}
    assert SessionRef("s1").native == {}
    assert "shard" not in repr(ref)


class Confused(Recorder):
    """Answers about another resource than the one that was asked for."""

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        return self._record(ref, result=Session(provider="acme", id="s2"))

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        return self._record(ref, changes, result=Session(provider="acme", id="s2"))

    def archive_session(self, ref: SessionRef) -> Flow[Session]:
        return self._record(ref, result=Session(provider="acme", id="s2"))

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        return self._record(agent_id, result=Agent(provider="acme", id="s2"))

    def get_environment(self, environment_id: str) -> Flow[Environment]:
        return self._record(environment_id, result=Environment(provider="acme", id="s2"))


@pytest.mark.parametrize(
    "verb",
    [
        lambda operations: operations.get_session("s1"),
        lambda operations: operations.update_session("s1", title="T"),
        lambda operations: operations.archive_session("s1"),
        lambda operations: operations.get_agent("s1"),
        lambda operations: operations.get_environment("s1"),
    ],
)
def test_an_answer_about_something_else_is_an_error(verb: Callable[[Operations], Flow[Any]]) -> None:
    with pytest.raises(MalformedResponse, match="the response is about 's2', but 's1' was requested"):
        step(verb(Operations(Confused())))


@pytest.mark.parametrize("status", ["idle", SessionStatus.IDLE])
def test_a_status_is_given_as_such_or_as_text(status: Any) -> None:
    query, _ = asked(lambda operations: operations.list_sessions(statuses=[status, "failed"])(None))

    assert query.statuses == [SessionStatus.IDLE, SessionStatus.FAILED]
    assert all(isinstance(each, SessionStatus) for each in query.statuses)


def test_an_unknown_status_is_refused() -> None:
    error = refusal(lambda operations: operations.list_sessions(statuses=["busy"])(None))

    assert error.message.startswith("unknown status 'busy'; expected one of idle, running, ")
    assert refusal(lambda operations: operations.list_sessions(statuses="idle")(None)).message.startswith("invalid arg")


@pytest.mark.parametrize(
    "values", [{"model": {"id": "m"}}, {"capabilities": [{"ref": "web"}]}, {"native": {}}, {"environment": {"id": "e"}}]
)
def test_a_dict_is_no_model(values: dict[str, Any]) -> None:
    assert refusal(lambda operations: operations.create_session(**values)).message.startswith("invalid argument: ")


def test_records_are_taken_for_what_they_name() -> None:
    model = Model(provider="acme", id="m1", type="key", credential_id="c1")

    (new,) = asked(lambda operations: operations.create_session(environment=LAB, model=model))

    assert new.environment == "e1"
    assert new.model == ModelConfig(id="m1", type="key", credential_id="c1")
    assert asked(lambda operations: operations.get_environment(LAB)) == ["e1"]


@pytest.mark.parametrize(
    "values", [{"environment": Environment(provider="other", id="e")}, {"model": Model(provider="other", id="m")}]
)
def test_a_record_of_another_provider_is_refused(values: dict[str, Any]) -> None:
    assert "comes from provider 'other'" in refusal(lambda operations: operations.create_session(**values)).message


def test_the_removal_of_a_key_is_a_feature_of_its_own() -> None:
    poorer = without(Feature.SESSIONS_UPDATE_METADATA_REMOVE)

    error = refusal(lambda operations: operations.update_session("s1", metadata={"a": "1", "b": None}), poorer)

    assert isinstance(error, UnsupportedOperation)
    assert error.feature == "sessions.update metadata[key]=None"
    changes = asked(lambda operations: operations.update_session("s1", metadata={"a": "1"}), poorer)[1]
    assert changes.metadata == {"a": "1"}


ANSWERS = [Approve("a"), Deny("a"), ToolOutput("a", "42"), Reply("a", "blue")]


@pytest.mark.parametrize("answer", [Approve(APPROVAL), Deny(APPROVAL), ToolOutput(EXECUTION, "42"), Reply(QUESTION, 5)])
def test_an_answer_fits_its_action(answer: Answer) -> None:
    assert asked(lambda operations: operations.answer_actions("s1", [answer]))[1] == (answer,)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Approve(EXECUTION), "action 't2' must be answered with ToolOutput, not with Approve"),
        (Deny(QUESTION), "action 'q1' must be answered with Reply, not with Deny"),
        (ToolOutput(APPROVAL, "42"), "action 't1' must be answered with Approve or Deny, not with ToolOutput"),
        (Reply(EXECUTION, "42"), "action 't2' must be answered with ToolOutput, not with Reply"),
    ],
)
def test_an_answer_to_another_kind_of_action_is_refused(answer: Answer, message: str) -> None:
    assert refusal(lambda operations: operations.answer_actions("s1", [answer])).message == message


@pytest.mark.parametrize(
    ("answer", "feature"),
    [
        (Reply("q1", "blue"), Feature.SESSIONS_ANSWER_QUESTION),
        (Approve("t1", arguments={"path": "a"}), Feature.SESSIONS_ANSWER_ARGUMENTS),
        (Approve("t1", arguments={}), Feature.SESSIONS_ANSWER_ARGUMENTS),
    ],
)
def test_questions_and_edited_arguments_need_their_feature(answer: Answer, feature: Feature) -> None:
    error = refusal(lambda operations: operations.answer_actions("s1", [answer]), without(feature))

    assert isinstance(error, UnsupportedOperation)
    assert error.feature == feature.value


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        (lambda operations, **options: operations.send_message("s1", "hi", **options), AcmeMessage(acme_urgent=True)),
        (lambda operations, **options: operations.start_turn("s1", "hi", **options), AcmeMessage(acme_urgent=True)),
        (
            lambda operations, **options: operations.start_turn("s1", [Approve("a")], **options),
            AcmeAnswer(acme_comment="x"),
        ),
        (
            lambda operations, **options: operations.answer_actions("s1", [Approve("a")], **options),
            AcmeAnswer(acme_comment="x"),
        ),
    ],
)
def test_a_native_body_goes_with_a_message_or_an_answer(verb: Any, body: NativeBody) -> None:
    assert asked(lambda operations: verb(operations, native=body))[2] == {"native": body}
    assert asked(verb)[2] == {}
    other = AcmeAnswer() if isinstance(body, AcmeMessage) else AcmeMessage()
    assert "native must be a" in refusal(lambda operations: verb(operations, native=other)).message


@pytest.mark.parametrize(
    ("verb", "feature"),
    [
        (
            lambda operations, key: operations.send_message("s1", "hi", idempotency_key=key),
            Feature.SESSIONS_SEND_IDEMPOTENCY_KEY,
        ),
        (
            lambda operations, key: operations.start_turn("s1", "hi", idempotency_key=key),
            Feature.SESSIONS_RUN_IDEMPOTENCY_KEY,
        ),
    ],
)
def test_an_idempotency_key_needs_its_feature(verb: Any, feature: Feature) -> None:
    assert asked(lambda operations: verb(operations, "k1"))[2] == {"idempotency_key": "k1"}
    assert isinstance(refusal(lambda operations: verb(operations, "k1"), without(feature)), UnsupportedOperation)
    for key in ("", 5):
        assert "idempotency_key must be text" in refusal(lambda ops, key=key: verb(ops, key)).message  # type: ignore[misc]


class Hasty(Recorder):
    """Takes a message for an answer to what the agent waits for."""

    when_waiting = WhenWaiting.TAKEN_AS_ANSWER


@pytest.mark.parametrize(
    "verb",
    [lambda operations: operations.send_message("s1", "hi"), lambda operations: operations.start_turn("s1", "hi")],
)
def test_a_message_that_would_be_taken_for_an_answer_is_refused(verb: Any) -> None:
    waiting = Hasty(pending=(APPROVAL,))
    with pytest.raises(Conflict, match="the agent waits for an answer to 't1'"):
        step(verb(Operations(waiting)))
    assert waiting.asked == []
    assert asked(verb, Hasty())[0] == SessionRef("s1")
    assert asked(verb, Recorder(pending=(APPROVAL,)))[0] == SessionRef("s1")


def test_an_answer_is_never_refused_for_waiting() -> None:
    waiting = Hasty(pending=(APPROVAL,))
    assert asked(lambda operations: operations.start_turn("s1", [Approve("t1")]), waiting)[1] == (Approve("t1"),)


@pytest.mark.parametrize(
    ("limit", "page_size", "sent"),
    [(None, None, None), (5, None, 5), (500, None, 100), (5, 2, 2), (None, 7, 7), (1, 50, 50)],
)
def test_a_limit_takes_as_few_pages_as_possible(limit: int | None, page_size: int | None, sent: int | None) -> None:
    messages = asked(lambda operations: operations.list_messages("s1", page_size, limit=limit)(None))
    assert messages[1] == sent
    sessions = asked(lambda operations: operations.list_sessions(limit=limit, page_size=page_size)(None))
    assert sessions[0].page_size == sent


def test_a_limit_asks_for_no_page_size_where_there_is_none() -> None:
    poorer = without(Feature.SESSIONS_LIST_PAGE_SIZE)
    assert asked(lambda operations: operations.list_sessions(limit=5)(None), poorer)[0].page_size is None


@pytest.mark.parametrize("limit", [0, -1, "3", True, 1.5])
def test_a_limit_counts_items(limit: Any) -> None:
    for verb in (
        lambda operations: operations.list_sessions(limit=limit),
        lambda operations: operations.list_messages("s1", None, limit=limit),
        lambda operations: operations.list_agents(None, limit=limit),
        lambda operations: operations.list_environments(None, limit=limit),
        lambda operations: operations.list_models(None, limit=limit),
    ):
        assert refusal(verb).message == f"limit must be a whole number above zero, not {limit!r}"


def test_another_order_needs_its_feature() -> None:
    assert asked(lambda ops: ops.list_messages("s1", None, newest_first=True)(None))[3] == {"newest_first": True}
    assert asked(lambda ops: ops.list_messages("s1", None)(None))[3] == {}
    poorer = without(Feature.SESSIONS_MESSAGES_NEWEST_FIRST)
    error = refusal(lambda ops: ops.list_messages("s1", None, newest_first=True), poorer)
    assert isinstance(error, UnsupportedOperation)


@pytest.mark.parametrize("cursor", ["", None, 5])
def test_a_turn_is_rejoined_by_a_cursor(cursor: Any) -> None:
    assert "the cursor must be the text" in refusal(lambda operations: operations.rejoin_turn("s1", cursor)).message


def test_an_environment_is_created_with_declared_fields_only() -> None:
    (new,) = asked(lambda operations: operations.create_environment(name="lab", description="d", metadata={"a": "1"}))
    assert (new.name, new.description, new.metadata) == ("lab", "d", {"a": "1"})
    error = refusal(
        lambda operations: operations.create_environment(name="lab", description="d"),
        without(Feature.ENVIRONMENTS_CREATE_DESCRIPTION),
    )
    assert isinstance(error, UnsupportedOperation)
