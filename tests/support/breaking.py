"""Breaks the sync client during a test of the contract suite: the test must fail."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import pytest

from polysession import Client, Page, PolysessionError
from polysession._core import operations
from polysession._drivers.stream_base import TurnBase
from polysession._drivers.sync_driver import SyncDriver
from polysession._drivers.sync_stream import EventStream, Turn
from polysession.plugins import open_provider
from polysession.record import Record
from polysession.session_operations import Sessions
from polysession.testing import declarations
from polysession.testing.base import CANARY
from polysession_qoder import QoderProvider

Break = Callable[[pytest.MonkeyPatch, str], None]


class BrokenError(Exception):
    """An error that no test expects."""


class Breaking:
    """Pytest plugin that breaks the client in each test, after the fixtures.

    One case of each test runs.

    Args:
        break_it: Function that breaks the client with a monkeypatch, given the name of the test.
    """

    def __init__(self, break_it: Break) -> None:
        self._break = break_it

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the first case of each test that uses the sync client."""
        chosen: dict[str, pytest.Item] = {}
        for item in items:
            if "async" not in item.name:
                chosen.setdefault(item.name.partition("[")[0], item)
        items[:] = chosen.values()

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Iterator[None]:
        """Run the test with a broken client."""
        with pytest.MonkeyPatch.context() as patch:
            self._break(patch, pyfuncitem.name.partition("[")[0])
            return (yield)


def without_answer(patch: pytest.MonkeyPatch, _: str) -> None:
    """Make every operation raise an error that no test expects."""

    def fail(*_: object, **__: object) -> None:
        raise BrokenError

    patch.setattr(SyncDriver, "run", fail)
    for stream in (EventStream, Turn):
        patch.setattr(stream, "__enter__", fail)


def with_wrong_answers(patch: pytest.MonkeyPatch, _: str) -> None:
    """Change results and events, and raise errors of the base class."""

    def wrapped(use: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(*arguments: Any, **options: Any) -> Any:
            try:
                return _wrong(use(*arguments, **options))
            except PolysessionError as error:
                raise PolysessionError("wrong") from error

        return wrong

    patch.setattr(SyncDriver, "run", wrapped(SyncDriver.run))
    patch.setattr(EventStream, "_read", wrapped(EventStream._read))
    patch.setattr(Turn, "result", property(wrapped(vars(TurnBase)["result"].fget)))
    for stream in (EventStream, Turn):
        patch.setattr(stream, "__enter__", wrapped(stream.__enter__))


def _wrong(value: Any) -> Any:
    """Return another value of the same type, if it is one that tests check."""
    if isinstance(value, Page):
        return Page(())
    if isinstance(value, tuple):
        return () if value else ("wrong",)
    if not isinstance(value, Record):
        return value
    kept = {"type", "provider", "source", "turn_id", "tool_call_id"}
    changes = {name: _other(each) for name, each in value if name not in kept and each is not None}
    return value.model_copy(update=changes)


def _other(value: Any) -> Any:
    if isinstance(value, Enum):
        return next(each for each in reversed(list(type(value))) if each is not value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, Record):
        return _wrong(value)
    for kind, other in ((str, "wrong"), (tuple, ()), (Mapping, {})):
        if isinstance(value, kind):
            return other
    return None


def _accept_anything(patch: pytest.MonkeyPatch) -> None:
    settings = {"token": "pt-x", "base_url": "http://127.0.0.1:9"}
    patch.setattr("polysession.client.open_provider", lambda *_: open_provider("qoder", settings, os.environ))


def _read_eagerly(patch: pytest.MonkeyPatch) -> None:
    listed = Sessions.list

    def read(self: Sessions, **options: Any) -> Any:
        found = listed(self, **options)
        found.first()
        return found

    patch.setattr(Sessions, "list", read)


def _reach_for_the_network(patch: pytest.MonkeyPatch) -> None:
    def get_session(*_: object) -> Iterator[None]:
        socket.socket()
        yield

    patch.setattr(QoderProvider, "get_session", get_session)


WITHOUT_CALL: Final[Mapping[str, Callable[[pytest.MonkeyPatch], object]]] = {
    "test_every_feature_is_declared_and_explained": lambda patch: patch.setattr(QoderProvider, "features", {}),
    "test_the_table_of_events_names_common_events": lambda patch: patch.setattr(
        QoderProvider, "event_types", lambda: {"x": ("no.event",)}
    ),
    "test_a_type_of_native_bodies_is_one": lambda patch: patch.setattr(QoderProvider, "new_session_type", str),
    "test_the_resume_mode_is_public": lambda patch: patch.setattr(Client, "resume_mode", None),
    "test_the_client_states_what_leaving_a_turn_does": lambda patch: patch.setattr(Client, "turn_life", None),
    "test_the_provider_names_its_documentation": lambda patch: patch.setattr(QoderProvider, "docs_url", ""),
    "test_no_repr_shows_a_secret": lambda patch: patch.setattr(Client, "__repr__", lambda _: CANARY),
    "test_a_flow_reaches_for_nothing": _reach_for_the_network,
    "test_the_provider_imports_the_provider_api_only": lambda patch: patch.setattr(
        declarations, "_imports", lambda _: ["httpx"]
    ),
    "test_a_limit_that_is_none_is_not_sent": lambda patch: patch.setattr(operations, "_check_count", lambda *_: None),
    "test_an_address_that_is_none_makes_no_client": _accept_anything,
    "test_an_unknown_setting_makes_no_client": _accept_anything,
    "test_a_setting_breaks_out_of_nothing": _accept_anything,
    "test_nothing_is_read_before_it_is_asked_for": _read_eagerly,
}
"""The tests without a successful call, each with a fault that it must detect."""


def without_checks(patch: pytest.MonkeyPatch, test: str) -> None:
    """Break the check or the declaration that a test is about.

    For other tests, make every operation fail.
    """
    if test in WITHOUT_CALL:
        WITHOUT_CALL[test](patch)
    else:
        without_answer(patch, test)
