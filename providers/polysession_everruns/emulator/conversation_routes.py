"""Routes for messages, answers, events and streams in the Everruns emulator.

Backend: https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from polysession.emulation import Answer, ApiRequest, EventStream, Refusal, Route, Scripts
from polysession_everruns.emulator.answers import CurrentAnswers, Json
from polysession_everruns.emulator.approvals import decide, read_decisions
from polysession_everruns.emulator.conversation import Conversations
from polysession_everruns.emulator.event_queries import (
    count_non_deltas,
    read_since_id,
    read_type_filter,
    select_events,
    summarise,
)
from polysession_everruns.emulator.messages import read_message, read_tool_results
from polysession_everruns.emulator.questions import answer, check_no_question
from polysession_everruns.emulator.records import Session
from polysession_everruns.emulator.state import EverrunsState
from polysession_everruns.emulator.streams import open_stream
from polysession_everruns.emulator.tool_results import take_results
from polysession_everruns.emulator.turn_records import Pace
from polysession_everruns.emulator.validation import check_id, unknown

_CANCELLED: Final[Json] = {"status": "cancelled", "message": "Turn cancelled successfully"}
_NOTHING_TO_CANCEL: Final[Json] = {"status": "no_op", "message": "No turn currently running"}


class ConversationRoutes:
    """The routes below a session."""

    def __init__(self, state: EverrunsState, answers: CurrentAnswers, pace: Pace, scripts: Scripts) -> None:
        self._state = state
        self._answers = answers
        self._pace = pace
        self._conversations = Conversations(state.catalogue.model, pace, scripts)

    def routes(self) -> Iterable[Route]:
        """Return the routes, without their common base path."""
        session = "/sessions/{id}"
        yield Route("POST", f"{session}/messages", self._create_message, 201)
        yield Route("GET", f"{session}/messages", lambda ask: {"data": self._session(ask).log.messages})
        yield Route("POST", f"{session}/tool-results", self._submit_tool_results)
        if self._pace.asks:
            yield Route("POST", f"{session}/tool-approvals", self._decide_approvals)
            yield Route("POST", f"{session}/question-answers", lambda ask: answer(self._session(ask), ask.content))
        yield Route("POST", f"{session}/cancel", self._cancel_turn)
        yield Route("GET", f"{session}/events", self._list_events)
        yield Route("GET", f"{session}/events/summary", lambda ask: summarise(self._session(ask).log.events))
        yield Route("GET", f"{session}/sse", self._stream_events)
        yield Route("DELETE", session, self._delete_session, 204)

    def _session(self, request: ApiRequest) -> Session:
        return self._state.session(request.parameters["id"])

    def _create_message(self, request: ApiRequest) -> Json:
        session = self._session(request)
        new = read_message(request.content)
        self._state.catalogue.check_model(new.message.get("controls", {}).get("model_id"))
        if new.addressed_participant_id is not None:
            check_id("participant", new.addressed_participant_id)
            raise unknown("Participant not found")
        self._conversations.receive(session, new)
        return new.message

    def _submit_tool_results(self, request: ApiRequest) -> Json:
        results = read_tool_results(request.content)
        session = self._session(request)
        if not session.awaits_tool_results:
            text = f"Session is not waiting for tool results (current status: {session.status})"
            raise Refusal(self._answers.not_waiting_status, text)
        check_no_question(session)
        take_results(session, results)
        return self._answers.tool_results(len(results))

    def _decide_approvals(self, request: ApiRequest) -> Json:
        decisions = read_decisions(request.content)
        return decide(self._session(request), decisions)

    async def _cancel_turn(self, request: ApiRequest) -> Json:
        return _CANCELLED if await self._conversations.cancel(self._session(request)) else _NOTHING_TO_CANCEL

    def _list_events(self, request: ApiRequest) -> Answer:
        events = self._session(request).log.events
        found = select_events(events, request.query)
        headers = {"X-Total-Count": str(count_non_deltas(events))} if "limit" in request.query else {}
        return Answer({"data": found}, headers=headers)

    def _stream_events(self, request: ApiRequest) -> EventStream:
        frames = open_stream(
            self._session(request).log,
            read_type_filter(request.query),
            self._pace,
            since_id=read_since_id(request.query),
            replays_all=self._answers.replays_all,
        )
        return EventStream(frames)

    async def _delete_session(self, request: ApiRequest) -> None:
        session = self._session(request)
        self._state.delete_session(session.id)
        await self._conversations.close(session)
