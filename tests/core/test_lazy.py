"""`raw` stays text until somebody looks at it, and is in every way as if it had been decoded at once."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from polysession import lazy
from polysession.event import MessageDelta
from polysession.lazy import JsonText, LazyRaw, LazyRecord, filled, lazily, loaded, trusted, trusted_event, undecoded
from polysession.resources import Agent
from polysession.session import AgentCapability, ModelConfig, Session, Usage

TEXT = b'{"data":[{"id":"s1","extra":{"a":[1,null]}},{"id":"s2"}]}'
RAW = {"id": "s1", "extra": {"a": [1, None]}}

new_session = trusted(Session)


PARTS: dict[str, Any] = {
    "capabilities": (AgentCapability(ref="bash"),),
    "model": ModelConfig(id="m1", parameters={"effort": "high"}),
    "usage": Usage(input_tokens=3, credits=Decimal("0.1")),
}


def eager() -> Session:
    return Session(provider="acme", id="s1", title="t", raw=RAW, **PARTS)


def still_text() -> Session:
    parts: dict[str, Any] = {name: LazyRecord(lambda value: value, value) for name, value in PARTS.items()}
    return new_session(provider="acme", id="s1", title="t", raw=lazily(JsonText(TEXT), "data", 0), **parts)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every text that is decoded."""
    texts: list[bytes] = []

    def from_json(text: bytes) -> Any:
        texts.append(text)
        return json.loads(text)

    monkeypatch.setattr(lazy, "from_json", from_json)
    return texts


def test_nothing_is_decoded_until_raw_is_looked_at_and_then_once(decoded: list[bytes]) -> None:
    page = JsonText(TEXT)
    sessions = [new_session(provider="acme", id=f"s{at}", raw=lazily(page, "data", at)) for at in range(2)]
    assert repr(sessions)
    assert sessions[0].title is None
    assert decoded == []
    assert sessions[0].raw == RAW
    assert sessions[0].raw is sessions[0].raw
    assert sessions[1].raw == {"id": "s2"}
    assert decoded == [TEXT]


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.raw,
        lambda session: (session.capabilities, session.model, session.usage),
        lambda session: session.model_dump(
            include={"usage": {"credits"}, "model": {"id"}, "capabilities": {0: {"ref"}}}
        ),
        lambda session: session.model_dump(exclude={"usage", "raw"}, exclude_none=True, exclude_defaults=True),
        lambda session: session.model_copy(update={"usage": None}).usage,
        lambda session: Session.model_validate_json(session.model_dump_json()),
        lambda session: session.model_dump(),
        lambda session: session.model_dump_json(),
        lambda session: session.model_dump(mode="json", exclude_unset=True),
        dict,
        list,
        repr,
        str,
        lambda session: pickle.loads(pickle.dumps(session)),  # noqa: S301  (our own)
        copy.copy,
        copy.deepcopy,
        lambda session: session.model_copy(),
        lambda session: session.model_copy(deep=True).raw,
        lambda session: session.model_copy(update={"title": "other"}),
        lambda session: session.model_copy(update={"raw": {"other": 1}}).raw,
        lambda session: TypeAdapter(list[Session]).dump_python([session]),
        lambda session: Session.model_validate(session.model_dump()),
        lambda session: Session(**dict(session)),
        lambda session: session.model_fields_set,
    ],
)
def test_it_is_as_if_it_had_been_decoded(use: Callable[[Session], object]) -> None:
    assert use(still_text()) == use(eager())


def test_the_order_of_fields_is_that_of_the_record() -> None:
    assert list(still_text().model_dump()) == list(eager().model_dump())


def test_records_are_equal_whatever_was_looked_at() -> None:
    one, other = still_text(), still_text()
    assert one == other == eager() == one
    assert one != still_text().model_copy(update={"raw": {}})
    assert one.raw
    assert one == still_text()


def test_a_copy_holds_no_page(decoded: list[bytes]) -> None:
    copied = copy.deepcopy(still_text())
    assert type(copied.__dict__["raw"]) is dict
    assert all(type(copied.__dict__[name]) is type(part) for name, part in PARTS.items())
    assert decoded == [TEXT]


def test_a_part_is_made_when_it_is_looked_at_and_then_once() -> None:
    asked: list[dict[str, int]] = []

    def make(fields: dict[str, int]) -> Usage:
        asked.append(fields)
        return Usage(**fields)

    session: Any = new_session(provider="acme", id="s1", usage=LazyRecord(make, {"input_tokens": 3}))
    assert session.title is None
    assert asked == []
    assert session.usage.input_tokens == 3
    assert session.usage is session.usage
    assert len(asked) == 1


def test_a_session_says_of_each_field_what_it_may_hold() -> None:
    for mode in ("validation", "serialization"):
        properties = Session.model_json_schema(mode=mode)["properties"]
        assert properties["usage"]["anyOf"] == [{"$ref": "#/$defs/Usage"}, {"type": "null"}]
        assert properties["capabilities"]["items"] == {"$ref": "#/$defs/AgentCapability"}
        assert properties["raw"]["type"] == "object"
    with pytest.raises(ValidationError):
        Session(provider="acme", id="s1", usage={"input_tokens": "many"})
    assert Session(provider="acme", id="s1", usage={"input_tokens": 3}).usage == Usage(input_tokens=3)


def test_raw_cannot_be_set() -> None:
    session = still_text()
    with pytest.raises(ValidationError, match="frozen"):
        session.raw = {}  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot be set"):
        object.__setattr__(session, "raw", {})


def test_a_class_has_no_raw_and_neither_has_a_record_without_one() -> None:
    assert not any(hasattr(Session, name) for name in ("raw", "usage", "model", "capabilities"))
    half = eager()
    del half.__dict__["raw"]
    with pytest.raises(AttributeError):
        _ = half.raw


def test_a_subclass_inherits_the_field() -> None:
    class Extended(Session):
        extra: int = 1

    assert Extended(provider="acme", id="s1").raw == {}
    assert Extended(provider="acme", id="s1", raw=RAW).raw == RAW


def test_raw_is_validated_as_an_object() -> None:
    with pytest.raises(ValidationError):
        Session(provider="acme", id="s1", raw=[])
    assert Agent(provider="acme", id="a1", name="n", raw=lazily(JsonText(b'{"a":1}'))).raw == {"a": 1}


def test_the_raw_of_an_event_is_decoded_when_it_is_looked_at(decoded: list[bytes]) -> None:
    event = MessageDelta(session_id="s1", text="a", raw=lazily(JsonText(TEXT), "data", 0))
    assert (event.text, event.type) == ("a", "message.delta")
    assert repr(event)
    assert decoded == []
    assert event.raw == RAW
    assert event.raw is event.raw
    assert decoded == [TEXT]
    with pytest.raises(FrozenInstanceError):
        event.raw = {}  # type: ignore[misc]


@pytest.mark.parametrize(
    "use",
    [
        lambda event: event,
        asdict,
        copy.copy,
        copy.deepcopy,
        lambda event: replace(event, text="b"),
        lambda event: pickle.loads(pickle.dumps(event)),  # noqa: S301  (our own)
        lambda event: pickle.loads(pickle.dumps(event)).raw,  # noqa: S301
        repr,
    ],
)
def test_an_event_is_as_if_it_had_been_decoded(use: Callable[[MessageDelta], object]) -> None:
    still = MessageDelta(session_id="s1", text="a", raw=lazily(JsonText(TEXT), "data", 0))
    assert use(still) == use(MessageDelta(session_id="s1", text="a", raw=RAW))


def test_an_event_without_raw_has_an_empty_one() -> None:
    assert MessageDelta(session_id="s1", text="a").raw == {}


def test_a_lazy_value_shows_and_compares_as_what_it_is() -> None:
    value = LazyRaw(JsonText(TEXT), ("data", 0))
    assert repr(value) == repr(RAW)
    assert value == RAW
    assert value == LazyRaw(JsonText(TEXT), ("data", 0))
    assert value != {}
    assert loaded(RAW) is RAW
    with pytest.raises(TypeError, match="unhashable"):
        hash(value)


@pytest.mark.parametrize(
    ("record", "values"),
    [
        (Session, {"provider": "acme", "id": "s1", "metadata": {"a": "b"}}),
        (ModelConfig, {"id": "m"}),
        (Usage, {"input_tokens": 1}),
    ],
)
def test_a_trusted_record_is_the_validated_one(record: type[BaseModel], values: dict[str, Any]) -> None:
    made, validated = trusted(record)(**values), record(**values)
    assert made == validated
    assert type(made) is record
    assert made.model_dump() == validated.model_dump()
    assert list(made.model_dump()) == list(validated.model_dump())
    assert made.model_fields_set == validated.model_fields_set
    assert made.model_copy(deep=True) == validated
    assert pickle.loads(pickle.dumps(made)) == validated  # noqa: S301  (our own)
    assert repr(made) == repr(validated)


def test_trusted_records_share_no_default() -> None:
    one, other = new_session(provider="acme", id="s1"), new_session(provider="acme", id="s1")
    assert one.metadata == {}
    assert one.metadata is not other.metadata
    assert one.raw is not other.raw


@pytest.mark.parametrize("values", [{"provider": "acme"}, {"provider": "acme", "id": "s1", "colour": "red"}])
def test_a_trusted_record_needs_its_fields_and_takes_no_other(values: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="a Session needs"):
        trusted(Session)(**values)


def test_a_trusted_event_is_like_any_other() -> None:
    quick = trusted_event(MessageDelta)(session_id="s1", text="a", raw=undecoded(b'{"a":1}'), turn_id="t1")
    slow = MessageDelta(session_id="s1", text="a", raw={"a": 1}, turn_id="t1")

    assert quick == slow
    assert (repr(quick), asdict(quick)) == (repr(slow), asdict(slow))
    assert replace(quick, text="b") == replace(slow, text="b")
    assert pickle.loads(pickle.dumps(quick)) == slow  # noqa: S301  (our own)
    assert trusted_event(MessageDelta)(session_id="s1", text="a").raw == {}
    with pytest.raises(FrozenInstanceError):
        quick.text = "b"  # type: ignore[misc]


def test_undecoded_raw_is_decoded_once(decoded: list[bytes]) -> None:
    event = trusted_event(MessageDelta)(session_id="s1", text="a", raw=undecoded(TEXT))
    assert decoded == []
    assert event.raw is event.raw
    assert decoded == [TEXT]


@pytest.mark.parametrize(
    ("record", "values"),
    [
        (Session, {"provider": "acme", "id": "s1", "metadata": {"a": "b"}, "raw": {}}),
        (ModelConfig, {"id": "m"}),
        (Usage, {"input_tokens": 1}),
    ],
)
def test_a_filled_record_is_the_validated_one(record: type[BaseModel], values: dict[str, Any]) -> None:
    made, validated = filled(record, values)(values), record(**values)
    assert made == validated
    assert type(made) is record
    assert list(made.model_dump()) == list(validated.model_dump())
    assert made.model_fields_set == validated.model_fields_set
    assert made.model_copy(deep=True) == validated
    assert pickle.loads(pickle.dumps(made)) == validated  # noqa: S301  (our own)
    assert repr(made) == repr(validated)


def test_filled_records_share_no_default_and_have_the_constants() -> None:
    fill = filled(Session, ["id", "title"], provider="acme")
    one, other = fill({"id": "s1"}), fill({"id": "s2", "title": "t"})
    assert (one.provider, one.title, other.title) == ("acme", None, "t")
    assert one.model_fields_set == {"provider", "id", "title"}
    assert one.metadata is not other.metadata


def test_a_copy_of_a_filled_record_may_have_more_fields_given() -> None:
    one = filled(ModelConfig, ["id"])({"id": "m"})
    for changed in (one.model_copy(update={"type": "t"}), one.model_copy(update={"type": "t"}, deep=True)):
        assert changed.model_fields_set == {"id", "type"}
    assert one.model_fields_set == {"id"}


@pytest.mark.parametrize("given", [["id"], ["provider", "id", "colour"]])
def test_a_filled_record_needs_its_fields_and_takes_no_other(given: list[str]) -> None:
    with pytest.raises(TypeError, match="a Session needs"):
        filled(Session, given)


def test_a_constant_is_a_field() -> None:
    with pytest.raises(TypeError, match="a Session needs"):
        filled(Session, ["id", "provider"], colour="red")


def test_a_filled_record_takes_no_value_of_another_name() -> None:
    with pytest.raises(TypeError, match="a ModelConfig has no field colour"):
        filled(ModelConfig, ["id"])({"id": "m", "colour": "red"})
