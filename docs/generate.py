"""Writes the parts of the documentation that come from the code, or checks that they are up to date.

`python docs/generate.py` fails if a page is stale; `python docs/generate.py write` brings the pages up to date.
"""

from __future__ import annotations

import json
import runpy
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from polysession import Feature, FeatureSupport
from polysession.cli.app import app
from polysession.cli.register import keys_of
from polysession.plugins import installed_providers, load_provider
from polysession.settings import secret_names, variables_of

DOCS = Path(__file__).parent
KINDS: Final = ("emulator", "judge", "documented", "recorded", "live")
"""Kinds of evidence, the strongest last."""

Counts = Mapping[str, Mapping[str, set[str]]]
"""By feature and kind of evidence, names of tests."""


def comparison() -> str:
    """Every feature beside every provider."""
    names = list(installed_providers())
    rows = [
        f"| `{feature.value}` | {' | '.join(load_provider(name).support(feature).support.value for name in names)} |"
        for feature in Feature
    ]
    return _table(["feature", *names], rows)


def constants() -> str:
    """Every feature with its constant."""
    return _table(["feature", "constant"], [f"| `{feature.value}` | `{feature.name}` |" for feature in Feature])


def backends(folder: str) -> str:
    """The built-in backends, each with a link to its page."""
    return ", ".join(f"[{_title(name)}]({folder}providers/{name}.md)" for name in installed_providers())


def variables() -> str:
    """The environment variables of every provider; those of settings without a default are bold."""
    rows = []
    for name in installed_providers():
        settings = load_provider(name).settings_type
        cells = [
            f"{'**' * settings.model_fields[field].is_required()}{' or '.join(f'`{each}`' for each in names)}"
            f"{'**' * settings.model_fields[field].is_required()}"
            for field, names in variables_of(settings).items()
        ]
        rows.append(f"| [`{name}`](providers/{name}.md) | {', '.join(cells)} |")
    return _table(["provider", "environment variables"], rows)


def turns() -> str:
    """Declarations of every provider about its turns and streams."""
    names = {name: load_provider(name) for name in installed_providers()}
    rows = [
        f"| {_title(name)} | `{each.resume_mode.value}` | `{each.turn_life.value}` | `{each.when_busy.value}` |"
        f" `{each.when_waiting.value}` |"
        for name, each in names.items()
    ]
    return _table(["backend", "`resume_mode`", "`turn_life`", "`when_busy`", "`when_waiting`"], rows)


def settings() -> str:
    """Every setting of every provider."""
    parts = []
    for name in installed_providers():
        kind = load_provider(name).settings_type
        names, secret = variables_of(kind), secret_names(kind)
        rows = [
            f"| `{each}` | {', '.join(f'`{variable}`' for variable in names.get(each, ())) or '-'} |"
            f" {_need(each, info, kind.one_of)} | {'yes' if each in secret else ''} |"
            for each, info in kind.model_fields.items()
        ]
        table = _table(["setting", "environment", "default", "secret"], rows)
        parts += [f"## {_title(name)}", "", f"[What each setting means](providers/{name}.md).", "", table, ""]
    return "\n".join(parts[:-1])


def _need(name: str, info: Any, one_of: Sequence[str]) -> str:
    """The default of a setting, or that it has to be given."""
    if name in one_of:
        return f"one of {' and '.join(f'`{each}`' for each in one_of)} is required"
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    return "-" if default is None or default == {} else f"`{default}`"


def of_provider(name: str) -> str:
    """Every feature of one provider, with what it says of it."""
    provider = load_provider(name)
    return _table(["feature", "support", "note"], [_row(feature, provider.support(feature)) for feature in Feature])


def events_of(name: str) -> str:
    """Every event type of one backend, and the common events that it becomes."""
    rows = [
        f"| `{native}` | {', '.join(f'`{common}`' for common in types) or 'nothing: it is about the stream itself'} |"
        for native, types in load_provider(name).event_types().items()
    ]
    return _table(["the backend's event", "common events"], rows)


def evidence() -> dict[str, Any]:
    """The evidence that all test runs wrote."""
    runs = [json.loads(path.read_text()) for path in sorted((DOCS / "evidence").glob("*.json"))]
    tests = {name: entry for run in runs for name, entry in run["tests"].items()}
    events: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for run in runs:
        for backend, kinds in run["events"].items():
            for kind, types in kinds.items():
                events[backend][kind].update(types)
    return {"tests": tests, "events": events}


def glance(found: Mapping[str, Any]) -> str:
    """How many of each backend's features each kind of evidence covers."""
    names = list(installed_providers())
    counts = {name: _counts(found, name) for name in names}
    offered = {name: _offered(name) for name in names}
    rows = [_cells("offered", [len(offered[name]) for name in names])]
    rows += [
        _cells(kind, [sum(bool(counts[name][each][kind]) for each in offered[name]) for name in names])
        for kind in KINDS
    ]
    rows.append(_cells("checked by our emulator only", [len(_unchecked(name, counts[name])) for name in names]))
    answered = []
    for name in names:
        parts = _answered(found, name) or ["our emulator only"]
        answered += [f"- {_title(name)}", *(f"    - {part}" for part in parts)]
    table = _table(["features", *map(_title, names)], rows)
    return "\n".join([table, "", "Other programs that answered or judged:", "", *answered])


def unchecked(found: Mapping[str, Any]) -> str:
    """Features and events that only our emulator has answered, by name."""
    parts = []
    for name in installed_providers():
        features = _unchecked(name, _counts(found, name))
        seen = found["events"].get(name, {})
        elsewhere = {each for kind in KINDS[1:] for each in seen.get(kind, ())}
        modelled = {each for each, common in load_provider(name).event_types().items() if set(common) - {"raw"}}
        events = sorted(modelled - elsewhere)
        parts += [f"**{_title(name)}**", ""]
        parts += [f"- features: {_listed(features)}", f"- event types: {_listed(events)}", ""]
    return "\n".join(parts[:-1])


def shown_features(found: Mapping[str, Any]) -> str:
    """Every feature that a backend offers, with the number of tests of each kind; and those that it refuses."""
    parts = []
    for name in installed_providers():
        counts = _counts(found, name)
        rows = [
            f"| `{each}` | {' | '.join(_number(counts[each][kind]) for kind in KINDS)} |" for each in _offered(name)
        ]
        refused = [each.value for each in Feature if each.value not in _offered(name)]
        tested = [each for each in refused if counts[each]["emulator"]]
        parts += [f"### {_title(name)}: features", "", _table(["feature", *KINDS], rows), ""]
        parts += [
            f"{len(refused)} features are refused before anything is sent; {len(tested)} of these refusals are tested.",
            "",
        ]
    return "\n".join(parts[:-1])


def shown_events(found: Mapping[str, Any]) -> str:
    """Every event type of a backend, and where it was seen."""
    kinds = [kind for kind in KINDS if kind != "judge"]
    parts = []
    for name in installed_providers():
        seen = found["events"].get(name, {})
        types = [each for each, common in load_provider(name).event_types().items() if common]
        rows = [
            f"| `{each}` | {' | '.join('yes' if each in seen.get(kind, ()) else '-' for kind in kinds)} |"
            for each in types
        ]
        parts += [f"### {_title(name)}: event types", "", _table(["event type", *kinds], rows), ""]
    return "\n".join(parts[:-1])


def faults() -> dict[str, str]:
    """The outcome of each fault, from the data that the tests check."""
    outcomes = runpy.run_path(str(DOCS.parent / "tests/stress/outcomes.py"))
    return {
        "reads": outcomes["read_table"](),
        "writes": outcomes["write_table"](),
        "streams": outcomes["stream_table"](),
        "frames": outcomes["frame_table"](),
        "borders": outcomes["border_table"](),
        "gaps": outcomes["gap_table"](),
        "reopenings": outcomes["reopening_table"](),
    }


def commands() -> str:
    """Every command with the first line of its help."""
    rows = [f"| `{' '.join(words)}` | {_summary(each)} |" for words, each in _commands(get_command(app))]
    return _table(["command", "does"], rows)


def json_keys() -> str:
    """The keys of the JSON objects that each command writes; commands that write the same stand together."""
    by_keys: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for words, each in _commands(get_command(app)):
        by_keys[keys_of(each.callback.writes)].append(f"`{' '.join(words)}`")
    rows = [f"| {', '.join(names)} | {_listed(list(keys))} |" for keys, names in by_keys.items()]
    return _table(["command", "keys"], rows)


def _commands(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from _commands(each, *words, name)
        else:
            yield (*words, name), each


def _summary(command: Any) -> str:
    return " ".join(command.help.partition("\n\n")[0].split())


def pages() -> dict[Path, dict[str, str]]:
    """The generated parts of each page, by the name in their marks."""
    found = {
        DOCS / "providers" / f"{name}.md": {"features": of_provider(name), "events": events_of(name)}
        for name in installed_providers()
    }
    shown = evidence()
    parts = {
        "glance": glance(shown),
        "unchecked": unchecked(shown),
        "features": shown_features(shown),
        "events": shown_events(shown),
    }
    return {
        DOCS.parent / "README.md": {"backends": backends("docs/")},
        DOCS / "index.md": {"backends": backends(""), "variables": variables()},
        DOCS / "settings.md": {"settings": settings()},
        DOCS / "cli.md": {"commands": commands(), "json": json_keys()},
        DOCS / "turns.md": {"turns": turns()},
        DOCS / "features.md": {"features": comparison(), "constants": constants()},
        DOCS / "evidence.md": parts,
        DOCS / "faults.md": faults(),
        **found,
    }


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
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    if set(project["entry-points"]["polysession.providers"]) - set(installed_providers()):
        sys.stderr.write("a provider of pyproject.toml is not installed: run `pip install -e .` again\n")
        return 1
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


def _title(name: str) -> str:
    """How a backend is called: the heading of its page."""
    return (DOCS / "providers" / f"{name}.md").read_text().partition("\n")[0].removeprefix("# ")


def _offered(name: str) -> list[str]:
    return [feature.value for feature in Feature if load_provider(name).support(feature).support]


def _counts(found: Mapping[str, Any], name: str) -> Counts:
    counts: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for test, entry in found["tests"].items():
        if entry["backend"] == name:
            for feature in entry["shows"]:
                counts[feature][entry["kind"]].add(test)
    return counts


def _unchecked(name: str, counts: Counts) -> list[str]:
    return [each for each in _offered(name) if not any(counts[each][kind] for kind in KINDS[1:])]


def _answered(found: Mapping[str, Any], name: str) -> list[str]:
    """By kind, from the weakest on, who answered."""
    by: dict[str, set[str]] = defaultdict(set)
    for entry in found["tests"].values():
        if entry["backend"] == name and entry["by"]:
            by[entry["kind"]].add(entry["by"])
    return [f"{kind}: {', '.join(sorted(by[kind]))}" for kind in KINDS if by[kind]]


def _cells(head: str, numbers: list[int]) -> str:
    return f"| {head} | {' | '.join(map(str, numbers))} |"


def _number(tests: set[str]) -> str:
    return str(len(tests)) if tests else "-"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _row(feature: Feature, support: FeatureSupport) -> str:
    return f"| `{feature.value}` | {support.support.value} | {support.note} |"


def _table(head: list[str], rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
