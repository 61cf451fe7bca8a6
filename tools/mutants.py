"""Breaks the library in one place at a time, and checks that a test fails each time.

`python -m tools.mutants` runs all of `MUTANTS`, `python -m tools.mutants NAME ...` some of them. Each is applied in a
copy of the repository and judged by the quickest tests that cover it; these tests pass before anything is broken. A
mutant whose old text is not found exactly once is stale, and fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_COPIED: Final = ("src", "providers", "tests", "tools", "cassettes", "examples", "docs", "pyproject.toml")
_LIMIT_S: Final = 300
_TESTS_FAILED: Final = 1

_DECODING: Final = "src/polysession/_core/decoding.py"
_RECORD: Final = "src/polysession/record.py"
_RETRY: Final = "src/polysession/_core/retry.py"
_SSE: Final = "src/polysession/_core/sse.py"
_STREAMS: Final = "src/polysession/_core/streams.py"
_OF_DECODING: Final = ("tests/core/test_decoding.py", "tests/core/test_reading.py")
_OF_RECORDS: Final = ("tests/core/test_records.py", "tests/core/test_session.py")
_OF_RETRY: Final = ("tests/core/test_retry.py", "tests/core/test_driver_retries.py")
_OF_SSE: Final = ("tests/core/test_sse.py",)
_OF_STREAMS: Final = (
    "tests/core/test_streams.py",
    "tests/core/test_stream_outages.py",
    "tests/core/test_stream_kinds.py",
)


@dataclass(frozen=True)
class Mutant:
    """A fault to insert into one place.

    Attributes:
        name: Description of the fault.
        file: Path of the file from the root of the repository.
        old: Text that occurs exactly once in the file.
        new: Text that replaces it.
        tests: Arguments of pytest: these tests must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> str:
        """Insert the fault into the file under a root. Returns the original text.

        Raises:
            ValueError: The old text does not occur exactly once.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: stale: {self.old!r} occurs {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")
        return text


def _qoder(file: str, tests: str, name: str, old: str, new: str) -> Mutant:
    return Mutant(name, f"providers/polysession_{file}", old, new, (f"tests/providers/qoder/{tests}",))


def _anthropic(file: str, tests: str, name: str, old: str, new: str) -> Mutant:
    return Mutant(name, f"providers/polysession_anthropic/{file}", old, new, (f"tests/providers/anthropic/{tests}",))


def _everruns(file: str, tests: str, name: str, old: str, new: str) -> Mutant:
    return Mutant(name, f"providers/polysession_everruns/{file}", old, new, (f"tests/providers/everruns/{tests}",))


def _agentscope(file: str, tests: str, name: str, old: str, new: str) -> Mutant:
    return Mutant(name, f"providers/polysession_agentscope/{file}", old, new, (f"tests/providers/agentscope/{tests}",))


MUTANTS: Final = (
    Mutant(
        "an unreadable item makes the whole list unreadable",
        _DECODING,
        "return [value for value in read if value is not _UNREADABLE]",
        "return _UNREADABLE if _UNREADABLE in read else read",
        _OF_DECODING,
    ),
    Mutant(
        "an unreadable value is left out without a problem",
        _DECODING,
        'problems.append(f"{path}: not {_describe(kind)}")',
        "_describe(kind)",
        _OF_DECODING,
    ),
    Mutant(
        "half a surrogate pair makes a body unreadable",
        _DECODING,
        'return _read_struct(shape, replace_lone_surrogates(content), "", problems), tuple(problems)',
        'return _read_struct(shape, content, "", problems), tuple(problems)',
        _OF_DECODING,
    ),
    Mutant(
        "a number in a string is not read",
        _DECODING,
        "return msgspec.json.Decoder(kind, strict=False).decode",
        "return msgspec.json.Decoder(kind, strict=True).decode",
        _OF_DECODING,
    ),
    Mutant(
        "a time beyond the year 9999 makes a record unreadable",
        _DECODING,
        "        problems += remove_unusable(wire)\n        try:",
        "        try:",
        _OF_DECODING,
    ),
    Mutant(
        "a stored action comes back as another type",
        _RECORD,
        'return {"type": vars(self)["type"], **super()._always_dumped(info)}',
        "return super()._always_dumped(info)",
        _OF_RECORDS,
    ),
    Mutant(
        "records with the same fields and different sources are not equal",
        _RECORD,
        "return _without_source(self) == _without_source(other)",
        "return vars(self) == vars(other)",
        _OF_RECORDS,
    ),
    Mutant(
        "a time in another zone is read as UTC",
        _RECORD,
        "return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)",
        "return moment.replace(tzinfo=UTC)",
        _OF_RECORDS,
    ),
    Mutant(
        "a write that may have been done is retried",
        _RETRY,
        "return call.repeatable or _did_nothing(outcome)",
        "return True",
        _OF_RETRY,
    ),
    Mutant(
        "a date in Retry-After is compared with our own clock",
        _RETRY,
        '(_date(headers.get("date", "")) or now)',
        "now",
        _OF_RETRY,
    ),
    Mutant(
        "Retry-After is not a lower bound of the wait",
        _RETRY,
        "return effect_source.wait_s(max(jitter(state), asked or 0.0))",
        "return effect_source.wait_s(jitter(state))",
        _OF_RETRY,
    ),
    Mutant(
        "a CRLF in two chunks ends two lines",
        _SSE,
        'self._ends_with_cr, chunk = False, chunk.removeprefix(b"\\n")',
        "self._ends_with_cr = False",
        _OF_SSE,
    ),
    Mutant(
        "the data lines of a frame are joined without line feeds",
        _SSE,
        'b"\\n".join(data), frame_id)',
        'b"".join(data), frame_id)',
        _OF_SSE,
    ),
    Mutant(
        "a frame without an end has no size limit",
        _SSE,
        "if self._size_bytes - self._ends_with_lf > self._max_event_bytes:",
        "if self._size_bytes < 0:",
        _OF_SSE,
    ),
    Mutant(
        "an id with a NUL is accepted",
        _SSE,
        'elif name == b"id" and b"\\0" not in value:',
        'elif name == b"id":',
        _OF_SSE,
    ),
    Mutant(
        "an error of a stream has no cursor",
        _STREAMS,
        "error.cursor, error.events_seen = self.cursor, self.events_seen",
        "error.events_seen = self.events_seen",
        _OF_STREAMS,
    ),
    Mutant(
        "the cursor skips the rest of a frame with several events",
        _STREAMS,
        "cursor = between = cursor_after(between, item) if events_left else self._plan.cursor",
        "cursor = self._plan.cursor",
        _OF_STREAMS,
    ),
    Mutant(
        "half a frame is kept across a reconnection",
        _STREAMS,
        "retry_ms, self._decoder = self._decoder.retry_ms, SseDecoder()",
        "retry_ms = self._decoder.retry_ms",
        _OF_STREAMS,
    ),
    Mutant(
        "an input that may have arrived is sent again",
        _STREAMS,
        "if failure.outcome_unknown or not failure.retryable:",
        "if not failure.retryable:",
        _OF_STREAMS,
    ),
    Mutant(
        "a connection that brought heartbeats counts as a failure",
        _STREAMS,
        "heartbeat = self._heartbeat or self._decoder.has_comments",
        "heartbeat = False",
        _OF_STREAMS,
    ),
    _qoder(
        "managed_agents/sessions.py",
        "test_sessions.py",
        "an empty title is a title",
        "title=wire.title or None,",
        "title=wire.title,",
    ),
    _qoder(
        "managed_agents/events.py",
        "test_previews.py",
        "a repeated event is delivered twice",
        "return self._state.seen.add(identity)",
        "return self._state.seen.add(identity) is not None",
    ),
    _qoder(
        "qoder/events.py",
        "test_events.py",
        "a turn that stopped for an unknown reason is a success",
        "_OUTCOMES.get(reason_of(wire), Outcome.FAILED)",
        "_OUTCOMES.get(reason_of(wire), Outcome.COMPLETED)",
    ),
    _qoder(
        "qoder/turns.py",
        "test_turn_plans.py",
        "another client's turn counts as ours",
        "        return bool(is_later)\n",
        "        return True\n",
    ),
    _anthropic(
        "events.py",
        "test_events.py",
        "an interrupted turn is a success",
        "outcome = Outcome.CANCELLED",
        "outcome = Outcome.COMPLETED",
    ),
    _anthropic(
        "turns.py",
        "test_turns.py",
        "the end of any turn ends our turn",
        "return self._is_flushed(end) or self._turns_since_input(end.id) >= 0",
        "return True",
    ),
    _anthropic(
        "turns.py",
        "test_turns.py",
        "events during a broken connection are lost",
        "self._is_behind = again or self.is_resumed",
        "self._is_behind = False",
    ),
    _everruns(
        "sessions.py",
        "test_sessions.py",
        "the charged cost is ignored",
        "cost = wire.estimated_cost_usd if wire.actual_cost_usd is None else wire.actual_cost_usd",
        "cost = wire.estimated_cost_usd",
    ),
    _everruns(
        "events.py",
        "test_events.py",
        "a turn that reached a limit is complete",
        "outcome = _STOPPED.get(reason, Outcome.COMPLETED)",
        "outcome = Outcome.COMPLETED",
    ),
    _everruns(
        "turns.py",
        "test_turns.py",
        "a message of another client counts as ours",
        "return event.message.id == self._mark.message_id",
        "return True",
    ),
    _agentscope(
        "events.py",
        "test_events.py",
        "a reply ends twice",
        "    if reply.phase is not Phase.ENDED:\n        yield from _ended(reply, wire",
        "    if reply is not None:\n        yield from _ended(reply, wire",
    ),
    _agentscope(
        "events.py",
        "test_events.py",
        "an interrupted tool ends a waiting turn",
        "if wire.state != _INTERRUPTED:",
        "if wire.state:",
    ),
    _agentscope(
        "sessions.py",
        "test_sessions.py",
        "a running session of 2.0.0 has an unknown status",
        'native_status = wire.status or (RUNNING if wire.is_running else "")',
        'native_status = wire.status or ""',
    ),
)


def run_tests(root: Path, tests: Iterable[str]) -> int:
    """Return pytest's exit code for some tests under a root.

    A run that takes too long counts as failed.
    """
    path = os.pathsep.join([str(root / "src"), str(root / "providers")])
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(  # noqa: S603  (our own interpreter)
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return _TESTS_FAILED
    if run.returncode not in {0, _TESTS_FAILED}:
        print(run.stdout[-2000:], run.stderr[-2000:])
    return run.returncode


def judge(mutant: Mutant, root: Path) -> str:
    """Insert a fault, run the tests, and remove it.

    Returns `dies`, `LIVES`, or another problem.
    """
    try:
        text = mutant.apply(root)
    except ValueError as error:
        return str(error)
    code = run_tests(root, mutant.tests)
    (root / mutant.file).write_text(text, encoding="utf-8")
    return {0: "LIVES", _TESTS_FAILED: "dies"}.get(code, f"pytest ended with {code}")


def main(names: list[str]) -> int:
    """Judge mutants. Returns the exit code."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "polysession"
        root.mkdir()
        for name in _COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, root / name)
        for tests in {mutant.tests for mutant in chosen}:
            if code := run_tests(root, tests):
                print(f"{' '.join(tests)}: pytest ends with {code} without a fault")
                return 2
        found = []
        for mutant in chosen:
            started_s = time.monotonic()
            found.append(judge(mutant, root))
            print(f"{found[-1]:6} {time.monotonic() - started_s:5.1f} s  {mutant.file}: {mutant.name}", flush=True)
    died = found.count("dies")
    print(f"{died} of {len(chosen)} mutants die")
    return 0 if died == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
