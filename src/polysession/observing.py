"""Hooks that observe requests, responses, events and turns.

An observer is an object or module with functions that are marked with `hookimpl`. Pass it as `Client(...,
observers=[...])`. A function receives only the arguments that it names:

    class Timing:
        @hookimpl
        def polysession_after_response(self, request, response):
            print(request.operation, response.status, response.elapsed_s)
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pluggy

from polysession.errors import PolysessionError, UsageError
from polysession.plugins import PROJECT, hookimpl, hookspec

if TYPE_CHECKING:
    from polysession.action import Answer
    from polysession.event import Event
    from polysession.message import Block
    from polysession.result import TurnResult

__all__ = ["ObserverHooks", "Observers", "RequestSent", "ResponseReceived", "TurnWatched", "hookimpl"]

LOGGER: Final = logging.getLogger("polysession")
LOGGER.addHandler(logging.NullHandler())

TurnContent: TypeAlias = "str | Sequence[Block] | Sequence[Answer]"
Hook: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class RequestSent:
    """One attempt at a call, just before it is sent.

    Attributes:
        provider: Name of the provider.
        operation: Name of the operation, such as `"sessions.get"`.
        method: HTTP method.
        url: Full address, with its query. Secrets are redacted.
        attempt: 1 for the first, one more for each retry.
    """

    provider: str
    operation: str
    method: str
    url: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The outcome of an attempt.

    Attributes:
        status: HTTP status; None if there was no answer.
        elapsed_s: Seconds from the request to the response; for a stream, until it was open.
        request_id: The backend's id of the request; None if the response has none.
        error: The error; None if there was a response.
    """

    status: int | None
    elapsed_s: float
    request_id: str | None = None
    error: PolysessionError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TurnWatched:
    """A turn that `run` follows. The hooks of its start and its end get the same object.

    Attributes:
        provider: Name of the provider.
        base_url: Address of the backend.
        session_id: The session.
        agent_id: Its agent; None if the caller passed only an id.
        model: Id of the session's model; None if it is not known.
        content: Input of the caller. It may be private: do not record it by default.
    """

    provider: str
    base_url: str
    session_id: str
    agent_id: str | None = None
    model: str | None = None
    content: TurnContent = field(default="", repr=False)


class ObserverHooks:
    """The hooks that an observer may implement. Their return values are ignored."""

    @hookspec
    @abstractmethod
    def polysession_before_request(self, request: RequestSent) -> None:
        """Called before each request, including retries."""

    @hookspec
    @abstractmethod
    def polysession_after_response(self, request: RequestSent, response: ResponseReceived) -> None:
        """Called after a response or a failure. Not called for a request that the caller cancelled."""

    @hookspec
    @abstractmethod
    def polysession_on_event(self, provider: str, event: Event) -> None:
        """Called for each event that is delivered to the caller."""

    @hookspec
    @abstractmethod
    def polysession_stream_opened(self, provider: str, operation: str, connection: int) -> None:
        """Called when a stream has connected: `connection` is 1 for the first connection, then 2 and so on."""

    @hookspec
    @abstractmethod
    def polysession_stream_closed(self, provider: str, operation: str) -> None:
        """Called when either side has closed the connection of a stream."""

    @hookspec
    @abstractmethod
    def polysession_turn_started(self, turn: TurnWatched) -> None:
        """Called when the block of a turn is entered, before anything is sent."""

    @hookspec
    @abstractmethod
    def polysession_turn_ended(self, turn: TurnWatched, result: TurnResult | None, error: BaseException | None) -> None:
        """Called at the end of a turn: with its result, with its error, or with neither if it was left early."""


class Observers:
    """The observers of one client. A hook without implementations is None, and costs nothing.

    Args:
        plugins: Objects or modules with functions that carry `hookimpl`.

    Raises:
        UsageError: One of them implements no hook, or one that does not exist.
    """

    def __init__(self, plugins: Sequence[object] = ()) -> None:
        hook = _manager(plugins).hook if plugins else None
        self.before_request: Hook | None = _implemented(hook, "polysession_before_request")
        self.after_response: Hook | None = _implemented(hook, "polysession_after_response")
        self.on_event: Hook | None = _implemented(hook, "polysession_on_event")
        self.stream_opened: Hook | None = _implemented(hook, "polysession_stream_opened")
        self.stream_closed: Hook | None = _implemented(hook, "polysession_stream_closed")
        self.turn_started: Hook | None = _implemented(hook, "polysession_turn_started")
        self.turn_ended: Hook | None = _implemented(hook, "polysession_turn_ended")
        self.watch_requests: bool = self.before_request is not None or self.after_response is not None


def notify(hook: Hook | None, **values: Any) -> None:
    """Call a hook, if it has implementations. If an observer fails, the error is logged and the call continues."""
    if hook is None:
        return
    try:
        hook(**values)
    except Exception as error:  # noqa: BLE001  (an observer may fail in any way)
        name = type(error).__name__
        LOGGER.error("an observer failed: %s", name)  # noqa: TRY400  (its text and trace may quote what is private)


def _manager(plugins: Sequence[object]) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(ObserverHooks)
    for plugin in plugins:
        if isinstance(plugin, type):
            raise UsageError(f"the observer {plugin.__name__} is a class; pass an instance of it")
        if manager.is_registered(plugin):
            raise UsageError(f"the observer {plugin!r} is given twice; pass it once")
        manager.register(plugin)
        if not manager.get_hookcallers(plugin):
            raise UsageError(f"the observer {plugin!r} implements no hook; mark its functions with hookimpl")
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UsageError(f"an observer implements an unknown hook: {error}") from error
    return manager


def _implemented(hook: Any, name: str) -> Hook | None:
    caller: Hook | None = getattr(hook, name) if hook is not None else None
    return caller if caller is not None and caller.get_hookimpls() else None  # type: ignore[attr-defined]
