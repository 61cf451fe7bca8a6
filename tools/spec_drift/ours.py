"""Our code's knowledge of a backend, in the backend's words: read from the wire models and the tables themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from pydantic import BaseModel

from polysession.emulation.loading import load_emulator
from polysession.plugins import load_provider
from tools.spec_drift.scope import Scope, route

Shape = BaseModel | msgspec.Struct
"""The shapes that our code reads JSON into."""


@dataclass(frozen=True)
class Known:
    """One of our objects, and the published ones that it reads or writes.

    Attributes:
        name: What it is called here.
        fields: Its fields, as they are called on the wire.
        published: Names of the objects, in every source that has them.
    """

    name: str
    fields: frozenset[str]
    published: tuple[str, ...]


@dataclass(frozen=True)
class Ours:
    """Our code's knowledge of one backend.

    Attributes:
        backend: Name of the provider.
        objects: Objects that we read or write.
        enums: By the place in a source, the values that we have a meaning for; none for an enum that is only watched.
        event_types: Types that the provider's table has.
        routes: Those of our emulator, which the tests hold to be all that the provider calls.
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
        """The compared part of a source."""
        names = frozenset(name for known in self.objects for name in known.published)
        return Scope(names, frozenset(self.enums), self.scope_routes)


def ours(backend: str, objects: Sequence[Known], enums: Mapping[str, Iterable[str | None]], *scope_routes: str) -> Ours:
    """Knowledge of a backend; its event types and routes are looked up."""
    words = {place: frozenset(value for value in values if value is not None) for place, values in enums.items()}
    found = Scope(routes=scope_routes).routes_in(_routes_of(backend))
    return Ours(backend, tuple(objects), words, frozenset(load_provider(backend).event_types()), found, scope_routes)


def reads(model: type[Shape] | tuple[type[Shape], ...], *published: str, more: Iterable[str] = ()) -> Known:
    """Models of ours, and the published objects that they stand for.

    Args:
        model: One, or several that read the same object.
        published: Names of the objects.
        more: Fields that are not in a model: those of a body that the normaliser writes.
    """
    models = model if isinstance(model, tuple) else (model,)
    fields = {name for each in models for name in _wire_names(each)}
    return Known(models[0].__name__, frozenset({*fields, *more}), published)


def writes(name: str, published: str, fields: Iterable[str]) -> Known:
    """Content that our code sends without a model: called by `name` here."""
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
