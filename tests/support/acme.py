"""Provider of a small invented backend, for tests of the core.

Its lists have cursors, a creation has an idempotency key, a change has none, and nothing can be archived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from polysession.errors import Conflict, StatusError
from polysession.provider_api import (
    Agent,
    AgentChanges,
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
    Unset,
    decoder,
    emulated,
    hookimpl,
    json_body,
    native,
    path_segment,
    read_json,
    read_json_or_none,
    read_list,
    read_response,
    read_whole,
    record_reader,
    unsupported,
    with_query,
)

T = TypeVar("T")

TOKEN = "acme-token-c4n4ry"
BASE_URL = "https://acme.example/api"
NO_ARCHIVE = "acme keeps every session; delete it"
OPERATIONS = {
    *(f"sessions.{verb}" for verb in ("create", "get", "list", "update", "delete", "cancel")),
    *(f"agents.{verb}" for verb in ("create", "get", "list", "update", "archive", "delete")),
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
    """Declares all features of `OPERATIONS`. Agents take no native body."""

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

    def read_error(self, response: Response) -> ErrorDetail:
        body = read_json_or_none(response) or {}
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
        return page(reply, read_session)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change a session.

        An edit of tags reads the session first, and a conflict is retried once after 0.25 s.
        """
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
        read_json(reply)
        return Cancellation(provider=self.name, session_id=ref.id, state=CancelState.REQUESTED, source=reply.content)

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        reply = yield Call("POST", "/agents", body=json_body(new.model_dump(exclude_none=True)))
        return read_response(read_agent, reply)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        reply = yield Call("GET", f"/agents/{path_segment(agent_id, 'agent id')}")
        return read_response(read_agent, reply)

    def update_agent(self, agent_id: str, changes: AgentChanges) -> Flow[Agent]:
        fields = {name: getattr(changes, name) for name in ("name", "model", "system_prompt", "description")}
        body = {name: value for name, value in fields.items() if not isinstance(value, Unset)}
        reply = yield Call("PATCH", f"/agents/{path_segment(agent_id, 'agent id')}", body=json_body(body))
        return read_response(read_agent, reply)

    def archive_agent(self, agent_id: str) -> Flow[Agent]:
        reply = yield Call("POST", f"/agents/{path_segment(agent_id, 'agent id')}/archive")
        return read_response(read_agent, reply)

    def delete_agent(self, agent_id: str) -> Flow[None]:
        yield Call("DELETE", f"/agents/{path_segment(agent_id, 'agent id')}")

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        reply = yield Call("GET", with_query("/agents", {"limit": page_size, "cursor": cursor}))
        return page(reply, read_agent)


def session_path(ref: SessionRef) -> str:
    return f"/sessions/{path_segment(ref.id, 'session id')}"


class WireSession(msgspec.Struct):
    id: str
    title: str | None = None
    tags: list[str] | None = None
    agent_id: str | None = None


class WireAgent(msgspec.Struct):
    id: str
    name: str | None = None


class WirePage(msgspec.Struct):
    data: list[msgspec.Raw] | None = None
    next: str | None = None


def session_of(wire: WireSession, source: bytes, problems: tuple[str, ...]) -> Session:
    return Session(
        provider="acme",
        id=wire.id,
        title=wire.title,
        tags=tuple(wire.tags or ()),
        agent_id=wire.agent_id,
        source=source,
        problems=problems,
    )


def agent_of(wire: WireAgent, source: bytes, problems: tuple[str, ...]) -> Agent:
    return Agent(provider="acme", id=wire.id, name=wire.name or "", source=source, problems=problems)


read_session = record_reader(WireSession, session_of)
read_agent = record_reader(WireAgent, agent_of)
read_page = decoder(WirePage)


def to_session(response: Response) -> Session:
    return read_response(read_session, response)


def page(response: Response, read: Callable[[bytes], T]) -> Page[T]:
    listed = read_whole(read_page, response)
    return read_list(listed.data, read, next_cursor=listed.next)


def acme(**settings: Any) -> AcmeProvider:
    """Return the provider, for tests that do not load it as a plugin."""
    return AcmeProvider(AcmeSettings(**{"token": TOKEN, **settings}))


@hookimpl
def polysession_provider() -> type[AcmeProvider]:
    return AcmeProvider
