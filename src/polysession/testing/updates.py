"""Partial updates: the given fields change, and all others keep their values."""

from __future__ import annotations

from typing import Any

import pytest

from polysession import Client, Feature, Session
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.marks import covers
from polysession.testing.sessions import ODD_TEXT

_FIELDS = ("agent_id", "title", "metadata", "tags", "capabilities", "model", "permission_mode", "environment_id")


def fields(session: Session) -> dict[str, Any]:
    """Return the fields that a change may affect."""
    return {name: getattr(session, name) for name in _FIELDS}


class UpdateContract(ContractBase):
    """A change contains the new values. None clears a field; an omitted field stays unchanged."""

    @pytest.fixture
    def full(self, client: Client, backend: Backend) -> Session:
        """Create a session with a value in every field that `create` supports."""
        values = {
            Feature.SESSIONS_CREATE_TITLE: ("title", "Ticket 42"),
            Feature.SESSIONS_CREATE_METADATA: ("metadata", {"team": "red", "keep": "yes"}),
            Feature.SESSIONS_CREATE_TAGS: ("tags", ["urgent", "red"]),
        }
        given = {name: value for feature, (name, value) in values.items() if self.supports(feature)}
        created = self.new_session(client, backend, **given)
        return client.sessions.get(created) if self.supports(Feature.SESSIONS_GET) else created

    def changed(self, client: Client, before: Session, changes: dict[str, Any], **expected: Any) -> None:
        """Change a session. The response and a later read differ from it only in the expected fields."""
        answered = client.sessions.update(before, **changes)

        assert fields(answered) == {**fields(before), **expected}
        assert answered.id == before.id
        if self.supports(Feature.SESSIONS_GET):
            assert fields(client.sessions.get(before)) == {**fields(before), **expected}

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TITLE)
    def test_a_title_is_changed_alone(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"title": "Done"}, title="Done")

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TITLE)
    def test_a_changed_text_is_kept_as_it_was_written(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"title": ODD_TEXT}, title=ODD_TEXT)

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TITLE_CLEAR)
    def test_a_title_is_cleared(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"title": None}, title=None)

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_METADATA)
    def test_a_key_of_metadata_is_added(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"metadata": {"new": "1"}}, metadata={**full.metadata, "new": "1"})

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_METADATA, Feature.SESSIONS_CREATE_METADATA)
    def test_a_key_of_metadata_is_changed(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"metadata": {"team": "blue"}}, metadata={"team": "blue", "keep": "yes"})

    @covers(
        Feature.SESSIONS_UPDATE,
        Feature.SESSIONS_UPDATE_METADATA,
        Feature.SESSIONS_UPDATE_METADATA_REMOVE,
        Feature.SESSIONS_CREATE_METADATA,
    )
    def test_a_key_of_metadata_is_removed(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"metadata": {"team": None, "new": "1"}}, metadata={"keep": "yes", "new": "1"})

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_METADATA_CLEAR, Feature.SESSIONS_CREATE_METADATA)
    def test_metadata_is_cleared(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"metadata": None}, metadata={})

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TAGS)
    def test_tags_are_replaced(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"tags": ["blue"]}, tags=("blue",))

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TAGS_CLEAR)
    def test_tags_are_cleared(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"tags": None}, tags=())

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TAGS_EDIT, Feature.SESSIONS_CREATE_TAGS)
    def test_tags_are_added_and_removed(self, client: Client, full: Session) -> None:
        edited = client.sessions.update(full, add_tags=["blue", "urgent"], remove_tags=["red", "none"])

        assert sorted(edited.tags) == ["blue", "urgent"]
        assert {**fields(edited), "tags": ()} == {**fields(full), "tags": ()}

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_MODEL)
    def test_a_model_is_changed(self, client: Client, backend: Backend, full: Session) -> None:
        assert backend.model is not None, "Backend.model is None, and the provider supports it in a change"
        model = backend.model.model_copy(update={"parameters": {"temperature": 0.5}})

        changed = client.sessions.update(full, model=model)

        assert changed.model == model
        assert {**fields(changed), "model": None} == {**fields(full), "model": None}

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_MODEL_CLEAR)
    def test_a_model_is_cleared(self, client: Client, full: Session) -> None:
        self.changed(client, full, {"model": None}, model=None)

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_PERMISSION_MODE)
    def test_a_permission_mode_is_changed(self, client: Client, full: Session) -> None:
        mode = self.needed("permission_mode")
        self.changed(client, full, {"permission_mode": mode}, permission_mode=mode)

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR)
    def test_a_permission_mode_is_cleared(self, client: Client, full: Session) -> None:
        client.sessions.update(full, permission_mode=self.needed("permission_mode"))
        assert client.sessions.update(full, permission_mode=None).permission_mode == full.permission_mode

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TITLE)
    def test_several_fields_change_at_once(self, client: Client, full: Session) -> None:
        changes: dict[str, Any] = {"title": "Both"}
        expected: dict[str, Any] = {"title": "Both"}
        if self.supports(Feature.SESSIONS_UPDATE_METADATA):
            changes["metadata"], expected["metadata"] = {"team": "blue"}, {**full.metadata, "team": "blue"}
        if self.supports(Feature.SESSIONS_UPDATE_TAGS):
            changes["tags"], expected["tags"] = ["blue"], ("blue",)
        self.changed(client, full, changes, **expected)

    @covers(Feature.SESSIONS_UPDATE)
    def test_a_change_of_nothing_changes_nothing(self, client: Client, full: Session) -> None:
        self.changed(client, full, {})

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TITLE)
    def test_the_time_of_the_last_change_does_not_go_back(self, client: Client, full: Session) -> None:
        changed = client.sessions.update(full, title="Later")
        assert full.updated_at is not None
        assert changed.updated_at is not None
        assert changed.updated_at >= full.updated_at
