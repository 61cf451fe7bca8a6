"""Secrets stay where they were put, whatever a server does with the ones that it was sent."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import polysession
import polysession_qoder
from polysession import AsyncClient, Client, PolysessionError
from polysession.observing import RequestSent, ResponseReceived, hookimpl
from polysession.testing.fault_server import Answer
from stress.quiet_backend import QuietBackend
from stress.reflecting_servers import CANARY, OF_AN_ARRAY, REFLECTIONS, SECRETS, ReflectingServer, check_no_secret
from stress.targets import TARGETS

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
IN_HEADS = {"redirect", "compression", "request id", "content type", "malformed header", "malformed status"}
OURS = (str(Path(polysession.__file__).parent), str(Path(polysession_qoder.__file__).parents[1]))
USABLE = {name: target.settings | {"base_url": "http://127.0.0.1:9"} for name, target in TARGETS.items()}
USES: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.sessions.get("sess_1"),
    "list": lambda client: client.sessions.list().page(),
    "update": lambda client: client.sessions.update("sess_1", title="x"),
    "messages": lambda client: client.sessions.messages("sess_1").page(),
    "pending_actions": lambda client: client.sessions.pending_actions("sess_1"),
    "send": lambda client: client.sessions.send("sess_1", "hi"),
}


def _read(client: Client) -> None:
    with client.sessions.stream("sess_1", deadline_s=5) as events:
        list(events)


async def _read_async(client: AsyncClient) -> None:
    async with client.sessions.stream("sess_1", deadline_s=5) as events:
        [event async for event in events]


read_stream: dict[str, Callable[[Any], Any]] = {"sync": _read, "async": _read_async}


STREAM_REFLECTIONS: dict[str, Callable[[str], Answer]] = {
    "frame that is no JSON": lambda _: Answer(STREAM_HEAD + f"data: {CANARY}\n\n".encode()),
    "frame of another shape": lambda said: Answer(STREAM_HEAD + f"data: {json.dumps({'id': {said: 1}})}\n\n".encode()),
    "malformed chunk": lambda _: Answer(
        STREAM_HEAD.replace(b"connection", b"transfer-encoding: chunked\r\nconnection") + f"{CANARY}\r\n".encode()
    ),
    "compressed stream": lambda _: Answer(
        STREAM_HEAD.replace(b"connection", f"content-encoding: {CANARY}\r\nconnection".encode())
    ),
}


def shown_of(error: BaseException, *, with_locals: bool = True) -> list[str]:
    """All that an error shows: itself, its notes, what is behind it, its traceback with our own locals, its pickle.

    The locals of a stream hold its content, which is the caller's: they are left out there.
    """
    shown = ["".join(traceback.format_exception(error)), str(vars(error)), repr(pickle.dumps(error))]
    chain: BaseException | None = error
    while chain is not None:
        shown += [repr(chain), str(chain), *getattr(chain, "__notes__", [])]
        if with_locals:
            frames = traceback.TracebackException.from_exception(chain, capture_locals=True).stack
            shown += [str(frame.locals) for frame in frames if frame.filename.startswith(OURS)]
        chain = chain.__cause__ or chain.__context__
    return shown


class Notes:
    """Keeps what an observer receives, as it is at that moment."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @hookimpl
    def polysession_after_response(self, request: RequestSent, response: ResponseReceived) -> None:
        self.texts += [repr(request), repr(response)]
        if response.error is not None:
            self.texts += shown_of(response.error)


def failure(provider: str, driver: str, url: str, use: Callable[[Any], Any], notes: Notes) -> PolysessionError | None:
    options: dict[str, Any] = (
        USABLE[provider] | SECRETS[provider] | {"base_url": url, "retry": None, "timeout": 5, "observers": [notes]}
    )

    def call() -> None:
        with Client(provider, **options) as client:
            use(client)

    async def call_async() -> None:
        async with AsyncClient(provider, **options) as client:
            await use(client)

    try:
        call() if driver == "sync" else asyncio.run(call_async())
    except PolysessionError as error:
        return error
    return None


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("provider", TARGETS)
@pytest.mark.parametrize("reflection", REFLECTIONS)
def test_a_secret_that_a_server_sends_back_is_shown_nowhere(
    reflection: str, provider: str, driver: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    notes = Notes()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with ReflectingServer(REFLECTIONS[reflection]) as server:
            for use in USES.values():
                error = failure(provider, driver, server.url, use, notes)
                is_array = reflection in OF_AN_ARRAY and TARGETS[provider].lists_arrays
                assert error is not None or reflection == "success of another shape" or is_array
                shown += shown_of(error) if error is not None else []

    own_logs = [
        record.getMessage()
        for record in caplog.records
        # httpcore logs the head of an answer, which is the server's to choose.
        if not (record.name.startswith("httpcore") and reflection in IN_HEADS)
    ]
    check_no_secret(notes.texts)
    check_no_secret([*shown, *own_logs, *(str(warning.message) for warning in warned), *capfd.readouterr()])


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("provider", [name for name, target in TARGETS.items() if target.has_stream])
@pytest.mark.parametrize("reflection", [*REFLECTIONS, *STREAM_REFLECTIONS])
def test_a_secret_that_a_stream_sends_back_is_shown_nowhere(
    reflection: str, provider: str, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "polysession")
    notes = Notes()
    with QuietBackend(TARGETS[provider], (REFLECTIONS | STREAM_REFLECTIONS)[reflection]) as server:
        error = failure(provider, driver, server.url, read_stream[driver], notes)

    assert server.streams
    assert error is not None
    check_no_secret([*shown_of(error, with_locals=False), *notes.texts, *caplog.messages])


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize("provider", TARGETS)
def test_a_client_and_its_parts_show_no_secret(provider: str, client_class: Any) -> None:
    client = client_class(provider, **USABLE[provider] | SECRETS[provider])
    parts = [client, client.sessions, client.agents, client._provider, client._provider.settings, client._driver]

    check_no_secret([f"{part!r} {part}" for part in parts])
    check_no_secret([client._provider.settings.model_dump_json(), str(client._provider.settings.model_dump())])


@pytest.mark.parametrize("provider", TARGETS)
@pytest.mark.parametrize("bad", [f"{CANARY}\n", f" {CANARY}", f"{CANARY}ü", 5, [CANARY], {"x": CANARY}])
def test_a_setting_that_is_refused_is_not_quoted(provider: str, bad: Any) -> None:
    name = next(iter(SECRETS[provider]))
    value = {"authorization": bad} if name == "headers" else bad
    settings: dict[str, Any] = {"user_id": "alice"} if provider == "agentscope" else {}
    settings |= {"base_url": "http://127.0.0.1:9", name: value}

    with pytest.raises(PolysessionError) as caught:
        Client(provider, **settings)

    check_no_secret(["".join(traceback.format_exception(caught.value)), repr(caught.value)])


def test_a_secret_in_the_wrong_place_is_not_quoted() -> None:
    wrongs: list[dict[str, Any]] = [{"base_url": f"https://user:{CANARY}@host"}, {"tokken": CANARY}]
    for wrong in wrongs:
        with pytest.raises(PolysessionError) as caught:
            Client("qoder", **({"token": "pt-1"} | wrong))
        check_no_secret(["".join(traceback.format_exception(caught.value))])
