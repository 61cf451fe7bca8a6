"""The commands that inspect the installation: `providers`, `features` and `switch-check`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from itertools import groupby
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from polysession import Feature, PolysessionError, Support, SwitchEffect, SwitchItem, SwitchReport, switch_check
from polysession.cli.errors import ExitCode
from polysession.cli.invocation import Invocation
from polysession.cli.options import complete_provider
from polysession.cli.printing import Output, one_line
from polysession.cli.register import command
from polysession.cli.support_marks import SUPPORT_LEGEND, SUPPORT_STYLES, support_lines
from polysession.errors import UsageError
from polysession.plugins import installed_providers, load_provider

_EFFECT_STYLES: Final[Mapping[SwitchEffect, str]] = {
    SwitchEffect.KEPT: "green",
    SwitchEffect.GAINED: "green",
    SwitchEffect.EMULATED: "yellow",
    SwitchEffect.REMAPPED: "yellow",
    SwitchEffect.LOST: "red",
    SwitchEffect.NOT_APPLICABLE: "dim",
}

ProviderName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Show only this provider.", autocompletion=complete_provider)
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, writes=("providers",), has_client=False)(providers)
    command(app, writes=("features", "broken"), has_client=False)(features)
    command(app, "switch-check", writes=("source", "target", "session_id", "items"))(check_switch)


def providers(invocation: Invocation) -> None:
    """List the installed providers and whether they load.

    Example: polysession providers
    """
    found = [_provider_form(name, offers) for name, offers in installed_providers().items()]
    output = invocation.output
    if output.as_json:
        output.json({"providers": found})
        return
    rows = [
        (
            form["name"],
            " and ".join(f"{origin['distribution']} {origin['version']}" for origin in form["distributions"]),
            "yes" if form["emulator"] else "",
            Text("healthy", "green") if form["healthy"] else Text(one_line(form["problem"]), "red"),
        )
        for form in found
    ]
    output.table(("provider", "from", "emulator", "health"), rows, last_folds=True)


def features(
    invocation: Invocation,
    *,
    provider: ProviderName = None,
    why: Annotated[
        bool, typer.Option("--why", help="Show the cost of emulation, and why a feature is missing.")
    ] = False,
) -> None:
    """Show which features each provider supports.

    Example: polysession features --provider everruns --why
    """
    output = invocation.output
    classes, broken = _loaded([provider] if provider else list(installed_providers()), must_load=provider is not None)
    if output.as_json:
        output.json({"features": [_feature_form(feature, classes) for feature in Feature], "broken": broken})
        return
    for name, problem in broken.items():
        output.note(f"skipped {name}: {problem}", "red")
    if not why:
        rows = [_feature_row(feature, classes) for feature in _by_operation()]
        for line in support_lines("feature", list(classes), rows, width=output.console.width):
            output.console.print(line, soft_wrap=True)
        output.text(SUPPORT_LEGEND, "dim")
        return
    for name, loaded in classes.items():
        lines = [
            (feature.value, _support_cell(loaded, feature), loaded.support(feature).note)
            for feature in Feature
            if loaded.support(feature).note or not loaded.support(feature).support
        ]
        output.text(name, "bold")
        output.table(("feature", "support", "why"), lines, last_folds=True)


def check_switch(
    invocation: Invocation,
    *,
    from_: Annotated[
        str, typer.Option("--from", metavar="NAME", help="Choose the old provider.", autocompletion=complete_provider)
    ],
    to: Annotated[str, typer.Option(metavar="NAME", help="Choose the new provider.", autocompletion=complete_provider)],
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Check the fields of this session of the old backend.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show the items that need no attention too.")] = False,
    fail_on: Annotated[
        list[SwitchEffect] | None,
        typer.Option(metavar="EFFECT", help="Exit with 1 if an item has this effect, such as lost. Repeatable."),
    ] = None,
) -> None:
    """Show what you keep and lose when you switch to another backend.

    Example: polysession switch-check --from qoder --to agentscope
    """
    read = None
    if session is None and (invocation.provider or invocation.profile or invocation.set_ or invocation.emulated):
        raise UsageError("--provider, --profile, --set and --emulated need --session")
    if session is not None:
        with invocation.for_provider(from_).client() as client:
            read = client.sessions.get(session)
    report = switch_check(from_, to, read)
    if invocation.json:
        invocation.output.json(report.model_dump(mode="json"))
    else:
        _show_report(invocation.output, report, everything=everything)
    if report.with_effect(*(fail_on or ())):
        raise typer.Exit(ExitCode.FAILED)


def _show_report(output: Output, report: SwitchReport, *, everything: bool) -> None:
    about = f", session {report.session_id}" if report.session_id else ""
    output.text(f"from {report.source} to {report.target}{about}")
    rows: list[tuple[str | Text, ...]] = []
    for area, items in groupby(report.items, key=lambda item: item.area):
        lines = _area_rows(list(items), fold=not everything and area != "session", absent=everything)
        rows += [(Text(area, "bold"), "", ""), *lines] if lines else []
    output.table(("", "", ""), rows, last_folds=True)
    if report.session_id is None:
        output.text("No backend can import a conversation. Use --session ID to check one session.", "dim")
    counts = ", ".join(f"{len(report.with_effect(effect))} {effect.value}" for effect in SwitchEffect)
    output.text(counts, "dim")


def _area_rows(items: list[SwitchItem], *, fold: bool, absent: bool) -> list[tuple[str | Text, ...]]:
    """Return the rows of one area. Rows that need no attention are combined into one row for each effect."""
    folded = (SwitchEffect.KEPT, SwitchEffect.GAINED) if fold else ()
    rows: list[tuple[str | Text, ...]] = [
        (f"  {_short(item)}", Text(item.effect.value, _EFFECT_STYLES[item.effect]), item.reason)
        for item in items
        if item.effect not in folded and (absent or item.effect is not SwitchEffect.NOT_APPLICABLE)
    ]
    for effect in folded:
        names = ", ".join(_short(item) for item in items if item.effect is effect)
        if names:
            rows.append(("  the others" if rows else "  all", Text(effect.value, _EFFECT_STYLES[effect]), names))
    return rows


def _short(item: SwitchItem) -> str:
    """Return the name without the part that repeats its area."""
    operation, _, field = item.name.partition(" ")
    return field if field and item.area != "native" else operation.removeprefix("sessions.")


def _provider_form(name: str, offers: tuple[EntryPoint, ...]) -> dict[str, Any]:
    origins = [(offer.dist.name, offer.dist.version) if offer.dist else (None, None) for offer in offers]
    form: dict[str, Any] = {
        "name": name,
        "distributions": [{"distribution": title, "version": version} for title, version in origins],
        "module": offers[0].value,
        "healthy": True,
        "problem": None,
        "emulator": False,
        "docs_url": None,
    }
    try:
        loaded = load_provider(name)
    except PolysessionError as error:
        return form | {"healthy": False, "problem": error.message}
    return form | {"emulator": loaded.emulator is not None, "docs_url": loaded.docs_url}


def _loaded(names: list[str], *, must_load: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the provider classes, and the errors of the broken ones."""
    classes, broken = {}, {}
    for name in names:
        try:
            classes[name] = load_provider(name)
        except PolysessionError as error:
            if must_load:
                raise
            broken[name] = error.message
    return classes, broken


def _feature_form(feature: Feature, classes: Mapping[str, Any]) -> dict[str, Any]:
    declared = {name: loaded.support(feature) for name, loaded in classes.items()}
    return {
        "feature": feature.value,
        "providers": {name: {"support": it.support.value, "note": it.note} for name, it in declared.items()},
    }


def _by_operation() -> list[Feature]:
    """Return the operations, each followed by its fields."""
    operations = [feature for feature in Feature if not feature.field]
    return sorted(Feature, key=lambda feature: (operations.index(Feature(feature.operation)), bool(feature.field)))


def _feature_row(feature: Feature, classes: Mapping[str, Any]) -> tuple[list[str], list[Support]]:
    """Return how each provider supports a feature. The fields of an operation are indented below it."""
    name = f"  {feature.field}" if feature.field else feature.value
    return [name], [loaded.support(feature).support for loaded in classes.values()]


def _support_cell(loaded: Any, feature: Feature) -> Text:
    support = loaded.support(feature).support
    return Text(support.value, SUPPORT_STYLES[support])
