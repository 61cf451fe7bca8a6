"""Tapes: what a client and a real service said to each other around a live stream, with the time of each chunk.

A cassette joins the chunks of a stream and forgets their times, and cannot hold a stream without an end. A tape is a
file of JSON lines. The first is a header, the others are in the order in which they happened, `ms` after the beginning:

    {"provenance": {...}, "settings": {"user_id": "..."}, "ids": {"session": "..."}}
    {"ms": 2, "request": {"method", "path", "headers", "body"}, "response": {"status", "headers", "body"}}
    {"ms": 5, "request": {...}, "response": {...}, "stream": true}       a stream was opened: there is no body
    {"ms": 9, "base64": "..."}                                           a chunk of the stream that was opened last
    {"ms": 40, "end": "client"}                                          who ended it: `client` or `server`

To record, put a `TapeRecorder` between a client and the service, and save what it heard:

    with TapeRecorder(service_url) as recorder:
        client = Client("agentscope", base_url=recorder.base_url, user_id=user_id)
        ...                                            # any calls; one stream at a time
    tape = recorder.tape(provenance, scrubber, settings={"user_id": user_id}, ids={"session": session.id})
    write_tape(path, tape)                             # refuses what is not fit to be stored

To play, let the same client talk to a `TapePlayer(read_tape(path))`; or feed `tape.streams()` to a `StreamReader`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import pytest
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tools.recordings import guard
from tools.recordings.allowed import REQUEST_HEADERS, RESPONSE_HEADERS
from tools.recordings.provenance import BadEvidence, Provenance
from tools.recordings.scrubbing import Scrubber

T = TypeVar("T", bound=Callable[..., None])


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TapedRequest(_Line):
    """What the client asked. `path` has the query; `body` is JSON, or text that is none."""

    method: str
    path: str
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None


class TapedResponse(_Line):
    """What the service answered. A stream has no `body`: its chunks follow."""

    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None


class Exchange(_Line):
    """A request with its answer, `ms` after the beginning; `stream` tells that chunks follow."""

    ms: int
    request: TapedRequest
    response: TapedResponse
    stream: bool = False


class Chunk(_Line):
    """Bytes of the stream that was opened last, as they came from the socket."""

    ms: int
    base64: Base64Bytes


class End(_Line):
    """The stream that was opened last is over: the client left, or the server ended it."""

    ms: int
    end: Literal["client", "server"]


Entry = Exchange | Chunk | End
_ENTRY: Final[TypeAdapter[Entry]] = TypeAdapter(Annotated[Entry, Field(union_mode="left_to_right")])


class _Header(_Line):
    provenance: Provenance
    settings: dict[str, str] = Field(default_factory=dict)
    ids: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Tape:
    """One conversation around a live stream.

    Attributes:
        provenance: Where it comes from.
        entries: What happened, in order.
        settings: Settings of the client that it was recorded with, without secrets and without `base_url`.
        ids: Ids that who plays it needs, by a name of its own choice, such as `session`.
    """

    provenance: Provenance
    entries: tuple[Entry, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def exchanges(self) -> list[Exchange]:
        """The requests with their answers, those that opened a stream among them."""
        return [entry for entry in self.entries if isinstance(entry, Exchange)]

    def streams(self) -> list[list[bytes]]:
        """The chunks of each stream."""
        found: list[list[bytes]] = []
        for entry in self.entries:
            if isinstance(entry, Exchange) and entry.stream:
                found.append([])
            elif isinstance(entry, Chunk):
                found[-1].append(entry.base64)
        return found

    def lines(self) -> Iterator[str]:
        """The lines of its file."""
        header = {"provenance": self.provenance.to_body(), "settings": dict(self.settings), "ids": dict(self.ids)}
        yield json.dumps(header, ensure_ascii=False)
        for entry in self.entries:
            if isinstance(entry, Chunk):
                yield json.dumps({"ms": entry.ms, "base64": base64.b64encode(entry.base64).decode()})
            else:
                yield json.dumps(entry.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)

    def problems(self) -> list[str]:
        """What must not be stored, for whoever may see it."""
        backend = self.provenance.backend
        found = [
            problem for text in (*self.settings.values(), *self.ids.values()) for problem in guard.suspicions(text)
        ]
        for exchange in self.exchanges:
            request, response = exchange.request, exchange.response
            problems = [
                *guard.request_problems(backend, request.headers, request.path, _as_text(request.body)),
                *guard.response_problems(backend, response.headers, _as_text(response.body)),
            ]
            found += [f"{request.method} {request.path}: {problem}" for problem in problems]
        for stream in self.streams():
            found += [f"the stream: {problem}" for problem in guard.stream_problems(backend, b"".join(stream))]
        return found

    def scrubbed(self, scrubber: Scrubber) -> Self:
        """The same without what must not be stored. In chunks only known texts are replaced: they keep their cuts."""
        return type(self)(
            self.provenance, tuple(_scrubbed(entry, scrubber) for entry in self.entries), self.settings, self.ids
        )


def tape(name: str) -> Callable[[T], T]:
    """Decorates the one test that plays a tape, named by its place under `cassettes/`."""
    return pytest.mark.tape(name)


def _as_text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)


def _scrubbed(entry: Entry, scrubber: Scrubber) -> Entry:
    if isinstance(entry, Chunk):
        return Chunk.model_construct(ms=entry.ms, base64=scrubber.swap(entry.base64))
    if isinstance(entry, End):
        return entry
    request, response = entry.request, entry.response
    return entry.model_copy(
        update={
            "request": TapedRequest(
                method=request.method,
                path=scrubber.address(request.path).removeprefix(scrubber.address("")),
                headers=scrubber.headers(request.headers, REQUEST_HEADERS),
                body=scrubber.value(request.body),
            ),
            "response": TapedResponse(
                status=response.status,
                headers=scrubber.headers(response.headers, RESPONSE_HEADERS),
                body=scrubber.value(response.body),
            ),
        }
    )


def write_tape(path: Path, tape: Tape) -> None:
    """Write a tape.

    Raises:
        BadEvidence: It is not fit to be stored; nothing was written.
    """
    found = tape.problems()
    if found:
        raise BadEvidence("not fit to be stored: " + "; ".join(dict.fromkeys(found)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in tape.lines()), encoding="utf-8")


def read_tape(path: Path) -> Tape:
    """Read a tape.

    Raises:
        BadEvidence: It has no valid header, or a line is none of a tape.
    """
    first, *others = path.read_text(encoding="utf-8").splitlines() or [""]
    try:
        header = _Header.model_validate_json(first)
        entries = tuple(_ENTRY.validate_json(line) for line in others)
    except ValidationError as error:
        raise BadEvidence(f"{path.name} is no tape: {error}") from error
    return Tape(header.provenance, entries, header.settings, header.ids)
