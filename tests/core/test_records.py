"""Every record survives storage: its JSON reads back as the same record, of the same type."""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from polysession import action, event, message, resources, session
from polysession.action import ACTION, ANSWER, Approve, Deny, Reply, ToolApproval, ToolExecution, ToolOutput
from polysession.event import EVENT, ActionRequired, Event, MessageCompleted, MessageDelta, RawEvent, TurnEnded
from polysession.message import BLOCK, Block, Message, RawBlock, TextBlock
from polysession.record import ReceivedRecord, TypedRecord
from polysession.resources import Agent
from polysession.session import Session

EVENTS = get_args(Event)
ACTIONS = get_args(action.PendingAction)
ANSWERS = get_args(action.Answer)
BLOCKS = get_args(Block)
PLAIN = [
    session.Session,
    session.ModelConfig,
    session.AgentCapability,
    session.Usage,
    session.Cancellation,
    Message,
    resources.Agent,
    resources.Environment,
    resources.Model,
]
UNIONS: list[tuple[TypeAdapter[Any], tuple[type[TypedRecord], ...]]] = [
    (EVENT, EVENTS),
    (ACTION, ACTIONS),
    (ANSWER, ANSWERS),
    (BLOCK, BLOCKS),
]
READERS = [
    *[(member, adapter) for adapter, members in UNIONS for member in members],
    *[(record_type, TypeAdapter[Any](record_type)) for record_type in PLAIN],
]
EXAMPLES = settings().max_examples // 2
DUMPS: list[dict[str, Any]] = [{}, {"exclude_unset": True}, {"exclude_defaults": True}, {"exclude_none": True}]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
PRIMITIVES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(),
    bool: st.booleans(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    bytes: OBJECTS.map(lambda value: json.dumps(value).encode()),
    type(None): st.none(),
    Any: JSON,
    typing.get_type_hints(action.Reply)["value"]: JSON,
}


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in PRIMITIVES:
        return PRIMITIVES[annotation]
    if origin in COMPOSED:
        return COMPOSED[origin](arguments)
    if issubclass(annotation, enum.Enum):
        return st.sampled_from(list(annotation))
    return records_of(annotation)


COMPOSED: dict[Any, Callable[[tuple[Any, ...]], st.SearchStrategy[Any]]] = {
    Union: lambda branches: st.one_of([values_of(branch) for branch in branches]),
    types.UnionType: lambda branches: st.one_of([values_of(branch) for branch in branches]),
    Literal: st.sampled_from,
    tuple: lambda items: st.lists(values_of(items[0]), max_size=2).map(tuple),
    Mapping: lambda _: OBJECTS,
}


def records_of(record_type: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Records of a type, with any of their optional fields unset."""
    hints = typing.get_type_hints(record_type)
    fields = {name: st.deferred(lambda name=name: values_of(hints[name])) for name in record_type.model_fields}  # type: ignore[misc]
    if issubclass(record_type, TypedRecord) and not record_type.model_fields["type"].is_required():
        del fields["type"]
    required = {name: fields[name] for name, info in record_type.model_fields.items() if info.is_required()}
    optional = {name: each for name, each in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: record_type(**values))


@pytest.mark.parametrize(("record_type", "adapter"), READERS, ids=lambda each: getattr(each, "__name__", ""))
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_record_reads_back_from_its_json(
    record_type: type[BaseModel], adapter: TypeAdapter[Any], data: st.DataObject
) -> None:
    record = data.draw(records_of(record_type))

    for options in DUMPS:
        for stored in (adapter.dump_json(record, **options), record.model_dump_json(**options)):
            read = adapter.validate_json(stored)
            assert type(read) is record_type
            assert read == record, options
            assert read.model_dump() == record.model_dump()


@pytest.mark.parametrize("options", DUMPS, ids=str)
def test_a_reply_of_null_is_a_reply(options: dict[str, Any]) -> None:
    assert ANSWER.validate_json(Reply("a", None).model_dump_json(**options)) == Reply("a", None)


@pytest.mark.parametrize("options", DUMPS, ids=str)
def test_no_dump_leaves_a_type_out(options: dict[str, Any]) -> None:
    approval = ToolApproval(id="a", name="run", arguments={})
    records: list[TypedRecord] = [
        Deny("a"),
        Approve(approval),
        TextBlock(text="x"),
        approval,
        MessageDelta(session_id="s", text="x"),
    ]
    for record in records:
        for stored in (record.model_dump(**options), json.loads(record.model_dump_json(**options))):
            assert stored["type"] == record.type  # type: ignore[attr-defined]
    assert Approve(approval).model_dump(**options)["action"]["type"] == "approval"


@pytest.mark.parametrize("options", DUMPS, ids=str)
def test_a_stored_denial_is_never_an_approval(options: dict[str, Any]) -> None:
    assert ANSWER.validate_json(Deny("a").model_dump_json(**options)) == Deny("a")
    with pytest.raises(ValidationError):
        ANSWER.validate_python({"action": "a"})


def test_what_is_inside_a_record_has_its_type_as_well() -> None:
    required = ActionRequired(session_id="s", actions=(ToolExecution(id="a", name="run", arguments={}),))
    said = MessageCompleted(
        session_id="s",
        message=Message(provider="p", id="m", session_id="s", role="assistant", content=(TextBlock(text="x"),)),
    )
    for record in (required, said):
        assert EVENT.validate_json(record.model_dump_json(exclude_unset=True, exclude_defaults=True)) == record


@pytest.mark.parametrize(("adapter", "raw_type"), [(EVENT, RawEvent), (BLOCK, RawBlock)])
def test_an_unknown_type_of_a_newer_version_is_kept_whole(adapter: TypeAdapter[Any], raw_type: type[Any]) -> None:
    stored = {"type": "of.tomorrow", "session_id": "s", "id": "e1", "colour": ["red"]}

    read = adapter.validate_python(stored)

    assert type(read) is raw_type
    assert read.payload == stored
    assert adapter.validate_json(adapter.dump_json(read)) == read


@pytest.mark.parametrize(("adapter", "members"), UNIONS, ids=["events", "actions", "answers", "blocks"])
def test_unknown_fields_of_a_newer_version_are_left_out(
    adapter: TypeAdapter[Any], members: tuple[type[TypedRecord], ...]
) -> None:
    examples = {
        "events": TurnEnded(session_id="s", outcome=event.Outcome.COMPLETED),
        "actions": ToolApproval(id="a", name="run", arguments={}),
        "blocks": TextBlock(text="x"),
    }
    for example in examples.values():
        if isinstance(example, members):
            assert adapter.validate_python({**example.model_dump(), "colour": "red"}) == example
    if Approve in members:
        with pytest.raises(ValidationError, match="Extra inputs"):
            adapter.validate_python({**Approve("a").model_dump(), "colour": "red"})


def test_an_unknown_field_deep_inside_is_left_out() -> None:
    model: dict[str, Any] = {"id": "m", "type": None, "credential_id": None, "parameters": {}, "colour": "red"}
    stored = {"provider": "p", "id": "s", "model": model, "capabilities": [{"ref": "web", "config": None, "new": 1}]}

    read = Session.model_validate(stored)

    assert read.model == session.ModelConfig(id="m")
    assert read.capabilities == (session.AgentCapability(ref="web"),)


def test_records_that_differ_in_their_source_alone_are_equal() -> None:
    one, other = (Session(provider="p", id="s", source=source) for source in (b'{"a": 1}', b'{"a": 2}'))

    assert one == other
    assert hash(one) == hash(other)
    assert (one.raw, other.raw) == ({"a": 1}, {"a": 2})
    assert b"source" not in one.model_dump_json().encode()
    assert one != Session(provider="p", id="s", title="T")


def test_equal_records_hash_alike_and_others_by_type_provider_and_id() -> None:
    records: set[ReceivedRecord] = {
        Session(provider="p", id="1"),
        Session(provider="q", id="1"),
        Session(provider="p", id="2"),
        Agent(provider="p", id="1"),
    }
    assert len(records) == 4
    assert hash(Session(provider="p", id="1", metadata={"a": [1]})) == hash(Session(provider="p", id="1"))
    assert Session(provider="p", id="1") != Agent(provider="p", id="1")


def test_a_repr_leaves_out_what_is_unset() -> None:
    shown = repr(Session(provider="p", id="s", title="T", source=b'{"key": "c4n4ry"}'))

    assert shown == "Session(provider='p', id='s', title='T')"
    approval = ToolApproval(id="a", name="run", arguments={"x": 1}, reference="c4n4ry")
    assert repr(approval) == "ToolApproval(id='a', name='run', arguments={'x': 1})"
    assert repr(Approve(approval)) == f"Approve(action={approval!r})"


def test_an_archive_holds_the_source_of_each_record() -> None:
    said = Message(provider="p", id="m", session_id="s", role="user", source=b'{"m": 1}')
    completed = MessageCompleted(session_id="s", message=said, source=b'{"e": "\xff"}')

    archived = completed.dump(with_source=True)

    assert archived["source"] == '{"e": "\N{REPLACEMENT CHARACTER}"}'
    assert archived["message"]["source"] == '{"m": 1}'
    assert "source" not in completed.dump()
    assert "source" not in completed.dump()["message"]
    read = EVENT.validate_python(archived)
    assert isinstance(read, MessageCompleted)
    assert read.message.raw == {"m": 1}


def test_the_schema_of_a_dump_names_the_fields() -> None:
    schema = Session.model_json_schema(mode="serialization")

    assert schema["properties"].keys() == set(Session.model_fields) - {"source"}
    assert "discriminator" in str(EVENT.json_schema())


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (Approve("a", arguments={"x": 1}), {"action": "a", "arguments": {"x": 1}}),
        (Deny("a", "no"), {"action": "a", "reason": "no"}),
        (ToolOutput("a", "42", is_error=True), {"action": "a", "content": "42", "is_error": True}),
        (Reply("a", {"x": [1]}), {"action": "a", "value": {"x": [1]}}),
    ],
)
def test_an_answer_takes_its_action_by_position(answer: Any, fields: dict[str, Any]) -> None:
    assert {name: getattr(answer, name) for name in fields} == fields
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(answer)(**fields, colour="red")


def test_a_dict_is_not_taken_for_an_action() -> None:
    with pytest.raises(ValidationError):
        Approve({"id": "a"})  # type: ignore[arg-type]


def test_unions_are_closed() -> None:
    class OfAPlugin(MessageDelta):
        pass

    stored = EVENT.dump_json(OfAPlugin(session_id="s", text="x"))
    assert type(EVENT.validate_json(stored)) is MessageDelta


def test_the_name_of_each_module_is_the_home_of_its_records() -> None:
    assert {each.__module__ for each in EVENTS} == {event.__name__}
    assert {each.__module__ for each in BLOCKS} == {message.__name__}
