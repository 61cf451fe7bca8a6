"""Bases of the public records: plain, frozen pydantic models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    GetPydanticSchema,
    JsonValue,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
)
from pydantic_core import CoreSchema, core_schema

from polysession._json import decode_json

_WITH_SOURCE: Final = "polysession: with source"
"""Key of the serialisation context that adds `source` to the dump of each record."""


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC; a time without a zone is taken to be in UTC.

    Raises:
        ValueError: In UTC it lies outside the years 1 to 9999.
    """
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie within the years 1 to 9999 in UTC") from error


UtcDatetime = Annotated[datetime, AfterValidator(as_utc)]
"""An aware datetime in UTC, microsecond precision."""

JsonObject: TypeAlias = Annotated[
    Mapping[str, Any], GetPydanticSchema(lambda _source, handler: handler(dict[str, Any]))
]
"""A JSON object that is not looked into: arguments, payloads, parameters."""

_TextOrJson: TypeAlias = Annotated[
    dict[str, Annotated[str, Strict()]] | dict[str, JsonValue], Field(union_mode="left_to_right")
]
"""Most metadata is text, and is checked without a call of Python for each value."""

JsonMetadata: TypeAlias = Annotated[
    Mapping[str, JsonValue], GetPydanticSchema(lambda _source, handler: handler(_TextOrJson))
]
"""A JSON object whose values are checked to be JSON."""


class Record(BaseModel):
    """An immutable value. Freezing is shallow: the mappings inside it are ordinary dictionaries."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="ignore"
    )  # a dump of a newer version can be read

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Name and value of each field that differs from its default."""
        fields = type(self).model_fields
        for name, value in super().__repr_args__():
            if name not in fields or value != fields[name].get_default(call_default_factory=True):
                yield name, value

    @model_serializer(mode="wrap")
    def _serialise(self, serialise: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """The dump of the fields, with what no option may leave out or add by itself."""
        return {**self._always_dumped(info), **serialise(self)}

    def _always_dumped(self, _: SerializationInfo) -> dict[str, Any]:
        return {}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema of the fields, for dumps too: the serialiser above says nothing of its shape."""
        fields: Any = {name: value for name, value in schema.items() if name != "serialization"}
        return handler(fields)


class TypedRecord(Record):
    """A record whose field `type` names the member of a union. No option of a dump leaves `type` out."""

    @property
    def model_fields_set(self) -> set[str]:
        """Names of the fields that were given, and `type`."""
        return super().model_fields_set | {"type"}

    def _always_dumped(self, info: SerializationInfo) -> dict[str, Any]:
        return {"type": vars(self)["type"], **super()._always_dumped(info)}


def known_fields_only(record_type: type[BaseModel]) -> GetPydanticSchema:
    """Read a stored record although a newer version wrote it: its unknown fields are left out.

    For records that callers make as well, which forbid unknown fields.
    """
    return _stored(lambda value: _known(value, record_type))


def stored_union(union: Any, *, otherwise: type[BaseModel]) -> GetPydanticSchema:
    """Read a stored member of a union although a newer version wrote it.

    Args:
        union: Typed records.
        otherwise: The member that an unknown type is read as; its `payload` is the whole stored object.
    """
    members: dict[object, type[BaseModel]] = {
        kind: member for member in get_args(union) for kind in get_args(member.model_fields["type"].annotation)
    }

    def read(value: dict[str, Any]) -> dict[str, Any]:
        member = members.get(value.get("type"))
        if member is None:
            return {**_known(value, otherwise), "type": "raw", "payload": value}
        return _known(value, member)

    return _stored(read)


def _stored(read: Callable[[dict[str, Any]], dict[str, Any]]) -> GetPydanticSchema:
    """A schema that takes records as they are, and gives a dictionary that does not fit a second try after `read`."""

    def try_again(value: object) -> object:
        return read(value) if isinstance(value, dict) else value

    def schema(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fitting = handler(source)
        newer = core_schema.no_info_before_validator_function(try_again, fitting)
        return core_schema.union_schema([fitting, newer], mode="left_to_right")

    return GetPydanticSchema(schema)


def _known(value: dict[str, Any], record_type: type[BaseModel]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name in record_type.model_fields}


class ReceivedRecord(Record):
    """A record that was read from a backend's JSON.

    Attributes:
        source: The JSON text that the backend sent. Dumps, repr and comparisons ignore it.
        problems: Fields that could not be read: path and expected type of each, never the value.
    """

    source: bytes = Field(default=b"{}", exclude=True, repr=False)
    problems: tuple[str, ...] = ()

    @property
    def raw(self) -> Any:
        """The backend's own JSON, decoded at each access: a dictionary, unless the backend sent something else."""
        return decode_json(self.source)

    def dump(self, *, with_source: bool = False) -> dict[str, Any]:
        """The record as JSON values.

        Args:
            with_source: Whether to add `source`, as text, to this record and its nested records, for archives.
        """
        return self.model_dump(mode="json", context={_WITH_SOURCE: with_source})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _without_source(self) == _without_source(other)

    def __hash__(self) -> int:
        """Records with an id hash by type, provider and id."""
        return hash((type(self), *(getattr(self, name, None) for name in ("provider", "session_id", "id"))))

    def _always_dumped(self, info: SerializationInfo) -> dict[str, Any]:
        wanted = isinstance(info.context, dict) and info.context.get(_WITH_SOURCE)
        source = {"source": self.source.decode("utf-8", "replace")} if wanted else {}
        return {**super()._always_dumped(info), **source}


def _without_source(record: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name != "source"}
