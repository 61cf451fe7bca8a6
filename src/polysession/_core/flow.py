"""Calls, replies, and the flows that exchange them.

A flow is a generator: it yields each `Call` to make, receives its `Response`, and returns its result. When a call
fails, the error is raised inside the flow at the `yield`, so that a flow can react to a conflict with another call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from pydantic import AfterValidator

from polysession._json import decode_json
from polysession.change import UNSET, Unset
from polysession.errors import MalformedResponse, UsageError

T = TypeVar("T")

_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_READING: Final = frozenset({"GET", "HEAD"})
_SUCCESS: Final = range(200, 300)
_PLAIN_ID: Final = re.compile(r"[\w-]+", re.ASCII)
"""The form of most ids: it needs no further check and no escape."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to make.

    Attributes:
        method: HTTP method.
        path: Percent-encoded path after the base URL, with its query.
        headers: Headers besides the constant headers of the provider. The repr shows neither the headers nor the body.
        body: JSON text; None for no body.
        after_s: Seconds to wait before sending.
        read_only: Whether the call changes nothing, although its method may suggest that it does.
        idempotency_header: Header that makes the call safe to repeat. Unless `headers` has a value for it, a value is
            generated once per call.
        timeout_s: Seconds for each wait on the network; `UNSET` for the client's, None for no limit.
        idempotent: Whether sending the call twice has the same effect as sending it once, although its method may
            suggest otherwise.
        base_url: Another server than the provider's, such as one that exchanges credentials; None for the provider's.
            That server gets neither the constant headers of the provider nor the caller's headers.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, repr=False)
    body: bytes | None = field(default=None, repr=False)
    after_s: float = 0.0
    read_only: bool = False
    idempotency_header: str | None = None
    timeout_s: float | Unset | None = UNSET
    idempotent: bool = False
    base_url: str | None = None

    @property
    def changes(self) -> bool:
        """Whether the call changes anything at the backend."""
        return not self.read_only and self.method not in _READING

    @property
    def repeatable(self) -> bool:
        """Whether sending the call twice with the same idempotency key has the same effect as sending it once."""
        safe = not self.changes or self.method == "DELETE"
        return safe or self.idempotent or self.idempotency_header is not None


@dataclass(frozen=True, slots=True)
class Response:
    """A complete HTTP response.

    The repr shows neither headers nor body: a server may have put a secret there, and a traceback may print local
    variables.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive when it comes from a driver.
        content: The body, decompressed.
        attempts: Number of requests that were sent to get this response.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    attempts: int = 1

    @property
    def request_id(self) -> str | None:
        """The backend's id of the request; None if it sent none."""
        return request_id_of(self.headers)

    @property
    def succeeded(self) -> bool:
        """Whether the status is any 2xx."""
        return self.status in _SUCCESS

    def json(self) -> Any:
        """The body as a JSON value.

        Raises:
            MalformedResponse: It is not JSON.
        """
        try:
            return decode_json(self.content)
        except ValueError as error:
            problem = str(error)
        raise MalformedResponse(f"the body is not JSON: {problem}", status=self.status, request_id=self.request_id)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the backend's id of a request from the headers of its response; None if it sent none."""
    return headers.get("x-request-id") or headers.get("request-id")


Flow: TypeAlias = Generator[Call, Response, T]
"""A generator of calls that receives replies and returns a `T`."""


def path_segment(value: str, what: str) -> str:
    """Return an id that is safe as one segment of a path.

    Some servers decode `%2F` before they route, so an id with a slash could reach another operation. Such ids are
    refused here, not encoded.

    Args:
        value: The id, as the backend sent it.
        what: Name of the value for the message, such as `"session id"`.

    Raises:
        UsageError: The id is empty, `.` or `..`, or contains a slash, a backslash, whitespace or a control character.
    """
    if not isinstance(value, str):
        raise UsageError(f"the {what} must be text, not {type(value).__name__}")
    if _PLAIN_ID.fullmatch(value):
        return value
    if value in {"", ".", ".."}:
        raise UsageError(f"the {what} must not be {value!r}")
    bad = next((char for char in value if char in "/\\" or char.isspace() or not char.isprintable()), None)
    if bad is not None:
        raise UsageError(f"the {what} {value!r} contains {bad!r}; pass the id exactly as the backend returned it")
    return quote(value, safe="")


def _check_path_text(text: str) -> str:
    try:
        path_segment(text, "setting")
    except UsageError:
        pass  # the message of the error quotes the text, and a setting may contain anything
    else:
        return text
    raise ValueError("must be an id without slashes, spaces and control characters, and not empty")


PathText = Annotated[str, AfterValidator(_check_path_text)]
"""The type of a setting that is a segment of a path; see `path_segment`."""


def with_query(path: str, query: Mapping[str, str | int | bool | Sequence[str] | None]) -> str:
    """Return a path with its query. None omits a parameter, a list repeats its key, a boolean is in lower case.

    Raises:
        UsageError: A value contains half a surrogate pair.
    """
    pairs = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None
    }
    try:
        return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path
    except UnicodeEncodeError as error:
        raise UsageError(f"a value cannot be sent in a URL: {error}") from error


def json_body(value: Any) -> bytes:
    """Return a value as JSON text in UTF-8.

    Raises:
        UsageError: The value contains something that JSON cannot represent: NaN, an infinity, or half a surrogate pair.
    """
    try:
        return _JSON.encode(value).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"a value cannot be sent as JSON: {error}") from error
