"""The file of a tape: JSON lines in chronological order.

    {"tape": 1, "clients": {"acme": {"base_url": "https://tape.invalid/v1"}}, "values": {...}, "provenance": {...}}
    {"random": "0f3c..."}                                          a random id was drawn
    {"ms": 2, "took_ms": 4, "request": {...}, "response": {...}}   a request with its response
    {"ms": 9, "request": {...}, "response": {...}, "stream": 1}    a response that is a stream: its chunks follow
    {"ms": 12, "stream": 1, "text": "data: ..."}                   a chunk of stream 1
    {"ms": 40, "stream": 1, "end": "client"}                       the end of stream 1, and who caused it

`ms` is the time in milliseconds since the beginning. A body is `{"json": ...}`, `{"text": ...}` or `{"base64": ...}`.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from polysession.errors import UsageError

Body: TypeAlias = Mapping[Literal["json", "text", "base64"], Any]


class TapeError(UsageError):
    """A tape cannot be read, recorded or stored; the message states the reason."""


class TapeLine(BaseModel):
    """One line of a tape."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class TapeHeader(TapeLine):
    """The first line.

    Attributes:
        tape: Version of the format.
        clients: Settings of the recorded clients by provider, without secrets. From a base URL without TLS, such as one
            on this machine, only the path is stored.
        values: Values that exist only in the recording; see `Tape.remember`.
        provenance: Date and source of the recording.
    """

    tape: Literal[1] = 1
    clients: dict[str, dict[str, Any]] = Field(default_factory=dict)
    values: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)


class RandomId(TapeLine):
    """A random id that the client made."""

    random: str


class TapedRequest(TapeLine):
    """A request. `target` is its path with the query."""

    method: str
    target: str
    headers: dict[str, str] = Field(default_factory=dict)
    body: Body | None = None


class TapedResponse(TapeLine):
    """A response. The response of a stream has no body."""

    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    body: Body | None = None


class Exchange(TapeLine):
    """A request with its response, or with the class of the httpx error that came instead."""

    ms: int
    took_ms: int = 0
    request: TapedRequest
    response: TapedResponse | None = None
    error: str | None = None
    stream: int | None = None


class Chunk(TapeLine):
    """Received bytes of a stream: as text, or in base64 if they are not text."""

    ms: int
    stream: int
    text: str | None = None
    base64: str | None = None

    @classmethod
    def of(cls, data: bytes, *, ms: int, stream: int) -> Self:
        """Return a chunk of these bytes."""
        body = packed(data, as_json=False) or {"text": ""}
        return cls(ms=ms, stream=stream, text=body.get("text"), base64=body.get("base64"))

    @property
    def data(self) -> bytes:
        """The bytes."""
        return unpacked({"text": self.text} if self.text is not None else {"base64": self.base64})


class End(TapeLine):
    """The end of a stream: the client left, the server ended it, or httpx raised the error in `error`."""

    ms: int
    stream: int
    end: Literal["client", "server", "error"]
    error: str | None = None


Entry: TypeAlias = RandomId | Exchange | Chunk | End
_ENTRY: Final[TypeAdapter[Entry]] = TypeAdapter(Entry)


def packed(data: bytes, *, as_json: bool = True) -> Body | None:
    """Return the bytes of a body in the form that a tape stores; None for no bytes.

    A body is stored as JSON if this loses nothing: its numbers keep their digits, and no key occurs twice.
    """
    if not data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    if as_json:
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(text)
            if _exact(text) == _exact(unpacked({"json": value}).decode()):
                return {"json": value}
    return {"text": text}


def unpacked(body: Body | None) -> bytes:
    """Return the bytes of a stored body."""
    match body:
        case {"json": value}:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        case {"text": str(text)}:
            return text.encode()
        case {"base64": str(text)}:
            return base64.b64decode(text)
    return b""


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=list)


@dataclass(frozen=True)
class TapeFile:
    """The content of a tape.

    Attributes:
        header: The first line.
        entries: The other lines.
    """

    header: TapeHeader
    entries: tuple[Entry, ...] = field(repr=False)

    @property
    def exchanges(self) -> list[Exchange]:
        """The requests with their responses."""
        return [entry for entry in self.entries if isinstance(entry, Exchange)]

    def streams(self) -> dict[int, list[bytes]]:
        """The chunks of each stream, by its number."""
        found: dict[int, list[bytes]] = {each.stream: [] for each in self.exchanges if each.stream is not None}
        for entry in self.entries:
            if isinstance(entry, Chunk):
                found[entry.stream].append(entry.data)
        return found

    def lines(self) -> Iterator[str]:
        """The lines of the file."""
        for line in (self.header, *self.entries):
            values = line.model_dump(mode="json", exclude_defaults=not isinstance(line, TapeHeader))
            yield json.dumps(values, ensure_ascii=False)

    def write(self, path: Path) -> None:
        """Write the file, and the folders that it needs."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in self.lines()), encoding="utf-8")


def read_tape(path: Path) -> TapeFile:
    """Read a tape.

    Raises:
        TapeError: The file does not exist, has another version, or contains an invalid line.
    """
    try:
        first, *others = path.read_text(encoding="utf-8").split("\n")
        header = TapeHeader.model_validate_json(first)
        return TapeFile(header, tuple(_ENTRY.validate_json(line) for line in others if line))
    except OSError as error:
        raise TapeError(f"the tape {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise TapeError(f"{path} is not a tape of version 1: {error}") from error
