"""Every exception that polysession raises.

PolysessionError
├── UsageError                     nothing was sent
│   ├── UnknownProvider
│   ├── UnsupportedOperation
│   └── MissingCredentials
├── PluginError
│   ├── BrokenProvider
│   └── DuplicateProvider
├── TransportError                 no complete HTTP answer
│   ├── ConnectError
│   ├── NetworkTimeout             also a TimeoutError
│   ├── ConnectionLost
│   └── StreamInterrupted
├── StatusError                    the backend answered, and refused
│   ├── InvalidRequest
│   ├── AuthenticationFailed
│   │   └── PermissionDenied
│   ├── NotFound
│   ├── Conflict
│   ├── RateLimited
│   ├── UnexpectedRedirect
│   └── ServerError                5xx, and 408
├── MalformedResponse              success, with an unreadable body
├── TurnFailed                     raised by `raise_for_outcome`, as the next three
├── TurnCancelled
├── TurnLimitReached
├── ActionRequiredError
└── DeadlineExceeded               the caller's deadline passed. Also a TimeoutError
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polysession.action import PendingAction


class PolysessionError(Exception):
    """Base of every error raised here.

    Attributes:
        provider: Name of the provider; None if none was involved yet.
        operation: Name of the operation, such as `"sessions.get"`; None outside an operation.
        status: HTTP status of the response; None without a response, or if polysession itself found the problem.
        code: The backend's own error code or type; None if it gave none.
        request_id: The backend's id of the request, for its support; None if the response has none.
        retryable: Whether the same call may succeed later, unchanged.
        attempts: How many requests were made for the failing call; 0 if nothing was sent.
        outcome_unknown: True if the backend may have carried out the change although the call failed. Repeating the
            call may then do it twice. False for reads.
        already_done: Description of the changes that were carried out before the failure; None if there were none. A
            flow of several calls sets it; the constructor does not take it.
        cursor: For an error that ended a stream: resumes the stream after the last event, in any process. Else None.
        events_seen: For an error that ended a stream: the number of delivered events.
    """

    retryable: bool = False
    outcome_unknown: bool = False
    cursor: str | None = None
    events_seen: int = 0

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        operation: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.operation = operation
        self.status = status
        self.code = code
        self.request_id = request_id
        self.attempts = attempts
        self.already_done: str | None = None

    @property
    def message(self) -> str:
        """The message: the event, the expectation and the next step. Facts such as the status are in the attributes."""
        return str(self.args[0])

    @message.setter
    def message(self, text: str) -> None:
        self.args: tuple[object, ...] = (text,)

    def __str__(self) -> str:
        where = " ".join(part for part in (self.provider, self.operation) if part)
        facts = [
            f"{label} {value}"
            for label, value in (("HTTP", self.status), ("code", self.code), ("request id", self.request_id))
            if value is not None
        ]
        text = f"{where}: {self.message}" if where else self.message
        if facts:
            text += f" ({', '.join(facts)})"
        if self.already_done:
            text = f"{text.removesuffix('.')}. Already done: {self.already_done}."
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class UsageError(PolysessionError):
    """The call is invalid; nothing was sent."""


class UnknownProvider(UsageError):
    """No installed provider has that name."""


class MissingCredentials(UsageError):
    """A secret that the backend needs was given neither as an argument nor in the environment."""


class UnsupportedOperation(UsageError):
    """The backend cannot do this.

    Attributes:
        feature: The feature that is missing, such as `"sessions.archive"`.
        hint: An alternative; may be empty.
    """

    def __init__(
        self,
        message: str = "",
        *,
        feature: str = "",
        hint: str = "",
        provider: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation)
        self.feature = feature
        self.hint = hint


class PluginError(PolysessionError):
    """An installed provider cannot be used."""


class BrokenProvider(PluginError):
    """The provider's package fails to import, or does not declare what a provider must."""


class DuplicateProvider(PluginError):
    """Two installed distributions offer a provider of the same name."""


class TransportError(PolysessionError):
    """The backend gave no complete HTTP answer."""

    retryable = True


class ConnectError(TransportError):
    """No connection to the backend was possible; this attempt was not sent."""


class NetworkTimeout(TransportError, TimeoutError):
    """The backend did not answer in time."""


class ConnectionLost(TransportError):
    """The connection broke before the response was complete, or the response was not HTTP."""


class StreamInterrupted(TransportError):
    """A live stream broke, and could not be resumed: `cursor` continues it."""


class StatusError(PolysessionError):
    """The backend answered with an error status.

    Attributes:
        retry_after_s: Seconds that the backend asks to wait; None if it does not ask.
    """

    retry_after_s: float | None = None


class InvalidRequest(StatusError):
    """The backend refused the request as wrong."""


class AuthenticationFailed(StatusError):
    """The credential is missing, wrong or expired."""


class PermissionDenied(AuthenticationFailed):
    """The credential is valid but does not have the permission."""


class NotFound(StatusError):
    """The resource does not exist, or the credential cannot see it."""


class Conflict(StatusError):
    """The resource is in a state that does not allow this now."""


class RateLimited(StatusError):
    """Too many requests."""

    retryable = True


class UnexpectedRedirect(StatusError):
    """The backend redirects to another address. This is not followed, because it would receive the credential."""


class ServerError(StatusError):
    """The backend failed on its own side."""

    retryable = True


class MalformedResponse(PolysessionError):
    """The backend reported success, but its body cannot be read as the expected result."""


class TurnFailed(PolysessionError):
    """The turn ended in a failure."""


class TurnCancelled(PolysessionError):
    """The turn was cancelled."""


class TurnLimitReached(PolysessionError):
    """The turn was stopped at a limit of the backend, such as a number of steps or a budget."""


class ActionRequiredError(PolysessionError):
    """The turn waits for answers to pending actions.

    Attributes:
        actions: The pending actions.
    """

    def __init__(
        self,
        message: str = "",
        *,
        actions: tuple[PendingAction, ...] = (),
        provider: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation)
        self.actions = actions


class DeadlineExceeded(PolysessionError, TimeoutError):
    """The caller's deadline passed; the session may still be running."""
