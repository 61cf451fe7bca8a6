"""Checks the language of docstrings, comments and messages: `python -m tools.words`.

`PRIVATE_WORDS` are words and phrases whose meaning a reader must guess, with plain replacements. Text in backticks is
not checked. Pages of prose are checked as a whole.

`python -m tools.words PATH ...` checks only these files. `RECORDED` are texts of recordings, which cannot change.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_ABOUT_WORDS: Final = (Path(__file__), ROOT / "tests/repository/test_words.py")
RECORDED: Final = frozenset({"Mends what is broken", "a stranger", "agent nobody not found"})

PRIVATE_WORDS: Final = {
    r"told|tells|untold": "delivered, reported, passed",
    r"said": "sent, written, stated",
    r"anew": "again",
    r"heed(s|ed|ing)?": "honour, follow",
    r"whoever|whosoever": "name the actor",
    r"usual": "common, default",
    r"look(s|ed|ing)? on": "observe",
    r"those who|somebody|someone who": "name the actor: the caller, the user, a client",
    r"go(es)? on|going on|went on|gone on": "continue",
    r"nobody|nothing of it": "no caller, none",
    r"of which": "use a second sentence",
    r"(which|that|who) (is|are) (?-i:none)|is (?-i:none)": "say what it is",
    r"made when": "created at",
    r"comes? to|came to": "results in",
    r"as it (is|was) told": "as requested, as scripted",
    r"brok(e|en) off|breaks? off": "interrupted",
    r"struck out|strikes? out": "redacted",
    r"mend(s|ed|ing)?": "fix, repair",
    r"twins?": "counterpart, sync and async version",
    r"live(s|d)? through": "run, go through",
    r"put away": "archived",
    r"at hand": "available",
    r"taken up|takes? up": "resumed",
    r"without further ado": "automatically",
    r"stranger'?s?": "third party, unknown user",
    r"bad faith|means? harm": "malicious",
    r"rooms? of (its|their) own": "separate module",
    r"yardsticks?": "baseline",
    r"(left|leaves?) no trace": "is not stored",
    r"(comes?|came) to rest": "ends, is stored",
}
"""Patterns of private words, in lower case, with their replacements."""

_PATTERN: Final = re.compile(
    "|".join(rf"(?P<w{number}>\b(?:{word})\b)" for number, word in enumerate(PRIVATE_WORDS)), re.IGNORECASE
)
_OPENING: Final = re.compile(r"(What|Who|Whose)\b(?!.*\?)")
"""A docstring begins with a verb or a noun, never with `What ...`."""
_CODE: Final = re.compile(r"```.*?```|`[^`]*`|\bYou said:|\bsaid: ", re.DOTALL | re.IGNORECASE)
"""Text that is not prose: code, and the answers of the emulators' agent."""


@dataclass(frozen=True, order=True)
class Finding:
    """A private word in a file."""

    path: str
    line: int
    word: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r}: {self.advice}"


def files() -> list[Path]:
    """Return the Python files and pages of the repository, except this module and its test."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.md"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.splitlines())
    return [path for path in paths if path.is_file() and path not in _ABOUT_WORDS]


def findings(path: Path) -> Iterator[Finding]:
    """Yield the private words in a Python file or a page of prose."""
    shown = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    source = path.read_text(encoding="utf-8")
    for line, text in _texts(source) if path.suffix == ".py" else [(1, source)]:
        for at, word, advice in _private(text):
            yield Finding(shown, line + at, word, advice)
    if path.suffix == ".py":
        for line, docstring in _docstrings(source):
            if opening := _OPENING.match(docstring):
                yield Finding(shown, line, opening.group(), "begin with a verb or a noun")


def _private(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line within a text, the word and its replacement for each private word."""
    prose = _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code.group()), text)
    advice = list(PRIVATE_WORDS.values())
    for match in _PATTERN.finditer(prose):
        yield prose.count("\n", 0, match.start()), match.group(), advice[int(str(match.lastgroup)[1:])]


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments, docstrings and messages, each with the number of its first line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_prose(node.value):
            yield node.lineno, node.value


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the docstrings with their lines, those of attributes and constants too."""
    for node in ast.walk(ast.parse(source)):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def _is_prose(text: str) -> bool:
    return " " in text and text not in RECORDED


def main(arguments: list[str]) -> int:
    """Print the findings. Returns the exit code."""
    paths = [Path(name).resolve() for name in arguments] or files()
    wrong = [str(found) for path in paths for found in sorted(findings(path))]
    print("\n".join([*wrong, f"{len(wrong)} findings" if wrong else "no private words"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
