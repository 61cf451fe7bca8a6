"""The files under `cassettes/`, the tests that replay them, and their problems."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from polysession.testing.agents import AgentContract
from polysession.testing.lists import ListContract
from polysession.testing.sessions import SessionContract
from polysession.testing.updates import UpdateContract
from tools.recordings import guard, tapes
from tools.recordings.cassettes import problems_of, read_provenance
from tools.recordings.provenance import CASSETTES, BadEvidence, Provenance

NAMED: Final = ("tape", "default_cassette")
"""Marks that name the file that a test replays."""

NOT_RECORDED_YET: Final = ("qoder/recorded/session.yaml", "qoder/streams/plain.jsonl")
"""Files that have a test but are not recorded yet, because a token is missing. Remove a file once it is recorded."""

THEMES: Final = (AgentContract, ListContract, SessionContract, UpdateContract)
"""Classes of the contract suite that can be replayed from cassettes."""

_COUNTS: Final = re.compile("(<!-- counts:begin -->).*(<!-- counts:end -->)", re.DOTALL)
_DECORATORS: Final = frozenset({"cassette", "tape"})


def source_of(name: str) -> str | None:
    """Return the source of a file for `nox -s record`; None for a documented exchange."""
    backend, kind, file = PurePosixPath(name).parts
    if kind == "documented":
        return None
    return f"{backend}-legacy" if file.startswith("legacy_") else backend


def files(root: Path = CASSETTES) -> list[Path]:
    """Return all recordings: every file in the folder except its README."""
    return sorted(path for path in root.rglob("*") if path.is_file() and path != root / "README.md")


def played_by(tests: Path) -> dict[str, list[str]]:
    """Return the tests that replay each file.

    They are found in the source, whichever tests run.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        is_about_files = "cassettes: ClassVar" in source or any(f"@{name}(" in source for name in _DECORATORS)
        for node in ast.parse(source).body if is_about_files else ():
            for name, test in _played(node):
                found.setdefault(name, []).append(f"{path.name}::{test}")
    return found


def _played(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield the files that a test or a contract class replays, each with the test's name."""
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
        for name in _named(node):
            yield name, node.name
    if isinstance(node, ast.ClassDef):
        prefix = next(_prefixes(node), None)
        themes = {base.id for base in node.bases if isinstance(base, ast.Name)}
        tests = {test for theme in THEMES if theme.__name__ in themes for test in dir(theme)}
        for path in CASSETTES.glob(f"{prefix}*") if prefix else ():
            name = str(path.relative_to(CASSETTES).as_posix())
            test = name.removeprefix(prefix or "").removesuffix(".yaml").partition("-")[0]
            if test in tests:
                yield name, f"{node.name}::{test}"


def _prefixes(node: ast.ClassDef) -> Iterator[str]:
    """Yield the folder and prefix of a contract class's cassettes.

    The class has `cassettes: ClassVar[str] = "..."`.
    """
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id="cassettes"), value=ast.Constant(value=str(prefix))):
                yield prefix


def _named(function: ast.FunctionDef) -> Iterator[str]:
    for decorator in function.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(file))]) if name in _DECORATORS:
                yield file


def read_header(path: Path) -> Provenance:
    """Return the header of a file.

    Raises:
        BadEvidence: The header is missing or invalid, or the file is neither a cassette nor a tape.
    """
    if path.suffix == ".jsonl":
        return tapes.provenance_of(tapes.read_tape(path))
    if path.suffix == ".yaml":
        return read_provenance(_document(path))
    raise BadEvidence(f"{path.name} is neither a cassette (.yaml) nor a tape (.jsonl)")


def problems_in(path: Path) -> list[str]:
    """Return the problems of a file: of its header, its folder, and its content."""
    try:
        provenance = read_header(path)
    except BadEvidence as error:
        return [str(error)]
    found = (
        [] if provenance.fits(path) else [f"is in the wrong folder: it is {provenance.kind} of {provenance.backend}"]
    )
    if path.suffix == ".jsonl":
        return found + tapes.problems_of(tapes.read_tape(path))
    document = _document(path)
    header = [problem for value in document["provenance"].values() for problem in guard.suspicions(str(value))]
    return found + header + problems_of(document)


def _document(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def table(root: Path = CASSETTES) -> str:
    """Return the table of the README: number of files and versions, by backend and kind."""
    found: dict[str, dict[str, list[Provenance]]] = {}
    for path in files(root):
        backend, kind = path.relative_to(root).parts[:2]
        found.setdefault(backend, {}).setdefault(kind, []).append(read_header(path))
    rows = ["| backend | recorded | documented | streams | from |", "|---|---|---|---|---|"]
    for backend, kinds in sorted(found.items()):
        counts = " | ".join(str(len(kinds.get(kind, ()))) for kind in ("recorded", "documented", "streams"))
        versions = {header.version for headers in kinds.values() for header in headers}
        rows.append(f"| {backend} | {counts} | {', '.join(sorted(versions))} |")
    return "\n".join(rows)


def page(root: Path = CASSETTES) -> str:
    """Return the text of the README with the current table."""
    text = (root / "README.md").read_text(encoding="utf-8")
    return _COUNTS.sub(lambda marks: f"{marks[1]}\n{table(root)}\n{marks[2]}", text)
