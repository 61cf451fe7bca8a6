"""The fault matrix, calls: every fault, every provider, both drivers, real bytes on a loopback port."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import socket
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from polysession import MalformedResponse, Page, PolysessionError, RetryPolicy, Session
from polysession.observing import ResponseReceived, hookimpl
from polysession.testing.fault_server import FaultServer, http, read_request, send_answer
from stress import call_faults
from stress.call_faults import MAX_BODY_BYTES, PAGE, SCRIPTED, SLOW, Served, authority, served
from stress.libraries import LIBRARIES, Library
from stress.outcomes import CALLS, DRIVERS, KEYED_WRITES, TRIES, CallOutcome
from stress.targets import TARGETS, Target

DEADLINE_S = 4.0
RETRY = RetryPolicy(attempts=TRIES, first_wait_s=0.0)
OPERATIONS = ("get", "create", "list", "update")
WRITES = [
    (name, operation)
    for name, target in TARGETS.items()
    for operation in target.uses()
    if operation not in {"get", "list"}
]
OVER = [
    pytest.param(name, driver, marks=pytest.mark.long if name != "httpx" else ())
    for name, library in LIBRARIES.items()
    for driver in library.drivers
]
AT_ONCE = 8  # more would wait for the processor, and not for the server


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Our own authority signs the certificates."""
    file = tmp_path_factory.getbasetemp() / "authority.pem"
    if not file.exists():
        file.write_bytes(authority().cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


class ConnectTimeouts:
    """An observer that counts attempts that found no connection in time, as happens on a busy machine."""

    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    def polysession_after_response(self, response: ResponseReceived) -> None:
        self.count += response.error is not None and "ConnectTimeout" in response.error.message


def attempt(
    target: Target,
    driver: str,
    where: Served,
    operation: str,
    library: Library = LIBRARIES["httpx"],
    observers: Sequence[object] = (),
) -> Any:
    """The outcome of an operation: its result or its error. Its connection is free again, or closed."""
    options: dict[str, Any] = {
        "base_url": where.url,
        "retry": RETRY,
        "max_body_bytes": MAX_BODY_BYTES,
        "timeout": DEADLINE_S,
        "observers": observers,
    }
    options |= target.settings | where.options
    use = target.uses()[operation]

    async def attempt_async() -> Any:
        async with library.async_client(target.provider, **options) as client:
            return await use(client)

    try:
        if driver == "async":
            return asyncio.run(attempt_async())
        with library.client(target.provider, **options) as client:
            result = use(client)
            assert not inspect.isawaitable(result)
            return result
    except PolysessionError as error:
        return error


def check_error(
    error: PolysessionError, expected: CallOutcome, target: Target, operation: str, unconnected: int
) -> None:
    """Check an error; attempts that found no connection sent nothing, so that the call is repeated after them."""
    writes = operation in {"create", "update"}
    repeatable = not writes or KEYED_WRITES[target.provider]
    assert type(error).__name__ == expected.error, "".join(traceback.format_exception(error))
    assert error.attempts == min(TRIES, unconnected + expected.tries(repeatable=repeatable))
    assert error.outcome_unknown is (expected.in_doubt and writes)
    assert (error.provider, error.operation) == (target.provider, f"sessions.{operation}")
    assert error.message


def await_requests(where: Served, expected: int) -> None:
    """Let the server accept what was sent to it: a client that gives up may be faster than its accepting thread."""
    ends_at_s = time.monotonic() + 15.0
    while where.requests and where.requests < expected and time.monotonic() < ends_at_s:
        time.sleep(0.01)


def check(fault: str, library: Library, target: Target, driver: str, operation: str) -> None:
    expected = CALLS[fault]
    started_s = time.monotonic()

    looks = operation in target.looks_first
    requests = 0
    with served(fault, target.bodies(operation), sound=looks) as where:
        result = attempt(target, driver, where, operation, library, [timeouts := ConnectTimeouts()])
        took_s = time.monotonic() - started_s
        if isinstance(result, PolysessionError):
            answered_before = looks and fault in SCRIPTED
            requests = answered_before + result.attempts - timeouts.count
            await_requests(where, requests)

    assert took_s < DEADLINE_S
    if not expected.error:
        session = result.items[0] if isinstance(result, Page) else result
        assert isinstance(session, Session), result
        assert (session.id, session.title) == ("sess_1", "Ticket")
        assert where.requests == len(target.bodies(operation))
        return
    assert isinstance(result, PolysessionError), "a fault passed for success"
    check_error(result, expected, target, operation, timeouts.count)
    if where.requests:  # a server that was reached
        assert where.requests == requests, "something was repeated, or was not"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("over", "driver"), OVER)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("fault", [fault for fault in CALLS if fault not in SLOW])
def test_a_fault_of_a_call_comes_to_what_is_written_down(
    fault: str, target: Target, over: str, driver: str, operation: str
) -> None:
    check(fault, LIBRARIES[over], target, driver, operation)


@pytest.mark.parametrize("fault", SLOW)
def test_a_fault_that_takes_time_comes_to_what_is_written_down(fault: str, library: Library) -> None:
    cells = list(itertools.product(TARGETS.values(), library.drivers, OPERATIONS))
    with ThreadPoolExecutor(AT_ONCE) as side_by_side:
        for checked in [side_by_side.submit(check, fault, library, *cell) for cell in cells]:
            checked.result()


def test_every_fault_has_an_outcome() -> None:
    served_here = {"connection refused", "no TLS behind https", "redirect to itself", "redirect to another host"}

    assert set(CALLS) == {*call_faults.SCRIPTED, *call_faults.CERTIFICATES, *served_here}


class SignInPage(FaultServer):
    """Reads are answered; whatever else is asked for gets a page, as from a gateway that asks for a login."""

    def __init__(self, target: Target) -> None:
        super().__init__(http(200))
        self._target = target

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        if request:
            past = {"messages": [], "data": [], "has_more": False, "total": 0, "status": "running"}
            path = request.split(b" ")[1].decode().partition("?")[0]
            reads = {**dict.fromkeys(("/messages", "/events", "/status"), past), **self._target.reads}
            read = next((reads[end] for end in reads if path.endswith(end)), self._target.whole["get"][0])
            send_answer(connection, http(200, json.dumps(read) if request.startswith(b"GET ") else PAGE))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("provider", "operation"), WRITES)
def test_a_page_is_never_taken_for_success(provider: str, driver: str, operation: str) -> None:
    target = TARGETS[provider]
    with SignInPage(target) as server:
        result = attempt(target, driver, Served(server.url, {}), operation)

    assert isinstance(result, MalformedResponse), result
    # A stream is refused by its head, without a look at the body.
    assert 'an HTML page titled "Welcome"' in result.message or "an event stream" in result.message
    assert result.outcome_unknown
