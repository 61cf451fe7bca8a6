"""Random stories: any order of operations and breaks with a client and an emulator, beside a simple model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from polysession import (
    Approve,
    CancelState,
    Deny,
    Event,
    Feature,
    MessageCompleted,
    NotFound,
    Outcome,
    PolysessionError,
    Session,
    ToolApproval,
    ToolOutput,
)
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.testing.turns import check_each_once, check_text
from stress.outcomes import RESUMING
from stress.story_client import StoryClient
from support.cuts import new_session

WORDS = st.text(st.sampled_from("ab ü😀.<>&\"'\\"), min_size=1, max_size=12).filter(lambda text: text.strip() == text)


@dataclass
class Known:
    """The model of a session."""

    session: Session
    title: str | None
    turns: int = 0
    waits: bool = False
    archived: bool = False


class Story(RuleBasedStateMachine):
    """One client, one emulator, any number of sessions."""

    emulator: ClassVar[EmulatorHandle]
    awaits: ClassVar[bool]
    counts: ClassVar[dict[str, int]]

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.story_client = StoryClient(self.emulator, awaits=self.awaits)
        self.alive: dict[str, Known] = {}

    def teardown(self) -> None:
        self.emulator.faults.clear()
        for known in self.alive.values():
            self.story_client.do(methodcaller("delete", known.session))
        self.story_client.close()

    def can(self, feature: Feature) -> bool:
        return bool(self.story_client.client.supports(feature))

    @rule(target=sessions)
    def create(self) -> str:
        session = new_session(self.emulator)
        self.alive[session.id] = Known(session, session.title)
        return session.id

    @rule(session_id=sessions, title=WORDS)
    def retitle(self, session_id: str, title: str) -> None:
        known = self.alive[session_id]
        if known.waits or known.archived:
            return
        changed = self.story_client.do(lambda sessions: sessions.update(known.session, title=title))
        known.title = title
        assert (changed.id, changed.title) == (session_id, title)

    @rule(session_id=sessions)
    def read(self, session_id: str) -> None:
        known = self.alive[session_id]
        found = self.story_client.do(lambda sessions: sessions.get(known.session))
        assert (found.id, found.title) == (session_id, known.title)
        assert (found.archived_at is not None) is known.archived

    @rule(session_id=sessions, said=WORDS)
    def talk(self, session_id: str, said: str) -> None:
        self._talk(session_id, said, f"You said: {said}")

    @rule(session_id=sessions, said=st.sampled_from(["/think", "/tool"]))
    def use_the_agent(self, session_id: str, said: str) -> None:
        self._talk(session_id, said, None)

    @rule(session_id=sessions, kind=st.sampled_from(["drop", "end"]), at_byte=st.integers(0, 2500))
    def talk_over_a_bad_line(self, session_id: str, kind: Any, at_byte: int) -> None:
        self.emulator.faults.add(Fault(kind, streams_only=True, at_byte=at_byte))
        try:
            self._talk(session_id, "hello there", "You said: hello there")
        finally:
            self.emulator.faults.clear()

    def _talk(self, session_id: str, said: str, answer: str | None) -> None:
        known = self.alive[session_id]
        if known.waits or known.archived:
            return
        events, _ = self.story_client.follow(known.session, said)
        known.turns += 1
        self._check_turn(known, events, Outcome.COMPLETED)
        if answer is not None:
            assert spoken(events) == [answer]

    @rule(session_id=sessions)
    def leave_and_come_back(self, session_id: str) -> None:
        known = self.alive[session_id]
        if known.waits or known.archived:
            return
        first, cursor = self.story_client.follow(known.session, "/slow 3", up_to="message.delta")
        assert cursor is not None
        rest = self.story_client.go_on(known.session, cursor)
        known.turns += 1
        # Pieces of the message that had begun may come again: the cursor is behind the last event that is stored.
        self._check_turn(known, rest, Outcome.COMPLETED, texts=False)
        assert spoken(first + rest) == ["word0 word1 word2 "]
        assert [event.type for event in first + rest].count("turn.started") == 1

    @rule(session_id=sessions, said=st.sampled_from(["/ask", "/client-tool 2"]))
    def be_asked(self, session_id: str, said: str) -> None:
        known = self.alive[session_id]
        needed = Feature.SESSIONS_ANSWER_APPROVAL if said == "/ask" else Feature.SESSIONS_ANSWER_OUTPUT
        if known.waits or known.archived or not self.can(needed):
            return
        events, _ = self.story_client.follow(known.session, said)
        known.turns += 1
        known.waits = True
        self._check_turn(known, events, Outcome.REQUIRES_ACTION)

    @rule(session_id=sessions, allow=st.booleans())
    def answer(self, session_id: str, allow: bool) -> None:  # noqa: FBT001  (drawn)
        known = self.alive[session_id]
        pending = self.story_client.do(lambda sessions: sessions.pending_actions(known.session))
        assert bool(pending) is known.waits
        if not pending:
            return
        answers = [
            ToolOutput(action, "42")
            if not isinstance(action, ToolApproval)
            else (Approve(action) if allow else Deny(action))
            for action in pending
        ]
        events, _ = self.story_client.follow(known.session, answers)
        known.waits = False
        self._check_turn(known, events, Outcome.COMPLETED)

    @rule(session_id=sessions)
    def cancel(self, session_id: str) -> None:
        known = self.alive[session_id]
        if known.waits or known.archived:
            return
        found = self.story_client.do(lambda sessions: sessions.cancel(known.session))
        assert found.session_id == session_id
        # AgentScope sends the end of a turn a moment before it is idle.
        assert found.state is CancelState.NOTHING_RUNNING or self.emulator.provider == "agentscope"

    @rule(session_id=sessions)
    def archive(self, session_id: str) -> None:
        known = self.alive[session_id]
        if not self.can(Feature.SESSIONS_ARCHIVE) or known.waits or known.archived:
            return
        assert self.story_client.do(lambda sessions: sessions.archive(known.session)).archived_at is not None
        known.archived = True
        with pytest.raises(PolysessionError):
            self.story_client.follow(known.session, "hello")

    @rule(session_id=consumes(sessions))
    def delete(self, session_id: str) -> None:
        known = self.alive.pop(session_id)
        self.story_client.do(lambda sessions: sessions.delete(known.session))
        with pytest.raises(NotFound):
            self.story_client.do(lambda sessions: sessions.get(known.session))

    @invariant()
    def the_list_holds_what_is_alive(self) -> None:
        self.counts["steps"] += 1
        if not self.alive:
            return
        listed = self.story_client.do(lambda sessions: sessions.list(agent=self.emulator.agent_id))
        ids = [session.id for session in listed]
        assert len(ids) == len(set(ids))
        assert {session_id for session_id, known in self.alive.items() if not known.archived} <= set(ids)

    def _check_turn(self, known: Known, events: list[Event], outcome: Outcome, *, texts: bool = True) -> None:
        self.counts["turns"] += 1
        assert events[-1].type == "turn.ended"
        assert events[-1].outcome is outcome
        assert [event.type for event in events].count("turn.ended") == 1
        assert all(event.session_id == known.session.id for event in events)
        if texts:
            check_text(events)
        check_each_once(events)
        messages = self.story_client.do(lambda sessions: sessions.messages(known.session))
        assert len({message.id for message in messages}) == len(messages)


@pytest.mark.parametrize("at_byte", [0, 6, 200, 600])
@pytest.mark.parametrize("provider", RESUMING)
def test_after_many_turns_a_cut_brings_the_right_one(provider: str, at_byte: int) -> None:
    with serve(provider) as emulator:
        story_client, session = StoryClient(emulator, awaits=False), new_session(emulator)
        for number in range(4):
            story_client.follow(session, f"turn {number}")
        emulator.faults.add(Fault("end", streams_only=True, at_byte=at_byte))
        events, _ = story_client.follow(session, "hello there")
        story_client.close()

    assert spoken(events) == ["You said: hello there"]


def spoken(events: list[Event]) -> list[str]:
    """The words of the agent."""
    return [
        event.message.text
        for event in events
        if isinstance(event, MessageCompleted) and event.message.role.value == "assistant"
    ]


@pytest.fixture(scope="module", params=RESUMING)
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.mark.parametrize("awaits", [False, True], ids=["sync", "async"])
def test_any_story_ends_as_the_model_says(
    emulator: EmulatorHandle,
    request: pytest.FixtureRequest,
    awaits: bool,  # noqa: FBT001  (a parameter of the test)
    record_property: Callable[[str, object], None],
) -> None:
    class OneStory(Story):
        pass

    OneStory.emulator, OneStory.awaits, OneStory.counts = emulator, awaits, {"steps": 0, "turns": 0}
    long = request.config.getoption("--stress")
    run_state_machine_as_test(
        OneStory,
        settings=settings(
            max_examples=60 if long else 2,
            stateful_step_count=40 if long else 10,
            phases=list(Phase) if long else [Phase.generate],
            derandomize=not long,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
    record_property("counts", OneStory.counts)
    assert OneStory.counts["steps"] > 0
