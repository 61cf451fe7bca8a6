"""Builds the JSON of the Everruns emulator's responses, for each generation.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, and https://docs.everruns.com, PATCH
/v1/sessions/{session_id} for the older shape (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from polysession.emulation import Answer, ApiRequest, Refusal
from polysession_everruns.emulator.records import Definition, Record, Session, Status, timestamp
from polysession_everruns.emulator.requests import Window
from polysession_everruns.emulator.validation import ORGANIZATION_ID

Json = dict[str, Any]

BASE_PATH: Final = "/api"

_OMITTED_WHEN_EMPTY = frozenset({"capabilities", "initial_files", "tools"})


@dataclass(frozen=True, slots=True)
class Origin:
    """The address of the server that a client used. Links in responses are absolute.

    Attributes:
        api: Base URL of the API, before `/v1`.
        ui: Base URL of the web pages.
    """

    api: str
    ui: str

    @classmethod
    def of(cls, request: ApiRequest) -> Origin:
        """Return the origin of a request."""
        return cls(api=request.origin + BASE_PATH, ui=request.origin)


class CurrentAnswers:
    """Responses of the current generation."""

    status_names: ClassVar[Mapping[Status, str]] = {
        "started": "started",
        "active": "active",
        "idle": "idle",
        "waiting": "waitingfortoolresults",
    }
    # HTTP status of the refusal of tool results if no turn waits for them.
    not_waiting_status: ClassVar[int] = 409
    # Whether a stream without a cursor begins with all stored events. Otherwise it begins with the next event.
    replays_all: ClassVar[bool] = False

    def error(self, refusal: Refusal) -> Answer:
        """Return a problem object (RFC 9457), or plain text for a refusal by the web framework."""
        if refusal.details.get("is_plain"):
            return Answer(refusal.message, refusal.status, media_type="text/plain")
        return self._error(refusal)

    def _error(self, refusal: Refusal) -> Answer:
        problem: Json = {"title": HTTPStatus(refusal.status).phrase, "status": refusal.status}
        problem["detail"] = refusal.message
        if refusal.details.get("code") is not None:
            problem["code"] = refusal.details["code"]
        return Answer(problem, refusal.status, media_type="application/problem+json")

    def session(self, session: Session, owner_principal_id: str, origin: Origin, *, with_pin: bool) -> Json:
        """Return the JSON of a session.

        Args:
            session: The session.
            owner_principal_id: Id of the session's owner.
            origin: The address for its links.
            with_pin: Whether to include `is_pinned`. Reads include it, changes do not.
        """
        path = f"/v1/sessions/{session.id}"
        body = {
            **_common(session),
            "organization_id": ORGANIZATION_ID,
            "owner_principal_id": owner_principal_id,
            "harness_id": session.harness_id,
            "workspace_id": session.workspace_id,
            "agent_id": session.agent_id,
            "forked_from_session_id": session.forked_from,
            "status": self.status_names[session.status],
            "started_at": None if session.started_at is None else timestamp(session.started_at),
            "is_pinned": session.is_pinned if with_pin else None,
            "preview": session.preview,
            "output_preview": session.output_preview,
            "usage": None if session.usage is None else session.usage.body(),
            **_links(origin, path, f"/sessions/{session.id}/chat"),
            "allowed_actions": _session_actions(session, origin.api + path),
        }
        return _without_absent(body)

    def agent(self, agent: Definition, origin: Origin, *, session_count: int | None = None) -> Json:
        """Return the JSON of an agent, with the number of its sessions if it is passed."""
        body = self._definition(agent)
        if session_count is not None:
            body |= {"session_count": session_count, "app_count": 0}
        return self.linked(body, origin, "agents")

    def harness(self, harness: Definition, origin: Origin) -> Json:
        """Return the JSON of a harness."""
        return self.linked({**self._definition(harness), "is_built_in": harness.is_built_in}, origin, "harnesses")

    def tool_results(self, accepted: int) -> Json:
        """Return the response to tool results."""
        return {"accepted": accepted, "status": "active"}

    def linked(self, body: Mapping[str, Any], origin: Origin, collection: str) -> Json:
        """Add links to the JSON of a resource: its API address and its web page."""
        path = f"/{collection}/{body['id']}"
        return {**body, **_links(origin, f"/v1{path}", path)}

    def page(self, items: Sequence[Json], total: int, window: Window, request: ApiRequest) -> Json:
        """Return the JSON of one page, with links to the next and the previous page."""
        page: Json = {"data": list(items), "total": total, "offset": window.offset, "limit": window.limit}
        following = window.offset + window.limit
        if following < total:
            page["next_url"] = _address_of(request, following)
        if window.offset > 0:
            page["prev_url"] = _address_of(request, max(window.offset - window.limit, 0))
        return page

    def _definition(self, definition: Definition) -> Json:
        body = {
            **_common(definition),
            "status": "active" if definition.archived_at is None else "archived",
            "archived_at": None if definition.archived_at is None else timestamp(definition.archived_at),
        }
        return _without_absent(body)


class LegacyAnswers(CurrentAnswers):
    """Responses of the legacy generation: fewer fields, no links, and errors with only a text."""

    # The documentation of that time has underscores in this status. Clients must accept both spellings.
    status_names: ClassVar[Mapping[Status, str]] = {
        **CurrentAnswers.status_names,
        "waiting": "waiting_for_tool_results",
    }
    not_waiting_status: ClassVar[int] = 400
    replays_all: ClassVar[bool] = True

    # `harness_id` was added in the next generation, but the official client requires it.
    _SESSION_FIELDS: ClassVar[tuple[str, ...]] = (
        "id",
        "organization_id",
        "agent_id",
        "harness_id",
        "status",
        "created_at",
        "updated_at",
        "started_at",
        "title",
        "tags",
        "model_id",
        "preview",
        "output_preview",
        "usage",
    )

    def _error(self, refusal: Refusal) -> Answer:
        return Answer({"error": refusal.message}, refusal.status)

    def session(self, session: Session, owner_principal_id: str, origin: Origin, *, with_pin: bool) -> Json:
        """Return the JSON of a session, with fewer fields and always with `capabilities`."""
        body = super().session(session, owner_principal_id, origin, with_pin=with_pin)
        kept = {name: body[name] for name in self._SESSION_FIELDS if name in body}
        return {**kept, "capabilities": session.values.get("capabilities", [])}

    def agent(self, agent: Definition, origin: Origin, *, session_count: int | None = None) -> Json:  # noqa: ARG002
        """Return the JSON of an agent, without the number of its sessions."""
        return super().agent(agent, origin)

    def tool_results(self, accepted: int) -> Json:
        """Return the response to tool results, as the older documentation describes it."""
        return {"status": "accepted", "tool_results_count": accepted}

    def linked(self, body: Mapping[str, Any], origin: Origin, collection: str) -> Json:  # noqa: ARG002
        """Return the JSON of a resource without links."""
        return dict(body)

    def page(self, items: Sequence[Json], total: int, window: Window, request: ApiRequest) -> Json:  # noqa: ARG002
        """Return the JSON of one page, without links."""
        return {"data": list(items), "total": total, "offset": window.offset, "limit": window.limit}


ANSWERS: Final[Mapping[str, CurrentAnswers]] = {"current": CurrentAnswers(), "legacy": LegacyAnswers()}


def _common(record: Record) -> Json:
    return {
        "id": record.id,
        "tags": [],
        **record.values,
        "created_at": timestamp(record.created_at),
        "updated_at": timestamp(record.updated_at),
    }


def _without_absent(body: Json) -> Json:
    """Remove absent values, because the server sends no nulls."""
    return {
        name: value
        for name, value in body.items()
        if value is not None and not (name in _OMITTED_WHEN_EMPTY and not value)
    }


def _links(origin: Origin, api_path: str, ui_path: str) -> Json:
    view_url = origin.ui + ui_path
    return {"self_url": origin.api + api_path, "view_url": view_url, "ui_link": view_url}


def _address_of(request: ApiRequest, offset: int) -> str:
    """Return the URL of the same list at another offset."""
    query = [(name, value) for name, value in request.query.multi_items() if name != "offset"]
    return f"{request.origin}{request.path}?{urlencode([*query, ('offset', offset)])}"


def _session_actions(session: Session, href: str) -> list[Json]:
    actions = [
        {"rel": "self", "method": "GET", "operation_id": "get_session", "href": href},
        {"rel": "events", "method": "GET", "operation_id": "list_events", "href": f"{href}/events"},
        {
            "rel": "update",
            "method": "PATCH",
            "operation_id": "update_session",
            "href": href,
            "schema_ref": "#/components/schemas/UpdateSessionRequest",
        },
        {"rel": "delete", "method": "DELETE", "operation_id": "delete_session", "href": href},
    ]
    if session.is_pinned:
        actions.append({"rel": "unpin", "method": "DELETE", "operation_id": "unpin_session", "href": f"{href}/pin"})
    else:
        actions.append({"rel": "pin", "method": "PUT", "operation_id": "pin_session", "href": f"{href}/pin"})
    if session.is_mid_turn:
        actions.append({"rel": "cancel", "method": "POST", "operation_id": "cancel_turn", "href": f"{href}/cancel"})
    return actions
