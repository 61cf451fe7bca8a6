"""Writes the parts of the documentation that come from the code, or checks that they are up to date.

`python docs/generate.py` fails if a page is stale; `python docs/generate.py write` brings the pages up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from polysession import Feature, FeatureSupport
from polysession.plugins import installed_providers, load_provider

DOCS = Path(__file__).parent


def comparison() -> str:
    """Every feature beside every provider."""
    names = list(installed_providers())
    rows = [
        f"| `{feature.value}` | {' | '.join(load_provider(name).support(feature).support.value for name in names)} |"
        for feature in Feature
    ]
    return _table(["feature", *names], rows)


def of_provider(name: str) -> str:
    """Every feature of one provider, with what it says of it."""
    provider = load_provider(name)
    return _table(["feature", "support", "note"], [_row(feature, provider.support(feature)) for feature in Feature])


def events_of(name: str) -> str:
    """Every event type of one backend, and the common events that it becomes."""
    rows = [
        f"| `{native}` | {', '.join(f'`{common}`' for common in types) or 'nothing: it is about the stream itself'} |"
        for native, types in load_provider(name).event_types.items()
    ]
    return _table(["the backend's event", "common events"], rows)


def pages() -> dict[Path, dict[str, str]]:
    """The generated parts of each page, by the name in their marks."""
    found = {
        DOCS / "providers" / f"{name}.md": {"features": of_provider(name), "events": events_of(name)}
        for name in installed_providers()
    }
    return {DOCS / "features.md": {"features": comparison()}, **found}


def renewed(page: str, parts: dict[str, str]) -> str:
    """A page with the text between its marks replaced."""
    for name, generated in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{generated}\n{end}{after}"
    return page


def main(arguments: list[str]) -> int:
    """Write, or check; returns the exit code."""
    stale = [
        (path, renewed(path.read_text(), parts))
        for path, parts in pages().items()
        if renewed(path.read_text(), parts) != path.read_text()
    ]
    if arguments == ["write"]:
        for path, text in stale:
            path.write_text(text)
        return 0
    for path, _ in stale:
        sys.stderr.write(f"{path.relative_to(DOCS.parent)} is stale: run `nox -s docs -- write`\n")
    return 1 if stale else 0


def _row(feature: Feature, support: FeatureSupport) -> str:
    return f"| `{feature.value}` | {support.support.value} | {support.note} |"


def _table(head: list[str], rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
