"""Descriptions from OpenAPI documents and JSON Schemas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tools.spec_drift.fingerprint import Fingerprint
from tools.spec_drift.scope import Scope, route

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_VARIANTS: Final = ("oneOf", "anyOf", "allOf")
_DOTTED: Final = re.compile(r"\b[a-z_]+(?:\.[a-z_]+)+\b")


class Document:
    """An OpenAPI document, or another document with `components.schemas`."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self._schemas: Mapping[str, Any] = raw["components"]["schemas"]

    def fingerprint(self, source: str, version: str, scope: Scope) -> Fingerprint:
        """Return the description of a scope, without parts that the document lacks."""
        objects = {name: self._fields(name) for name in scope.objects}
        enums = {name: self._values(name) for name in scope.enums}
        return Fingerprint(
            source,
            version,
            {name: fields for name, fields in objects.items() if fields},
            {name: values for name, values in enums.items() if values},
            self._event_types(),
            scope.routes_in(self._routes()),
        )

    def _routes(self) -> Iterator[str]:
        for path, operations in self._raw.get("paths", {}).items():
            yield from (route(method, path) for method in operations if method in _METHODS)

    def _fields(self, name: str) -> dict[str, str]:
        if " " in name:
            return self._query(*name.split())
        return {
            key: self._type(schema) for part in self._parts({"$ref": f"/{name}"}) for key, schema in _properties(part)
        }

    def _query(self, method: str, path: str) -> dict[str, str]:
        operation = self._raw.get("paths", {}).get(path, {}).get(method.lower(), {})
        parameters = operation.get("parameters", [])
        return {each["name"]: self._type(each["schema"]) for each in parameters if each["in"] == "query"}

    def _parts(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield a schema and all schemas that it is composed of."""
        if "$ref" in schema:
            schema = self._schemas.get(schema["$ref"].rpartition("/")[2], {})
        yield schema
        for key in _VARIANTS:
            for variant in schema.get(key, ()):
                yield from self._parts(variant)

    def _values(self, place: str) -> tuple[str, ...]:
        """Return the values of an enum.

        For a union without values, return the names of its members.
        """
        name, *fields = place.split(".")
        parts = list(self._parts({"$ref": f"/{name}"}))
        for field in fields:
            inner = [schema for part in parts for key, schema in _properties(part) if key == field]
            parts = [part for schema in inner for part in self._items(schema)]
        found = {
            value for part in parts for value in (*part.get("enum", ()), *([part["const"]] if "const" in part else ()))
        }
        members = self._schemas.get(place, {}).get("oneOf", ())
        found = found or {_counted(name, times) for name, times in Counter(map(self._type, members)).items()}
        return tuple(sorted(str(value) for value in found if value is not None))

    def _items(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        for part in self._parts(schema):
            yield part
            if "items" in part:
                yield from self._items(part["items"])

    def _event_types(self) -> tuple[str, ...]:
        """Return the event types of `AgentEvent` and `EventData`.

        Those of `EventData` are in the descriptions of its members.
        """
        types = set(self._values("AgentEvent.type"))
        for variant in self._schemas.get("EventData", {}).get("oneOf", ()):
            schema = next(self._parts(variant))
            types.update(_DOTTED.findall(schema.get("description", "").split("\n\n")[0]))
        return tuple(sorted(types))

    def _type(self, schema: Mapping[str, Any]) -> str:
        if "$ref" in schema:
            return str(schema["$ref"]).rpartition("/")[2]
        for key in _VARIANTS:
            if key in schema:
                return " | ".join(self._type(variant) for variant in schema[key])
        if "const" in schema:
            return repr(schema["const"])
        if "enum" in schema:
            return " | ".join(repr(value) for value in schema["enum"])
        kinds = schema.get("type", "any")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return " | ".join(self._kind(kind, schema) for kind in kinds)

    def _kind(self, kind: str, schema: Mapping[str, Any]) -> str:
        if kind == "array":
            return f"[{self._type(schema.get('items', {}))}]"
        if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
            return f"{{{self._type(schema['additionalProperties'])}}}"
        return kind


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from schema.get("properties", {}).items()


def _counted(name: str, times: int) -> str:
    return name if times == 1 else f"{name} ({times} times)"
