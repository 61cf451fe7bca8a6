from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from polysession._core.flow import Response
from polysession._core.provider import PROVIDER_API_VERSION, ErrorDetail, Page, Provider
from polysession.change import (
    AgentChanges,
    NewAgent,
    NewEnvironment,
    NewSession,
    SessionChanges,
    SessionQuery,
    SessionRef,
)
from polysession.errors import UnsupportedOperation
from polysession.feature import Feature, FeatureSupport, Support, native, unsupported
from support.acme import NO_ARCHIVE, AcmeProvider, AcmeSettings, acme


class Idle(Provider[AcmeSettings]):
    """Declares nothing and defines no flow."""

    name = "idle"
    docs_url = "https://idle.example"
    settings_type = AcmeSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = {}

    def headers(self) -> Mapping[str, str]:
        return {}

    def read_error(self, response: Response) -> ErrorDetail:
        return ErrorDetail(str(response.status))


FLOWS: dict[Feature, Callable[[Idle], Any]] = {
    Feature.SESSIONS_CREATE: lambda idle: idle.create_session(NewSession()),
    Feature.SESSIONS_GET: lambda idle: idle.get_session(SessionRef("s")),
    Feature.SESSIONS_LIST: lambda idle: idle.list_sessions(SessionQuery(), None),
    Feature.SESSIONS_UPDATE: lambda idle: idle.update_session(SessionRef("s"), SessionChanges()),
    Feature.SESSIONS_ARCHIVE: lambda idle: idle.archive_session(SessionRef("s")),
    Feature.SESSIONS_DELETE: lambda idle: idle.delete_session(SessionRef("s")),
    Feature.SESSIONS_CANCEL: lambda idle: idle.cancel_session(SessionRef("s")),
    Feature.SESSIONS_SEND: lambda idle: idle.send_message(SessionRef("s"), ()),
    Feature.SESSIONS_STREAM: lambda idle: idle.stream_events(SessionRef("s"), None),
    Feature.SESSIONS_RUN: lambda idle: idle.start_turn(SessionRef("s"), ()),
    Feature.SESSIONS_EVENTS: lambda idle: idle.list_events(SessionRef("s"), None, None),
    Feature.SESSIONS_MESSAGES: lambda idle: idle.list_messages(SessionRef("s"), None, None),
    Feature.SESSIONS_ANSWER: lambda idle: idle.answer_actions(SessionRef("s"), ()),
    Feature.SESSIONS_PENDING_ACTIONS: lambda idle: idle.pending_actions(SessionRef("s")),
    Feature.AGENTS_CREATE: lambda idle: idle.create_agent(NewAgent(name="a")),
    Feature.AGENTS_GET: lambda idle: idle.get_agent("a"),
    Feature.AGENTS_LIST: lambda idle: idle.list_agents(None, None),
    Feature.AGENTS_UPDATE: lambda idle: idle.update_agent("a", AgentChanges()),
    Feature.AGENTS_ARCHIVE: lambda idle: idle.archive_agent("a"),
    Feature.AGENTS_DELETE: lambda idle: idle.delete_agent("a"),
    Feature.SESSIONS_REJOIN: lambda idle: idle.rejoin_turn(SessionRef("s"), "c"),
    Feature.ENVIRONMENTS_CREATE: lambda idle: idle.create_environment(NewEnvironment(name="e")),
    Feature.ENVIRONMENTS_GET: lambda idle: idle.get_environment("e"),
    Feature.ENVIRONMENTS_LIST: lambda idle: idle.list_environments(None, None),
    Feature.MODELS_LIST: lambda idle: idle.list_models(None, None),
}


@pytest.mark.parametrize("operation", FLOWS)
def test_a_flow_that_is_not_defined_is_unsupported(operation: Feature) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        FLOWS[operation](Idle(acme().settings))

    assert (caught.value.provider, caught.value.operation) == ("idle", operation.value)


def test_a_backend_tells_no_version_and_is_not_asked_unless_its_provider_knows_how() -> None:
    assert list(Idle(acme().settings).read_version()) == []


def test_a_feature_that_is_not_declared_is_unsupported_without_a_hint() -> None:
    assert Idle.support(Feature.SESSIONS_GET) == FeatureSupport(Support.UNSUPPORTED)
    with pytest.raises(UnsupportedOperation) as caught:
        Idle.require(Feature.SESSIONS_GET)
    assert str(caught.value) == "idle sessions.get: not supported"


@pytest.mark.parametrize(
    ("feature", "operation", "said"),
    [
        (Feature.SESSIONS_ARCHIVE, "sessions.archive", f"acme sessions.archive: not supported: {NO_ARCHIVE}"),
        (
            Feature.SESSIONS_LIST_INCLUDE_ARCHIVED,
            "sessions.list",
            "acme sessions.list: include_archived is not supported",
        ),
    ],
)
def test_the_error_names_operation_field_and_hint(feature: Feature, operation: str, said: str) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        AcmeProvider.require(feature)

    error = caught.value
    assert str(error) == said
    assert (error.operation, error.feature) == (operation, feature.value)
    assert error.hint == AcmeProvider.support(feature).note


@pytest.mark.parametrize("feature", [Feature.SESSIONS_GET, Feature.SESSIONS_UPDATE_TAGS_EDIT])
def test_what_is_native_or_emulated_is_supported(feature: Feature) -> None:
    AcmeProvider.require(feature)


def test_a_declaration_says_how_a_feature_is_offered() -> None:
    assert native("beta") == FeatureSupport(Support.NATIVE, "beta")
    assert unsupported("why") == FeatureSupport(Support.UNSUPPORTED, "why")
    assert [bool(support) for support in Support] == [True, True, False]


def test_a_provider_must_say_who_it_is_and_how_it_fails() -> None:
    assert Provider.__abstractmethods__ == {"headers", "read_error"}


def test_defaults_of_a_declaration() -> None:
    assert Idle.api_version == PROVIDER_API_VERSION
    assert (Idle.new_session_type, Idle.session_changes_type, Idle.session_query_type) == (None, None, None)
    assert (Idle.new_agent_type, Idle.error_classes, Idle.emulator, Idle.event_types()) == (None, {}, None, {})
    assert Page(()).next_cursor is None
