"""The recorder and the player of tapes: what happened comes again, in the same order and in the same time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from polysession.testing.fault_server import http
from support.stream_server import AFTER_INPUT, StreamServer, stream
from tools.recordings.provenance import BadEvidence, Provenance
from tools.recordings.scrubbing import Scrubber
from tools.recordings.tape_player import TapePlayer
from tools.recordings.tape_recorder import TapeRecorder
from tools.recordings.tapes import Chunk, Tape, read_tape, write_tape

PROVENANCE = Provenance.of_recording("agentscope", "a throw-away server", "0")
HELLO, WORLD = b'data: {"text": "hello"}\n\n', b'data: {"text": "world"}\n\n'
USER = {"x-user-id": "u1", "accept": "application/json"}


def tape_of(served: StreamServer, act: Callable[[str], object]) -> Tape:
    with served, TapeRecorder(served.url) as recorder:
        act(recorder.base_url)
        deadline_s = time.monotonic() + 5
        while "end" not in " ".join(recorder.tape(PROVENANCE, Scrubber("agentscope")).lines()):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    return recorder.tape(PROVENANCE, Scrubber("agentscope"), settings={"user_id": "u1"}, ids={"session": "s1"})


def talk(base_url: str) -> list[bytes]:
    """Open a stream, send a message, and hang up when the answer is there."""
    heard: list[bytes] = []
    with httpx.Client(base_url=base_url, headers=USER, trust_env=False) as client:
        with client.stream("GET", "/sessions/s1/stream?agent_id=a") as response:
            sent = client.post("/chat/", json={"session_id": "s1"})
            assert (sent.status_code, sent.json()) == (202, {"status": "started"})
            for chunk in response.iter_raw():
                heard.append(chunk)
                if b"world" in chunk:
                    break
        heard.append(client.get("/sessions/s1/status").content)
    return heard


def record(pause_s: float) -> Tape:
    """A talk in which the service pauses between two chunks."""
    replies = (http(202, '{"status": "started"}', content_type="application/json"), http(200, "late"))
    return tape_of(StreamServer(stream(AFTER_INPUT, HELLO, pause_s, WORLD), replies=replies), talk)


@pytest.fixture
def taped() -> Tape:
    return record(pause_s=0.01)


def test_a_tape_survives_its_file_and_plays_what_happened(taped: Tape, tmp_path: Path) -> None:
    write_tape(tmp_path / "tape.jsonl", taped)
    again = read_tape(tmp_path / "tape.jsonl")
    assert again == taped
    assert again.streams() == [[HELLO, WORLD]]
    assert {**again.settings, **again.ids} == {"user_id": "u1", "session": "s1"}
    assert [f"{e.request.method} {e.request.path}" for e in again.exchanges] == [
        "GET /sessions/s1/stream?agent_id=a",
        "POST /chat/",
        "GET /sessions/s1/status",
    ]
    with TapePlayer(again) as player:
        assert talk(player.base_url) == [HELLO, WORLD, b"late"]


def test_a_tape_is_played_at_once_or_in_its_own_time() -> None:
    taped = record(pause_s=1.0)
    first, last = (entry.ms for entry in taped.entries if isinstance(entry, Chunk))
    assert last - first >= 990

    def lasts_s(pace: float) -> float:
        started_s = time.monotonic()
        with TapePlayer(taped, pace=pace) as player:
            talk(player.base_url)
        return time.monotonic() - started_s

    assert lasts_s(0) < 0.9
    assert lasts_s(1) >= 0.99


def test_a_stream_that_the_server_ended_ends_again() -> None:
    served = StreamServer(stream(HELLO, end="close"))
    taped = tape_of(served, lambda url: httpx.get(f"{url}/stream"))
    with TapePlayer(taped) as player:
        assert httpx.get(f"{player.base_url}/stream").content == HELLO


def test_a_second_stream_takes_over() -> None:
    def reconnect(base_url: str) -> list[bytes]:
        heard = []
        with httpx.Client(base_url=base_url, trust_env=False) as client:
            for wanted in (HELLO, WORLD):
                with client.stream("GET", "/stream") as response:
                    heard.append(next(response.iter_raw()))
                    assert heard[-1] == wanted
        return heard

    taped = tape_of(StreamServer(stream(HELLO), stream(WORLD)), reconnect)
    assert taped.streams() == [[HELLO], [WORLD]]
    with TapePlayer(taped) as player:
        reconnect(player.base_url)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ({"url": "/sessions/s2/stream?agent_id=a"}, "GET /sessions/s2/stream.* was asked for, the tape has GET /sess"),
        ({"url": "/sessions/s1/stream?agent_id=b"}, "agent_id=b was asked for, the tape has GET .*agent_id=a"),
        ({"method": "POST"}, "POST .* was asked for, the tape has GET"),
        ({"headers": {"accept": "application/json"}}, "not sent, or not so: {'x-user-id': 'u1'}"),
        ({"json": {"more": 1}}, "{'more': 1} was sent, the tape has None"),
    ],
)
def test_another_request_than_the_recorded_one_is_refused(taped: Tape, edit: dict[str, Any], problem: str) -> None:
    asked = {"method": "GET", "url": "/sessions/s1/stream?agent_id=a", "headers": USER, **edit}
    with pytest.raises(BadEvidence, match=problem), TapePlayer(taped) as player:
        answers = [httpx.request(**{**asked, "url": player.base_url + asked["url"]})]
    assert answers[0].status_code == 599
