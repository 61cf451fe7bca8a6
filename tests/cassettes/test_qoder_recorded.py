"""Qoder's real service, recorded with a token: `QODER_ACCESS_TOKEN=... nox -s record -- qoder`.

Without that recording there is nothing to play, and these tests are not collected; `test_qoder_recording.py`
tries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from live.sources import Source
from support.client_runners import SYNC, ClientRunner
from support.qoder_recording import ENVIRONMENT, Do, a_session, follow_a_turn, run_session
from tools.recordings.cassettes import cassette
from tools.recordings.tapes import tape

OnTape = Callable[[Callable[[Source], Any]], AbstractContextManager[tuple[dict[str, Any], dict[str, str]]]]


def doing(runner: ClientRunner, source: Source) -> Do:
    token = source.secrets[0] if source.secrets else "any"
    return lambda use: runner.call("qoder", use, base_url=source.base_url, token=token)


@cassette("qoder/recorded/session.yaml")
def test_a_session_lives_from_creation_to_deletion(runner: ClientRunner, source: Source) -> None:
    run_session(doing(runner, source), source.handle or ENVIRONMENT, poll_s=1.0 if source.handle else 0.0)


@tape("qoder/streams/plain.jsonl")
def test_a_plain_turn(on_tape: OnTape, runner: ClientRunner, source: Source) -> None:
    def setup(running: Source) -> tuple[dict[str, str], dict[str, str]]:
        return {}, a_session(doing(SYNC, running), running.handle)

    token = source.secrets[0] if source.secrets else "any"
    with on_tape(setup) as (settings, ids):
        events = runner.play("qoder", lambda client: follow_a_turn(client, ids), token=token, **settings)
    assert (events[0].type, events[-1].type, events[-1].outcome) == ("turn.started", "turn.ended", "completed")
