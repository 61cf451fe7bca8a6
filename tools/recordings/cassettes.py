"""Cassettes: vcrpy's files with a header about their origin.

They are redacted, and matched by all sent parts of a request.

A test that is decorated with `@cassette("<backend>/recorded/<name>.yaml")` replays that file, and must replay it whole.
`nox -s record -- <backend>` runs the same test with the real service and writes the file again. Without pytest,
`recording` and `playing` do the same.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import vcr
import yaml
from pydantic import ValidationError
from vcr.request import Request

from polysession.emulation.faults import CONTROL_PATH
from tools.recordings import guard
from tools.recordings.provenance import CASSETTES, BadEvidence, Provenance
from tools.recordings.scrubbing import Scrubber

T = TypeVar("T", bound=Callable[..., None])

MATCHED: Final = ("method", "target", "kept_headers", "json_body")
"""Parts of a request that must equal the recorded ones. By default, vcrpy does not compare bodies."""


def cassette(name: str) -> Callable[[T], T]:
    """Return a decorator for the single test that replays a cassette.

    The name is its path under `cassettes/`.
    """

    def mark(test: T) -> T:
        marked: T = pytest.mark.vcr(pytest.mark.default_cassette(name)(test))
        return marked

    return mark


class _Dumper(yaml.CSafeDumper):
    """Writes texts with several lines as blocks."""


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


@dataclass(frozen=True)
class Serializer:
    """Format of cassettes for vcrpy.

    Attributes:
        provenance: Header of the written files; None: files are only read.
    """

    provenance: Provenance | None = None

    def serialize(self, content: dict[str, Any]) -> str:
        """Return the text of a file.

        Raises:
            BadEvidence: There is no header.
        """
        if self.provenance is None:
            raise BadEvidence("the cassette has no provenance: pass one to set_up()")
        for interaction in content["interactions"]:
            request, response = interaction["request"], interaction["response"]
            request["body"] = _readable(request["body"])
            response["body"]["string"] = _readable(response["body"]["string"])
        document = {"provenance": self.provenance.to_body(), **content}
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)

    def deserialize(self, text: str) -> dict[str, Any]:
        """Return the content of a file.

        Raises:
            BadEvidence: Its header is missing or invalid.
        """
        document = yaml.load(text, Loader=yaml.CSafeLoader)
        read_provenance(document)
        return dict(document)


def read_provenance(document: Any) -> Provenance:
    """Return the header of a cassette.

    Raises:
        BadEvidence: It is missing or invalid.
    """
    if not isinstance(document, dict) or "provenance" not in document:
        raise BadEvidence("the file has no provenance")
    try:
        return Provenance.model_validate(document["provenance"])
    except ValidationError as error:
        raise BadEvidence(f"the file's provenance is invalid: {error}") from error


def problems_of(document: Mapping[str, Any]) -> list[str]:
    """Return the problems of a cassette's content."""
    backend = document["provenance"]["backend"]
    found: list[str] = []
    for exchange in document["interactions"]:
        request, response = exchange["request"], exchange["response"]
        problems = [
            *guard.request_problems(backend, request["headers"], request["uri"], request["body"] or ""),
            *guard.response_problems(backend, response["headers"], response["body"]["string"] or ""),
        ]
        found += [f"{request['method']} {request['uri']}: {problem}" for problem in problems]
    return found


def _readable(body: Any) -> str:
    """Return a body in readable form: JSON with line breaks, other text unchanged."""
    text = str(body or "")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) and value else text


def target(ours: Request, recorded: Request) -> None:
    """Check that path and query are the same. The host is not compared."""
    requested, stored = (
        (urlsplit(request.uri).path, sorted(parse_qsl(urlsplit(request.uri).query, keep_blank_values=True)))
        for request in (ours, recorded)
    )
    assert requested == stored, f"{requested} is requested, {stored} is recorded"


def kept_headers(ours: Request, recorded: Request) -> None:
    """Check that each recorded header is sent with the same value."""
    missing = {name: value for name, value in recorded.headers.items() if ours.headers.get(name) != value}
    assert not missing, f"not sent, or sent with another value: {missing}"


def json_body(ours: Request, recorded: Request) -> None:
    """Check that the bodies are the same JSON or the same text."""
    sent, stored = (_canonical(request.body) for request in (ours, recorded))
    assert sent == stored, f"{sent} is sent, {stored} is recorded"


def _canonical(body: Any) -> str:
    text = _text(body)
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def set_up(recorder: vcr.VCR, provenance: Provenance | None) -> None:
    """Register our format and matchers with vcrpy.

    `provenance` is the header of written files; None: read only.
    """
    recorder.register_serializer("yaml", Serializer(provenance))
    for matcher in (target, kept_headers, json_body):
        recorder.register_matcher(matcher.__name__, matcher)


def options(scrubber: Scrubber) -> dict[str, Any]:
    """Return vcrpy's options for matching and redaction.

    Replayed requests are redacted, too, for the comparison.

    Content that still must not be stored is an error of the call: vcrpy cannot handle an error while it saves.
    """

    def request(original: Request) -> Request:
        clean = scrubber.request(original)
        _refuse(guard.request_problems(scrubber.backend, clean.headers, clean.uri, _text(clean.body)))
        return clean

    def response(answer: dict[str, Any]) -> dict[str, Any]:
        clean = scrubber.response(answer)
        _refuse(guard.response_problems(scrubber.backend, clean["headers"], _text(clean["body"]["string"])))
        return clean

    return {
        "match_on": MATCHED,
        "before_record_request": request,
        "before_record_response": response,
        "decode_compressed_response": True,
        "record_on_exception": False,
    }


def _refuse(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        raise BadEvidence("must not be stored: " + "; ".join(found))


def _text(body: Any) -> str:
    return body.decode("utf-8", errors="replace") if isinstance(body, bytes) else str(body or "")


@contextlib.contextmanager
def recording(path: Path, provenance: Provenance, scrubber: Scrubber) -> Iterator[Any]:
    """Record exchanges of httpx into a new file while the context is open.

    Streams without an end are not supported.

    Raises:
        BadEvidence: The recording has content that must not be stored. Nothing was written.
    """
    path.unlink(missing_ok=True)
    recorder = vcr.VCR(record_mode="all")
    set_up(recorder, provenance)
    with recorder.use_cassette(str(path), serializer="yaml", **options(scrubber)) as tape:
        yield tape


@contextlib.contextmanager
def playing(path: Path) -> Iterator[Any]:
    """Answer httpx from a file while the context is open.

    Raises:
        BadEvidence: The file has no valid header, or was not replayed whole.
    """
    player = vcr.VCR(record_mode="none")
    set_up(player, None)
    backend = read_provenance(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)).backend
    with player.use_cassette(str(path), serializer="yaml", **options(Scrubber(backend))) as tape:
        yield tape
    check_played(tape)


def check_played(tape: Any) -> None:
    """Check that each exchange of a cassette was replayed.

    Raises:
        BadEvidence: One was not.
    """
    left = [
        f"{request.method} {request.uri}" for index, request in enumerate(tape.requests) if not tape.play_counts[index]
    ]
    if left:
        raise BadEvidence(f"not replayed whole: no request for {'; '.join(left)}")


def sent(tape: Any, method: str, path: str = "") -> list[Any]:
    """Return the JSON bodies of a cassette's requests of one method whose path has this ending."""
    requests = [request for request in tape.requests if request.method == method]
    return [json.loads(request.body) for request in requests if urlsplit(request.uri).path.endswith(path)]


def refuse_emulator(base_url: str, path: Path) -> None:
    """Check that a file to store under `cassettes/` does not come from an emulator.

    Raises:
        BadEvidence: The service at the URL is an emulator.
    """
    if not path.resolve().is_relative_to(CASSETTES.resolve()):
        return
    origin = httpx.URL(base_url).copy_with(path=CONTROL_PATH, query=None)
    with httpx.Client(trust_env=False) as http:
        answer = http.get(origin)
    if answer.is_success:
        raise BadEvidence(f"{base_url} is an emulator: its responses are never stored as evidence")
