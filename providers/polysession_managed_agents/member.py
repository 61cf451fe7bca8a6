"""The names and limits of one backend of the family, and the calls that depend on them.

Pure: it does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polysession.provider_api import Call, SessionRef, UsageError, json_body, path_segment, with_query


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The names and limits of one backend of the family.

    Attributes:
        name: Name of the provider.
        title: Name of the backend in messages.
        prefix: Prefix of all paths.
        largest_page: Maximum `page_size` that callers may ask for; None leaves the check to the backend.
        history_page: Number of events on a page when the history is searched.
        idempotency_header: Header that makes a write safe to repeat; None if the backend has none.
        repeats_thread: Whether an answer must name the thread of the sub-agent that asked.
        new_environment: Fields that a new environment needs in addition to its name.
        needs_agent_version: Whether an update of an agent must name the current version. Otherwise it is optional.
    """

    name: str
    title: str
    prefix: str = ""
    largest_page: int | None = None
    history_page: int
    idempotency_header: str | None = None
    repeats_thread: bool = False
    new_environment: Mapping[str, Any] = field(default_factory=dict)
    needs_agent_version: bool = False

    def get(self, path: str, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Call:
        """Build a `GET` call. The prefix is added to `path`."""
        return Call("GET", with_query(self.prefix + path, query or {}), headers or {})

    def post(self, path: str, body: Mapping[str, Any], idempotency_key: str | None = None) -> Call:
        """Build a `POST` call.

        Args:
            path: The path, without the prefix.
            body: The JSON object to send.
            idempotency_key: The caller's key; None for a random key. Unused if the backend has no idempotency keys.
        """
        header = self.idempotency_header
        headers = {} if header is None or idempotency_key is None else {header: idempotency_key}
        return Call("POST", self.prefix + path, headers, body=json_body(body), idempotency_header=header)

    def session_path(self, ref: SessionRef) -> str:
        """Return the path of a session, without the prefix."""
        return f"/sessions/{path_segment(ref.id, 'session id')}"

    def agent_path(self, agent_id: str) -> str:
        """Return the path of an agent, without the prefix."""
        return f"/agents/{path_segment(agent_id, 'agent id')}"

    def page_parameters(self, page_size: int | None, cursor: str | None) -> dict[str, Any]:
        """Return the query parameters for one page of a list.

        Raises:
            UsageError: `page_size` is over the limit, or the cursor does not belong to a list of this backend.
        """
        largest = self.largest_page
        if page_size is not None and largest is not None and page_size > largest:
            raise UsageError(f"page_size is {page_size}; {self.title} accepts at most {largest} items on a page")
        parameters: dict[str, Any] = {} if page_size is None else {"limit": page_size}
        if cursor is not None:
            name, _, value = cursor.partition("=")
            if name not in {"page", "after_id"} or not value:
                raise UsageError(f"{cursor!r} is not a cursor of this list; pass the next_cursor of one of its pages")
            parameters[name] = value
        return parameters
