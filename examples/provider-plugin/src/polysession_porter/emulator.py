"""An emulator of Porter: its routes over errands in memory.

It writes Porter's JSON by hand, and shares no code with the provider: a mistake in `wire.py` would hide in both.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from polysession.emulation import (
    Act,
    Emulator,
    EventLog,
    Fail,
    Generation,
    RequestIdMiddleware,
    Say,
    Seeded,
    Think,
    ToolUse,
    TurnClock,
    TurnTask,
    UseClientTools,
    UseTools,
    pause,
    script_for,
)

KEY: Final = "porter-key-for-the-emulator"
_HEARTBEAT_S: Final = 10.0
_KINDS: Final = {400: "nonsense", 401: "stranger", 404: "missing", 405: "nonsense", 409: "busy"}
_LARGEST_PAGE: Final = 100


@dataclass
class Errand:
    """One errand.

    Attributes:
        no: Its number.
        made: When, in milliseconds since 1970, and later than the errand before.
        asks: The tool that its caller is to run; None if there is none.
        rest: What is left of the script, until that tool has answered.
    """

    no: int
    subject: str | None
    labels: dict[str, str]
    made: int
    touched: int
    log: EventLog[dict[str, Any]] = field(default_factory=EventLog)
    task: TurnTask = field(default_factory=TurnTask)
    clock: TurnClock = field(default_factory=TurnClock)
    asks: ToolUse | None = None
    call: str = ""
    rest: tuple[Act, ...] = ()

    @property
    def doing(self) -> str:
        """What it is doing, in Porter's word."""
        if self.asks is not None:
            return "asking"
        return "working" if self.task.running or self.clock.running else "resting"

    def as_json(self) -> dict[str, Any]:
        """What Porter sends of it."""
        return {
            "no": self.no,
            "subject": self.subject,
            "labels": self.labels,
            "doing": self.doing,
            "made": self.made,
            "touched": self.touched,
            "notes": len(self.log.entries),
            "asks": self.asks and {"call": self.call, "tool": self.asks.name, "given": dict(self.asks.arguments)},
        }

    def note(self, kind: str, **values: Any) -> int:
        """Write a note; gives its number."""
        number = len(self.log.entries) + 1
        self.log.append({"n": number, "at": _now(), "note": kind, **values})
        return number


class PorterEmulator(Emulator):
    """Porter over state in memory. It has one generation."""

    def __init__(self, generation: Generation = "current") -> None:  # noqa: ARG002  (there is one)
        self._errands: dict[int, Errand] = {}
        self._numbers = itertools.count(1)
        self._calls = itertools.count(1)
        self.seeded = Seeded()
        self.settings = {"key": KEY}
        self.app = Starlette(
            routes=[
                Route("/errands", self._guarded(self._create), methods=["POST"]),
                Route("/errands", self._guarded(self._list), methods=["GET"]),
                Route("/errands/{no}", self._guarded(self._get), methods=["GET"]),
                Route("/errands/{no}", self._guarded(self._replace), methods=["PUT"]),
                Route("/errands/{no}", self._guarded(self._delete), methods=["DELETE"]),
                Route("/errands/{no}/stop", self._guarded(self._stop), methods=["POST"]),
                Route("/errands/{no}/say", self._guarded(self._say), methods=["POST"]),
                Route("/errands/{no}/answer", self._guarded(self._answer), methods=["POST"]),
                Route("/errands/{no}/notes", self._guarded(self._notes), methods=["GET"]),
            ],
            middleware=[Middleware(RequestIdMiddleware)],
            exception_handlers={HTTPException: _refusal},
        )

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Keep an errand busy for a while."""
        self._errands[int(session_id)].clock.start(duration_s)

    def _guarded(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """A route that wants the key."""

        async def guarded(request: Request) -> Response:
            if request.headers.get("porter-key") != KEY:
                raise HTTPException(401, "I do not know you.")
            response: Response = await answer(request)
            return response

        return guarded

    def _errand(self, request: Request) -> Errand:
        no = request.path_params["no"]
        errand = self._errands.get(int(no)) if no.isascii() and no.isdigit() else None
        if errand is None:
            raise HTTPException(404, f"There is no errand {no}.")
        return errand

    async def _create(self, request: Request) -> Response:
        subject, labels = await _description(request)
        newest = max((errand.made for errand in self._errands.values()), default=0)
        made = max(_now(), newest + 1)
        errand = Errand(next(self._numbers), subject, labels, made, made)
        self._errands[errand.no] = errand
        return _answered(errand.as_json(), 201)

    async def _list(self, request: Request) -> Response:
        skip, take = _integer(request, "skip", 0), _integer(request, "take", _LARGEST_PAGE)
        order = list(self._errands.values())
        if request.query_params.get("order") != "old":
            order.reverse()
        page = [errand.as_json() for errand in order[skip : skip + min(take, _LARGEST_PAGE)]]
        return _answered({"errands": page, "total": len(order)})

    async def _get(self, request: Request) -> Response:
        return _answered(self._errand(request).as_json())

    async def _replace(self, request: Request) -> Response:
        errand = self._errand(request)
        errand.subject, errand.labels = await _description(request)
        errand.touched = max(_now(), errand.touched + 1)
        return _answered(errand.as_json())

    async def _delete(self, request: Request) -> Response:
        errand = self._errand(request)
        await errand.task.cancel()
        errand.log.close()
        del self._errands[errand.no]
        return Response(status_code=204)

    async def _stop(self, request: Request) -> Response:
        errand = self._errand(request)
        asked, errand.asks = errand.asks is not None, None
        stopped = await errand.task.cancel()
        if stopped:
            errand.note("rested", because="stopped")
        return _answered({"stopped": errand.clock.stop() or stopped or asked})

    async def _say(self, request: Request) -> Response:
        errand = self._errand(request)
        text = (await _body(request)).get("text")
        if not isinstance(text, str) or not text:
            raise HTTPException(400, "Say something: text.")
        if errand.doing != "resting":
            raise HTTPException(409, f"Errand {errand.no} is {errand.doing}.")
        first = errand.note("heard", text=text)
        errand.note("began")
        errand.task.start(self._work(errand, script_for(text)))
        return _answered({"first": first}, 202)

    async def _answer(self, request: Request) -> Response:
        errand, body = self._errand(request), await _body(request)
        if errand.asks is None:
            raise HTTPException(409, f"Errand {errand.no} asks for nothing.")
        if body.get("call") != errand.call:
            raise HTTPException(404, f"Errand {errand.no} did not ask for {body.get('call')!r}.")
        errand.asks = None
        first = errand.note("began")
        errand.note("got", call=errand.call, text=str(body.get("text", "")), failed=body.get("failed") is True)
        errand.task.start(self._work(errand, errand.rest))
        return _answered({"first": first}, 202)

    async def _notes(self, request: Request) -> Response:
        errand, after = self._errand(request), _integer(request, "after", 0)
        if "text/event-stream" in request.headers.get("accept", ""):
            return StreamingResponse(_frames(errand, after), media_type="text/event-stream")
        take = min(_integer(request, "take", _LARGEST_PAGE), _LARGEST_PAGE)
        left = errand.log.entries[after:]
        return _answered({"notes": left[:take], "more": len(left) > take})

    async def _work(self, errand: Errand, script: Sequence[Act]) -> None:
        """Do what the script says, until it ends or asks for something."""
        for number, act in enumerate(script):
            match act:
                case Say(deltas, pause_s):
                    for delta in deltas:
                        errand.note("piece", text=delta)
                        await pause(pause_s)
                    errand.note("said", text=act.text)
                case UseTools(uses):
                    for use in uses:
                        call = self._used(errand, "used", use)
                        errand.note("got", call=call, text=use.result)
                case UseClientTools(uses):
                    errand.rest = (*(UseClientTools((use,)) for use in uses[1:]), *script[number + 1 :])
                    errand.call = self._used(errand, "asks", uses[0])
                    errand.note("rested", because="asking")
                    errand.asks = uses[0]
                    return
                case Fail(message):
                    errand.note("rested", because="broke", text=message)
                    return
                case Think():
                    pass  # Porter acts
        errand.note("rested", because="done")

    def _used(self, errand: Errand, kind: str, use: ToolUse) -> str:
        call = f"call-{next(self._calls)}"
        errand.note(kind, call=call, tool=use.name, given=dict(use.arguments))
        return call


async def _frames(errand: Errand, after: int) -> AsyncIterator[str]:
    """The notes after a number, as they are written, with a sign of life in each silence."""
    async for note in errand.log.follow(after, heartbeat_s=_HEARTBEAT_S):
        yield ": still here\n\n" if note is None else f"data: {json.dumps(note)}\n\n"


async def _description(request: Request) -> tuple[str | None, dict[str, str]]:
    """Subject and labels of a body that describes an errand whole."""
    body = await _body(request)
    subject, labels = body.get("subject"), body.get("labels", {})
    if set(body) - {"subject", "labels"} or not isinstance(subject, str | None) or not isinstance(labels, dict):
        raise HTTPException(400, "Describe the errand: subject, labels.")
    return subject, labels


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise HTTPException(400, "That is no JSON.") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "That is no object.")
    return body


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise HTTPException(400, f"{name} is a number.")
    return int(text)


def _answered(result: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse({"result": result}, status)


async def _refusal(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = error.detail if isinstance(error, HTTPException) else ""
    return JSONResponse({"why": {"kind": _KINDS.get(status, "other"), "text": text}}, status)


def _now() -> int:
    return time.time_ns() // 1_000_000
