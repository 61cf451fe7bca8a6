"""What both drivers do to a call and to its outcome: everything but the I/O between them."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from polysession._core.flow import Call, Reply
from polysession._core.provider import ErrorDetail, Provider
from polysession._core.retry import Outcome, retry_after_s
from polysession._version import __version__
from polysession.errors import (
    AuthenticationFailed,
    BackendFault,
    Conflict,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    PolysessionError,
    RateLimited,
    StatusError,
    TimedOut,
    TransportError,
    UnexpectedRedirect,
)

USER_AGENT: Final = f"polysession/{__version__} python/{platform.python_version()}"

_TEXT_LIMIT: Final = 500
_BY_STATUS: Final[Mapping[int, type[StatusError]]] = {
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    408: BackendFault,
    409: Conflict,
    429: RateLimited,
}
_BY_HUNDRED: Final[Mapping[int, type[StatusError]]] = {
    3: UnexpectedRedirect,
    4: InvalidRequest,
    5: BackendFault,
}
_WITHOUT_MESSAGE: Final[Mapping[type[StatusError], str]] = {
    AuthenticationFailed: "the backend does not accept the credential",
    NotFound: "there is no such resource, or the base URL is not this backend's",
    RateLimited: "too many requests",
    BackendFault: "the backend failed and gave no reason",
}


class Exchange:
    """Prepares requests of one client, and judges what came back."""

    def __init__(self, provider: Provider[Any]) -> None:
        self._provider = provider
        self._base_url: str = provider.settings.base_url
        self._headers = {"accept": "application/json", "user-agent": USER_AGENT, **provider.headers()}
        self._json_headers = {**self._headers, "content-type": "application/json"}

    def url(self, call: Call) -> str:
        """The full address of a call."""
        return self._base_url + call.path

    def headers(self, call: Call, idempotency_key: str | None) -> Mapping[str, str]:
        """All headers of a call. `idempotency_key` is the value for its idempotency header."""
        prepared = self._headers if call.body is None else self._json_headers
        if call.idempotency_header is not None and idempotency_key is not None:
            return {**prepared, **call.headers, call.idempotency_header: idempotency_key}
        return {**prepared, **call.headers} if call.headers else prepared

    def settle(self, call: Call, outcome: Outcome, *, attempts: int, now: datetime) -> Reply:
        """The reply, if it is a success.

        Raises:
            TransportError: There was no answer.
            StatusError: The answer was no success.
        """
        if isinstance(outcome, TransportError):
            outcome.attempts = attempts
            raise outcome
        if outcome.succeeded:
            return outcome
        error = self._refusal(outcome, now)
        error.attempts = attempts
        if isinstance(error, BackendFault) and not call.repeatable:
            error.message += ". It may have carried the request out all the same: read before you repeat it"
        raise error

    def locate(self, error: PolysessionError, operation: str) -> None:
        """Say in an error which provider and operation it is about, and strike out secrets that it may quote."""
        error.provider = error.provider or self._provider.name
        error.operation = error.operation or operation
        error.message = _without(error.message, self._provider.settings.secrets())

    def _refusal(self, reply: Reply, now: datetime) -> StatusError:
        detail = self._provider.read_error(reply)
        error_class = _BY_STATUS.get(reply.status) or _BY_HUNDRED.get(reply.status // 100, StatusError)
        if detail.code is not None:
            error_class = self._provider.error_classes.get(detail.code, error_class)
        error = error_class(
            self._message(error_class, reply, detail),
            status=reply.status,
            code=None if detail.code is None else self._harmless(detail.code),
            request_id=self.request_id(reply, detail),
        )
        if isinstance(error, RateLimited):
            error.retry_after_s = retry_after_s(reply.headers, now)
        return error

    def request_id(self, reply: Reply, detail: ErrorDetail | None = None) -> str | None:
        """The backend's id of a request: from the header, else from the body."""
        found = reply.headers.get("x-request-id") or (detail.request_id if detail else None)
        return self._harmless(found) if found else None

    def _message(self, error_class: type[StatusError], reply: Reply, detail: ErrorDetail) -> str:
        if error_class is UnexpectedRedirect:
            target = self._harmless(reply.headers.get("location", "nowhere"))
            return (
                f"the backend redirects to {target!r}; this is not followed, because credentials must not travel to"
                " another address. Check base_url"
            )
        said = self._harmless(detail.message or plain_text(reply.content))
        return said or _WITHOUT_MESSAGE.get(error_class, "the backend refused the request and gave no reason")

    def _harmless(self, text: str) -> str:
        """Text of the backend without secrets and control characters, and not too long."""
        return harmless(text, self._provider.settings.secrets())


def harmless(text: str, secrets: Iterable[str] = ()) -> str:
    """Foreign text that is safe to print: secrets struck out, control characters escaped, at most 500 characters."""
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in _without(text, secrets).strip())
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "…"


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def plain_text(content: bytes) -> str:
    """What a body that is not the backend's JSON says: a page's title, or the start of the text."""
    text = content[: 8 * _TEXT_LIMIT].decode("utf-8", errors="replace")
    if "<html" not in text.lower():
        return text
    title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
    return f"an HTML page instead of JSON{f', titled {title[1].strip()!r}' if title else ''}"


def transport_error(error: Exception, call: Call) -> TransportError | None:
    """The error of ours for one of the HTTP library's; None if it is none of those.

    Goes by the names of its classes, so that any library with httpx's exceptions will do.
    """
    names = {base.__name__ for base in type(error).__mro__}
    if "RequestError" not in names:
        return None
    reason = harmless(str(error)) or type(error).__name__
    if "TimeoutException" in names:
        found: TransportError = TimedOut(f"no answer in time ({type(error).__name__})")
    elif "ConnectError" in names or "UnsupportedProtocol" in names or "ProxyError" in names:
        found = ConnectFailed(f"no connection could be made: {reason}. Is base_url right, and the backend up?")
    else:
        found = ConnectionLost(f"the connection broke before the answer was complete: {reason}")
    found.outcome_unknown = not names & {"ConnectTimeout", "PoolTimeout", "ConnectError", "ProxyError"}
    if found.outcome_unknown and not call.repeatable:
        found.message += ". The backend may have carried the request out: read before you repeat it"
    return found
