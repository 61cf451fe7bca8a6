"""A web page that talks to the sessions of one backend: `python examples/web_app/app.py qoder`, then open the address.

It runs on the backend's emulator; `--real AGENT [ENVIRONMENT]` uses the real backend and its environment variables. A
turn is sent to the page as server-sent events. A page that is reloaded in mid-turn rejoins the turn from a cursor that
it kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from polysession import (
    ACTION,
    Answer,
    Approve,
    AsyncClient,
    AsyncEventStream,
    Deny,
    Feature,
    PolysessionError,
    StatusError,
)
from polysession.emulation import serve

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where the sessions are: the client, which the whole process shares, and what a session is created with."""

    client: AsyncClient
    where: dict[str, Any]


def place_of(request: Request) -> Place:
    """The place that the application was made for."""
    place: Place = request.app.state.place
    return place


async def show_page(_: Request) -> Response:
    """The page."""
    return FileResponse(HERE / "page.html")


async def show_script(_: Request) -> Response:
    """Its program."""
    return FileResponse(HERE / "page.js")


async def list_sessions(request: Request) -> Response:
    """The newest twenty sessions."""
    sessions = [session async for session in place_of(request).client.sessions.list(limit=20)]
    return JSONResponse([{"id": each.id, "title": each.title or each.id, "status": each.status} for each in sessions])


async def create_session(request: Request) -> Response:
    """A new session, with the title that was typed."""
    place = place_of(request)
    title = (await request.json())["title"]
    wanted = {**place.where, **({"title": title} if place.client.supports(Feature.SESSIONS_CREATE_TITLE) else {})}
    session = await place.client.sessions.create(**wanted)
    return JSONResponse({"id": session.id, "title": session.title or session.id, "status": session.status})


async def list_messages(request: Request) -> Response:
    """The stored messages of a session, oldest first."""
    messages = place_of(request).client.sessions.messages(request.path_params["session"])
    return JSONResponse([{"id": each.id, "role": each.role, "text": each.text} async for each in messages if each.text])


async def start_turn(request: Request) -> Response:
    """Send a message, or answers to stored actions, and stream the turn."""
    given = await request.json()
    content: str | list[Answer] = given["text"] if "text" in given else [to_answer(each) for each in given["answers"]]
    return stream(place_of(request).client.sessions.run(request.path_params["session"], content))


async def rejoin_turn(request: Request) -> Response:
    """Stream a turn from a cursor on, after the page was reloaded.

    A backend that cannot rejoin a turn may still stream its session from there.
    """
    client, session, cursor = place_of(request).client, request.path_params["session"], request.query_params["cursor"]
    if client.supports(Feature.SESSIONS_REJOIN):
        return stream(client.sessions.rejoin(session, cursor))
    return stream(client.sessions.stream(session, cursor=cursor))


async def cancel_turn(request: Request) -> Response:
    """Cancel the turn that runs."""
    cancellation = await place_of(request).client.sessions.cancel(request.path_params["session"])
    return JSONResponse({"state": cancellation.state})


def to_answer(given: dict[str, Any]) -> Answer:
    """The answer to an action that the page kept as JSON."""
    action = ACTION.validate_python(given["action"])
    return Approve(action) if given["allow"] else Deny(action)


def stream(turn: AsyncEventStream) -> StreamingResponse:
    """A turn as server-sent events: its cursor, each of its events, and at its end the result or the error.

    When the browser goes away, the framework cancels the generator. That leaves the turn, which continues at the
    backend if `client.turn_life` is `detached`.
    """

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            async with turn:
                yield frame("cursor", turn.cursor)  # the page keeps it: it is where the turn begins
                async for event in turn:
                    yield frame("event", event.dump())
                    if event.type == "turn.ended":
                        break
        except PolysessionError as error:  # the headers are sent: the error is an event, too
            yield frame("failure", str(error))

    return StreamingResponse(frames(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def frame(name: str, data: object) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def show_error(_: Request, error: Exception) -> Response:
    """An error of the backend's, before anything of the answer was sent."""
    status = error.status if isinstance(error, StatusError) and error.status else 502
    return JSONResponse({"error": str(error)}, status_code=status)


@contextlib.asynccontextmanager
async def closing(app: Starlette) -> AsyncGenerator[None, None]:
    """Close the client when the server ends."""
    place: Place = app.state.place
    async with place.client:
        yield


def build_app(place: Place) -> Starlette:
    """The application for the sessions of one place."""
    session = "/api/sessions/{session}"
    app = Starlette(
        routes=[
            Route("/", show_page),
            Route("/page.js", show_script),
            Route("/api/sessions", list_sessions),
            Route("/api/sessions", create_session, methods=["POST"]),
            Route(f"{session}/messages", list_messages),
            Route(f"{session}/turns", start_turn, methods=["POST"]),
            Route(f"{session}/turns", rejoin_turn),
            Route(f"{session}/cancel", cancel_turn, methods=["POST"]),
        ],
        exception_handlers={PolysessionError: show_error},
        lifespan=closing,
    )
    app.state.place = place
    return app


def main() -> None:
    """Serve the page until it is interrupted."""
    parser = argparse.ArgumentParser(description="A web page for the sessions of one backend.")
    parser.add_argument("provider", nargs="?", default="qoder")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--grace-s", type=int, default=10, help="seconds that open turns have after SIGTERM")
    parser.add_argument("--real", nargs="+", metavar=("AGENT", "ENVIRONMENT"), help="use the real backend")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        settings: dict[str, Any] = {}
        if given.real:
            where: dict[str, Any] = dict(zip(("agent", "environment"), given.real, strict=False))
        else:
            emulator = stack.enter_context(serve(given.provider))
            settings = emulator.settings
            where = emulator.session_values
        app = build_app(Place(AsyncClient(given.provider, **settings), where))
        # After SIGTERM, open turns have the grace to end. Others continue at the backend, and the page rejoins them.
        uvicorn.run(app, port=given.port, log_level="warning", timeout_graceful_shutdown=given.grace_s)


if __name__ == "__main__":
    main()
