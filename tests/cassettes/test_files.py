"""Each file of evidence has a header, is scrubbed, and is played by a test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException

from polysession.testing import Tape, TapeMismatch
from tools.recordings import inventory
from tools.recordings.cassettes import playing
from tools.recordings.provenance import CASSETTES, BadEvidence

TESTS = Path(__file__).parents[1]
FILES = inventory.files()
A_CASSETTE = CASSETTES / "agentscope/recorded/session.yaml"
A_TAPE = CASSETTES / "agentscope/streams/plain.jsonl"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CASSETTES)))
def test_a_file_has_a_valid_header_and_nothing_that_must_not_be_stored(path: Path) -> None:
    assert inventory.problems_in(path) == []


def test_each_file_is_played_by_one_test_and_each_played_file_exists() -> None:
    played = inventory.played_by(TESTS)
    there = {str(path.relative_to(CASSETTES)) for path in FILES}
    assert sorted(there - played.keys()) == [], "orphans: no test plays them"
    assert sorted(played.keys() - there) == sorted(inventory.NOT_RECORDED_YET), "a test plays what is not there"
    assert {name: tests for name, tests in played.items() if len(tests) > 1} == {}


def test_the_page_counts_the_files() -> None:
    written = (CASSETTES / "README.md").read_text(encoding="utf-8")
    assert written == inventory.page(), "write it again: python -m tools.recordings"


# --- The checks themselves fail when they should


def change(path: Path, edit: Callable[[Any], object]) -> None:
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    edit(document)
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper), encoding="utf-8")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    target = tmp_path / "agentscope/recorded/session.yaml"
    target.parent.mkdir(parents=True)
    return Path(shutil.copy(A_CASSETTE, target))


@pytest.fixture
def copied_tape(tmp_path: Path) -> Path:
    target = tmp_path / "agentscope/streams/plain.jsonl"
    target.parent.mkdir(parents=True)
    return Path(shutil.copy(A_TAPE, target))


def test_an_orphan_is_found(tmp_path: Path) -> None:
    played = '@cassette("acme/recorded/played.yaml")\ndef test_it(): ...\n'
    orphan = 'def helper():\n    cassette("acme/recorded/orphan.yaml")\n'
    (tmp_path / "test_it.py").write_text(played + orphan, encoding="utf-8")
    assert inventory.played_by(tmp_path) == {"acme/recorded/played.yaml": ["test_it.py::test_it"]}


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda document: document.pop("provenance"), "has no provenance"),
        (lambda document: document["provenance"].pop("version"), "version\n  Field required"),
        (lambda document: document["provenance"].pop("make_again"), "must begin with"),
        (lambda document: document["provenance"].update(kind="emulated"), "'recorded' or 'documented'"),
        (lambda document: document["provenance"].update(kind="documented"), "needs `sources`"),
        (lambda document: document["provenance"].update(date="2999-01-01"), "in the future"),
        (lambda document: document["provenance"].update(wrong="x"), "Extra inputs"),
        (
            lambda document: document["provenance"].update(backend="qoder", make_again="nox -s record -- qoder"),
            "is in the wrong folder: it is recorded of qoder",
        ),
    ],
)
def test_a_wrong_header_is_found(copied: Path, edit: Callable[[Any], object], problem: str) -> None:
    change(copied, edit)
    assert problem in "; ".join(inventory.problems_in(copied))


def answer_of(document: Any) -> Any:
    return document["interactions"][0]["response"]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda d: answer_of(d)["headers"].update({"set-cookie": ["a=b"]}), "header 'set-cookie' is not listed"),
        (lambda d: d["interactions"][0]["request"]["headers"].update(authorization=["Bearer x"]), "is not redacted"),
        (lambda d: answer_of(d)["body"].update(string='{"api_key": "x"}'), "key 'api_key' of the body is not listed"),
        (lambda d: answer_of(d)["body"].update(string='{"id": "pt-0123456789"}'), "id has a token, 'pt-012345678'"),
        (lambda d: answer_of(d)["body"].update(string='{"cwd": "/home/me/x"}'), "cwd has a path of a host"),
        (lambda d: answer_of(d)["body"].update(string='{"id": {"/home/me": 1}}'), "a key of id has a path of a host"),
        (lambda d: answer_of(d)["body"].update(string="at /Users/me/.ssh"), "a path of a host"),
        (lambda d: d["interactions"][0]["request"].update(uri="http://127.0.0.1:8101/a"), "an address of this machine"),
        (lambda d: d["interactions"][0]["request"].update(uri="http://a.test/?key=x"), "key 'key' of the query"),
        (lambda d: d["provenance"].update(note="with sk-abcdefgh12"), "a token"),
    ],
)  # fmt: skip
def test_an_unscrubbed_file_is_found(copied: Path, edit: Callable[[Any], object], problem: str) -> None:
    change(copied, edit)
    assert problem in "; ".join(inventory.problems_in(copied))


def test_an_unscrubbed_chunk_is_found_across_its_cuts(copied_tape: Path) -> None:
    lines = copied_tape.read_text(encoding="utf-8").splitlines()
    parts = ('data: {"text": "/hom', 'e/me/x"}\n\n')
    cut = [json.dumps({"ms": 1, "stream": 1, "text": part}) for part in parts]
    copied_tape.write_text("\n".join([*lines[:3], *cut, *lines[3:]]), encoding="utf-8")
    assert inventory.problems_in(copied_tape) == ["the stream: text has a path of a host, '/home/me/x'..."]


@pytest.mark.parametrize("name", ["notes.txt", "empty.jsonl", "empty.yaml"])
def test_what_is_no_evidence_is_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("", encoding="utf-8")
    assert inventory.files(tmp_path) == [path]
    assert inventory.problems_in(path) != []


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ({"json": {"name": "Another"}}, '"Another"} is sent, {"name": "Helper"} is recorded'),
        ({"json": {}}, '{} is sent, {"name": "Helper"} is recorded'),
        (
            {"headers": {"content-type": "application/json"}},
            "not sent, or sent with another value: {'accept': 'application/json'",
        ),
        ({"url": "http://anywhere.test/agents/"}, "'/agents/'.* is requested"),
        ({"url": "http://anywhere.test/agent/?limit=1"}, "'limit', '1'.* is requested"),
        ({"method": "PUT"}, "PUT != POST"),
    ],
)
def test_another_request_than_the_recorded_one_is_not_answered(
    copied: Path, edit: dict[str, Any], problem: str
) -> None:
    asked: dict[str, Any] = {"method": "POST", "url": "http://anywhere.test/agent/", "json": {"name": "Helper"}}
    asked |= {"headers": first_headers(copied)} | edit
    refused = pytest.raises(CannotOverwriteExistingCassetteException, match=problem.replace("{", "\\{"))
    with refused, playing(copied):
        httpx.request(**asked)


def test_a_half_played_cassette_is_found(copied: Path) -> None:
    with (
        pytest.raises(BadEvidence, match=r"not replayed whole: no request for GET .*/agent/; POST .*/sessions/"),
        playing(copied),
    ):
        httpx.post("http://anywhere.test/agent/", json={"name": "Helper"}, headers=first_headers(copied))


def first_headers(path: Path) -> dict[str, str]:
    headers = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["interactions"][0]["request"][
        "headers"
    ]
    return {name: values[0] for name, values in headers.items()}


def test_a_half_played_tape_is_found() -> None:
    with pytest.raises(TapeMismatch, match="did not make all requests of the tape"), Tape(A_TAPE):
        pass
