"""The outcome of each fault: the tests check it, and `docs/generate.py` prints it.

Plain data, so that the documentation can be generated without the tests' packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polysession import Feature, ResumeMode
from polysession.plugins import installed_providers, load_provider

DRIVERS: Final = ("sync", "async")
TRIES: Final = 2
"""Attempts that the tests allow for a call."""

DECLARED: Final = {
    name: load_provider(name)
    for name, (entry_point, *_) in installed_providers().items()
    if entry_point.dist is not None and entry_point.dist.name == "polysession"
}
"""The providers of our distribution."""
KEYED_WRITES: Final = {
    name: bool(each.support(Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY).support) for name, each in DECLARED.items()
}
"""Whether the writes of a provider carry an idempotency key, so that they are repeated."""
RESUMING: Final = [name for name, each in DECLARED.items() if each.resume_mode is not ResumeMode.NONE]
"""The providers whose broken streams continue."""


@dataclass(frozen=True)
class CallOutcome:
    """The outcome of a fault of a call.

    Attributes:
        error: Name of the exception; empty where the call succeeds.
        again: Whether a call that may be repeated is.
        in_doubt: Whether a write may have been carried out.
    """

    error: str
    again: bool = False
    in_doubt: bool = True

    def tries(self, *, repeatable: bool) -> int:
        """Requests in all. A call that may not be repeated is, if the backend certainly did nothing."""
        return TRIES if self.again and (repeatable or not self.in_doubt) else 1

    def text(self, *, writes: bool) -> str:
        """The outcome in words."""
        return f"{self.error or 'answer'}{', in doubt' if writes and self.in_doubt else ''}"


_LOST = CallOutcome("ConnectionLost", again=True)
_NEVER_SENT = CallOutcome("ConnectError", again=True, in_doubt=False)
_UNTRUSTED = CallOutcome("ConnectError", in_doubt=False)
_LATE = CallOutcome("NetworkTimeout", again=True)
_UNREADABLE = CallOutcome("MalformedResponse")
_LIMITED = CallOutcome("RateLimited", again=True, in_doubt=False)
_DOWN = CallOutcome("ServerError", again=True)
_REDIRECTED = CallOutcome("UnexpectedRedirect", in_doubt=False)
_NO_FAULT = CallOutcome("", in_doubt=False)

CALLS: Final[dict[str, CallOutcome]] = {
    "connection refused": _NEVER_SENT,
    "reset before the headers": _LOST,
    "closed before the headers": _LOST,
    "reset in the headers": _LOST,
    "closed in the headers": _LOST,
    "reset after the headers": _LOST,
    "closed after the headers": _LOST,
    "reset in the body": _LOST,
    "closed in the body": _LOST,
    "reset at the border of a chunk": _LOST,
    "closed at the border of a chunk": _LOST,
    "half a UTF-8 character": _UNREADABLE,
    "stall before the headers": _LATE,
    "stall in the headers": _LATE,
    "stall after the headers": _LATE,
    "stall in the body": _LATE,
    "body in drops without end": _LATE,
    "slow bytes that come in time": _NO_FAULT,
    "not HTTP": _LOST,
    "head without end": _LOST,
    "empty success": _UNREADABLE,
    "HTML with success": _UNREADABLE,
    "HTML with 502": _DOWN,
    "HTML with 404": CallOutcome("NotFound", in_doubt=False),
    "500 in plain text": CallOutcome("ServerError"),
    "JSON called text": _NO_FAULT,
    "JSON called HTML": _NO_FAULT,
    "429": _LIMITED,
    "429, Retry-After: 0": _LIMITED,
    "429, Retry-After in the past": _LIMITED,
    "429, Retry-After: soon": _LIMITED,
    "429, Retry-After: -5": _LIMITED,
    "429, Retry-After of an hour": CallOutcome("RateLimited", in_doubt=False),
    "429, Retry-After of a date in an hour": CallOutcome("RateLimited", in_doubt=False),
    "429, Retry-After of 30 digits": CallOutcome("RateLimited", in_doubt=False),
    "503": _DOWN,
    "503, Retry-After: 0": _DOWN,
    "503, Retry-After in the past": _DOWN,
    "503, Retry-After: soon": _DOWN,
    "503, Retry-After: -5": _DOWN,
    "503, Retry-After of an hour": CallOutcome("ServerError"),
    "503, Retry-After of a date in an hour": CallOutcome("ServerError"),
    "503, Retry-After of 30 digits": CallOutcome("ServerError"),
    "oversized body": _UNREADABLE,
    "oversized body of an error": CallOutcome("ServerError"),
    "gzip bomb": _UNREADABLE,
    "gzip garbage": _LOST,
    "gzip twice": _UNREADABLE,
    "unknown compression": _UNREADABLE,
    "deep nesting": _UNREADABLE,
    "redirect to itself": _REDIRECTED,
    "redirect to another host": _REDIRECTED,
    "no TLS behind https": _NEVER_SENT,
    "certificate that is sound": _NO_FAULT,
    "certificate of an unknown authority": _UNTRUSTED,
    "certificate of another host": _UNTRUSTED,
    "certificate that has expired": _UNTRUSTED,
}


@dataclass(frozen=True)
class StreamOutcome:
    """The outcome of a fault of a stream.

    Attributes:
        error: Name of the exception; empty where the turn is delivered to its end.
        may_lack: Whether events without a replay may be missing, which a `stream.gap` reports.
        note: A remark.
    """

    error: str = ""
    may_lack: bool = False
    note: str = ""

    def text(self) -> str:
        """The outcome in words."""
        if self.error:
            return self.error
        words = "complete, or with a `stream.gap`" if self.may_lack else "complete"
        return f"{words}; {self.note}" if self.note else words


AS_RAW: Final = "delivered as `raw`"
_WHOLE = StreamOutcome()
_RESUMED = StreamOutcome(may_lack=True)
_AS_RAW = StreamOutcome(note=AS_RAW)
_NO_STREAM = StreamOutcome("MalformedResponse")
_WAITED = StreamOutcome("DeadlineExceeded")
_LED_AWAY = StreamOutcome("UnexpectedRedirect")

STREAMS: Final[dict[str, StreamOutcome]] = {
    "reset before the headers": _WHOLE,
    "closed before the headers": _WHOLE,
    "reset in the headers": _WHOLE,
    "closed in the headers": _WHOLE,
    "stall before the headers": _WAITED,
    "reset after the headers": _RESUMED,
    "clean end after the headers": _RESUMED,
    "half a UTF-8 character, then reset": _RESUMED,
    "characters in two chunks": _WHOLE,
    "a byte at a time": _WHOLE,
    "stall": _WAITED,
    "stall within a frame": _WAITED,
    "each frame twice": _WHOLE,
    "two frames change places": _WHOLE,
    "unknown event type": _AS_RAW,
    "frame that is no JSON": _AS_RAW,
    "frame that is no object": _AS_RAW,
    "comments and fields of no meaning": _WHOLE,
    "oversized line": _NO_STREAM,
    "oversized event": _NO_STREAM,
    "gzip bomb": _NO_STREAM,
    "gzip garbage": _RESUMED,
    "HTML with success": _NO_STREAM,
    "JSON with success": _NO_STREAM,
    "HTML with 502": _WHOLE,
    "429": _WHOLE,
    "429, Retry-After: 0": _WHOLE,
    "503": _WHOLE,
    "redirect to another host": _LED_AWAY,
}
"""Faults of the first connection; the next ones are sound."""

REOPENED: Final[dict[str, StreamOutcome]] = {
    "reset before the headers": _RESUMED,
    "closed in the headers": _RESUMED,
    "HTML with success": _NO_STREAM,
    "HTML with 502": _RESUMED,
    "429": _RESUMED,
    "429, Retry-After: 0": _RESUMED,
    "429, Retry-After of an hour": _WAITED,
    "503": _RESUMED,
    "redirect to another host": _LED_AWAY,
    "reset after the headers": _RESUMED,
    "clean end after the headers": _RESUMED,
}
"""Faults of the second connection, after the first was reset; the next ones are sound."""

FRAMES: Final[dict[str, dict[str, int]]] = {
    "wörld 😀 of words": {"agentscope": 13, "anthropic": 16, "everruns": 16, "langgraph": 14, "qoder": 16},
    "/slow 3": {"agentscope": 10, "anthropic": 13, "everruns": 13, "langgraph": 11, "qoder": 13},
    "/think": {"agentscope": 15, "anthropic": 17, "everruns": 24, "langgraph": 22, "qoder": 17},
    "/tool": {"agentscope": 19, "anthropic": 18, "everruns": 23, "langgraph": 19, "qoder": 18},
}
"""Messages to the agent, with the number of frames of the turn."""

GAPS: Final[dict[str, tuple[str, ...]]] = {
    "agentscope": (
        "message.started",
        "message.delta",
        "thinking.started",
        "thinking.delta",
        "tool_call.started",
        "tool_call.delta",
        "tool_result.delta",
        "raw",
    ),
    "anthropic": ("message.started", "message.delta", "thinking.started"),
    "everruns": ("message.delta", "thinking.delta"),
    "langgraph": (),
    "qoder": ("message.started", "message.delta", "thinking.started", "thinking.delta"),
}
"""Losses of a cut between frames: events that the backend sends only while they happen."""

ENDS: Final = ("reset", "closed", "clean end")
"""Ways in which a connection ends between two frames."""

BORDERS: Final[dict[tuple[str, str], int]] = {
    (said, end): {("wörld 😀 of words", "reset"): 1, ("/slow 3", "reset"): 3}.get((said, end), 24)
    for said in FRAMES
    for end in ENDS
}
"""Message and end of the stream, with the stride of the borders that are tried without `--stress`."""

_LOOKED = "after two seconds of silence it reads the stored messages"
DOUBLED: Final = "previews have no number, so their text is doubled"
AS_IT_CAME: Final = "events have no number, so the text keeps the order of arrival"
DELTAS_AS_THEY_CAME: Final = "deltas keep the order of arrival; the message is in order"
_OWN: Final[dict[tuple[str, str, str], StreamOutcome]] = {
    ("stall", "agentscope", "run"): StreamOutcome(may_lack=True, note=_LOOKED),
    ("stall within a frame", "agentscope", "run"): StreamOutcome(may_lack=True, note=_LOOKED),
    ("each frame twice", "anthropic", "run"): StreamOutcome(note=DOUBLED),
    ("each frame twice", "anthropic", "stream"): StreamOutcome(note=DOUBLED),
    ("each frame twice", "qoder", "run"): StreamOutcome(note=DOUBLED),
    ("each frame twice", "qoder", "stream"): StreamOutcome(note=DOUBLED),
    ("two frames change places", "agentscope", "run"): StreamOutcome(note=AS_IT_CAME),
    ("two frames change places", "agentscope", "stream"): StreamOutcome(note=AS_IT_CAME),
    ("two frames change places", "langgraph", "run"): StreamOutcome(note=DELTAS_AS_THEY_CAME),
    ("two frames change places", "langgraph", "stream"): StreamOutcome(note=DELTAS_AS_THEY_CAME),
}


def outcome_of_stream(fault: str, provider: str, operation: str) -> StreamOutcome:
    """The outcome of a fault of the first connection."""
    return _OWN.get((fault, provider, operation), STREAMS[fault])


def read_table() -> str:
    """Fault, outcome and requests of a read."""
    rows = [[fault, each.text(writes=False), str(each.tries(repeatable=True))] for fault, each in CALLS.items()]
    return _lines([["fault", "outcome", "tries"], *rows])


def write_table() -> str:
    """Fault, outcome and requests of a write, without and with an idempotency key."""
    rows = [
        [fault, each.text(writes=True), *(str(each.tries(repeatable=keyed)) for keyed in (False, True))]
        for fault, each in CALLS.items()
    ]
    keyed = ", ".join(name for name, keyed in KEYED_WRITES.items() if keyed)
    return _lines([["fault", "outcome", "tries", f"tries: {keyed}"], *rows])


def stream_table() -> str:
    """Fault and outcome of a turn or a stream whose first connection has it."""
    return _lines([["fault", "outcome"], *([fault, _stream_cell(fault)] for fault in STREAMS)])


def _stream_cell(fault: str) -> str:
    """The most frequent outcome, then the others, each with its providers."""
    names: dict[str, list[str]] = {}
    for name in RESUMING:
        run, stream = (outcome_of_stream(fault, name, operation).text() for operation in ("run", "stream"))
        labels = {name: run} if run == stream else {f"{name}, `run`": run, f"{name}, `stream`": stream}
        for label, outcome in labels.items():
            names.setdefault(outcome, []).append(label)
    most, *others = sorted(names, key=lambda outcome: -len(names[outcome]))
    return "<br>".join([most, *(f"**{'; '.join(names[each])}**: {each}" for each in others)])


def frame_table() -> str:
    """Message by provider: the frames of the turn."""
    rows = [[f"`{said}`", *(str(frames[name]) for name in RESUMING)] for said, frames in FRAMES.items()]
    return _lines([["message", *RESUMING], *rows])


def border_table() -> str:
    """Message by end of the connection: the borders that are tried without `--stress`."""
    tried = {1: "each place", 3: "every third", 24: "one"}
    rows = [[f"`{said}`", *(tried[BORDERS[said, end]] for end in ENDS)] for said in FRAMES]
    return _lines([["message", *ENDS], *rows])


def gap_table() -> str:
    """Provider by what a gap may cost."""
    rows = [[name, ", ".join(f"`{each}`" for each in GAPS[name]) or "none"] for name in RESUMING]
    return _lines([["provider", "events that a gap may remove"], *rows])


def reopening_table() -> str:
    """Fault and outcome of a stream whose second connection has it."""
    return _lines([["fault", "outcome"], *([fault, each.text()] for fault, each in REOPENED.items())])


def _lines(rows: list[list[str]]) -> str:
    """A table; the first row is its head."""
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *others])
