"""Calls and pages that sessions, agents and events share.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/pagination and
https://docs.qoder.com/cloud-agents/api/conventions/idempotency (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from polysession.provider_api import (
    Call,
    MalformedResponse,
    Page,
    Response,
    SessionRef,
    UsageError,
    json_body,
    path_segment,
    read_as,
    read_json,
)
from polysession_qoder.wire import WirePage, WirePageEnd

T = TypeVar("T")

IDEMPOTENCY_KEY: Final = "idempotency-key"
MAX_LIMIT: Final = 100
"""Items of the largest page."""


def post(path: str, body: Mapping[str, Any]) -> Call:
    """A write, safe to repeat."""
    return Call("POST", path, body=json_body(body), idempotency_header=IDEMPOTENCY_KEY)


def session_path(ref: SessionRef) -> str:
    """Where a session is."""
    return f"/sessions/{path_segment(ref.id, 'session id')}"


def page_parameters(limit: int | None, cursor: str | None) -> dict[str, Any]:
    """The query of one page. Our cursor names its parameter, because older generations continue by another one.

    Raises:
        UsageError: The limit is above Qoder's, or the cursor is not one of ours.
    """
    if limit is not None and limit > MAX_LIMIT:
        raise UsageError(f"limit is {limit}; a page of Qoder has at most {MAX_LIMIT} items")
    parameters: dict[str, Any] = {} if limit is None else {"limit": limit}
    if cursor is not None:
        name, _, value = cursor.partition("=")
        if name not in {"page", "after_id"} or not value:
            raise UsageError(f"{cursor!r} is not a cursor of this list")
        parameters[name] = value
    return parameters


def read_page(reply: Response, normalise: Callable[[dict[str, Any]], T]) -> Page[T]:
    """The page in a reply, each of its items normalised.

    Raises:
        MalformedResponse: It is no page, or says that the list goes on without saying where.
    """
    page = read_as(WirePage.model_validate, read_json(reply), reply)
    items = tuple(read_as(normalise, item, reply) for item in page.data)
    return Page(items, next_cursor(page, reply))


def next_cursor(page: WirePageEnd, reply: Response) -> str | None:
    """Where the list goes on.

    Raises:
        MalformedResponse: It says that it does, and not where.
    """
    if page.next_page and page.has_more is not False:
        return f"page={page.next_page}"
    if not page.has_more:
        return None
    if page.last_id:
        return f"after_id={page.last_id}"
    raise MalformedResponse("the list says that it goes on, and not where", status=reply.status)
