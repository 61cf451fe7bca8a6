from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from polysession.emulation import Answer, build_app, serve_app
from polysession.emulation import Route as EmulatedRoute
from polysession.emulation.faults import CONTROL_PATH, Fault, FaultMiddleware, Faults

WHOLE = [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
BODY = b"".join(WHOLE)


async def _frames() -> AsyncIterator[bytes]:
    for frame in WHOLE:
        yield frame


async def _stream(_: Request) -> Response:
    return StreamingResponse(_frames(), media_type="text/event-stream")


async def _json(_: Request) -> Response:
    return JSONResponse({"id": "s1"})


class Served:
    """A small application with faults, and a client for it."""

    def __init__(self, faults: Faults, http: httpx.Client) -> None:
        self.faults = faults
        self.http = http

    def spoilt(self, **fault: Any) -> bytes:
        self.faults.add(Fault(**fault))
        return self.http.get("/stream").content

    def read(self) -> tuple[bytes, bool]:
        """The body of the stream, and whether it ended properly."""
        received = b""
        with self.http.stream("GET", "/stream") as response:
            try:
                for chunk in response.iter_raw():
                    received += chunk
            except httpx.RemoteProtocolError:
                return received, False
        return received, True


@pytest.fixture
def served() -> Iterator[Served]:
    faults = Faults()
    app = Starlette(routes=[Route("/stream", _stream), Route("/json", _json, methods=["GET", "POST"])])
    with serve_app(FaultMiddleware(app, faults)) as url, httpx.Client(base_url=url, trust_env=False) as http:
        yield Served(faults, http)


def test_without_a_fault_nothing_is_changed(served: Served) -> None:
    assert served.read() == (BODY, True)
    assert served.http.get("/json").json() == {"id": "s1"}


@pytest.mark.parametrize("at_byte", [0, 1, 9, 12, 26])
@pytest.mark.parametrize(("kind", "proper"), [("drop", False), ("end", True)])
def test_a_stream_is_cut_at_the_byte(served: Served, kind: Any, at_byte: int, *, proper: bool) -> None:
    served.faults.add(Fault(kind, at_byte=at_byte))

    assert served.read() == (BODY[:at_byte], proper)
    assert served.read() == (BODY, True)


def test_a_cut_beyond_the_end_does_not_happen(served: Served) -> None:
    served.faults.add(Fault("drop", at_byte=28))

    assert served.read() == (BODY, True)


def test_an_ordinary_answer_is_cut_as_well(served: Served) -> None:
    served.faults.add(Fault("drop", at_byte=3))

    with pytest.raises(httpx.RemoteProtocolError):
        served.http.get("/json")


@pytest.mark.parametrize("at_byte", [0, 4, 9, 18])
def test_a_stall_lets_everything_through_late_and_once(served: Served, at_byte: int) -> None:
    served.faults.add(Fault("stall", at_byte=at_byte, seconds=0.2))

    received, waits = [b""], [0.0]
    with served.http.stream("GET", "/stream") as response:
        last_s = time.monotonic()
        for chunk in response.iter_raw():
            now_s = time.monotonic()
            received.append(chunk)
            waits.append(now_s - last_s)
            last_s = now_s

    late = waits.index(max(waits))
    assert b"".join(received) == BODY
    assert b"".join(received[:late]) == BODY[:at_byte]
    assert waits[late] > 0.15


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        ({"kind": "duplicate", "frame": 1}, [0, 1, 1, 2]),
        ({"kind": "duplicate", "frame": 9}, [0, 1, 2]),
        ({"kind": "reorder", "frame": 0}, [1, 0, 2]),
        ({"kind": "reorder", "frame": 1}, [0, 2, 1]),
        ({"kind": "reorder", "frame": 2}, [0, 1, 2]),
    ],
)
def test_frames_come_twice_or_in_another_order_and_none_is_lost(
    served: Served, fault: dict[str, Any], order: list[int]
) -> None:
    assert served.spoilt(**fault) == b"".join(WHOLE[number] for number in order)


def test_a_body_ends_cleanly_before_a_frame(served: Served) -> None:
    assert served.spoilt(kind="truncate", frame=1) == WHOLE[0]
    assert served.spoilt(kind="truncate", frame=9) == b"".join(WHOLE)


def test_a_status_comes_in_place_of_the_answer(served: Served) -> None:
    served.faults.add(Fault("status", status=429, retry_after="7"))
    served.faults.add(Fault("status"))

    answers = [served.http.get("/json") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [429, 503, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == ["7", None, None]


def test_a_malformed_answer_is_half_an_object(served: Served) -> None:
    served.faults.add(Fault("malformed"))
    answer = served.http.get("/json")

    assert (answer.status_code, answer.content) == (200, b'{"id": "')


def test_a_fault_of_streams_waits_for_one() -> None:
    faults = Faults()
    faults.add(fault := Fault("drop", streams_only=True))

    assert faults.take("GET", "/stream", "application/json") is None
    assert faults.take("GET", "/stream", "text/event-stream, */*") is fault


async def _silent_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Opens a stream, and says nothing."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()  # the client has left


@pytest.mark.parametrize("kind", ["drop", "end"])
def test_a_cut_before_the_first_byte_does_not_wait_for_it(kind: Any) -> None:
    faults = Faults()
    faults.add(Fault(kind))
    with serve_app(FaultMiddleware(_silent_app, faults)) as origin, httpx.Client(trust_env=False, timeout=5) as http:
        if kind == "end":
            assert http.get(origin).content == b""
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                http.get(origin)


def test_a_fault_waits_for_a_request_that_it_fits() -> None:
    faults = Faults()
    post, any_json, twice = Fault("drop", method="POST"), Fault("end", path="/json"), Fault("stall", times=2)
    for fault in (post, any_json, twice):
        faults.add(fault)

    assert faults.take("GET", "/stream") is twice
    assert faults.take("GET", "/a/json") is any_json
    assert faults.take("POST", "/a/json") is post
    assert faults.take("GET", "/json") is twice
    assert faults.take("GET", "/json") is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(
        ValueError, match="unknown fault kind 'explode'; expected one of status, refuse, malformed, page, drop"
    ):
        Faults().add(Fault("explode"))  # type: ignore[arg-type]


def test_faults_are_controlled_over_http(served: Served) -> None:
    added = served.http.post(CONTROL_PATH, json={"kind": "drop", "at_byte": 3})
    assert added.json()["waiting"][0] == served.http.get(CONTROL_PATH).json()["waiting"][0]
    assert served.faults.waiting()[0]["at_byte"] == 3

    assert served.http.delete(CONTROL_PATH).json() == {"waiting": []}
    assert served.read() == (BODY, True)


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b'{"kind": "explode"}', b'{"kind": "drop", "colour": 1}', b"{}"])
def test_a_fault_that_makes_no_sense_is_refused(served: Served, body: bytes) -> None:
    answer = served.http.post(CONTROL_PATH, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert served.faults.waiting() == []


def test_what_is_not_http_is_passed_on() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    middleware = FaultMiddleware(app, Faults())
    with contextlib.suppress(StopIteration):
        middleware({"type": "lifespan"}, None, None).send(None)  # type: ignore[arg-type]

    assert seen == ["lifespan"]


def test_a_request_is_refused_in_the_shape_of_the_backend() -> None:
    faults = Faults()
    app = build_app(
        [EmulatedRoute("GET", "/things", lambda _: {"data": []})],
        error=lambda refusal, _: Answer({"error": {"status": refusal.status}}, refusal.status),
    )
    faults.add(Fault("refuse", status=529, retry_after="3"))
    with serve_app(FaultMiddleware(app, faults)) as origin, httpx.Client(base_url=origin, trust_env=False) as http:
        refused, answered = http.get("/things"), http.get("/things")

    assert (refused.status_code, refused.json()) == (529, {"error": {"status": 529}})
    assert refused.headers["retry-after"] == "3"
    assert answered.json() == {"data": []}


def test_a_page_comes_in_place_of_an_answer(served: Served) -> None:
    served.faults.add(Fault("page"))

    answer = served.http.get("/json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert served.http.get("/json").json() == {"id": "s1"}


def test_a_fault_may_meet_writes_only(served: Served) -> None:
    served.faults.add(Fault("status", writes_only=True))

    assert served.http.get("/json").is_success
    assert served.http.post("/json").status_code == 503
