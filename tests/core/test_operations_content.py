from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from polysession._core.flow import Flow
from polysession._core.operations import Operations
from polysession._core.plans import StreamPlan, TurnPlan
from polysession._core.provider import Page, TurnInput
from polysession.action import Answer, Approve, Deny, PendingAction, ToolApproval, ToolExecution, ToolOutput
from polysession.change import SessionRef
from polysession.errors import UnsupportedOperation, UsageError
from polysession.event import Event
from polysession.feature import Feature, FeatureSupport, native
from polysession.message import Block, MediaBlock, Message, TextBlock, ThinkingBlock
from polysession.session import Session
from support.acme import AcmeProvider, acme
from support.flows import step

HELLO = TextBlock(text="hello")
IMAGE = MediaBlock(type="image", url="https://acme.example/cat.png")
DOCUMENT = MediaBlock(type="document", data="aGk=", media_type="text/plain")
APPROVAL = ToolApproval(id="t1", name="rm", arguments={})
EXECUTION = ToolExecution(id="t2", name="screenshot", arguments={})

Verb = Callable[[Operations, Any], Flow[Any]]
SEND: Verb = lambda operations, content: operations.send_message("s1", content)  # noqa: E731
ANSWER: Verb = lambda operations, answers: operations.answer_actions("s1", answers)  # noqa: E731
RUN: Verb = lambda operations, turn_input: operations.start_turn("s1", turn_input)  # noqa: E731
saying = pytest.mark.parametrize("verb", [pytest.param(SEND, id="send"), pytest.param(RUN, id="run")])
answering = pytest.mark.parametrize("verb", [pytest.param(ANSWER, id="answer"), pytest.param(RUN, id="run")])


class Recorder(AcmeProvider):
    """Declares every feature, and records what its flows are asked for."""

    features: ClassVar[Mapping[Feature, FeatureSupport]] = dict.fromkeys(Feature, native())

    def __init__(self) -> None:
        super().__init__(acme().settings)
        self.asked: list[Any] = []

    def _record(self, *asked: Any) -> Flow[Any]:
        self.asked.extend(asked)
        yield from ()

    def send_message(self, ref: SessionRef, content: tuple[Block, ...], **_: Any) -> Flow[None]:
        return self._record(ref, content)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
        return self._record(ref, cursor)

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **_: Any) -> Flow[TurnPlan]:
        return self._record(ref, turn_input)

    def answer_actions(self, ref: SessionRef, answers: tuple[Answer, ...], **_: Any) -> Flow[None]:
        return self._record(ref, answers)

    def list_events(self, ref: SessionRef, page_size: int | None, cursor: str | None, **_: Any) -> Flow[Page[Event]]:
        return self._record(ref, page_size, cursor)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, **_: Any
    ) -> Flow[Page[Message]]:
        return self._record(ref, page_size, cursor)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        return self._record(ref)


def without(*missing: Feature) -> Recorder:
    class Poorer(Recorder):
        features: ClassVar[Mapping[Feature, FeatureSupport]] = {
            feature: native() for feature in Feature if feature not in missing
        }

    return Poorer()


def asked(verb: Verb, value: Any) -> Any:
    """The arguments of the provider, besides the session."""
    provider = Recorder()
    step(verb(Operations(provider), value))
    assert provider.asked[0] == SessionRef("s1")
    return provider.asked[1]


def refusal(verb: Verb, value: Any, provider: Recorder | None = None) -> UsageError:
    provider = provider or Recorder()
    with pytest.raises(UsageError) as caught:
        step(verb(Operations(provider), value))
    assert provider.asked == []
    return caught.value


@saying
@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ("hello", (HELLO,)),
        ([HELLO, IMAGE, DOCUMENT], (HELLO, IMAGE, DOCUMENT)),
        ((IMAGE,), (IMAGE,)),
    ],
)
def test_content_becomes_blocks(verb: Verb, content: Any, blocks: tuple[Block, ...]) -> None:
    assert asked(verb, content) == blocks


@saying
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the message is empty"),
        ([], "the message is empty"),
        (None, "text or a list of blocks, not a NoneType"),
        (7, "not a int"),
        (HELLO, "not a TextBlock"),
        ({"type": "text"}, "not a dict"),
        (["hello"], "TextBlock or MediaBlock, not str"),
        (b"hello", "TextBlock or MediaBlock, not int"),
        ([HELLO, ThinkingBlock(text="hm")], "not ThinkingBlock"),
        ([MediaBlock(type="image")], "the image needs exactly one of url, data and file_id"),
        ([MediaBlock(type="document", url="u", file_id="f")], "the document needs exactly one of"),
        ([MediaBlock(type="image", data="aGk=")], "the image has data, and needs a media_type"),
    ],
)
def test_content_that_cannot_be_said_is_refused(verb: Verb, content: Any, message: str) -> None:
    assert message in refusal(verb, content).message


@saying
@pytest.mark.parametrize(
    ("block", "feature"), [(IMAGE, Feature.SESSIONS_SEND_IMAGE), (DOCUMENT, Feature.SESSIONS_SEND_DOCUMENT)]
)
def test_media_need_their_feature(verb: Verb, block: MediaBlock, feature: Feature) -> None:
    error = refusal(verb, [HELLO, block], without(feature))

    assert isinstance(error, UnsupportedOperation)
    assert error.feature == feature.value


@answering
@pytest.mark.parametrize(
    "answers",
    [
        (Approve(APPROVAL), Deny("t3", "no"), ToolOutput(EXECUTION, "a picture")),
        (Deny("t1"),),
    ],
)
def test_answers_are_handed_on(verb: Verb, answers: tuple[Answer, ...]) -> None:
    assert asked(verb, list(answers)) == answers


@pytest.mark.parametrize(
    ("verb", "answers", "message"),
    [
        (ANSWER, [], "the list of answers is empty"),
        (ANSWER, None, "answers must be a list, not a NoneType"),
        (ANSWER, Approve("t1"), "answers must be a list, not a Approve"),
        (RUN, Approve("t1"), "not a Approve"),
        (ANSWER, "yes", "not a str"),
        (ANSWER, [Approve("t1"), HELLO], "not a TextBlock"),
        (RUN, [Approve("t1"), HELLO], "not a TextBlock"),
        (RUN, [HELLO, Approve("t1")], "not a TextBlock"),
        (ANSWER, [Approve("t1"), Deny(APPROVAL)], "has two answers"),
    ],
)
def test_answers_that_make_no_sense_are_refused(verb: Verb, answers: Any, message: str) -> None:
    assert message in refusal(verb, answers).message


@answering
@pytest.mark.parametrize(
    ("answer", "feature"),
    [
        (Approve("t1"), Feature.SESSIONS_ANSWER_APPROVAL),
        (Deny("t1"), Feature.SESSIONS_ANSWER_APPROVAL),
        (ToolOutput("t1", "x"), Feature.SESSIONS_ANSWER_OUTPUT),
    ],
)
def test_an_answer_needs_its_feature(verb: Verb, answer: Answer, feature: Feature) -> None:
    error = refusal(verb, [answer], without(feature))

    assert isinstance(error, UnsupportedOperation)
    assert error.feature == feature.value


@pytest.mark.parametrize(
    ("feature", "call"),
    [
        (Feature.SESSIONS_SEND, lambda operations, session: operations.send_message(session, "hello")),
        (Feature.SESSIONS_RUN, lambda operations, session: operations.start_turn(session, "hello")),
        (Feature.SESSIONS_STREAM, lambda operations, session: operations.stream_events(session, None)),
        (Feature.SESSIONS_ANSWER, lambda operations, session: operations.answer_actions(session, [Approve("t1")])),
        (Feature.SESSIONS_PENDING_ACTIONS, lambda operations, session: operations.pending_actions(session)),
    ],
)
def test_verbs_need_their_feature_and_a_session_of_ours(feature: Feature, call: Verb) -> None:
    assert isinstance(refusal(call, "s1", without(feature)), UnsupportedOperation)
    assert "the session id must not be ''" in refusal(call, "").message
    assert "comes from provider 'other'" in refusal(call, Session(provider="other", id="s1")).message

    provider = Recorder()
    step(call(Operations(provider), Session(provider="acme", id="s1", agent_id="a1")))
    assert provider.asked[0] == SessionRef("s1", "a1")


def test_a_stream_goes_on_after_its_cursor() -> None:
    provider = Recorder()

    step(Operations(provider).stream_events("s1", "7"))

    assert provider.asked == [SessionRef("s1"), "7"]


LISTS = [
    pytest.param(Operations.list_events, Feature.SESSIONS_EVENTS, id="events"),
    pytest.param(Operations.list_messages, Feature.SESSIONS_MESSAGES, id="messages"),
]


@pytest.mark.parametrize("verb", [Operations.list_events, Operations.list_messages])
def test_a_list_of_what_happened_is_read_page_by_page(verb: Callable[..., Any]) -> None:
    provider = Recorder()
    pages = verb(Operations(provider), "s1", 3)
    assert provider.asked == []

    step(pages(None))
    step(pages("next"))

    assert provider.asked == [SessionRef("s1"), 3, None, SessionRef("s1"), 3, "next"]


@pytest.mark.parametrize(("verb", "feature"), LISTS)
@pytest.mark.parametrize(
    ("session", "page_size"), [("s1", 0), ("s1", "3"), ("", 3), (Session(provider="x", id="s1"), 3)]
)
def test_a_list_is_checked_before_it_is_read(
    verb: Callable[..., Any], feature: Feature, session: Any, page_size: Any
) -> None:
    with pytest.raises(UsageError) as caught:
        verb(Operations(Recorder()), session, page_size)
    assert (caught.value.provider, caught.value.operation) == ("acme", feature.value)

    with pytest.raises(UnsupportedOperation):
        verb(Operations(without(feature)), "s1", 3)
