"""Reads response bodies and frames into wire structs and records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from polysession._core.decoding import JSON_WORDS
from polysession._core.flow import Response
from polysession._core.provider import ErrorDetail, Page
from polysession._core.text import plain_text
from polysession._json import JSON_FAILURES, decode_json
from polysession.errors import MalformedResponse, UsageError

if TYPE_CHECKING:
    from polysession._core.sse import Frame

T = TypeVar("T")

_QUOTED: Final = 80
_CURSOR_DIGITS: Final = 18
_FINDINGS_SHOWN: Final = 3


def read_response(read: Callable[[bytes], T], response: Response) -> T:
    """Read a response with a function of its body: a `decoder`, or a reader of sessions.

    Raises:
        MalformedResponse: The body is not a JSON object, or lacks a part that the function needs. The error has the
            HTTP status, the backend's id of the request, and at most a short sentence from the body.
    """
    try:
        return read(response.content)
    except MalformedResponse as error:
        problem = error.message
    # Outside the handler: the traceback of the first error holds the body.
    raise _malformed(response, _instead_of_object(response.content) or problem)


def read_whole(decode: Callable[[bytes], tuple[T, tuple[str, ...]]], response: Response) -> T:
    """Read a response completely, for example a page: an unreadable cursor must not end a list.

    Args:
        decode: A `decoder`. In its struct, list items that may be unreadable are `msgspec.Raw`: see `read_list`.
        response: The response.

    Raises:
        MalformedResponse: As for `read_response`, or a part cannot be read.
    """
    struct, problems = read_response(decode, response)
    if problems:
        raise _malformed(response, "; ".join(problems[:_FINDINGS_SHOWN]))
    return struct


def read_list(items: Iterable[Any] | None, read: Callable[[bytes], T], *, next_cursor: str | None = None) -> Page[T]:
    """Read the items of a page. An unreadable item is named in the page's problems, and the others stay.

    Args:
        items: The items as `msgspec.Raw`; None counts as none.
        read: Reads one item: the same function that reads a single resource.
        next_cursor: Cursor of the next page; None on the last page.
    """
    found: list[T] = []
    problems: list[str] = []
    for index, item in enumerate(items or ()):
        try:
            found.append(read(bytes(item)))
        except MalformedResponse as error:
            problems.append(f"item {index}: {error.message}")
    return Page(tuple(found), next_cursor, tuple(problems))


def read_parts(
    items: Iterable[Any] | None, decode: Callable[[bytes], tuple[T, tuple[str, ...]]], path: str
) -> tuple[list[tuple[T, bytes]], tuple[str, ...]]:
    """Read a list of parts, such as the content of a message. A part that is not an object is left out and named.

    Args:
        items: The parts as `msgspec.Raw`; None counts as none.
        decode: A `decoder`.
        path: Path of the parts in the response, such as `content`.

    Returns:
        Each part as a struct and as JSON text; and the problems.
    """
    read: list[tuple[T, bytes]] = []
    problems: list[str] = []
    for index, item in enumerate(items or ()):
        content = bytes(item)
        try:
            part, found = decode(content)
        except MalformedResponse:
            problems.append(f"{path}[{index}]: not an object")
            continue
        read.append((part, content))
        problems += [f"{path}[{index}].{problem}" for problem in found]
    return read, tuple(problems)


def one_page(items: Sequence[T], page_size: int | None, cursor: str | None, *, newest_first: bool = False) -> Page[T]:
    """Return one page of a list that had to be read whole. Its cursors count items.

    A cursor behind the end gives an empty page, because the list may have become shorter.

    Args:
        items: The whole list.
        page_size: Number of items on the page; None for all remaining items.
        cursor: Cursor that the previous page gave; None for the first page.
        newest_first: Whether to go backwards from the end. New items at the end do not shift the pages then.

    Raises:
        UsageError: The cursor is not one of this list.
    """
    number = None if cursor is None else cursor_number(cursor)
    if newest_first:
        end = len(items) if number is None else min(number, len(items))
        start = 0 if page_size is None else max(0, end - page_size)
        return Page(tuple(items[start:end])[::-1], str(start) if start else None)
    start = number or 0
    end = len(items) if page_size is None else start + page_size
    return Page(tuple(items[start:end]), str(end) if end < len(items) else None)


def cursor_number(cursor: str) -> int:
    """Return the number in the cursor of a list whose cursors count items.

    Raises:
        UsageError: The cursor is not a number.
    """
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _CURSOR_DIGITS):
        raise UsageError(f"{cursor!r} is not a cursor of this list; pass the `next_cursor` of a page unchanged")
    return int(cursor)


def read_array(response: Response) -> list[msgspec.Raw]:
    """Return the items of a response whose body is a bare JSON array: see `read_list`.

    Raises:
        MalformedResponse: The body is not an array.
    """
    try:
        return msgspec.json.decode(response.content, type=list[msgspec.Raw])
    except JSON_FAILURES:
        pass  # outside the handler: tracebacks must not hold the body
    raise _malformed(response, "it is not a JSON array")


def read_frame(decode: Callable[[bytes], tuple[T, tuple[str, ...]]], frame: Frame) -> tuple[T | None, tuple[str, ...]]:
    """Read the data of a frame. It never fails: one unreadable frame does not end a stream.

    Returns:
        The struct and its problems; None in place of the struct if the data is unreadable: see `raw_event`.
    """
    try:
        return decode(frame.data)
    except MalformedResponse as error:
        return None, (error.message,)


def read_frames(response: Response) -> list[Frame]:
    """Read the frames of a complete stream in a flow. A `ConnectedStream` receives them one by one instead.

    Raises:
        MalformedResponse: The response is not a stream of events, but for example an HTML page of a proxy.
    """
    from polysession._core.sse import SseDecoder  # noqa: PLC0415  (most responses are no streams)

    if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        raise _malformed(
            response, f"expected an event stream, received {response.headers.get('content-type', 'nothing')}"
        )
    return list(SseDecoder().feed(response.content))


def answer_id(response: Response, *path: str | int) -> str:
    """Return the id in the response to a write.

    Args:
        response: The response.
        path: Keys and indexes that lead to the id, such as `"data", 0, "id"`.

    Raises:
        MalformedResponse: There is no text or whole number at this path.
    """
    found = _id_at(read_json(response), path)
    if found is None:
        raise _malformed(response, f"it has no id at {'.'.join(map(str, path))}")
    return found


def _id_at(value: Any, path: Iterable[str | int]) -> str | None:
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def read_json(response: Response) -> dict[str, Any]:
    """Return the JSON object in a response.

    Raises:
        MalformedResponse: The body is empty, is not JSON, or is not an object.
    """
    value = _decoded(response.content)
    if isinstance(value, dict):
        return value
    del value  # tracebacks with locals must not show the body
    raise _malformed(response, _instead_of_object(response.content))


def read_json_or_nothing(response: Response) -> dict[str, Any] | None:
    """Return the JSON object in a response; None if its body is empty or null. An HTML page is not a success.

    Raises:
        MalformedResponse: There is a body, and it is not a JSON object.
    """
    return None if response.content.strip() in {b"", b"null"} else read_json(response)


def read_json_or_none(response: Response) -> Mapping[str, Any] | None:
    """Return the JSON object in a response; None for any other body. For error bodies, which may have any form."""
    value = _decoded(response.content)
    return value if isinstance(value, dict) else None


def fastapi_error(response: Response) -> ErrorDetail:
    """Read an error body of a server built with FastAPI: `detail` is a sentence, or a list of findings.

    The detail shows the place and message of each finding, never the input that the finding repeats.

    Backend: https://fastapi.tiangolo.com/tutorial/handling-errors/ (read 2026-11-30)
    """
    detail = (read_json_or_none(response) or {}).get("detail")
    if isinstance(detail, str):
        return ErrorDetail(detail)
    if isinstance(detail, Mapping):
        message, code = detail.get("message"), detail.get("code")
        return ErrorDetail(message if isinstance(message, str) else "", None if code is None else str(code))
    findings = [_finding(item) for item in detail if isinstance(item, Mapping)] if isinstance(detail, list) else []
    more = len(findings) - _FINDINGS_SHOWN
    return ErrorDetail("; ".join(findings[:_FINDINGS_SHOWN]) + (f"; and {more} more" if more > 0 else ""))


def _finding(item: Mapping[str, Any]) -> str:
    place = item.get("loc")
    where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    what = str(item.get("msg", ""))
    return f"{where}: {what}" if where else what


def _decoded(content: bytes) -> Any:
    try:
        return decode_json(content)
    except ValueError:
        return None


def _instead_of_object(content: bytes) -> str:
    """Describe a body that is not a JSON object; empty text for an object."""
    if not content.strip():
        return "the body is empty"
    try:
        kind = type(decode_json(content))
    except ValueError as error:
        text = plain_text(content)
        # Quoted whole or not at all: a cut could leave a part of a secret, which redaction would not recognise.
        return f"expected JSON, received: {text}" if len(text) <= _QUOTED else f"it is not JSON: {error}"
    return "" if kind is dict else f"expected a JSON object, received {JSON_WORDS.get(kind, kind.__name__)}"


def _malformed(response: Response, what: str) -> MalformedResponse:
    message = f"the backend reported success, but its response cannot be read: {what}"
    return MalformedResponse(message, status=response.status, request_id=response.request_id)
