"""Tapes as evidence: recorded, redacted, and checked before they are stored.

A test that is decorated with `@tape("<backend>/streams/<name>.jsonl")` replays that file through both clients.
`nox -s record -- <backend>` runs it with the real service and writes the file again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from pydantic import ValidationError

from polysession.testing import Tape, TapeError, TapeFile
from polysession.testing import read_tape as read_file
from polysession.testing.tape_file import Body, Entry, Exchange, TapedRequest, TapedResponse, packed, unpacked
from tools.recordings import guard
from tools.recordings.allowed import REQUEST_HEADERS, RESPONSE_HEADERS
from tools.recordings.provenance import BadEvidence, Provenance
from tools.recordings.scrubbing import Scrubber

T = TypeVar("T", bound=Callable[..., None])


class Source(Protocol):
    """A running service that is recorded."""

    def provenance(self) -> Provenance:
        """Return the header of a recording of today."""

    def scrubber(self) -> Scrubber:
        """Return the redaction for this source."""


def tape(name: str) -> Callable[[T], T]:
    """Return a decorator for the single test that replays a tape.

    The name is its path under `cassettes/`.
    """
    return pytest.mark.tape(name)


def read_tape(path: Path) -> TapeFile:
    """Read a tape.

    Raises:
        BadEvidence: The file is not a tape, or has no valid provenance.
    """
    try:
        file = read_file(path)
        provenance_of(file)
    except (TapeError, ValidationError) as error:
        raise BadEvidence(f"{path.name} is not a valid tape: {error}") from error
    return file


def write_tape(path: Path, file: TapeFile) -> None:
    """Write a tape.

    Raises:
        BadEvidence: It has content that must not be stored. Nothing was written.
    """
    found = problems_of(file)
    if found:
        raise BadEvidence("must not be stored: " + "; ".join(dict.fromkeys(found)))
    file.write(path)


@contextlib.contextmanager
def recorded_tape(path: Path, source: Source, workdir: Path) -> Iterator[Tape]:
    """Record a tape of a source while the context is open, and store it redacted.

    Raises:
        BadEvidence: It has content that must not be stored. Nothing was written.
        TapeError: See `Tape`.
    """
    new, scrubber = workdir / path.name, source.scrubber()
    with Tape(
        new,
        mode="rewrite",
        keep_headers=RESPONSE_HEADERS,
        match_headers=REQUEST_HEADERS,
        replace=scrubber.replacements,
        provenance=source.provenance().to_body(),
    ) as tape:
        yield tape
    write_tape(path, scrubbed(read_tape(new), scrubber))


def provenance_of(file: TapeFile) -> Provenance:
    """Return the header of a recording, which is in the first line of a tape."""
    return Provenance.model_validate(file.header.provenance)


def problems_of(file: TapeFile) -> list[str]:
    """Return the problems of a tape: content that must not be stored."""
    backend = provenance_of(file).backend
    found = list(guard.suspicions(file.header.model_dump_json(exclude={"provenance"})))
    for exchange in file.exchanges:
        request, response = exchange.request, exchange.response
        problems = [*guard.request_problems(backend, request.headers, request.target, _text(request.body))]
        if response is not None:
            problems += guard.response_problems(backend, response.headers, _text(response.body))
        found += [f"{request.method} {request.target}: {problem}" for problem in problems]
    for chunks in file.streams().values():
        found += [f"the stream: {problem}" for problem in guard.stream_problems(backend, b"".join(chunks))]
    return found


def scrubbed(file: TapeFile, scrubber: Scrubber) -> TapeFile:
    """Return a redacted tape.

    Its chunks do not change: the recording has already replaced known texts in them.
    """
    return TapeFile(file.header, tuple(_scrubbed(entry, scrubber) for entry in file.entries))


def _scrubbed(entry: Entry, scrubber: Scrubber) -> Entry:
    if not isinstance(entry, Exchange):
        return entry
    request, response = entry.request, entry.response
    clean = TapedRequest(
        method=request.method,
        target=scrubber.address(request.target).removeprefix(scrubber.address("")),
        headers=scrubber.headers(request.headers, REQUEST_HEADERS),
        body=_scrubbed_body(request.body, scrubber),
    )
    answer = response and TapedResponse(
        status=response.status,
        headers=scrubber.headers(response.headers, RESPONSE_HEADERS),
        body=_scrubbed_body(response.body, scrubber),
    )
    return entry.model_copy(update={"request": clean, "response": answer})


def _scrubbed_body(body: Body | None, scrubber: Scrubber) -> Body | None:
    return None if body is None else packed(scrubber.body(unpacked(body)))


def _text(body: Body | None) -> str:
    return unpacked(body).decode("utf-8", errors="replace")
