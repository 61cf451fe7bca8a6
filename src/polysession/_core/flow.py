"""Calls, replies, and the flows that exchange them.

A flow is a generator: it yields the `Call`s to make, is sent a `Response` for each, and returns its result. When a call
fails, the error is thrown into the flow at the `yield`, so that a flow may answer a conflict with another call.
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

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_READING: Final = frozenset({"GET", "HEAD"})
_SUCCESS: Final = range(200, 300)
_PLAIN_ID: Final = re.compile(r"[\w-]+", re.ASCII)
"""Most ids: nothing in them needs a look, or an escape."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to make.

    Attributes:
        method: HTTP method.
        path: What follows the base URL, percent-encoded, with its query.
        headers: Headers besides the constant ones of the provider. No repr shows them, nor the body.
        body: JSON text; None for no body.
        after_s: Seconds to wait before sending.
        read_only: The call changes nothing, although its method may say otherwise.
        idempotency_header: Header that makes the call safe to repeat. Unless `headers` has a value for it, one is made
            once per call when it is sent.
        timeout_s: Seconds for each wait on the network; `UNSET` for the client's, None for no limit.
        idempotent: Sending it twice does no more than sending it once, although its method may say otherwise.
        base_url: Another server than the provider's, such as one that exchanges credentials; None for the provider's.
            Neither the constant headers of the provider nor headers of the caller's are sent there.
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
        """Whether it changes anything at the backend."""
        return not self.read_only and self.method not in _READING

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice, with the same idempotency key, does no more than sending it once."""
        safe = not self.changes or self.method == "DELETE"
        return safe or self.idempotent or self.idempotency_header is not None


@dataclass(frozen=True, slots=True)
class Response:
    """A complete HTTP answer.

    Its repr shows neither headers nor body: tracebacks with locals would, and a server may have put a secret there.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive when it comes from a driver.
        content: The body, decompressed.
        attempts: How many requests it took to get it.
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
    """The backend's id of a request, from the headers of its answer; None if it sent none."""
    return headers.get("x-request-id") or headers.get("request-id")


Flow: TypeAlias = Generator[Call, Response, T]
"""A generator of calls that receives replies and returns a `T`."""


def path_segment(value: str, what: str) -> str:
    """An id, ready to stand in a path.

    Some servers decode `%2F` before they route, so that an id with a slash could reach another operation: such ids are
    refused here rather than encoded.

    Args:
        value: The id, as the backend gave it.
        what: What it is, for the message: `"session id"`.

    Raises:
        UsageError: It is empty, `.` or `..`, or holds a slash, a backslash, a blank or a control character.
    """
    if not isinstance(value, str):
        raise UsageError(f"the {what} must be text, not {type(value).__name__}")
    if _PLAIN_ID.fullmatch(value):
        return value
    if value in {"", ".", ".."}:
        raise UsageError(f"{value!r} is not a {what}")
    bad = next((char for char in value if char in "/\\" or char.isspace() or not char.isprintable()), None)
    if bad is not None:
        raise UsageError(f"the {what} {value!r} holds {bad!r}: pass the id exactly as the backend gave it")
    return quote(value, safe="")


def _check_path_text(text: str) -> str:
    try:
        path_segment(text, "setting")
    except UsageError:
        pass  # its message quotes the text, and a setting may hold anything
    else:
        return text
    raise ValueError("must be an id that can stand in a path: not empty, without slashes, blanks or control characters")


PathText = Annotated[str, AfterValidator(_check_path_text)]
"""The type of a setting that stands in a path; see `path_segment`."""


def with_query(path: str, query: Mapping[str, str | int | bool | Sequence[str] | None]) -> str:
    """A path with its query. None leaves a parameter out, a list repeats its key, a truth value is in lower case.

    Raises:
        UsageError: A value holds half a surrogate pair.
    """
    pairs = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None
    }
    try:
        return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path
    except UnicodeEncodeError as error:
        raise UsageError(f"a value cannot be sent in an address: {error}") from error


def json_body(value: Any) -> bytes:
    """JSON text in UTF-8.

    Raises:
        UsageError: The value holds something that JSON cannot carry: NaN, an infinity, or half a surrogate pair.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"a value cannot be sent as JSON: {error}") from error
