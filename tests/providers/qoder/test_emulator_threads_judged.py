"""The official SDK reads threads, resources and initial events of the Qoder emulator.

Backend: https://pypi.org/project/qca-sdk/0.11.0/ (read 2026-11)
"""

from __future__ import annotations

import time

import pytest
import qca

from polysession_qoder.emulator import QoderEmulator
from providers.qoder.test_emulator_judged import handle, judge
from support.sdk_judge import Judge

__all__ = ["handle", "judge"]

pytestmark = pytest.mark.evidence("qoder", "judge", by="qca-sdk")


def test_threads_are_listed_read_and_archived(judge: Judge) -> None:
    session = judge.new_session()
    control = judge.handle.control
    assert isinstance(control, QoderEmulator)
    child = control.consult(session.id, "reviewer", "Is it good?", "It is.")

    coordinator, other = judge.every(lambda sdk: sdk.sessions.threads.list(session.id))
    assert (coordinator.parent_thread_id, other.parent_thread_id, other.id) == (None, coordinator.id, child)
    assert judge(lambda sdk: sdk.sessions.threads.retrieve(child, session_id=session.id)).status == "idle"
    events = judge.every(lambda sdk: sdk.sessions.threads.events.list(child, session_id=session.id))
    assert [event.type for event in events] == [
        "session.thread_created",
        "session.thread_status_running",
        "agent.message",
        "session.thread_status_idle",
    ]
    archived = judge(lambda sdk: sdk.sessions.threads.archive(child, session_id=session.id))
    assert (archived.status, archived.archived_at is None) == ("terminated", False)
    with pytest.raises(qca.ConflictError):
        judge(lambda sdk: sdk.sessions.threads.archive(coordinator.id, session_id=session.id))


def test_resources_are_added_rotated_and_removed(judge: Judge) -> None:
    repository = {"type": "git_repository", "url": "https://git.example/a.git", "password": "old"}
    session = judge.new_session(resources=[repository])
    file = judge(lambda sdk: sdk.sessions.resources.add(session.id, type="file", file_id="file_1"))

    mounted = judge.every(lambda sdk: sdk.sessions.resources.list(session.id))
    assert [item.type for item in mounted] == ["git_repository", "file"]
    assert judge(lambda sdk: sdk.sessions.resources.retrieve(file.id, session_id=session.id)).file_id == "file_1"
    rotated = judge(lambda sdk: sdk.sessions.resources.update(mounted[0].id, session_id=session.id, password="new"))
    assert rotated.updated_at > mounted[0].updated_at
    removed = judge(lambda sdk: sdk.sessions.resources.delete(file.id, session_id=session.id))
    assert (removed.id, removed.type) == (file.id, "session_resource_deleted")


def test_a_session_begins_with_an_event(judge: Judge) -> None:
    message = {"type": "user.message", "content": [{"type": "text", "text": "hello"}]}

    session = judge.new_session(initial_events=[message])

    while judge(lambda sdk: sdk.sessions.retrieve(session.id)).status != "idle":
        time.sleep(0.01)
    received = [event.type for event in judge.every(lambda sdk: sdk.sessions.events.list(session.id))]
    assert received[-1] == "session.status_idle"
    assert "agent.message" in received
