from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import ClassVar

import pytest

from polysession import (
    Feature,
    FeatureSupport,
    ModelConfig,
    ResumeMode,
    Session,
    SessionStatus,
    SwitchEffect,
    SwitchReport,
    TurnLife,
    UnknownProvider,
    UsageError,
    WhenBusy,
    switch_check,
)
from polysession.provider_api import emulated, hookimpl, native, unsupported
from support.acme import AcmeProvider
from support.installed import Site

MOMENT = datetime(2026, 11, 25, tzinfo=UTC)


class OldProvider(AcmeProvider):
    name = "old"
    features: ClassVar[dict[Feature, FeatureSupport]] = {
        **AcmeProvider.features,
        Feature.SESSIONS_ARCHIVE: native(),
        Feature.SESSIONS_MESSAGES: native(),
        Feature.SESSIONS_CREATE_PERMISSION_MODE: unsupported(""),
        Feature.SESSIONS_UPDATE_PERMISSION_MODE: unsupported(""),
    }
    resume_mode = ResumeMode.SERVER_REPLAY
    when_busy = WhenBusy.QUEUED

    @classmethod
    def event_types(cls) -> dict[str, tuple[str, ...]]:
        return {"said": ("message.completed",), "odd": ("raw", "error")}

    def archive_session(self, ref: object) -> object:  # type: ignore[override]
        raise NotImplementedError

    def list_messages(self, ref: object, page_size: object, cursor: object) -> object:  # type: ignore[override]
        raise NotImplementedError


class NewProvider(AcmeProvider):
    name = "new"
    features: ClassVar[dict[Feature, FeatureSupport]] = {
        **AcmeProvider.features,
        Feature.SESSIONS_CREATE_TITLE: emulated("one more call"),
        Feature.SESSIONS_CREATE_METADATA: unsupported("use tags"),
        Feature.SESSIONS_UPDATE_METADATA: unsupported("use tags"),
        Feature.SESSIONS_CREATE_TAGS: unsupported("not at once"),
        Feature.SESSIONS_UPDATE_TAGS: native("ten at most"),
        Feature.SESSIONS_CREATE_CAPABILITIES: unsupported(""),
        Feature.SESSIONS_GET: emulated("found in the list"),
    }
    session_query_type = None  # type: ignore[assignment]
    turn_life = TurnLife.ATTENDED
    resume_mode = ResumeMode.CURRENT_RUN_REPLAY

    @classmethod
    def event_types(cls) -> dict[str, tuple[str, ...]]:
        return {"text": ("message.delta", "error")}


@pytest.fixture(autouse=True)
def two_installed(site: Site) -> Iterator[None]:
    for provider in (OldProvider, NewProvider):
        module = ModuleType(f"made_up_{provider.name}")
        module.polysession_provider = hookimpl(_answer(provider))  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        site.install(f"{provider.name}-sessions", f"{provider.name} = {module.__name__}")
    yield
    for provider in (OldProvider, NewProvider):
        del sys.modules[f"made_up_{provider.name}"]


def _answer(provider: type[AcmeProvider]) -> Callable[[], type[AcmeProvider]]:
    def polysession_provider() -> type[AcmeProvider]:
        return provider

    return polysession_provider


def effects(report: SwitchReport, area: str) -> dict[str, tuple[str, str]]:
    return {item.name: (item.effect.value, item.reason) for item in report.items if item.area == area}


def session(**values: object) -> Session:
    return Session(provider="old", id="s1", **values)


def test_declarations_are_compared_field_by_field() -> None:
    report = switch_check("old", "new")

    assert (report.source, report.target, report.session_id) == ("old", "new", None)
    found = effects(report, "session")
    assert found["title"] == ("emulated", "one more call")
    assert found["metadata"] == ("lost", "use tags")
    assert found["tags"] == ("emulated", "set it with sessions.update after the creation; ten at most")
    assert found["capabilities"] == ("lost", "new does not support it")
    assert found["model"][0] == found["agent_id"][0] == found["workspace_id"][0] == "remapped"
    assert found["permission_mode"] == ("gained", "")
    assert found["archived_at"] == ("lost", "acme keeps every session; delete it")
    assert found["messages"][0] == found["status"][0] == "not_applicable"
    assert "save the messages with sessions.messages" in found["messages"][1]


def test_every_field_of_a_session_is_told_of() -> None:
    found = effects(switch_check("old", "new"), "session")

    assert set(found) - {"messages", "raw"} == set(Session.model_fields) - {"provider", "source", "problems"}


def test_every_feature_is_told_of() -> None:
    report = switch_check("old", "new")
    found = {item.name for item in report.items}

    assert {feature.value for feature in Feature if not feature.value.startswith("sessions.create ")} <= found


def test_operations_events_native_bodies_and_the_resume_contract_are_compared() -> None:
    report = switch_check("old", "new")

    operations = effects(report, "operations")
    assert operations["sessions.get"] == ("emulated", "found in the list")
    assert operations["sessions.archive"] == ("lost", "acme keeps every session; delete it")
    assert operations["sessions.update"] == ("kept", "")
    assert operations["sessions.stream"] == ("not_applicable", "")
    assert effects(report, "events") == {
        "error": ("kept", ""),
        "message.completed": ("lost", "new has no such event"),
        "message.delta": ("gained", ""),
    }
    assert effects(report, "native") == {
        "sessions.create native": ("remapped", "AcmeNewSession replaces AcmeNewSession; the fields differ"),
        "sessions.update native": ("remapped", "AcmeSessionChanges replaces AcmeSessionChanges; the fields differ"),
        "sessions.list native": ("lost", "new has no native body for this operation"),
        **dict.fromkeys(
            (
                "agents.create native",
                "agents.update native",
                "environments.create native",
                "sessions.send native",
                "sessions.answer native",
            ),
            ("not_applicable", ""),
        ),
    }
    assert effects(report, "turns") == {
        "turn_life": ("lost", "new ends a turn when its stream is closed"),
        "when_busy": ("remapped", "queued on old, unknown on new"),
        "when_waiting": ("kept", ""),
    }
    effect, reason = effects(report, "resume")["contract"]
    assert effect == "lost"
    assert reason.startswith(
        "server_replay becomes current_run_replay: after an interruption, the running turn is replayed"
    )


def test_the_way_back_gains_what_the_way_there_loses() -> None:
    report = switch_check("new", "old")

    assert effects(report, "session")["metadata"] == ("gained", "")
    assert effects(report, "operations")["sessions.archive"] == ("gained", "")
    assert effects(report, "native")["sessions.list native"] == ("gained", "AcmeSessionQuery")
    assert effects(report, "resume")["contract"][0] == "gained"
    assert effects(report, "turns")["turn_life"] == ("gained", "a turn continues when its stream is closed")
    assert "sessions.messages" not in effects(report, "session")["messages"][1]


def test_a_session_is_judged_by_what_it_holds() -> None:
    held = session(
        title="T",
        tags=("a",),
        permission_mode="ask",
        model=ModelConfig(id="m"),
        status=SessionStatus.RUNNING,
        archived_at=MOMENT,
        created_at=MOMENT,
        source=b'{"id": "s1"}',
    )

    report = switch_check("old", "new", held)

    found = effects(report, "session")
    assert report.session_id == "s1"
    assert found["title"][0] == found["tags"][0] == "emulated"
    assert (
        found["metadata"]
        == found["capabilities"]
        == found["environment_id"]
        == found["usage"]
        == ("not_applicable", "")
    )
    assert found["permission_mode"][0] == found["model"][0] == "remapped"
    assert found["status"][0] == "lost"
    assert found["status"][1].startswith("it is running: ")
    assert found["archived_at"][0] == "lost"
    assert found["created_at"][0] == found["id"][0] == found["raw"][0] == "remapped"
    assert found["messages"][0] == "lost"
    assert found["messages"][1].startswith("no backend can import a conversation, if the session has messages; ")


def test_an_idle_session_that_was_talked_to_loses_its_conversation_only() -> None:
    held = session(status=SessionStatus.IDLE, preview="Hello")

    found = effects(switch_check("old", "new", held), "session")

    assert found["status"] == found["archived_at"] == ("not_applicable", "")
    assert found["messages"][1].startswith("no backend can import a conversation")


def test_an_archived_session_is_archived_again_where_that_is_possible() -> None:
    held = Session(provider="new", id="s1", archived_at=MOMENT)

    found = effects(switch_check("new", "old", held), "session")

    assert found["archived_at"] == ("emulated", "archive the new session with sessions.archive; it gets another time")


def test_a_switch_to_the_same_provider_loses_no_feature() -> None:
    report = switch_check("old", "old")

    assert {item.effect for item in report.items if item.area not in {"session", "native"}} <= {
        SwitchEffect.KEPT,
        SwitchEffect.EMULATED,
        SwitchEffect.NOT_APPLICABLE,
    }
    assert report.with_effect(SwitchEffect.GAINED) == ()


def test_a_session_of_another_provider_is_refused() -> None:
    with pytest.raises(UsageError, match="session 's1' belongs to provider 'old', not to 'new'"):
        switch_check("new", "old", session())


def test_an_unknown_provider_is_told() -> None:
    with pytest.raises(UnknownProvider):
        switch_check("old", "nobody")


def test_a_report_is_frozen_and_survives_json() -> None:
    report = switch_check("old", "new")

    assert SwitchReport.model_validate_json(report.model_dump_json()) == report
    with pytest.raises(ValueError, match="frozen"):
        report.source = "other"  # type: ignore[misc]
