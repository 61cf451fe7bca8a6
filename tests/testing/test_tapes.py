"""Tapes: what was recorded comes again, through both clients, and a program that has changed fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from polysession import Approve, Client, DeadlineExceeded, Feature, RetryPolicy, ServerError
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.plugins import installed_providers, load_provider
from polysession.testing import Tape, TapeError, TapeMismatch, read_tape, tape_streams
from polysession.testing.tape_file import Chunk, Exchange, RandomId, packed, unpacked
from polysession.testing.tape_http import TapedClient
from support.client_runners import ASYNC, SYNC, ClientRunner, both_runners
from support.stream_server import AFTER_INPUT, StreamServer, stream

HELLO, WORLD = b'data: {"text": "hello"}\n\n', b'data: {"text": "world"}\n\n'
AT_ONCE = RetryPolicy(attempts=3, first_wait_s=0, max_wait_s=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tapes/tape.jsonl"


WITH_TURNS = [name for name in installed_providers() if load_provider(name).support(Feature.SESSIONS_RUN).support]


@pytest.fixture(params=WITH_TURNS)
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.fixture
def qoder() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


def approved_turn(emulator: EmulatorHandle, said: str = "/ask") -> Callable[[Any], Any]:
    """A program: a new session, a turn with an approval, and its messages."""

    async def program(client: Any) -> Any:
        session = await client.sessions.create(**emulator.session_values)
        async with client.sessions.run(session, said, deadline_s=20, on_action=Approve) as turn:
            events = [event async for event in turn]
        return session, events, turn.result, await client.sessions.get(session)

    return program


def mismatch(path: Path, act: Callable[[Tape], object], **options: Any) -> str:
    """Replay a tape, which must fail; gives the message."""
    with pytest.raises(TapeMismatch) as failed, Tape(path, **options) as tape:
        act(tape)
    return str(failed.value)


def record(runner: ClientRunner, path: Path, emulator: EmulatorHandle, **options: Any) -> Any:
    with Tape(path, mode="once", **options) as tape:
        program = approved_turn(emulator)
        return runner.play(emulator.provider, program, tape=tape, **emulator.settings)


# --- Programs


@both_runners
def test_a_program_is_replayed_offline_through_both_clients(
    runner: ClientRunner, path: Path, emulator: EmulatorHandle
) -> None:
    recorded = record(runner, path, emulator)
    assert recorded[2].text == "The decision was heard."
    for again in (SYNC, ASYNC):
        with Tape(path) as tape:
            program = approved_turn(emulator)
            assert again.play(emulator.provider, program, tape=tape) == recorded


def test_without_a_tape_nothing_is_recorded(path: Path) -> None:
    with pytest.raises(TapeError, match="record it with --record-mode=once"), Tape(path):
        pass


def test_a_tape_is_readable_and_has_no_credentials(path: Path, qoder: EmulatorHandle) -> None:
    record(SYNC, path, qoder)
    file, text = read_tape(path), path.read_text()
    assert qoder.settings["token"] not in text
    assert file.header.clients == {"qoder": {"base_url": "https://tape.invalid/api/v1/cloud", "token": "REDACTED"}}
    assert {name for each in file.exchanges for name in each.request.headers} <= {
        "accept",
        "content-type",
        "last-event-id",
    }
    assert any(isinstance(entry, RandomId) for entry in file.entries)
    assert '"text": "event: ' in text or '"text": "id: ' in text or '"text": "data: ' in text


@pytest.mark.parametrize("runner", [SYNC, ASYNC], ids=["sync", "async"])
def test_another_body_fails_with_a_readable_difference(runner: ClientRunner, path: Path, qoder: EmulatorHandle) -> None:
    record(SYNC, path, qoder)
    changed = approved_turn(qoder, "/tool")
    lines = mismatch(path, lambda tape: runner.play("qoder", changed, tape=tape)).splitlines()
    assert lines[0] == f"the tape {path} does not have this request:"
    assert lines[1].startswith("POST /api/v1/cloud/sessions/")
    assert lines[2:] == [
        "--- recorded: request 4 of 8",
        "+++ sent",
        "     {",
        '       "content": [',
        "         {",
        '-          "text": "/ask",',
        '+          "text": "/tool",',
        '           "type": "text"',
        "         }",
        "       ],",
        "If the program is correct, record the tape again with --record-mode=rewrite.",
    ]


def test_a_difference_is_redacted(path: Path, qoder: EmulatorHandle) -> None:
    record(SYNC, path, qoder)
    secret = "pt-secret-of-mine"
    message = mismatch(path, lambda tape: SYNC.play("qoder", approved_turn(qoder, secret), tape=tape, token=secret))
    assert secret not in message
    assert '"text": "REDACTED"' in message


def test_a_request_that_is_not_made_fails(path: Path, qoder: EmulatorHandle) -> None:
    record(SYNC, path, qoder)
    left = mismatch(path, lambda _: None)
    assert f"did not make all requests of the tape {path}: POST /api/v1/cloud/sessions; GET" in left
    with Tape(path, partial=True):
        pass


def test_a_mismatch_that_the_program_catches_fails_it_nevertheless(path: Path, qoder: EmulatorHandle) -> None:
    record(SYNC, path, qoder)

    def swallow(tape: Tape) -> None:
        with tape.client() as client, contextlib.suppress(AssertionError):
            client.sessions.get("sess_other")
        raise LookupError("the program's own reaction")

    assert "does not have this request" in mismatch(path, swallow)


def test_once_replays_and_rewrite_records(path: Path, qoder: EmulatorHandle) -> None:
    def title_of(session_id: str, mode: Any) -> str | None:
        with Tape(path, mode=mode) as tape, tape.client("qoder", **qoder.settings) as client:
            return client.sessions.get(session_id).title

    with qoder.client() as client:
        session = client.sessions.create(title="first", **qoder.session_values)
        other = client.sessions.create(title="other", **qoder.session_values)
        assert title_of(session.id, "once") == "first"
        client.sessions.update(session, title="second")
        assert title_of(session.id, "once") == "first"
        assert title_of(session.id, "rewrite") == "second"
        client.sessions.update(session, title="third")
        with Tape(path, mode="new_episodes") as tape, tape.client("qoder", **qoder.settings) as taped:
            assert [taped.sessions.get(each).title for each in (session, other)] == ["second", "other"]
    assert len(read_tape(path).exchanges) == 2
    assert title_of(other.id, "new_episodes") == "other"


def test_a_recording_that_fails_is_not_written(path: Path, qoder: EmulatorHandle) -> None:
    def fail(tape: Tape) -> None:
        with tape.client("qoder", **qoder.settings) as client:
            client.sessions.create(**qoder.session_values)
            raise LookupError

    with pytest.raises(LookupError), Tape(path, mode="once") as tape:
        fail(tape)
    assert not path.exists()


def test_errors_and_retries_of_the_recording_come_again(
    path: Path, qoder: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    qoder.faults.add(Fault("status", status=503, method="GET", retry_after="1", times=2))
    qoder.faults.add(Fault("drop", method="GET"))
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    for mode in ("once", "none"):
        naps.clear()
        with Tape(path, mode=mode) as tape, tape.client("qoder", retry=RetryPolicy(), **qoder.settings) as client:
            assert client.agents.get(qoder.agent_id).id == qoder.agent_id
        assert naps[:2] == [1.0, 1.0] if mode == "once" else sum(naps) == 0
    assert [each.error or (each.response and each.response.status) for each in read_tape(path).exchanges] == [
        503,
        503,
        "RemoteProtocolError",
        200,
    ]
    with Tape(path, partial=True) as tape, tape.client(retry=None) as client, pytest.raises(ServerError):
        client.agents.get(qoder.agent_id)


# --- Streams and order


def talk(http: TapedClient, base_url: str, *, posts: bool = True) -> list[bytes]:
    """Open a stream, send a message, and leave when the answer is there."""
    heard: list[bytes] = []
    response = http.send(http.build_request("GET", f"{base_url}/stream"), stream=True)
    if posts:
        http.send(http.build_request("POST", f"{base_url}/chat", json={"a": 1, "b": 2}))
    for chunk in response.iter_raw():
        heard.append(chunk)
        if b"world" in chunk:
            break
    response.close()
    return heard


def recorded_talk(path: Path, *parts: bytes | float | str) -> Path:
    with StreamServer(stream(*parts)) as server, Tape(path, mode="once") as tape:
        assert talk(tape.http_client(), server.url) == [HELLO, WORLD]
    return path


def test_a_stream_keeps_its_chunks_and_their_times(path: Path) -> None:
    file = read_tape(recorded_talk(path, HELLO, 0.2, WORLD))
    chunks = [entry for entry in file.entries if isinstance(entry, Chunk)]
    assert [chunk.data for chunk in chunks] == [HELLO, WORLD]
    assert chunks[1].ms >= 200

    def lasts_s(pace: float) -> float:
        started_s = time.monotonic()
        with Tape(path, pace=pace) as tape:
            assert talk(tape.http_client(), "http://anywhere.test") == [HELLO, WORLD]
        return time.monotonic() - started_s

    assert lasts_s(2) >= 2 * (chunks[1].ms - file.exchanges[0].ms - file.exchanges[0].took_ms) / 1000
    path.write_text(path.read_text().replace(f'"ms": {chunks[1].ms}', '"ms": 60000'))
    assert lasts_s(0) < 30


def test_a_stream_that_ends_ends_again_and_the_next_one_takes_over(path: Path) -> None:
    def read_both(http: TapedClient, url: str) -> list[bytes]:
        asked = [http.send(http.build_request("GET", f"{url}/stream"), stream=True) for _ in range(2)]
        return [b"".join(response.iter_raw()) for response in asked]

    served = (stream(HELLO, end="close"), stream(WORLD, end="close"))
    with StreamServer(*served) as server, Tape(path, mode="once") as tape:
        assert read_both(tape.http_client(), server.url) == [HELLO, WORLD]
    with Tape(path) as tape:
        assert read_both(tape.http_client(), "http://anywhere.test") == [HELLO, WORLD]


def test_a_stream_that_breaks_breaks_again(path: Path) -> None:
    for mode in ("once", "none"):
        with StreamServer(stream(HELLO, end="drop")) as server, Tape(path, mode=mode) as tape:
            with pytest.raises(httpx.RemoteProtocolError):
                talk(tape.http_client(), server.url)
            assert len(server.requests) == (2 if mode == "once" else 0)


def test_a_chunk_does_not_come_before_the_message_that_it_answers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded_talk(path, HELLO, AFTER_INPUT, WORLD)
    monkeypatch.setattr(tape_streams, "_GRACE_S", 0.1)
    message = mismatch(path, lambda tape: talk(tape.http_client(), "http://anywhere.test", posts=False))
    assert "the stream of GET /stream waits for POST /chat, which the program did not send" in message


@both_runners
def test_a_program_that_reads_more_of_a_stream_fails(
    runner: ClientRunner, path: Path, qoder: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tape_streams, "_GRACE_S", 0.1)
    session_id = new_session(qoder)

    async def first_event(client: Any) -> None:
        async with client.sessions.stream(session_id) as events:
            await client.sessions.send(session_id, "hello")
            await anext(aiter(events))

    async def all_events(client: Any) -> None:
        async with client.sessions.stream(session_id) as events:
            await client.sessions.send(session_id, "hello")
            async for _ in events:
                pass

    with Tape(path, mode="once") as tape:
        SYNC.play("qoder", first_event, tape=tape, **qoder.settings)
    with Tape(path) as tape:
        runner.play("qoder", first_event, tape=tape)
    message = mismatch(path, lambda tape: runner.play("qoder", all_events, tape=tape))
    assert message.startswith("the program reads the stream of GET ")


@both_runners
def test_a_deadline_in_a_silence_comes_again(runner: ClientRunner, path: Path, qoder: EmulatorHandle) -> None:
    session_id = new_session(qoder)

    async def wait_in_vain(client: Any) -> None:
        async with client.sessions.stream(session_id, deadline_s=0.5) as events:
            async for _ in events:
                pass

    with Tape(path, mode="once") as tape, pytest.raises(DeadlineExceeded):
        SYNC.play("qoder", wait_in_vain, tape=tape, **qoder.settings)
    with Tape(path) as tape, pytest.raises(DeadlineExceeded):
        runner.play("qoder", wait_in_vain, tape=tape)


def new_session(emulator: EmulatorHandle) -> str:
    with emulator.client() as client:
        return client.sessions.create(**emulator.session_values).id


def test_requests_match_in_any_order_and_the_same_ones_in_turn(path: Path) -> None:
    def ask(http: TapedClient, url: str, *targets: str) -> list[bytes]:
        return [http.send(http.build_request("GET", f"{url}/{target}")).content for target in targets]

    numbers = iter("123456789")
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=request.url.path + next(numbers)))
    with httpx.Client(transport=transport) as http, Tape(path, mode="once") as tape:
        ask(tape.http_client(http), "http://a.test", "a?x=1&y=2", "b", "a?x=1&y=2")
    with Tape(path) as tape:
        assert ask(tape.http_client(), "http://b.test", "b", "a?y=2&x=1", "a?x=1&y=2") == [b"/b2", b"/a1", b"/a3"]
    message = mismatch(path, lambda tape: ask(tape.http_client(), "http://b.test", "b", "b"), partial=True)
    assert "The tape has this request 1 times, and the program already made all of them" in message


def test_many_turns_at_once_are_replayed(path: Path, qoder: EmulatorHandle) -> None:
    async def turn(client: Any, number: int) -> str:
        session = await client.sessions.create(title=str(number), **qoder.session_values)
        return str((await client.sessions.ask(session, f"part {number}")).text)

    async def program(tape: Tape, **settings: Any) -> list[str]:
        async with tape.async_client("qoder", **settings) as client:
            return await asyncio.gather(*(turn(client, number) for number in range(20)))

    with Tape(path, mode="once") as tape:
        recorded = asyncio.run(program(tape, **qoder.settings))
    assert recorded[19] == "You said: part 19"
    with Tape(path) as tape:
        assert asyncio.run(program(tape)) == recorded


# --- Secrets


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (httpx.Response(200, json={"seen": "s3cret-word"}), "the body of the response to POST /"),
        (httpx.Response(200, headers={"location": "/?t=s3cret-word"}), "the headers of the response to POST /"),
        (httpx.Response(200, json={"seen": "czNjcmV0LXdvcmQ="}), "the body of the response to POST /"),
        (
            httpx.Response(
                200,
                headers={"content-type": "text/event-stream"},
                stream=httpx.ByteStream(b"data: s3cret-word\n\n"),
            ),
            "the stream of POST /",
        ),
    ],
)
def test_a_secret_in_an_answer_fails_the_recording(path: Path, answer: httpx.Response, place: str) -> None:
    headers = {"authorization": "Bearer s3cret-word"}
    http = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    with (
        pytest.raises(TapeError, match=f"would contain a secret in {place}") as failed,
        Tape(path, mode="once") as tape,
    ):
        send(tape.http_client(http), headers)
    assert "s3cret" not in str(failed.value)
    assert not path.exists()


def send(http: TapedClient, headers: dict[str, str]) -> None:
    http.send(http.build_request("POST", "http://a.test/", headers=headers))


def test_a_secret_that_is_cut_in_two_chunks_is_found_and_one_of_the_setting_too(path: Path) -> None:
    with (
        StreamServer(stream(b"data: s3cr", 0.05, b"et-word world\n\n")) as server,
        pytest.raises(TapeError, match="a secret in the stream of GET /stream"),
        Tape(path, mode="once", secrets=["s3cret-word"]) as tape,
    ):
        talk(tape.http_client(), server.url)


def test_texts_are_replaced_on_the_tape_and_not_in_the_program_that_is_recorded(path: Path) -> None:
    def ask(http: TapedClient) -> Any:
        return http.send(http.build_request("POST", "http://a.test/mary", json={"name": "mary"})).json()

    echo = httpx.MockTransport(lambda request: httpx.Response(200, content=request.content))
    with httpx.Client(transport=echo) as http, Tape(path, mode="once", replace={"mary": "alice"}) as tape:
        assert ask(tape.http_client(http)) == {"name": "mary"}
    assert "mary" not in path.read_text()
    with Tape(path, replace={"mary": "alice"}) as tape:
        assert ask(tape.http_client()) == {"name": "alice"}


def test_a_token_that_the_backend_issues_is_not_stored(path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/exchange"):
            return httpx.Response(200, json={"access_token": "issued-token", "expires_in": "3600"})
        assert request.headers["authorization"] == "Bearer issued-token"
        return httpx.Response(200, json={"data": [{"id": "auto"}], "has_more": False})

    def models(tape: Tape, http: Any = None) -> list[str]:
        settings: dict[str, Any] = {"base_url": "https://api.test", "openapi_url": "https://keys.test"}
        taped = tape.http_client(http)
        with Client("qoder", http_client=taped, service_account_key="sa-key", **settings) as client:
            return [model.id for model in client.models.list()]

    with httpx.Client(transport=httpx.MockTransport(answer)) as http, Tape(path, mode="once") as tape:
        assert models(tape, http) == ["auto"]
    assert "issued-token" not in path.read_text()
    with Tape(path) as tape:
        assert models(tape) == ["auto"]


def test_credentials_that_are_asked_for_keep_their_scheme_alone(path: Path) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    headers = {"authorization": "Bearer s3cret-word", "x-user-id": "u1", "x-other": "o"}
    keep = ("authorization", "x-user-id")
    with httpx.Client(transport=transport) as http, Tape(path, mode="once", match_headers=keep) as tape:
        send(tape.http_client(http), headers)
    (exchange,) = read_tape(path).exchanges
    assert exchange.request.headers == {"accept": "*/*", "authorization": "Bearer REDACTED", "x-user-id": "u1"}
    other = {"authorization": "Bearer other"}
    message = mismatch(path, lambda tape: send(tape.http_client(), other), match_headers=keep)
    assert "-x-user-id: u1\n+x-user-id: (not sent)" in message


# --- The file


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a": [1, 2.5, null, "\xc3\xa4"]}', "json"),
        (b'{"cost": 1.10}', "text"),
        (b'{"id": 12345678901234567890.0}', "text"),
        (b'{"a": 1, "a": 2}', "text"),
        (b'{"half": "\\ud83d"}', "text"),
        (b"data: x\n\n", "text"),
        (b"\xff\xfe", "base64"),
    ],
)
def test_a_body_loses_nothing(data: bytes, kind: str) -> None:
    body = packed(data)
    assert body is not None
    assert list(body) == [kind]
    assert unpacked(body) == data or json.loads(unpacked(body)) == json.loads(data)
    assert kind == "json" or unpacked(body) == data


@pytest.mark.parametrize("text", ["", '{"tape": 2}', '{"tape": 1}\n{"what": 1}', '{"provenance": {}'])
def test_another_file_is_no_tape(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(TapeError, match="is not a tape of version 1"), Tape(path):
        pass


def test_values_that_only_the_recording_knows_are_remembered(path: Path, qoder: EmulatorHandle) -> None:
    with Tape(path, mode="once") as tape, tape.client("qoder", **qoder.settings) as client:
        session_id = tape.remember("session", lambda: new_session(qoder))
        client.sessions.get(session_id)
    with Tape(path) as tape, tape.client() as client:
        assert client.sessions.get(tape.remember("session", lambda: "not called")).id == session_id
        with pytest.raises(TapeError, match=r"has no value 'other'"):
            tape.remember("other", str)


def test_an_exchange_is_one_line(path: Path, qoder: EmulatorHandle) -> None:
    record(SYNC, path, qoder)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["tape"] == 1
    assert sum("request" in line for line in lines) == sum(
        isinstance(entry, Exchange) for entry in read_tape(path).entries
    )
