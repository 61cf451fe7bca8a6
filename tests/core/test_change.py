from __future__ import annotations

import copy
import pickle
import traceback
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import Field, ValidationError

from polysession._core.flow import json_body
from polysession.change import (
    UNSET,
    NativeBody,
    NewAgent,
    NewSession,
    Request,
    SessionChanges,
    SessionQuery,
    validate_request,
)
from polysession.errors import UsageError
from polysession.session import SessionStatus

CANARY = "c4n4ry"


class Region(NativeBody):
    name: str = Field(alias="regionName")
    size: int | None = None


class Loose(NativeBody):
    any: Any = None


def problem(request_type: type[Request], **values: Any) -> str:
    with pytest.raises(UsageError) as caught:
        validate_request(request_type, values)
    return caught.value.message


def test_unset_is_one_false_value_that_survives_copies() -> None:
    assert repr(UNSET) == "UNSET"
    assert not UNSET
    assert copy.deepcopy(UNSET) is pickle.loads(pickle.dumps(UNSET)) is UNSET  # noqa: S301  (our own bytes)


def test_a_native_body_sends_what_was_given_under_its_wire_names() -> None:
    assert Region(name="eu", size=None).to_body() == {"regionName": "eu", "size": None}
    assert Region.model_validate({"regionName": "eu"}).to_body() == {"regionName": "eu"}


def test_a_native_body_refuses_what_it_does_not_know_and_repeats_no_value() -> None:
    with pytest.raises(ValidationError) as caught:
        Region.model_validate({"name": "eu", "size": CANARY, "password": CANARY})

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("value", [object(), b"\xff", {"a": [object()]}])
def test_a_native_body_refuses_what_json_cannot_carry(value: Any) -> None:
    with pytest.raises(UsageError, match="a value of Loose cannot be sent as JSON"):
        Loose(any=value).to_body()


def test_a_native_body_makes_no_null_of_what_is_no_number() -> None:
    with pytest.raises(UsageError, match="cannot be sent as JSON"):
        json_body(Loose(any=float("nan")).to_body())


def test_changes_leave_alone_what_is_not_given() -> None:
    changes = validate_request(SessionChanges, {"title": None})

    assert changes.title is None
    assert changes.metadata is changes.tags is changes.model is changes.permission_mode is UNSET


@pytest.mark.parametrize(
    ("request_type", "values", "said"),
    [
        (NewSession, {"title": 5}, "invalid argument: title: Input should be a valid string"),
        (
            NewSession,
            {"metadata": {"a": "x", "b": object()}},
            "invalid argument: metadata: input was not a valid JSON value",
        ),
        (NewSession, {"native": "x"}, "native: Input should be an instance of NativeBody"),
        (NewSession, {"colour": "red"}, "invalid argument: colour: Extra inputs are not permitted"),
        (NewAgent, {}, "invalid argument: name: Field required"),
        (NewAgent, {"name": None}, "invalid argument: name: Input should be a valid string"),
        (SessionChanges, {"title": 5}, "invalid argument: title: Input should be a valid string"),
        (SessionChanges, {"tags": "abc"}, "tags: 'str' instances are not allowed as a Sequence value"),
        (SessionChanges, {"add_tags": None}, "add_tags: Input should be an instance of Sequence"),
        (SessionQuery, {"statuses": ["idle"]}, "statuses: Input should be an instance of SessionStatus"),
        (SessionQuery, {"statuses": {SessionStatus.IDLE}}, "statuses: Input should be an instance of Sequence"),
        (SessionQuery, {"page_size": "3"}, "page_size: Input should be a valid integer"),
        (SessionQuery, {"page_size": True}, "page_size: Input should be a valid integer"),
        (SessionQuery, {"created_after": date(2026, 1, 1)}, "created_after: Input should be a valid datetime"),
        (SessionQuery, {"include_archived": 1}, "include_archived: Input should be a valid boolean"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(request_type: type[Request], values: dict[str, Any], said: str) -> None:
    assert said in problem(request_type, **values)


def test_every_wrong_value_is_named() -> None:
    said = problem(SessionChanges, title=5, tags=[6], native=7)

    assert [name for name in ("title", "tags", "model", "native") if f"{name}: " in said] == ["title", "tags", "native"]


def test_no_wrong_value_is_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        validate_request(NewSession, {"native": {"password": CANARY}, "metadata": {"a": [CANARY]}})

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_requests_take_any_mapping_and_sequence() -> None:
    new = validate_request(NewSession, {"metadata": MappingProxyType({"a": "b"}), "tags": ("x",)})

    assert (dict(new.metadata or {}), list(new.tags or ())) == ({"a": "b"}, ["x"])


def test_times_are_read_as_utc() -> None:
    query = validate_request(SessionQuery, {"created_after": datetime(2026, 1, 1)})  # noqa: DTZ001  (shows what becomes of it)

    assert query.created_after == datetime(2026, 1, 1, tzinfo=UTC)
