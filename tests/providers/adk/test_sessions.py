"""Sessions and apps of the ADK API server, and the calls for them."""

from __future__ import annotations

from typing import Any

import pytest

from polysession._core.flow import Response
from polysession._core.operations import Operations
from polysession.change import SessionRef
from polysession.errors import MalformedResponse, NotFound, UsageError
from polysession.session import Session, SessionStatus
from polysession.settings import load_settings
from polysession_adk import AdkNewSession, AdkProvider, AdkSessionChanges, AdkSettings
from support.adk_events import answer, call, message, stored, text
from support.flows import ok, sent_bodies, step

BASE = "http://127.0.0.1:8000"
PROVIDER = AdkProvider(AdkSettings(base_url=BASE, app="assistant", user_id="alice"))
OPERATIONS = Operations(PROVIDER)
SERVING_MANY = Operations(AdkProvider(AdkSettings(base_url=BASE)))
SESSIONS = "/apps/assistant/users/alice/sessions"
SESSION = f"{SESSIONS}/s1"
APPS = {"apps": [{"name": "assistant", "rootAgentName": "root", "description": "Helps."}, {"name": "crew"}]}


def read(**members: Any) -> Session:
    _, session = step(OPERATIONS.get_session("s1"), ok(stored(**members)))
    return session


def test_a_session_is_read() -> None:
    state = {
        "team": "red",
        "n": 3,
        "gone": None,
        "user:tone": "dry",
        "app:seen": "blue",
        "__session_metadata__": {"displayName": "Ticket 42", "other": 1},
    }
    session = read(state=state)

    assert (session.provider, session.id, session.agent_id, session.owner_id) == ("adk", "s1", "assistant", "alice")
    assert (session.title, session.metadata) == ("Ticket 42", {"team": "red", "n": 3})
    assert session.updated_at is not None
    assert session.updated_at.isoformat() == "2026-11-30T10:37:55.749000+00:00"
    assert (session.created_at, session.native_status, session.model, session.usage) == (None, "", None, None)
    assert session.raw["state"] == state


@pytest.mark.parametrize("kept", [None, "text", {}, {"displayName": ""}, {"displayName": 5}])
def test_a_title_that_is_not_text_is_none(kept: Any) -> None:
    assert read(state={"__session_metadata__": kept}).title is None


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), SessionStatus.IDLE),
        ((message(text("hi")), answer(text("Hi"))), SessionStatus.IDLE),
        ((message(text("hi")),), SessionStatus.UNKNOWN),
        ((message(text("hi")), answer(call("c1", "ask"), longRunningToolIds=["c1"])), SessionStatus.REQUIRES_ACTION),
    ],
)
def test_a_status_is_derived_from_the_events(events: tuple[bytes, ...], status: SessionStatus) -> None:
    _, session = step(OPERATIONS.get_session("s1"), ok(stored(*events)))
    assert session.status is status


def test_usage_is_the_sum_over_the_events() -> None:
    _, session = step(OPERATIONS.get_session("s1"), ok(stored(answer(text("a")), answer(text("b"), id="ev-2"))))
    assert session.usage is not None
    assert session.usage.model_dump(exclude_none=True) == {
        "input_tokens": 22,
        "output_tokens": 20,
        "cache_read_tokens": 8,
    }


def test_an_unreadable_member_does_not_affect_the_others() -> None:
    session = read(state={"team": "red"}, lastUpdateTime="long ago", appName=5)
    assert (session.metadata, session.updated_at) == ({"team": "red"}, None)
    assert [each.partition(":")[0] for each in session.problems] == ["appName", "lastUpdateTime"]


def test_invalid_metadata_is_a_malformed_response() -> None:
    deep: Any = "x"
    for _ in range(600):
        deep = [deep]
    with pytest.raises(MalformedResponse, match="metadata"):
        read(state={"deep": deep})
    _, page = step(OPERATIONS.list_sessions()(None), ok([stored(state={"deep": deep}), stored(id="s2")]))
    assert [session.id for session in page.items] == ["s2"]
    assert "metadata" in page.problems[0]


def test_a_time_outside_the_valid_range_is_left_out() -> None:
    session = read(lastUpdateTime="9999-12-31T23:59:59-12:00")
    assert session.updated_at is None
    assert session.problems == ("lastUpdateTime: not a time within the years 1 to 9999 in UTC",)


def test_a_response_with_another_session_is_rejected() -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.get_session("s2"), ok(stored()))


def test_a_session_is_created_after_a_check_of_its_app() -> None:
    native = AdkNewSession(state={"user:tone": "dry"}, events=[{"author": "user"}])
    calls, session = step(
        OPERATIONS.create_session(id="s1", title="Ticket 42", metadata={"team": "red"}, native=native),
        ok(APPS),
        ok(stored()),
    )
    assert [(each.method, each.path) for each in calls] == [("GET", "/list-apps?detailed=true"), ("POST", SESSIONS)]
    assert sent_bodies(calls)[1] == {
        "sessionId": "s1",
        "state": {"team": "red", "user:tone": "dry", "__session_metadata__": {"displayName": "Ticket 42"}},
        "events": [{"author": "user"}],
    }
    assert session.status is SessionStatus.IDLE


def test_only_the_given_fields_are_sent() -> None:
    calls, _ = step(OPERATIONS.create_session(), ok(APPS), ok(stored()))
    assert sent_bodies(calls)[1] == {}


def test_no_session_is_created_for_a_missing_app() -> None:
    with pytest.raises(NotFound, match="no app 'nope'"):
        step(OPERATIONS.create_session(agent="nope"), ok(APPS))


@pytest.mark.parametrize("key", ["app:x", "user:x", "temp:x", "__session_metadata__"])
def test_reserved_keys_are_not_metadata(key: str) -> None:
    with pytest.raises(UsageError, match="reserved"):
        step(OPERATIONS.create_session(metadata={key: "1"}))
    with pytest.raises(UsageError, match="reserved"):
        step(OPERATIONS.update_session("s1", metadata={key: "1"}))


def test_changes_are_a_delta_of_the_state() -> None:
    calls, _ = step(
        OPERATIONS.update_session(
            "s1",
            metadata={"team": None, "priority": "high"},
            native=AdkSessionChanges(state_delta={"user:tone": "dry"}),
        ),
        ok(stored()),
    )
    assert [(each.method, each.path) for each in calls] == [("PATCH", SESSION)]
    assert sent_bodies(calls) == [{"stateDelta": {"team": None, "priority": "high", "user:tone": "dry"}}]


@pytest.mark.parametrize("title", ["Done", None])
def test_a_change_of_the_title_keeps_the_values_stored_with_it(title: str | None) -> None:
    before = stored(state={"__session_metadata__": {"displayName": "Ticket 42", "other": 1}})
    calls, _ = step(OPERATIONS.update_session("s1", title=title), ok(before), ok(stored()))

    assert [each.method for each in calls] == ["GET", "PATCH"]
    assert sent_bodies(calls)[1] == {"stateDelta": {"__session_metadata__": {"displayName": title, "other": 1}}}


def test_an_empty_change_sends_nothing() -> None:
    (look,), _ = step(OPERATIONS.update_session("s1", metadata={}), ok(stored()))
    assert (look.method, look.path) == ("GET", SESSION)


def test_a_missing_session_is_not_deleted() -> None:
    calls, _ = step(OPERATIONS.delete_session("s1"), ok(stored()), ok(None))
    assert [each.method for each in calls] == ["GET", "DELETE"]
    with pytest.raises(NotFound):
        step(OPERATIONS.delete_session("s1"), NotFound("Session not found"))


def listed(**query: Any) -> list[str]:
    sessions = [
        stored(id="old", state={"__session_metadata__": {"displayName": "Ticket one"}}),
        stored(id="new", state={"__session_metadata__": {"displayName": "Other"}}),
        {"no": "id"},
        stored(id="newest"),
    ]
    (look,), page = step(OPERATIONS.list_sessions(**query)(query.pop("cursor", None)), ok(sessions))
    assert (look.method, look.path) == ("GET", SESSIONS)
    assert all(session.status is SessionStatus.UNKNOWN for session in page.items)
    assert page.problems
    return [session.id for session in page.items]


def test_lists_are_sorted_and_cut_here() -> None:
    assert listed() == ["newest", "new", "old"]
    assert listed(oldest_first=True) == ["old", "new", "newest"]
    assert listed(page_size=2) == ["newest", "new"]
    assert listed(title_contains="tICKET") == ["old"]


def test_a_list_without_an_order_is_sorted_by_the_last_change() -> None:
    sessions = [stored(id=name, lastUpdateTime=at) for name, at in (("b", 2.5), ("c", 3.5), ("a", 1.5), ("-", None))]
    _, page = step(OPERATIONS.list_sessions()(None), ok(sessions))
    assert [session.id for session in page.items] == ["c", "b", "a", "-"]


def test_a_list_that_is_not_an_array_is_rejected() -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.list_sessions()(None), ok({"sessions": []}))


def test_apps_are_agents() -> None:
    (look,), page = step(OPERATIONS.list_agents(None)(None), ok(APPS))
    assert look.path == "/list-apps?detailed=true"
    assert [(each.id, each.name, each.description) for each in page.items] == [
        ("assistant", "assistant", "Helps."),
        ("crew", "crew", None),
    ]
    assert step(OPERATIONS.get_agent("crew"), ok(APPS))[1].id == "crew"
    with pytest.raises(NotFound):
        step(OPERATIONS.get_agent("nope"), ok(APPS))


def test_the_version_is_read() -> None:
    assert step(PROVIDER.read_version(), ok({"version": "2.13.0"}))[1] == "2.13.0"


def test_a_session_of_another_user_is_never_read() -> None:
    with pytest.raises(UsageError, match="belongs to 'bob'"):
        step(OPERATIONS.get_session(SessionRef("s1", owner_id="bob")))
    with pytest.raises(UsageError, match="belongs to 'bob'"):
        step(OPERATIONS.get_session(Session(provider="adk", id="s1", agent_id="assistant", owner_id="bob")))


def test_a_client_of_several_users_names_the_owner() -> None:
    ref = SessionRef("s1", "crew", "bob")
    (look,), _ = step(SERVING_MANY.get_session(ref), ok(stored()))
    assert look.path == "/apps/crew/users/bob/sessions/s1"
    (look,), _ = step(SERVING_MANY.list_sessions(agent="crew", owner="bob")(None), ok([]))
    assert look.path == "/apps/crew/users/bob/sessions"
    calls, _ = step(SERVING_MANY.create_session(agent="crew", owner="bob"), ok(APPS), ok(stored()))
    assert calls[1].path == "/apps/crew/users/bob/sessions"

    with pytest.raises(UsageError, match="owner"):
        step(SERVING_MANY.get_session(SessionRef("s1", "crew")))
    with pytest.raises(UsageError, match="owner"):
        SERVING_MANY.list_sessions(agent="crew")


def test_a_session_needs_its_app() -> None:
    with pytest.raises(UsageError, match="ADK_APP"):
        step(SERVING_MANY.get_session(SessionRef("s1", owner_id="bob")))


@pytest.mark.parametrize("session_id", ["a/b", "", "a b", ".."])
def test_ids_that_the_server_could_not_read_are_rejected(session_id: str) -> None:
    with pytest.raises(UsageError):
        step(OPERATIONS.create_session(id=session_id), ok(APPS))
    with pytest.raises(UsageError):
        step(OPERATIONS.get_session(session_id))


def test_settings() -> None:
    environ = {"ADK_BASE_URL": "http://127.0.0.1:9", "ADK_APP": "crew", "ADK_USER_ID": "bob", "ADK_TOKEN": "s3cret"}
    settings = load_settings(AdkSettings, "adk", {}, environ)

    assert (settings.base_url, settings.app, settings.user_id) == ("http://127.0.0.1:9", "crew", "bob")
    assert AdkProvider(settings).headers() == {"authorization": "Bearer s3cret"}
    assert settings.secrets() == ("s3cret",)
    assert "s3cret" not in repr(settings)
    assert AdkProvider(AdkSettings()).headers() == {}
    assert AdkSettings().base_url == BASE
    with pytest.raises(UsageError):
        load_settings(AdkSettings, "adk", {"user_id": "a/b"}, {})


def refusal(body: bytes, kind: str = "application/json") -> Response:
    return Response(404, {"content-type": kind}, body)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (refusal(b'{"detail":"Session not found"}'), "Session not found"),
        (
            refusal(b"{\"detail\":\"Agent not found: 'x'. No matching directory or module exists in '/srv/x'.\"}"),
            "Agent not found: 'x'.",
        ),
        (
            refusal(b'{"detail":[{"type":"missing","loc":["body","userId"],"msg":"Field required","input":"s3cret"}]}'),
            "body.userId: Field required",
        ),
        (refusal(b"Internal Server Error", "text/plain"), ""),
    ],
)
def test_errors_contain_no_server_path_and_no_input(response: Response, words: str) -> None:
    assert PROVIDER.read_error(response).message == words
