"""One backend of the family: its names and limits, and the calls that depend on them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polysession.provider_api import Call, SessionRef, UsageError, json_body, path_segment, with_query


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A backend of the family.

    Attributes:
        name: Name of its provider.
        title: Its name in messages.
        prefix: Start of all its paths.
        largest_page: Most items of a page that are asked for; None leaves it to the backend.
        history_page: Events of a page where the history is searched.
        idempotency_header: Header that makes a write safe to repeat; None if it has none.
        repeats_thread: Whether an answer names the thread of the sub-agent that asked.
        new_environment: Fields that a new environment needs besides its name.
        needs_agent_version: Whether a change of an agent has to name the current version, rather than may.
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
        """Build a read."""
        return Call("GET", with_query(self.prefix + path, query or {}), headers or {})

    def post(self, path: str, body: Mapping[str, Any], idempotency_key: str | None = None) -> Call:
        """Build a write.

        Args:
            path: Its path.
            body: Its JSON object.
            idempotency_key: The caller's key; None for a random one.
        """
        header = self.idempotency_header
        headers = {} if header is None or idempotency_key is None else {header: idempotency_key}
        return Call("POST", self.prefix + path, headers, body=json_body(body), idempotency_header=header)

    def session_path(self, ref: SessionRef) -> str:
        """The path of a session, without the prefix."""
        return f"/sessions/{path_segment(ref.id, 'session id')}"

    def agent_path(self, agent_id: str) -> str:
        """The path of an agent, without the prefix."""
        return f"/agents/{path_segment(agent_id, 'agent id')}"

    def page_parameters(self, page_size: int | None, cursor: str | None) -> dict[str, Any]:
        """The query of one page.

        Raises:
            UsageError: The page is larger than the largest, or the cursor is not one of these lists.
        """
        largest = self.largest_page
        if page_size is not None and largest is not None and page_size > largest:
            raise UsageError(f"page_size is {page_size}; a page of {self.title} has at most {largest} items")
        parameters: dict[str, Any] = {} if page_size is None else {"limit": page_size}
        if cursor is not None:
            name, _, value = cursor.partition("=")
            if name not in {"page", "after_id"} or not value:
                raise UsageError(f"{cursor!r} is not a cursor of this list")
            parameters[name] = value
        return parameters
