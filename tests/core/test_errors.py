from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import pytest

from polysession import errors
from polysession.errors import (
    ConnectError,
    DeadlineExceeded,
    NetworkTimeout,
    NotFound,
    PolysessionError,
    RateLimited,
    ServerError,
    TransportError,
    UnsupportedOperation,
)

CLASSES = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, PolysessionError)]


def drawn() -> dict[str, str]:
    """Parent of each class in the drawing at the top of the module."""
    parents: list[str] = []
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        drawing = re.fullmatch(r"([│├└─ ]*)([A-Z]\w+)\b.*", line)
        if drawing and not line.startswith("Every"):
            depth = len(drawing[1]) // 4
            parents[depth:] = [drawing[2]]
            found[drawing[2]] = parents[depth - 1] if depth else "Exception"
    return found


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == {item.__name__: item.__mro__[1].__name__ for item in CLASSES}


@pytest.mark.parametrize("error_class", CLASSES)
def test_retryable_are_the_troubles_that_pass(error_class: type[PolysessionError]) -> None:
    assert error_class.retryable is issubclass(error_class, TransportError | RateLimited | ServerError)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "gone"),
        ({"provider": "acme"}, "acme: gone"),
        ({"provider": "acme", "operation": "sessions.get"}, "acme sessions.get: gone"),
        ({"operation": "sessions.get", "status": 404}, "sessions.get: gone (HTTP 404)"),
        ({"status": 404, "code": "missing", "request_id": "r1"}, "gone (HTTP 404, code missing, request id r1)"),
    ],
)
def test_an_error_says_what_where_and_which_request(facts: dict[str, Any], text: str) -> None:
    error = NotFound("gone", **facts)

    assert str(error) == text
    assert {name: getattr(error, name) for name in facts} == facts


def test_an_error_says_what_had_been_done_before_it() -> None:
    error = NotFound("gone", status=404)
    error.already_done = "the session was created"

    assert str(error) == "gone (HTTP 404). Already done: the session was created."


def test_a_message_can_be_completed() -> None:
    error = NotFound("gone")
    error.message += " for good"

    assert (error.message, error.args) == ("gone for good", ("gone for good",))


def test_an_error_starts_without_facts() -> None:
    error = PolysessionError()

    assert (error.message, str(error), error.attempts, error.outcome_unknown) == ("", "", 0, False)
    assert (error.provider, error.operation, error.status, error.code, error.request_id) == (None,) * 5
    assert error.already_done is None


def example(error_class: type[PolysessionError]) -> PolysessionError:
    error = error_class("what", provider="acme", operation="sessions.get")
    error.attempts, error.outcome_unknown, error.already_done = 3, True, "much"
    if isinstance(error, RateLimited):
        error.retry_after_s = 7.0
    if isinstance(error, UnsupportedOperation):
        error.feature, error.hint = "sessions.archive", "delete it"
    return error


@pytest.mark.parametrize("error_class", CLASSES)
@pytest.mark.parametrize("twin_of", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])  # noqa: S301
def test_errors_travel_between_processes(error_class: type[PolysessionError], twin_of: Any) -> None:
    error = example(error_class)

    twin = twin_of(error)

    assert type(twin) is error_class
    assert (twin.args, vars(twin)) == (error.args, vars(error))


def test_what_cannot_be_done_names_feature_and_hint() -> None:
    error = UnsupportedOperation(
        "no", feature="sessions.archive", hint="delete it", provider="acme", operation="sessions.archive"
    )

    assert str(error) == "acme sessions.archive: no"
    assert (error.feature, error.hint) == ("sessions.archive", "delete it")


def test_details_start_empty() -> None:
    assert RateLimited().retry_after_s is None
    assert (UnsupportedOperation().feature, UnsupportedOperation().hint) == ("", "")
    assert not ConnectError().outcome_unknown


def test_a_repr_shows_what_the_text_shows() -> None:
    error = NotFound("gone", provider="acme", operation="sessions.get", status=404, request_id="req-1")

    assert repr(error) == f"NotFound({str(error)!r})"
    assert "req-1" in repr(error)


@pytest.mark.parametrize("error_class", [NetworkTimeout, DeadlineExceeded])
def test_a_timeout_is_a_timeout_error(error_class: type[PolysessionError]) -> None:
    error = error_class("too slow", provider="acme", attempts=2)

    assert isinstance(error, TimeoutError)
    assert (str(error), error.attempts, error.args) == ("acme: too slow", 2, ("too slow",))
