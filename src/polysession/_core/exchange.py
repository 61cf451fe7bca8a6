"""Builds the requests of calls and judges their outcomes: everything except the I/O between them."""

from __future__ import annotations

import html
import json
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from polysession._core.authorising import NO_AUTHORISATION, Authorisation, Authoriser
from polysession._core.body import ACCEPT_ENCODING
from polysession._core.flow import Call, Response
from polysession._core.provider import ErrorDetail, Provider
from polysession._core.retry import Outcome, retry_after_s
from polysession._core.text import escaped, plain_text
from polysession._version import __version__
from polysession.errors import (
    AuthenticationFailed,
    Conflict,
    ConnectError,
    ConnectionLost,
    InvalidRequest,
    MalformedResponse,
    NetworkTimeout,
    NotFound,
    PermissionDenied,
    PolysessionError,
    RateLimited,
    ServerError,
    StatusError,
    TransportError,
    UnexpectedRedirect,
    UsageError,
)
from polysession.settings import check_header_names, header_secrets

USER_AGENT: Final = f"polysession/{__version__} python/{platform.python_version()}"

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_JSON: Final = {"content-type": "application/json"}
_OURS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection"})
"""Headers that the HTTP library sets, or some calls."""
_TEXT_LIMIT: Final = 500
_MESSAGE_LIMIT: Final = 2_000
_URL_LIMIT: Final = 60_000
"""Maximum length of a URL in characters; HTTP libraries stop at 65,536, and most servers much earlier."""
_SHORTEST_SECRET: Final = 6
"""Minimum length of a secret that is also redacted inside words: shorter text occurs in many words."""
_TIMED_OUT_AT_SERVER: Final = 408
_SERVER_FAULT: Final = 500
_BY_STATUS: Final[Mapping[int, type[StatusError]]] = {
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    408: ServerError,
    409: Conflict,
    429: RateLimited,
}
_BY_HUNDRED: Final[Mapping[int, type[StatusError]]] = {
    3: UnexpectedRedirect,
    4: InvalidRequest,
    5: ServerError,
}
_NOT_CONNECTED: Final = frozenset({"ConnectError", "ProxyError", "UnsupportedProtocol"})
_NOT_SENT: Final = _NOT_CONNECTED | {"ConnectTimeout", "PoolTimeout"}
_UNTRUSTED: Final = frozenset({"SSLCertVerificationError", "ClientConnectorCertificateError"})
_IN_DOUBT: Final = "The backend may have executed the request: check before you repeat it"
_WITHOUT_MESSAGE: Final[Mapping[type[StatusError], str]] = {
    AuthenticationFailed: "the backend does not accept the credential: check it or renew it",
    NotFound: "the resource does not exist, or base_url is not the address of this backend",
    RateLimited: "too many requests",
    ServerError: "the backend failed without giving a reason",
}


class Exchange:
    """Prepares the requests of one client, and judges their outcomes.

    Args:
        provider: The provider.
        proxy: The environment variable that names the proxy on the way to the backend; None for no proxy.
        user_agent: The caller's text, added to ours.

    Raises:
        UsageError: The settings contain a header that we set ourselves.

    Attributes:
        authoriser: Keeps the authorisation that the provider fetches.
    """

    def __init__(
        self,
        provider: Provider[Any],
        *,
        proxy: str | None = None,
        user_agent: str | None = None,
    ) -> None:
        self._provider = provider
        self._base_url: str = provider.settings.base_url
        self._proxy = proxy
        self.authoriser: Authoriser = Authoriser(provider)
        self._plain_headers = {
            "accept": "application/json",
            "accept-encoding": ACCEPT_ENCODING,
            "user-agent": USER_AGENT if user_agent is None else f"{USER_AGENT} {header_text(user_agent, 'user_agent')}",
        }
        ours = self._plain_headers | {name.lower(): value for name, value in provider.headers().items()}
        self._ours = ours.keys() | _OURS
        given = {name: value.get_secret_value() for name, value in provider.settings.headers.items()}
        self._further = further = checked_headers(given, self._ours)
        self._secrets = spellings(provider.settings.secrets())
        self._headers = {**ours, **further}
        self._json_headers = {**self._headers, **_JSON}

    def with_headers(self, headers: Mapping[str, str]) -> Exchange:
        """Return a copy with more headers from the caller.

        Raises:
            UsageError: A header cannot be sent, or is one that we set ourselves.
        """
        further = checked_headers(headers, self._ours)
        other = copy(self)
        other._further = {**self._further, **further}  # noqa: SLF001  (a copy of this one)
        other._secrets = (*spellings(header_secrets(further)), *self._secrets)  # noqa: SLF001  (a copy of this one)
        other._headers = {**self._headers, **further}  # noqa: SLF001  (a copy of this one)
        other._json_headers = {**self._json_headers, **further}  # noqa: SLF001  (a copy of this one)
        return other

    def url(self, call: Call) -> str:
        """The full address of a call.

        Raises:
            UsageError: The address is too long for HTTP.
        """
        url = (call.base_url or self._base_url) + call.path
        if len(url) > _URL_LIMIT:
            raise UsageError(
                f"the URL would have {len(url)} characters, and at most {_URL_LIMIT} are sent; shorten the id or filter"
            )
        return url

    def headers(
        self, call: Call, idempotency_key: str | None, authorisation: Authorisation = NO_AUTHORISATION
    ) -> Mapping[str, str]:
        """All headers of a call.

        Args:
            call: The call.
            idempotency_key: For its idempotency header, unless the call brings a value.
            authorisation: Headers that identify the client, besides its constant headers.

        Raises:
            UsageError: The authorisation has a header that the caller gave.
        """
        prepared = self._headers if call.body is None else self._json_headers
        if call.base_url is not None:
            return {**self._plain_headers, **({} if call.body is None else _JSON), **call.headers}
        if authorisation.headers:
            checked_headers(self._further, {name.lower() for name in authorisation.headers})
            prepared = {**prepared, **authorisation.headers}
        if call.idempotency_header is not None and idempotency_key is not None:
            return {**prepared, call.idempotency_header: idempotency_key, **call.headers}
        return {**prepared, **call.headers} if call.headers else prepared

    def failure(self, error: BaseException) -> TransportError | None:
        """Return our error for an error of the HTTP library, which becomes its cause; None for any other error."""
        if isinstance(error, TransportError):
            return error
        text = str(error)
        found = _transport_error(error, self.redact(text), self._proxy, self._base_url)
        # A library may quote a broken response, which may hold a secret: such a cause is left out.
        if found is not None and not any(secret.search(text) for secret in self._all_secrets):
            found.__cause__ = error
        return found

    def outcome(self, error: Exception) -> TransportError | MalformedResponse | None:
        """Return the outcome of an attempt that ended in this error; None if it is not about network or response."""
        if not isinstance(error, MalformedResponse):
            return self.failure(error)
        self._clean(error)  # observers see it before it is raised
        return error.with_traceback(None)  # the frames of the traceback hold the body

    def raise_for_outcome(self, call: Call, outcomes: Sequence[Outcome], now: datetime) -> Response:
        """Return the last response if it is a success.

        Args:
            call: The call.
            outcomes: The outcome of each attempt.
            now: The time, to read a `Retry-After` date.

        Raises:
            TransportError: There was no response.
            MalformedResponse: The body of the response could not be read.
            StatusError: The response was not a success.
        """
        last = outcomes[-1]
        if isinstance(last, Response) and last.succeeded and not self._provider.is_refusal(last):
            return last if len(outcomes) == 1 else replace(last, attempts=len(outcomes))
        in_doubt = call.changes and any(_may_have_acted(outcome) for outcome in outcomes)
        error = self._refusal(last, now) if isinstance(last, Response) else last
        error.attempts = len(outcomes)
        error.outcome_unknown = in_doubt
        self._clean(error)
        raise error

    @staticmethod
    def no_stream(call: Call, response: Response) -> MalformedResponse:
        """Return the error for a response that is a success but not the requested stream of events."""
        kind = response.headers.get("content-type", "nothing")
        error = MalformedResponse(
            f"the backend reported success, but sent {kind} instead of an event stream",
            status=response.status,
            request_id=response.request_id,
            attempts=response.attempts,
        )
        error.outcome_unknown = call.changes
        return error

    def add_context(
        self, error: PolysessionError, operation: str, call: Call | None, response: Response | None
    ) -> None:
        """Complete the error of a flow with its provider, operation, request and response. Redacts secrets.

        Args:
            error: The error.
            operation: The caller's operation.
            call: The flow's last call; None if it made none.
            response: The flow's last response; None if it got none.
        """
        error.provider = error.provider or self._provider.name
        error.operation = error.operation or operation
        if response is not None and not isinstance(error, UsageError):
            error.attempts = error.attempts or response.attempts
        if isinstance(error, MalformedResponse) and call is not None and call.changes:
            error.outcome_unknown = True
        self._clean(error)
        if error.outcome_unknown and not error.message.endswith(_IN_DOUBT):
            error.message = f"{error.message.rstrip('.')}. {_IN_DOUBT}"

    def _clean(self, error: PolysessionError) -> None:
        error.message = redact(error.message, self._all_secrets, _MESSAGE_LIMIT)
        error.code = error.code and self.redact(error.code)
        error.request_id = error.request_id and self.redact(error.request_id)

    def _refusal(self, response: Response, now: datetime) -> StatusError:
        detail = self._provider.read_error(response)
        status = detail.status or response.status
        error_class = _BY_STATUS.get(status) or _BY_HUNDRED.get(status // 100, StatusError)
        if detail.code is not None:
            error_class = self._provider.error_classes.get(detail.code, error_class)
        error = error_class(
            self._message(error_class, response, detail),
            status=response.status,
            code=detail.code,
            request_id=response.request_id or detail.request_id,
        )
        error.retry_after_s = retry_after_s(response.headers, now)
        return error

    def _message(self, error_class: type[StatusError], response: Response, detail: ErrorDetail) -> str:
        if error_class is UnexpectedRedirect:
            target = self.redact(response.headers.get("location", "nowhere"))
            return (
                f"the backend redirects to {target!r}. Redirects are not followed, because another address must not"
                " receive the credential. Check base_url"
            )
        said = self.redact(detail.message or plain_text(response.content))
        return said or _WITHOUT_MESSAGE.get(error_class, "the backend refused the request without giving a reason")

    def redact(self, text: str) -> str:
        """Return foreign text without secrets and control characters, and not too long."""
        return redact(text, self._all_secrets)

    @property
    def _all_secrets(self) -> tuple[re.Pattern[str], ...]:
        fetched = [secret for each in self.authoriser.recent for secret in header_secrets(each.headers)]
        return (*spellings(fetched), *self._secrets)


def checked_headers(headers: Mapping[str, str], ours: AbstractSet[str]) -> dict[str, str]:
    """Return a caller's headers with their names in lower case.

    Raises:
        UsageError: A header cannot be sent, or is one that we set ourselves.
    """
    if not isinstance(headers, Mapping):
        raise UsageError(f"headers must map names to text, not be a {type(headers).__name__}")
    try:
        named = check_header_names(headers)
    except ValueError as error:
        raise UsageError(f"headers: {error}") from None
    for name in named:
        if name in ours:
            raise UsageError(f"the header {name!r} is set by polysession; remove it from headers")
    return {name: header_text(value, f"the header {name!r}") for name, value in named.items()}


def header_text(value: str, what: str) -> str:
    """Return the text if it can be sent in a header.

    Raises:
        UsageError: The value is not text, has a character that is not printable ASCII, or starts or ends with a space.
    """
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        raise UsageError(f"{what} must be printable ASCII text without leading or trailing spaces")
    return value


def redact(text: str, secrets: Iterable[re.Pattern[str]] = (), limit: int = _TEXT_LIMIT) -> str:
    """Return foreign text that is safe to print: secrets redacted, then shortened, and control characters escaped."""
    for secret in secrets:
        text = secret.sub("***", text)
    text = text.strip()
    text = text if len(text) <= limit else text[:limit] + "…"
    return escaped(text)


def spellings(secrets: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Return each secret as it is, and as written in JSON, HTML, a URL and a Python repr; the longest first."""
    escapes: tuple[Callable[[str], str], ...] = (
        str,
        lambda secret: json.dumps(secret)[1:-1],
        html.escape,
        quote,
        lambda secret: quote(secret, safe=""),
        lambda secret: secret.replace("\\", "\\\\").replace("'", "\\'"),
    )
    found = {(escape(secret), len(secret) < _SHORTEST_SECRET) for secret in secrets for escape in escapes}
    longest_first = sorted(found, key=lambda each: len(each[0]), reverse=True)
    return tuple(re.compile(_alone(spelling) if short else re.escape(spelling)) for spelling, short in longest_first)


def _alone(spelling: str) -> str:
    """Return a pattern for a spelling outside words. An escape, such as `%20`, may come directly before it."""
    return rf"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{{2}})|(?<=\\[a-z])){re.escape(spelling)}(?!\w)"


def _may_have_acted(outcome: Outcome) -> bool:
    if isinstance(outcome, PolysessionError):
        return outcome.outcome_unknown
    return outcome.status == _TIMED_OUT_AT_SERVER or outcome.status >= _SERVER_FAULT


def _transport_error(error: BaseException, text: str, proxy: str | None, base_url: str) -> TransportError | None:
    """Return our error for an error of the HTTP library, with this text; None for any other error.

    It compares class names, so that any library with the exceptions of httpx works.
    """
    names = {base.__name__ for base in type(error).__mro__}
    if "RequestError" not in names:
        return None
    reason = text or type(error).__name__
    if "PoolTimeout" in names:
        found: TransportError = ConnectError(
            "no connection became free in time, and each open stream holds one. Close streams, or raise `limits` of the"
            " client"
        )
        found.retryable = False
    elif "TimeoutException" in names:
        found = NetworkTimeout(
            f"no response in time ({type(error).__name__}). Try again, or raise the client's timeout"
        )
    elif names & _NOT_CONNECTED:
        found = _not_connected(error, reason, proxy, base_url)
    else:
        found = ConnectionLost(f"the response is incomplete or not valid HTTP: {reason}")
    found.outcome_unknown = not names & _NOT_SENT
    return found


def _not_connected(error: BaseException, reason: str, proxy: str | None, base_url: str) -> ConnectError:
    if not _UNTRUSTED.isdisjoint(_class_names(error)):
        found = ConnectError(
            f"the backend's certificate is not trusted: {reason}. To trust its authority, set SSL_CERT_FILE to a file"
            " with the authority's certificate"
        )
        found.retryable = False
        return found
    if proxy is not None:
        return ConnectError(f"cannot connect through the proxy in {proxy}: {reason}")
    return ConnectError(f"cannot connect to {base_url!r}: {reason}. Check base_url, and that the backend is running")


def _class_names(error: BaseException | None) -> set[str]:
    """Names of the classes of an error and of its causes."""
    names: set[str] = set()
    while error is not None:
        names.add(type(error).__name__)
        error = error.__cause__ or error.__context__
    return names
