from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from polysession.record import UtcDatetime, as_utc
from polysession.resources import Agent
from polysession.session import AgentCapability, Cancellation, CancelState, ModelConfig, Session, SessionStatus, Usage

EAST = timezone(timedelta(hours=5, minutes=30))
RECORDS: list[BaseModel] = [
    Session(provider="acme", id="s1"),
    Agent(provider="acme", id="a1", name="a"),
    Cancellation(provider="acme", session_id="s1", state=CancelState.REQUESTED),
    ModelConfig(id="m"),
    AgentCapability(ref="web"),
    Usage(),
]


AS_PYDANTIC = TypeAdapter(Annotated[datetime, AfterValidator(as_utc)])
IN_UTC = TypeAdapter(UtcDatetime)
WRITTEN = st.from_regex(
    r"[0-9]{4}-(?:0[0-9]|1[0-3])-[0-3][0-9][T t][0-2][0-9](?::?[0-6][0-9]){1,2}(?:[.,][0-9]{0,12})?"
    r"(?:Z|z|[+-][0-9]{2}:?[0-9]{2}|)",
    fullmatch=True,
)


class Moment(BaseModel):
    at: UtcDatetime


@pytest.mark.parametrize(
    ("moment", "utc"),
    [
        (datetime(2026, 3, 1, 12), datetime(2026, 3, 1, 12, tzinfo=UTC)),  # noqa: DTZ001  (shows what becomes of it)
        (datetime(2026, 3, 1, 12, tzinfo=EAST), datetime(2026, 3, 1, 6, 30, tzinfo=UTC)),
    ],
)
def test_every_time_is_aware_and_in_utc(moment: datetime, utc: datetime) -> None:
    assert as_utc(moment) == utc
    assert as_utc(moment).tzinfo is UTC


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:30", "9999-12-31T23:59:59-05:00"])
def test_a_time_beyond_the_calendar_is_a_validation_error(text: str) -> None:
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        Moment.model_validate({"at": text})


@given(
    WRITTEN
    | st.datetimes(timezones=st.timezones() | st.none())
    | st.integers(-(2**62), 2**62)
    | st.floats()
    | st.text()
)
@example("2026-11-22T09:30:00.123456Z")
@example("2026-11-22T24:00:00Z")
@example("2026-02-30T09:30:00Z")
@example("2026-11-22T09:30:00.Z")
@example("2026-11-22T09:30:00Z\n")
@example("2026-11-22T09:30.25Z")
@example("2026-W47-1T09:30:00Z")
@example("2026-11-22T09:30:00.1234567891Z")
def test_what_is_a_time_and_what_is_wrong_with_it_is_for_pydantic_to_say(value: object) -> None:
    for strict in (False, True):
        assert outcome(IN_UTC, value, strict=strict) == outcome(AS_PYDANTIC, value, strict=strict)


def outcome(reader: TypeAdapter[datetime], value: object, *, strict: bool) -> list[Any]:
    """The reading of a Python object and of its JSON: each a time and whether it is in UTC, or the problem."""
    text = json.dumps(value, default=str)
    return [
        _outcome(partial(reader.validate_python, value, strict=strict)),
        _outcome(partial(reader.validate_json, text, strict=strict)),
    ]


def _outcome(read: Callable[[], datetime]) -> Any:
    try:
        moment = read()
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False, include_input=False)
    return moment, moment.tzinfo is UTC


def test_the_schema_of_a_time_is_that_of_any_time() -> None:
    assert IN_UTC.json_schema() == AS_PYDANTIC.json_schema()


@pytest.mark.parametrize("record", RECORDS)
def test_records_are_frozen_and_know_their_fields(record: BaseModel) -> None:
    name = next(iter(type(record).model_fields))

    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, name, "other")


@pytest.mark.parametrize("record", RECORDS)
def test_unknown_fields_are_refused_only_in_what_callers_give(record: BaseModel) -> None:
    """A dump of a newer version can be read."""
    newer = record.model_dump() | {"colour": "red"}
    if isinstance(record, ModelConfig | AgentCapability):
        with pytest.raises(ValidationError, match="Extra inputs"):
            type(record).model_validate(newer)
    else:
        assert type(record).model_validate(newer) == record


@pytest.mark.parametrize("record", RECORDS)
def test_records_survive_json(record: BaseModel) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record


def test_a_session_that_says_nothing_is_of_unknown_status() -> None:
    session = Session(provider="acme", id="s1")

    assert (session.status, session.native_status) == (SessionStatus.UNKNOWN, "")
    assert (session.metadata, session.tags, session.capabilities, session.raw) == ({}, (), (), {})


@pytest.mark.parametrize(
    "record",
    [
        Session(provider="acme", id="s1", source=b'{"key": "c4n4ry"}'),
        Agent(provider="acme", id="a1", name="a", source=b'{"key": "c4n4ry"}'),
        Cancellation(provider="acme", session_id="s1", state=CancelState.REQUESTED, source=b'{"key": "c4n4ry"}'),
    ],
)
def test_the_wire_object_is_kept_and_not_shown(record: Any) -> None:
    assert record.raw == {"key": "c4n4ry"}
    assert "c4n4ry" not in repr(record)
