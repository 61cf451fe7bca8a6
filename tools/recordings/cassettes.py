"""Cassettes: vcrpy's files with a header that says where they come from, scrubbed, and matched by all that we send.

A test that is decorated with `@cassette("<backend>/recorded/<name>.yaml")` plays that file, and has to play it whole;
`nox -s record -- <backend>` runs the same test against the real service, and writes the file again. Without pytest,
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
"""The parts of a request that must equal the recorded one: vcrpy alone compares no body."""


def cassette(name: str) -> Callable[[T], T]:
    """Decorates the one test that plays a file, named by its place under `cassettes/`."""

    def mark(test: T) -> T:
        marked: T = pytest.mark.vcr(pytest.mark.default_cassette(name)(test))
        return marked

    return mark


class _Dumper(yaml.CSafeDumper):
    """Writes a text of several lines as a block."""


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


@dataclass(frozen=True)
class Serializer:
    """How vcrpy reads and writes our files.

    Attributes:
        provenance: Header of what is written; None where nothing may be.
    """

    provenance: Provenance | None = None

    def serialize(self, content: dict[str, Any]) -> str:
        """The file's text.

        Raises:
            BadEvidence: There is no header for it.
        """
        if self.provenance is None:
            raise BadEvidence("a cassette is written only with its provenance")
        for interaction in content["interactions"]:
            request, response = interaction["request"], interaction["response"]
            request["body"] = _readable(request["body"])
            response["body"]["string"] = _readable(response["body"]["string"])
        document = {"provenance": self.provenance.to_body(), **content}
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)

    def deserialize(self, text: str) -> dict[str, Any]:
        """The file's content.

        Raises:
            BadEvidence: Its header is missing or wrong.
        """
        document = yaml.load(text, Loader=yaml.CSafeLoader)
        read_provenance(document)
        return dict(document)


def read_provenance(document: Any) -> Provenance:
    """The header of a cassette.

    Raises:
        BadEvidence: It is missing or wrong.
    """
    if not isinstance(document, dict) or "provenance" not in document:
        raise BadEvidence("the file has no provenance")
    try:
        return Provenance.model_validate(document["provenance"])
    except ValidationError as error:
        raise BadEvidence(f"the file's provenance is wrong: {error}") from error


def problems_of(document: Mapping[str, Any]) -> list[str]:
    """Problems of a cassette's content."""
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
    """A body for people to read: JSON on many lines, anything else as it is."""
    text = str(body or "")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) and value else text


def target(ours: Request, recorded: Request) -> None:
    """Path and query are the same; where the service runs is not looked at."""
    asked, stored = (
        (urlsplit(request.uri).path, sorted(parse_qsl(urlsplit(request.uri).query, keep_blank_values=True)))
        for request in (ours, recorded)
    )
    assert asked == stored, f"{asked} is asked for, {stored} is recorded"


def kept_headers(ours: Request, recorded: Request) -> None:
    """Each recorded header is sent, with the same value."""
    missing = {name: value for name, value in recorded.headers.items() if ours.headers.get(name) != value}
    assert not missing, f"not sent, or not so: {missing}"


def json_body(ours: Request, recorded: Request) -> None:
    """The bodies are the same JSON, or the same bytes."""
    sent, stored = (_canonical(request.body) for request in (ours, recorded))
    assert sent == stored, f"{sent} is sent, {stored} is recorded"


def _canonical(body: Any) -> str:
    text = _text(body)
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def set_up(recorder: vcr.VCR, provenance: Provenance | None) -> None:
    """Teach vcrpy our format and what to match. `provenance` is the header of what it writes; None if it only reads."""
    recorder.register_serializer("yaml", Serializer(provenance))
    for matcher in (target, kept_headers, json_body):
        recorder.register_matcher(matcher.__name__, matcher)


def options(scrubber: Scrubber) -> dict[str, Any]:
    """How vcrpy is to match and to scrub; played requests are scrubbed as well, so that they can be compared.

    What is unfit to be stored in spite of that is refused where it happens, as an error of the call: vcrpy would not
    get over one while it saves.
    """

    def request(asked: Request) -> Request:
        clean = scrubber.request(asked)
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
        raise BadEvidence("not fit to be stored: " + "; ".join(found))


def _text(body: Any) -> str:
    return body.decode("utf-8", errors="replace") if isinstance(body, bytes) else str(body or "")


@contextlib.contextmanager
def recording(path: Path, provenance: Provenance, scrubber: Scrubber) -> Iterator[Any]:
    """Record into a new file what httpx exchanges while the context is open. Streams without an end have no place here.

    Raises:
        BadEvidence: What was recorded is not fit to be stored; nothing was written.
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
        BadEvidence: The file has no valid header, or was not played whole.
    """
    player = vcr.VCR(record_mode="none")
    set_up(player, None)
    backend = read_provenance(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)).backend
    with player.use_cassette(str(path), serializer="yaml", **options(Scrubber(backend))) as tape:
        yield tape
    check_played(tape)


def check_played(tape: Any) -> None:
    """See that each exchange of a cassette was played.

    Raises:
        BadEvidence: One was not.
    """
    left = [
        f"{request.method} {request.uri}" for index, request in enumerate(tape.requests) if not tape.play_counts[index]
    ]
    if left:
        raise BadEvidence(f"half-played: no request for {'; '.join(left)}")


def sent(tape: Any, method: str, path: str = "") -> list[Any]:
    """The JSON bodies of a cassette's requests of one method, to a path that ends so: what was sent, for it matched."""
    asked = [request for request in tape.requests if request.method == method]
    return [json.loads(request.body) for request in asked if urlsplit(request.uri).path.endswith(path)]


def refuse_emulator(base_url: str, path: Path) -> None:
    """See that what is stored among the evidence does not come from an emulator.

    Raises:
        BadEvidence: It does.
    """
    if not path.resolve().is_relative_to(CASSETTES.resolve()):
        return
    origin = httpx.URL(base_url).copy_with(path=CONTROL_PATH, query=None)
    with httpx.Client(trust_env=False) as http:
        answer = http.get(origin)
    if answer.is_success:
        raise BadEvidence(f"{base_url} is an emulator: what it answers is never stored as evidence")
