"""The reference shows every field of a public record, every member of an enum, and every argument of an error."""

from __future__ import annotations

import dataclasses
import html
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

import msgspec
import pytest
from pydantic import BaseModel

import polysession
from polysession import emulation, errors, observing, provider_api, testing
from polysession.errors import PolysessionError

NOT_INSTALLED = "mkdocs is not in the extra `tests`, which other Pythons and the lowest versions are tested with"
building = pytest.importorskip("mkdocs.commands.build", reason=NOT_INSTALLED)
config = pytest.importorskip("mkdocs.config", reason=NOT_INSTALLED)
ROOT = Path(__file__).parents[2]
MODULES = (polysession, errors, provider_api, emulation, testing, observing)


def public_classes() -> dict[type, list[str]]:
    """Every public class, with its public paths."""
    found: dict[type, list[str]] = defaultdict(list)
    for module in MODULES:
        for name in getattr(module, "__all__", dir(module)):
            each = getattr(module, name)
            if isinstance(each, type) and each.__module__.startswith("polysession."):
                found[each].append(f"{module.__name__}.{name}")
    return found


def facts(kind: type) -> set[str]:
    """The names that the reference of a class has to show."""
    if issubclass(kind, Enum):
        return set(kind.__members__)
    if issubclass(kind, BaseModel):
        return set(kind.model_fields)
    if dataclasses.is_dataclass(kind):
        return {field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")}
    if issubclass(kind, tuple | msgspec.Struct):
        return set(getattr(kind, "_fields", ()) or getattr(kind, "__struct_fields__", ()))
    if issubclass(kind, PolysessionError):
        return set(inspect.signature(kind).parameters)
    return set()


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The text of each object of the reference, by its path."""
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    pages = "*\n!/reference/**\n!/features.md\n"
    building.build(config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), exclude_docs=pages, nav=None))
    found = dict(objects("".join(path.read_text() for path in tmp_path.glob("reference/*/index.html"))))
    # The members of `Feature` are in a table.
    found["polysession.Feature"] += text((tmp_path / "features/index.html").read_text())
    return found


def objects(page: str) -> Iterator[tuple[str, str]]:
    """The path and the text of each object on a page of the reference."""
    parts = re.split(r'<h\d id="(polysession[\w.]+)" class="doc', page)
    for path, markup in zip(parts[1::2], parts[2::2], strict=True):
        yield path, text(markup)


def text(markup: str) -> str:
    """The text of a page, or of a part of one."""
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


def test_the_reference_shows_every_field_and_member(shown: Mapping[str, str]) -> None:
    classes = {kind: paths for kind, paths in public_classes().items() if facts(kind)}
    texts = {kind: "".join(shown.get(path, "") for path in paths) for kind, paths in classes.items()}

    hidden = {
        kind.__name__: missing
        for kind in classes
        if (missing := {name for name in facts(kind) if not re.search(rf"\b{name}\b", texts[kind])})
    }
    assert len(classes) > 100
    assert hidden == {}
