"""A small invented backend, and its provider: what the core is tested with, so that it names no real one.

Its lists have cursors, a creation carries an idempotency key, a change does not, and nothing can be archived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from polysession.errors import Conflict, StatusError
from polysession.provider_api import (
    Agent,
    BaseUrl,
    Call,
    Cancellation,
    CancelState,
    ErrorDetail,
    Feature,
    FeatureSupport,
    Flow,
    FromEnv,
    HeaderSecret,
    HeaderText,
    NativeBody,
    NewAgent,
    NewSession,
    Page,
    Provider,
    ProviderSettings,
    Response,
    Session,
    SessionChanges,
    SessionQuery,
    SessionRef,
    emulated,
    hookimpl,
    json_body,
    native,
    path_segment,
    read_as,
    read_json,
    read_json_or_none,
    unsupported,
    with_query,
)

T = TypeVar("T")

TOKEN = "acme-token-c4n4ry"
BASE_URL = "https://acme.example/api"
NO_ARCHIVE = "acme keeps every session; delete it"
OPERATIONS = {
    *(f"sessions.{verb}" for verb in ("create", "get", "list", "update", "delete", "cancel")),
    *(f"agents.{verb}" for verb in ("create", "get", "list")),
}


class AcmeSettings(ProviderSettings):
    token: Annotated[HeaderSecret, FromEnv("ACME_TOKEN", "ACME_PAT")]
    base_url: Annotated[BaseUrl, FromEnv("ACME_URL")] = BASE_URL
    region: HeaderText | None = None


class AcmeNewSession(NativeBody):
    acme_region: str | None = None


class AcmeSessionChanges(NativeBody):
    acme_region: str | None = None


class AcmeSessionQuery(NativeBody):
    acme_region: str | None = None


class AcmeProvider(Provider[AcmeSettings]):
    """Declares every feature of the operations above; agents take no native body."""

    name = "acme"
    docs_url = "https://acme.example/docs"
    settings_type = AcmeSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = {
        **{feature: native() for feature in Feature if feature.value.partition(" ")[0] in OPERATIONS},
        Feature.SESSIONS_ARCHIVE: unsupported(NO_ARCHIVE),
        Feature.SESSIONS_LIST_INCLUDE_ARCHIVED: unsupported(""),
        Feature.SESSIONS_UPDATE_TAGS_EDIT: emulated("one more call"),
    }
    new_session_type = AcmeNewSession
    session_changes_type = AcmeSessionChanges
    session_query_type = AcmeSessionQuery
    emulator = "support.acme_emulator:AcmeEmulator"
    error_classes: ClassVar[Mapping[str, type[StatusError]]] = {"busy": Conflict}

    def headers(self) -> Mapping[str, str]:
        region = {"acme-region": self.settings.region} if self.settings.region else {}
        return {"authorization": f"Bearer {self.settings.token.get_secret_value()}", **region}

    def read_error(self, reply: Response) -> ErrorDetail:
        body = read_json_or_none(reply) or {}
        return ErrorDetail(body.get("message", ""), body.get("code"), body.get("request_id"))

    def create_session(self, new: NewSession) -> Flow[Session]:
        body = new.model_dump(exclude_none=True, exclude={"native"}) | (new.native.to_body() if new.native else {})
        reply = yield Call("POST", "/sessions", body=json_body(body), idempotency_header="acme-key")
        return to_session(reply)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        reply = yield Call("GET", session_path(ref))
        return to_session(reply)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        reply = yield Call("GET", with_query("/sessions", {"limit": query.page_size, "cursor": cursor}))
        return page(reply, session_of)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Reads the session first if tags are edited; a conflict is answered by another try, after a moment."""
        body: dict[str, Any] = {"title": changes.title} if isinstance(changes.title, str | None) else {}
        if changes.add_tags:
            before = yield from self.get_session(ref)
            body["tags"] = [*before.tags, *changes.add_tags]
        call = Call("PATCH", session_path(ref), body=json_body(body))
        try:
            reply = yield call
        except Conflict:
            reply = yield Call("PATCH", call.path, body=call.body, after_s=0.25)
        return to_session(reply)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        yield Call("DELETE", session_path(ref))

    def cancel_session(self, ref: SessionRef) -> Flow[Cancellation]:
        reply = yield Call("POST", f"{session_path(ref)}/cancel")
        return Cancellation(provider=self.name, session_id=ref.id, state=CancelState.REQUESTED, raw=read_json(reply))

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        reply = yield Call("POST", "/agents", body=json_body(new.model_dump(exclude_none=True)))
        return read_as(agent_of, read_json(reply), reply)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        reply = yield Call("GET", f"/agents/{path_segment(agent_id, 'agent id')}")
        return read_as(agent_of, read_json(reply), reply)

    def list_agents(self, limit: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        reply = yield Call("GET", with_query("/agents", {"limit": limit, "cursor": cursor}))
        return page(reply, agent_of)


def session_path(ref: SessionRef) -> str:
    return f"/sessions/{path_segment(ref.id, 'session id')}"


def session_of(raw: Mapping[str, Any]) -> Session:
    known = {name: raw[name] for name in ("id", "title", "tags", "agent_id") if name in raw}
    return Session.model_validate({"provider": "acme", **known, "raw": raw})


def agent_of(raw: Mapping[str, Any]) -> Agent:
    return Agent.model_validate({"provider": "acme", "id": raw.get("id"), "name": raw.get("name"), "raw": raw})


def to_session(reply: Response) -> Session:
    return read_as(session_of, read_json(reply), reply)


def page(reply: Response, item_of: Callable[[Mapping[str, Any]], T]) -> Page[T]:
    body = read_json(reply)
    return Page(tuple(read_as(item_of, item, reply) for item in body["data"]), body.get("next"))


def acme(**settings: Any) -> AcmeProvider:
    """The provider itself, for tests that need no plugin."""
    return AcmeProvider(AcmeSettings(**{"token": TOKEN, **settings}))


@hookimpl
def polysession_provider() -> type[AcmeProvider]:
    return AcmeProvider
