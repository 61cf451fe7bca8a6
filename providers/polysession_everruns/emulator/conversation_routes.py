"""The routes of an emulated Everruns server for messages, tool results, events and streams.

Backend: https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from polysession.emulation import Scripts
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
from polysession_everruns.emulator.records import Session
from polysession_everruns.emulator.rules import UnknownEntityError, check_id
from polysession_everruns.emulator.state import EverrunsState
from polysession_everruns.emulator.streams import open_stream
from polysession_everruns.emulator.tool_results import take_results
from polysession_everruns.emulator.turn_records import Pace

Handler = Callable[[Request], Awaitable[Response]]

_CANCELLED: Final[Json] = {"status": "cancelled", "message": "Turn cancelled successfully"}
_NOTHING_TO_CANCEL: Final[Json] = {"status": "no_op", "message": "No turn currently running"}


class ConversationRoutes:
    """What is under a session in the tree of resources."""

    def __init__(self, state: EverrunsState, answers: CurrentAnswers, pace: Pace, scripts: Scripts) -> None:
        self._state = state
        self._answers = answers
        self._pace = pace
        self._conversations = Conversations(state.catalogue.model, pace, scripts)

    @property
    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Handlers by method and path."""
        return {
            ("POST", "/sessions/{id}/messages"): self._create_message,
            ("GET", "/sessions/{id}/messages"): self._list_messages,
            ("POST", "/sessions/{id}/tool-results"): self._submit_tool_results,
            **({("POST", "/sessions/{id}/tool-approvals"): self._decide_approvals} if self._pace.asks else {}),
            ("POST", "/sessions/{id}/cancel"): self._cancel_turn,
            ("GET", "/sessions/{id}/events"): self._list_events,
            ("GET", "/sessions/{id}/events/summary"): self._summarise_events,
            ("GET", "/sessions/{id}/sse"): self._stream_events,
            ("DELETE", "/sessions/{id}"): self._delete_session,
        }

    def _session(self, request: Request) -> Session:
        return self._state.session(request.path_params["id"])

    async def _create_message(self, request: Request) -> Response:
        session = self._session(request)
        new = read_message(await request.body())
        self._state.catalogue.check_model(new.message.get("controls", {}).get("model_id"))
        if new.addressed_participant_id is not None:
            check_id("participant", new.addressed_participant_id)
            raise UnknownEntityError("Participant not found")
        self._conversations.hear(session, new)
        return JSONResponse(new.message, 201)

    async def _list_messages(self, request: Request) -> Response:
        return JSONResponse({"data": self._session(request).log.messages})

    async def _submit_tool_results(self, request: Request) -> Response:
        results = read_tool_results(await request.body())
        session = self._session(request)
        if not session.awaits_tool_results:
            status = session.status
            raise self._answers.not_waiting_error(f"Session is not waiting for tool results (current status: {status})")
        take_results(session, results)
        return JSONResponse(self._answers.tool_results(len(results)))

    async def _decide_approvals(self, request: Request) -> Response:
        decisions = read_decisions(await request.body())
        return JSONResponse(decide(self._session(request), decisions))

    async def _cancel_turn(self, request: Request) -> Response:
        cancelled = await self._conversations.cancel(self._session(request))
        return JSONResponse(_CANCELLED if cancelled else _NOTHING_TO_CANCEL)

    async def _list_events(self, request: Request) -> Response:
        events = self._session(request).log.events
        found = select_events(events, request.query_params)
        headers = {"X-Total-Count": str(count_non_deltas(events))} if "limit" in request.query_params else None
        return JSONResponse({"data": found}, headers=headers)

    async def _summarise_events(self, request: Request) -> Response:
        return JSONResponse(summarise(self._session(request).log.events))

    async def _stream_events(self, request: Request) -> Response:
        frames = open_stream(
            self._session(request).log,
            read_type_filter(request.query_params),
            self._pace,
            since_id=read_since_id(request.query_params),
            replays_all=self._answers.replays_all,
        )
        return StreamingResponse(frames, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    async def _delete_session(self, request: Request) -> Response:
        session = self._session(request)
        self._state.delete_session(session.id)
        await self._conversations.drop(session)
        return Response(status_code=204)
