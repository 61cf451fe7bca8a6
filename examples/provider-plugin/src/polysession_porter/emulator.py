"""An emulator of Porter: its routes over errands in memory.

It writes Porter's JSON by hand, and shares no code with the provider: a mistake in `wire.py` would hide in both.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from polysession.emulation import (
    Act,
    Answer,
    ApiRequest,
    ClientTool,
    Emulator,
    EventLog,
    EventStream,
    Fail,
    Generation,
    InitialResources,
    Refusal,
    Route,
    Say,
    ToolUse,
    TurnClock,
    TurnTask,
    UseTools,
    build_app,
    pause,
    sse_frame,
)

KEY: Final = "porter-key-for-the-emulator"
_HEARTBEAT_S: Final = 10.0
_KINDS: Final = {400: "nonsense", 401: "stranger", 404: "missing", 405: "nonsense", 409: "busy"}
_LARGEST_PAGE: Final = 100

Json = dict[str, Any]


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

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self._errands: dict[int, Errand] = {}
        self._numbers = itertools.count(1)
        self._calls = itertools.count(1)
        self.initial = InitialResources()
        self.settings = {"key": KEY}
        self.app = build_app(
            [
                Route("POST", "/errands", self._create, 201),
                Route("GET", "/errands", self._list),
                Route("GET", "/errands/{no}", lambda request: _result(self._errand(request).as_json())),
                Route("PUT", "/errands/{no}", self._replace),
                Route("DELETE", "/errands/{no}", self._delete, 204),
                Route("POST", "/errands/{no}/stop", self._stop),
                Route("POST", "/errands/{no}/say", self._say, 202),
                Route("POST", "/errands/{no}/answer", self._answer, 202),
                Route("GET", "/errands/{no}/notes", self._notes),
            ],
            admit=_check_key,
            error=_error,
        )

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Keep an errand busy for a while."""
        self._errands[int(session_id)].clock.start(duration_s)

    def _errand(self, request: ApiRequest) -> Errand:
        no = request.parameters["no"]
        errand = self._errands.get(int(no)) if no.isascii() and no.isdigit() else None
        if errand is None:
            raise Refusal(404, f"There is no errand {no}.")
        return errand

    def _create(self, request: ApiRequest) -> Json:
        subject, labels = _description(request)
        newest = max((errand.made for errand in self._errands.values()), default=0)
        made = max(_now(), newest + 1)
        errand = Errand(next(self._numbers), subject, labels, made, made)
        self._errands[errand.no] = errand
        return _result(errand.as_json())

    def _list(self, request: ApiRequest) -> Json:
        skip, take = _integer(request, "skip", 0), _integer(request, "take", _LARGEST_PAGE)
        order = list(self._errands.values())
        if request.query.get("order") != "old":
            order.reverse()
        page = [errand.as_json() for errand in order[skip : skip + min(take, _LARGEST_PAGE)]]
        return _result({"errands": page, "total": len(order)})

    def _replace(self, request: ApiRequest) -> Json:
        errand = self._errand(request)
        errand.subject, errand.labels = _description(request)
        errand.touched = max(_now(), errand.touched + 1)
        return _result(errand.as_json())

    async def _delete(self, request: ApiRequest) -> None:
        errand = self._errand(request)
        await errand.task.cancel()
        errand.log.close()
        del self._errands[errand.no]

    async def _stop(self, request: ApiRequest) -> Json:
        errand = self._errand(request)
        asked, errand.asks = errand.asks is not None, None
        stopped = await errand.task.cancel()
        if stopped:
            errand.note("rested", because="stopped")
        return _result({"stopped": errand.clock.stop() or stopped or asked})

    async def _say(self, request: ApiRequest) -> Json:
        errand = self._errand(request)
        text = _body(request).get("text")
        if not isinstance(text, str) or not text:
            raise Refusal(400, "Say something: text.")
        if errand.doing != "resting":
            raise Refusal(409, f"Errand {errand.no} is {errand.doing}.")
        first = errand.note("heard", text=text)
        errand.note("began")
        errand.task.start(self._work(errand, self.scripts.take(str(errand.no), text)))
        return _result({"first": first})

    async def _answer(self, request: ApiRequest) -> Json:
        errand, body = self._errand(request), _body(request)
        if errand.asks is None:
            raise Refusal(409, f"Errand {errand.no} asks for nothing.")
        if body.get("call") != errand.call:
            raise Refusal(404, f"Errand {errand.no} did not ask for {body.get('call')!r}.")
        errand.asks = None
        first = errand.note("began")
        errand.note("got", call=errand.call, text=str(body.get("text", "")), failed=body.get("failed") is True)
        errand.task.start(self._work(errand, errand.rest))
        return _result({"first": first})

    def _notes(self, request: ApiRequest) -> Json | EventStream:
        errand, after = self._errand(request), _integer(request, "after", 0)
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventStream(_frames(errand, after))
        take = min(_integer(request, "take", _LARGEST_PAGE), _LARGEST_PAGE)
        left = errand.log.entries[after:]
        return _result({"notes": left[:take], "more": len(left) > take})

    async def _work(self, errand: Errand, script: Sequence[Act]) -> None:
        """Do what the script says, until it ends or asks for something."""
        for number, act in enumerate(script):
            match act:
                case Say(text, pause_s):
                    for delta in act.deltas:
                        errand.note("piece", text=delta)
                        await pause(pause_s)
                    errand.note("said", text=text)
                case UseTools(uses):
                    if self._use(errand, uses, script[number + 1 :]):
                        return
                case Fail(message):
                    errand.note("rested", because="broke", text=message)
                    return
                case _:
                    pass  # Porter does not tell what it thinks
        errand.note("rested", because="done")

    def _use(self, errand: Errand, uses: Sequence[ToolUse], rest: Sequence[Act]) -> bool:
        """Use tools one after the other, up to the first that the caller runs; true if there is one."""
        for place, use in enumerate(uses):
            if isinstance(use, ClientTool):
                errand.rest = (UseTools(*uses[place + 1 :]), *rest)
                errand.call = self._used(errand, "asks", use)
                errand.note("rested", because="asking")
                errand.asks = use
                return True
            errand.note("got", call=self._used(errand, "used", use), text=use.result)
        return False

    def _used(self, errand: Errand, kind: str, use: ToolUse) -> str:
        call = f"call-{next(self._calls)}"
        errand.note(kind, call=call, tool=use.name, given=dict(use.arguments))
        return call


async def _frames(errand: Errand, after: int) -> AsyncGenerator[bytes, None]:
    """The notes after a number, as they are written, with a sign of life in each silence."""
    async for note in errand.log.follow(after, heartbeat_s=_HEARTBEAT_S):
        yield b": still here\n\n" if note is None else sse_frame({"data": note})


def _check_key(headers: Mapping[str, str]) -> None:
    if headers.get("porter-key") != KEY:
        raise Refusal(401, "I do not know you.")


def _description(request: ApiRequest) -> tuple[str | None, dict[str, str]]:
    """Subject and labels of a body that describes an errand whole."""
    body = _body(request)
    subject, labels = body.get("subject"), body.get("labels", {})
    if set(body) - {"subject", "labels"} or not isinstance(subject, str | None) or not isinstance(labels, dict):
        raise Refusal(400, "Describe the errand: subject, labels.")
    return subject, labels


def _body(request: ApiRequest) -> Json:
    try:
        body = request.json()
    except ValueError as error:
        raise Refusal(400, "That is no JSON.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "That is no object.")
    return body


def _integer(request: ApiRequest, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, f"{name} is a number.")
    return int(text)


def _result(result: Json) -> Json:
    return {"result": result}


def _error(refusal: Refusal, _request_id: str) -> Answer:
    why = {"kind": _KINDS.get(refusal.status, "other"), "text": refusal.message}
    return Answer({"why": why}, refusal.status)


def _now() -> int:
    return time.time_ns() // 1_000_000
