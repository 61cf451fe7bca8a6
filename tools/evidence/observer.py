"""Records the features that succeed and the events that are delivered while a test runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import GeneratorType
from typing import Any, Final

from polysession._core.operations import Operations
from polysession._core.provider import Page
from polysession._core.streams import StreamLoop
from polysession.event import Event
from polysession.feature import Feature
from polysession.provider_api import Provider

_Features = set[tuple[str, str]]

_OPENS: Final = frozenset({"stream_events", "start_turn"})
"""Operations whose flow only prepares a stream. They have succeeded when an event is delivered."""


class Observer:
    """Patches the core to observe it for the rest of the process.

    A feature counts when the operation that requires it has succeeded. An error that a test expects does not show that
    the feature works.

    Attributes:
        events: The backend's types of the delivered events.
    """

    def __init__(self) -> None:
        self.events: set[str] = set()
        self._done: _Features = set()
        self._opened: _Features = set()
        self._requiring: ContextVar[_Features | None] = ContextVar("asking", default=None)
        self._watch_features()
        for name, method in vars(Operations).items():
            if not name.startswith("_"):
                setattr(Operations, name, self._watched(method))
        self._watch_events()

    def clear(self) -> None:
        """Remove all records before the next test."""
        self.events.clear()
        self._done.clear()
        self._opened.clear()

    def features(self, backend: str) -> set[str]:
        """Return the features of a backend that succeeded."""
        seen = self._done | (self._opened if self.events else set())
        return {feature for provider, feature in seen if provider == backend}

    def _watch_features(self) -> None:
        require = Provider.require.__func__  # type: ignore[attr-defined]  # it is a class method

        def watched(cls: type[Provider[Any]], feature: Feature) -> None:
            require(cls, feature)
            required = self._requiring.get()
            if required is not None:
                required.add((cls.name, feature.value))

        Provider.require = classmethod(watched)  # type: ignore[assignment,method-assign]

    def _watched(self, method: Callable[..., Any]) -> Callable[..., Any]:
        succeeded = self._opened if method.__name__ in _OPENS else self._done

        @functools.wraps(method)
        def watched(*args: Any, **values: Any) -> Any:
            required: _Features = set()
            with self._collect(required):
                flow = method(*args, **values)
            if isinstance(flow, GeneratorType):
                return self._run(flow, required, succeeded)
            if not callable(flow):
                return flow  # for example a turn, which requires nothing before it starts
            return lambda cursor: self._run(flow(cursor), required, succeeded)

        return watched

    def _run(
        self, flow: Generator[Any, Any, Any], required: _Features, succeeded: _Features
    ) -> Generator[Any, Any, Any]:
        """Run a flow step by step, because the steps of several flows may alternate."""
        step: Callable[[], Any] = functools.partial(next, flow)
        while True:
            try:
                with self._collect(required):
                    call = step()
            except StopIteration as end:
                succeeded |= required
                return end.value
            try:
                reply = yield call
            except Exception as error:  # noqa: BLE001  (it is thrown into the flow)
                step = functools.partial(flow.throw, error)
            else:
                step = functools.partial(flow.send, reply)

    @contextmanager
    def _collect(self, required: _Features) -> Iterator[None]:
        token = self._requiring.set(required)
        try:
            yield
        finally:
            self._requiring.reset(token)

    def _watch_events(self) -> None:
        """Record the events that streams and pages deliver."""
        run = StreamLoop.run

        def noting(loop: StreamLoop) -> Generator[Any, Any, None]:
            steps = run(loop)
            step: Callable[[], Any] = functools.partial(next, steps)
            with suppress(StopIteration):
                while True:
                    item = step()
                    self._note((item,))
                    try:
                        step = functools.partial(steps.send, (yield item))
                    except Exception as error:  # noqa: BLE001  (it is thrown into the loop)
                        step = functools.partial(steps.throw, error)

        StreamLoop.run = noting  # type: ignore[assignment, method-assign]
        make = Page.__init__

        def watched(page: Page[Any], *args: Any, **values: Any) -> None:
            make(page, *args, **values)
            self._note(page.items)

        Page.__init__ = watched  # type: ignore[assignment, method-assign]

    def _note(self, items: Iterable[object]) -> None:
        self.events.update(item.native_type for item in items if isinstance(item, Event) and item.native_type)
