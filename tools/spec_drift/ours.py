"""The names that our code knows of a backend, read from its wire structs and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from pydantic import BaseModel

from polysession.emulation.loading import load_emulator
from polysession.plugins import load_provider
from tools.spec_drift.scope import Scope, route

Shape = BaseModel | msgspec.Struct
"""Types that our code decodes JSON into."""


@dataclass(frozen=True)
class Known:
    """One of our objects with the published objects that it reads or writes.

    Attributes:
        name: Our name of the object.
        fields: Names of its fields on the wire.
        published: Names of the objects in the sources.
    """

    name: str
    fields: frozenset[str]
    published: tuple[str, ...]


@dataclass(frozen=True)
class Ours:
    """The names that our code knows of one backend.

    Attributes:
        backend: Name of the provider.
        objects: Objects that we read or write.
        enums: The values that we interpret, by the place of the enum in a source; none for an enum that we only watch.
        event_types: Event types in the provider's table.
        routes: Routes of our emulator. Tests check that they are all routes that the provider calls.
        scope_routes: Patterns of the routes to compare.
    """

    backend: str
    objects: tuple[Known, ...]
    enums: Mapping[str, frozenset[str]]
    event_types: frozenset[str]
    routes: tuple[str, ...]
    scope_routes: tuple[str, ...]

    @property
    def scope(self) -> Scope:
        """The part of a source to compare."""
        names = frozenset(name for known in self.objects for name in known.published)
        return Scope(names, frozenset(self.enums), self.scope_routes)


def ours(backend: str, objects: Sequence[Known], enums: Mapping[str, Iterable[str | None]], *scope_routes: str) -> Ours:
    """Return the names that our code knows of a backend.

    Event types and routes are read from provider and emulator.
    """
    words = {place: frozenset(value for value in values if value is not None) for place, values in enums.items()}
    found = Scope(routes=scope_routes).routes_in(_routes_of(backend))
    return Ours(backend, tuple(objects), words, frozenset(load_provider(backend).event_types()), found, scope_routes)


def reads(model: type[Shape] | tuple[type[Shape], ...], *published: str, more: Iterable[str] = ()) -> Known:
    """Return the fields of our models with the published objects that they correspond to.

    Args:
        model: A model, or several that read the same object.
        published: Names of the published objects.
        more: Fields that our code writes into a body without a model.
    """
    models = model if isinstance(model, tuple) else (model,)
    fields = {name for each in models for name in _wire_names(each)}
    return Known(models[0].__name__, frozenset({*fields, *more}), published)


def writes(name: str, published: str, fields: Iterable[str]) -> Known:
    """Return fields that our code sends without a model.

    `name` identifies the body in the table.
    """
    return Known(f"{published} ({name})" if name else published, frozenset(fields), (published,))


def _wire_names(model: type[Shape]) -> Iterable[str]:
    if issubclass(model, msgspec.Struct):
        yield from (field.encode_name for field in msgspec.structs.fields(model))
        return
    for name, field in model.model_fields.items():
        yield field.serialization_alias or field.alias or name


def _routes_of(backend: str) -> list[str]:
    emulator = load_emulator(backend)()
    return [route(each.method, each.path.removeprefix(emulator.base_path)) for each in emulator.routes]
