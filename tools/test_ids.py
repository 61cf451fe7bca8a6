"""Compares the tests of two checkouts by their ids, to find tests that disappeared.

`python -m tools.test_ids collect FILE` writes the ids of the normal run and of the nox sessions `stress` and
`stream_cuts`. `python -m tools.test_ids compare BEFORE AFTER [CHANGES]` lists the test functions that are gone or have
fewer parameter sets. A test with the same name in another file counts as moved. CHANGES lists intended changes, one on
each line: `OLD -> NEW` for a renamed test or file, and `OLD: reason` for a removed one. OLD and NEW are beginnings of
ids.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

RUNS: Final = {
    "normal": (),
    "stress": ("--stress",),
    "stream_cuts": ("tests/contract/test_cuts.py", "--every-byte"),
}
"""Arguments of pytest for the normal run and the nox sessions."""


def collected(*arguments: str) -> list[str]:
    """Return the ids that pytest collects.

    Raises:
        SystemExit: The collection failed.
    """
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own interpreter)
    if run.returncode:
        raise SystemExit(run.stdout[-2000:] + run.stderr[-2000:])
    return [line for line in run.stdout.splitlines() if "::" in line]


def functions(ids: Iterable[str]) -> Counter[str]:
    """Return each test function with the number of its parameter sets, over all runs."""
    return Counter(name.partition("[")[0] for name in set(ids))


def read_changes(lines: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the renames and the removals of a file of changes, by the beginning of the old id."""
    renamed, removed = {}, {}
    for line in lines:
        if " -> " in line:
            old, _, new = line.partition(" -> ")
            renamed[old.strip()] = new.strip()
        elif ": " in line:
            old, _, reason = line.partition(": ")  # ids contain colons, but never before a space
            removed[old.strip()] = reason.strip()
    return renamed, removed


def missing(
    before: Counter[str], after: Counter[str], renamed: dict[str, str], removed: dict[str, str]
) -> Iterator[str]:
    """Yield a line for each test function that is gone or has fewer parameter sets than before."""
    expected: Counter[str] = Counter()
    for name, count in before.items():
        if not any(name.startswith(old) for old in removed):
            expected[_new_name(name, renamed)] += count
    added = {_test(name): name for name in after if name not in expected}
    for name, count in sorted(expected.items()):
        if not after[name] and _test(name) in added:
            continue  # it moved to another file
        if not after[name]:
            yield f"gone: {name} ({count})"
        elif after[name] < count:
            yield f"fewer: {name} ({count} before, {after[name]} now)"


def _test(name: str) -> str:
    return name.rpartition("::")[2]


def _new_name(name: str, renamed: dict[str, str]) -> str:
    for old in sorted(renamed, key=len, reverse=True):
        if name.startswith(old):
            return renamed[old] + name.removeprefix(old)
    return name


def _ids_of(path: Path) -> list[str]:
    return [line.partition(" ")[2] for line in path.read_text(encoding="utf-8").splitlines()]


def main(arguments: list[str]) -> int:
    """Collect or compare. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.test_ids", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    collect = commands.add_parser("collect", help="write the ids of this checkout")
    collect.add_argument("file", type=Path)
    compare = commands.add_parser("compare", help="list missing tests")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    compare.add_argument("changes", type=Path, nargs="?")
    options = parser.parse_args(arguments)
    if options.command == "collect":
        found = [f"{run} {name}" for run, extra in RUNS.items() for name in collected(*extra)]
        options.file.write_text("\n".join(found) + "\n", encoding="utf-8")
        print(f"{len(found)} ids")
        return 0
    lines = options.changes.read_text(encoding="utf-8").splitlines() if options.changes else []
    before, after = functions(_ids_of(options.before)), functions(_ids_of(options.after))
    found = list(missing(before, after, *read_changes(lines)))
    print("\n".join([*found, f"{len(before)} test functions before, {len(after)} now, {len(found)} missing"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
