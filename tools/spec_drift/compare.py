"""Differences between descriptions, and their table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeAlias

from tools.spec_drift.fingerprint import Fingerprint
from tools.spec_drift.ours import Known, Ours

EVENT_TYPES: Final = "event types"
ROUTES: Final = "routes"

Accepted: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]
"""Accepted names: by subject, side (`only theirs`, `only ours`) and reason.

A subject may be a pattern, such as `*Event`.
"""


@dataclass(frozen=True, order=True)
class Finding:
    """One difference.

    Attributes:
        backend: Name of the provider.
        source: The published source that changed; `ours` if our code differs from the stored version.
        subject: The object, the enum, `event types` or `routes`.
        what: `new`, `gone`, `changed`, `only theirs`, `only ours` or `accepted in vain` (no such difference).
        name: The field, value, type or route.
        detail: More information.
    """

    backend: str
    source: str
    subject: str
    what: str
    name: str
    detail: str = ""


def changes(backend: str, source: str, before: Fingerprint, now: Fingerprint) -> Iterator[Finding]:
    """Yield the differences between a source and its stored version."""
    if (before.source, before.version) != (now.source, now.version):
        yield Finding(backend, source, now.source, "changed", "version", f"{before.version} -> {now.version}")
    for subject in sorted({*before.objects, *now.objects}):
        old, new = before.objects.get(subject, {}), now.objects.get(subject, {})
        yield from _changed_names(backend, source, subject, old, new)
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                yield Finding(backend, source, subject, "changed", name, f"{old[name]} -> {new[name]}")
    for subject in sorted({*before.enums, *now.enums}):
        yield from _changed_names(backend, source, subject, before.enums.get(subject, ()), now.enums.get(subject, ()))
    yield from _changed_names(backend, source, EVENT_TYPES, before.event_types, now.event_types)
    yield from _changed_names(backend, source, ROUTES, before.routes, now.routes)


def gaps(ours: Ours, published: Iterable[Fingerprint], accepted: Accepted) -> Iterator[Finding]:
    """Yield names that only one side has, and accepted reasons that are not needed.

    A name with an accepted reason is left out.
    """
    reasons = [
        (subject, side, name, reason)
        for subject, sides in accepted.items()
        for side, groups in sides.items()
        for reason, names in groups.items()
        for name in names
    ]
    used = set()
    for finding in sorted(set(_gaps(ours, list(published)))):
        matching = {each for each in reasons if _accepts(each, finding)}
        used |= matching
        if not matching:
            yield finding
    for subject, side, name, reason in sorted(set(reasons) - used):
        yield Finding(ours.backend, "ours", subject, "accepted in vain", name, f"as {side}: {reason}")


def _accepts(acceptance: tuple[str, str, str, str], finding: Finding) -> bool:
    subject, side, name, reason = acceptance
    return fnmatchcase(finding.subject, subject) and (side, name) == (finding.what, finding.name) and bool(reason)


def load_accepted(path: Path) -> Accepted:
    """Read the accepted differences of one backend."""
    accepted: Accepted = json.loads(path.read_text())
    return accepted


def table(findings: Sequence[Finding]) -> str:
    """Return findings as a text table with one line for each."""
    head = ("backend", "source", "subject", "what", "name", "detail")
    rows = [head, *(astuple(finding) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _gaps(ours: Ours, published: Sequence[Fingerprint]) -> Iterator[Finding]:
    backend = ours.backend
    objects = _merged(each.objects for each in published)
    for known in ours.objects:
        theirs = [set(objects.get(name, ())) for name in known.published]
        yield from (
            Finding(backend, "ours", known.name, "only ours", name) for name in known.fields - set().union(*theirs)
        )
    for subject in {name for known in ours.objects for name in known.published}:
        fields = _fields_of(ours.objects, subject)
        yield from (
            Finding(backend, "ours", subject, "only theirs", name) for name in set(objects.get(subject, ())) - fields
        )
    enums = _merged(each.enums for each in published)
    for place, values in ours.enums.items():
        if values:
            yield from _two_sides(backend, place, enums.get(place, ()), values)
    types = {name for each in published for name in each.event_types}
    yield from _two_sides(backend, EVENT_TYPES, types, ours.event_types)
    yield from _two_sides(backend, ROUTES, {name for each in published for name in each.routes}, ours.routes)


def _fields_of(objects: Iterable[Known], subject: str) -> frozenset[str]:
    return frozenset(name for known in objects if subject in known.published for name in known.fields)


def _merged(parts: Iterable[Mapping[str, Iterable[str]]]) -> dict[str, set[str]]:
    merged: dict[str, set[str]] = {}
    for part in parts:
        for subject, names in part.items():
            merged.setdefault(subject, set()).update(names)
    return merged


def _two_sides(backend: str, subject: str, theirs: Iterable[str], ours: Iterable[str]) -> Iterator[Finding]:
    theirs, ours = set(theirs), set(ours)
    yield from (Finding(backend, "ours", subject, "only theirs", name) for name in theirs - ours)
    yield from (Finding(backend, "ours", subject, "only ours", name) for name in ours - theirs)


def _changed_names(
    backend: str, source: str, subject: str, before: Iterable[str], now: Iterable[str]
) -> Iterator[Finding]:
    old, new = set(before), set(now)
    yield from (Finding(backend, source, subject, "gone", name) for name in sorted(old - new))
    yield from (Finding(backend, source, subject, "new", name) for name in sorted(new - old))
