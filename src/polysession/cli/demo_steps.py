"""The whole life of a session through the public client only: the same code for every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from polysession import (
    Answer,
    Approve,
    Client,
    Feature,
    ModelConfig,
    NotFound,
    Outcome,
    PendingAction,
    Session,
    Support,
    ToolOutput,
    UnsupportedOperation,
)

_PATIENCE_S: Final = 20


@dataclass(frozen=True, slots=True)
class Place:
    """The resources for the steps.

    Attributes:
        agent: The agent of the session.
        environment: The environment of the session; None if the backend has none.
        model: A model that the session may change to, or its id.
        begin_turn: Starts a turn in a session, so that it can be cancelled.
    """

    agent: str
    environment: str | None
    model: ModelConfig | str
    begin_turn: Callable[[Session], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step and its outcome.

    Attributes:
        title: Name of the step.
        feature: The feature that the step needs.
        support: How the provider supports the feature.
        outcome: The backend's answer in a few words; empty if the step was refused.
        refusal: Reason for the refusal; empty if the step was not refused.
    """

    title: str
    feature: Feature
    support: Support
    outcome: str = ""
    refusal: str = ""


def tell(client: Client, place: Place) -> Iterator[Step]:
    """Create, read, list, change, cancel, archive and delete a session, step by step.

    Raises:
        PolysessionError: A step that the provider declares as supported fails.
    """
    agent = place.agent if client.supports(Feature.SESSIONS_CREATE_AGENT) else None
    session = client.sessions.create(agent=agent, environment=place.environment, title="Ticket 42")
    yield _done(client, "create", Feature.SESSIONS_CREATE, session.status.value)
    yield _done(client, "read", Feature.SESSIONS_GET, repr(client.sessions.get(session).title))
    listed = sum(1 for _ in client.sessions.list(agent=agent))
    yield _done(client, "list", Feature.SESSIONS_LIST, f"{listed} found")
    for title, feature, change in _changes(client, session, place):
        yield _try(client, title, feature, change)
    for title, feature, talk in _turns(client, session):
        yield _try(client, title, feature, talk)
    yield _try(client, "cancel a turn", Feature.SESSIONS_CANCEL, lambda: _cancelled(client, session, place))
    yield _try(client, "archive", Feature.SESSIONS_ARCHIVE, lambda: _archived(client.sessions.archive(session)))
    client.sessions.delete(session)
    yield _done(client, "delete", Feature.SESSIONS_DELETE, "deleted")
    yield _done(client, "read after delete", Feature.SESSIONS_GET, _reading_fails(client, session))


def _changes(client: Client, session: Session, place: Place) -> Iterator[tuple[str, Feature, Callable[[], str]]]:
    update = client.sessions.update
    yield "set title", Feature.SESSIONS_UPDATE_TITLE, lambda: repr(update(session, title="Done").title)
    yield "clear title", Feature.SESSIONS_UPDATE_TITLE_CLEAR, lambda: repr(update(session, title=None).title)
    yield "set metadata", Feature.SESSIONS_UPDATE_METADATA, lambda: _pairs(update(session, metadata={"team": "red"}))
    yield "set tags", Feature.SESSIONS_UPDATE_TAGS, lambda: ", ".join(update(session, tags=["urgent"]).tags)
    yield "add a tag", Feature.SESSIONS_UPDATE_TAGS_EDIT, lambda: ", ".join(update(session, add_tags=["red"]).tags)
    yield "set model", Feature.SESSIONS_UPDATE_MODEL, lambda: _model_id(update(session, model=place.model))


def _turns(client: Client, session: Session) -> Iterator[tuple[str, Feature, Callable[[], str]]]:
    yield "stream a turn", Feature.SESSIONS_RUN, lambda: _spoken(client, session)
    yield "use a tool", Feature.SESSIONS_RUN, lambda: _tool_result(client, session)
    yield "approve a tool", Feature.SESSIONS_ANSWER_APPROVAL, lambda: _answered(client, session, "/ask")
    yield "run a client tool", Feature.SESSIONS_ANSWER_OUTPUT, lambda: _answered(client, session, "/client-tool")


def _spoken(client: Client, session: Session) -> str:
    with client.sessions.run(session, "Good morning", deadline_s=_PATIENCE_S) as turn:
        deltas = sum(1 for event in turn if event.type == "message.delta")
    return f"{deltas} deltas" if turn.result.outcome is Outcome.COMPLETED else turn.result.outcome.value


def _tool_result(client: Client, session: Session) -> str:
    with client.sessions.run(session, "/tool", deadline_s=_PATIENCE_S) as turn:
        called = [event.name for event in turn if event.type == "tool_call.completed"]
    return ", ".join(called)


def _answered(client: Client, session: Session, request: str) -> str:
    """Let the agent ask, send an answer, and follow the turn to its end."""
    approving = request == "/ask"
    client_answer: Callable[[PendingAction | str], Answer] = (
        Approve if approving else lambda action: ToolOutput(action, "42")
    )
    if not client.supports(Feature.SESSIONS_ANSWER_APPROVAL if approving else Feature.SESSIONS_ANSWER_OUTPUT):
        client.sessions.answer(session, [client_answer("none")])  # raises an error with the reason
    with client.sessions.run(session, request, deadline_s=_PATIENCE_S) as turn:
        actions = turn.wait().actions
    with client.sessions.run(session, [client_answer(action) for action in actions], deadline_s=_PATIENCE_S) as turn:
        return turn.wait().outcome.value


def _done(client: Client, title: str, feature: Feature, outcome: str) -> Step:
    return Step(title, feature, client.supports(feature), outcome=outcome)


def _try(client: Client, title: str, feature: Feature, attempt: Callable[[], str]) -> Step:
    try:
        return _done(client, title, feature, attempt())
    except UnsupportedOperation as error:
        return Step(title, feature, client.supports(feature), refusal=error.message)


def _cancelled(client: Client, session: Session, place: Place) -> str:
    if client.supports(Feature.SESSIONS_CANCEL):
        place.begin_turn(session)
    return client.sessions.cancel(session).state.value


def _pairs(session: Session) -> str:
    return ", ".join(f"{key}={value}" for key, value in session.metadata.items())


def _model_id(session: Session) -> str:
    return session.model.id if session.model else "none"


def _archived(session: Session) -> str:
    return "archived" if session.archived_at else "not archived"


def _reading_fails(client: Client, session: Session) -> str:
    try:
        client.sessions.get(session)
    except NotFound as error:
        return type(error).__name__
    return "still exists"
