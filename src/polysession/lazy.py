"""Values that are made when somebody looks at them.

Most callers never look at `raw`, and to decode it costs as much as to read the fields of a record. Who lists sessions
rarely looks at what each of them has consumed. Whatever is made later was found to be sound before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema, from_json

C = TypeVar("C", bound=type)
E = TypeVar("E")
P = ParamSpec("P")
R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")


_put_fields = vars(BaseModel)["__dict__"].__set__
_put_names = vars(BaseModel)["__pydantic_fields_set__"].__set__
_put_extra = vars(BaseModel)["__pydantic_extra__"].__set__
_put_private = vars(BaseModel)["__pydantic_private__"].__set__
"""The four parts of any record, and how they are set without a look at whether it is frozen."""


class JsonText:
    """JSON text that was found to be sound. It is decoded once, when its value is first asked for."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    @cached_property
    def value(self) -> Any:
        """What it says."""
        return from_json(self._text)


class Deferred(ABC):
    """What a record, or an event, holds until somebody asks for the value."""

    __slots__ = ()

    @abstractmethod
    def load(self) -> Any:
        """The value."""

    def __eq__(self, other: object) -> bool:
        return bool(self.load() == loaded(other))

    __hash__ = None  # type: ignore[assignment]  # as a dictionary

    def __repr__(self) -> str:
        return repr(self.load())

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[Any]]:
        """A copy, or a pickle, is the plain value: it does not drag a whole page along."""
        return loaded, (self.load(),)


class LazyRaw(Deferred):
    """A JSON object in a text, for a `raw`.

    Args:
        document: The text; the records of a page share one.
        path: Keys and indexes that lead to the object.
    """

    __slots__ = ("_document", "_path")

    def __init__(self, document: JsonText, path: tuple[str | int, ...]) -> None:
        self._document = document
        self._path = path

    def load(self) -> dict[str, Any]:
        """The object."""
        value = self._document.value
        for key in self._path:
            value = value[key]
        return cast("dict[str, Any]", value)


class LazyRecord(Deferred):
    """A part of a record that is made of validated fields.

    Args:
        make: Makes it. It may be asked more than once, and leaves the fields as they are.
        fields: What it is made of.
    """

    __slots__ = ("_fields", "_make")

    def __init__(self, make: Callable[[Any], Any], fields: Any) -> None:
        self._make = make
        self._fields = fields

    def load(self) -> Any:
        """The part."""
        return self._make(self._fields)


def lazily(document: JsonText, *path: str | int) -> dict[str, Any]:
    """The object at a path, for the `raw` of a record or an event: decoded when somebody looks at it there."""
    return cast("dict[str, Any]", LazyRaw(document, path))


def undecoded(text: bytes) -> dict[str, Any]:
    """A whole JSON object, found to be sound, for the `raw` of one event: decoded when somebody looks at it there."""
    return cast("dict[str, Any]", text)


def for_record(raw: dict[str, Any], *path: str | int) -> dict[str, Any]:
    """The `raw` of an event, or the object at a path in it, for a record that is made of the same object."""
    held: Any = raw
    if type(held) is bytes:
        return lazily(JsonText(held), *path)
    for key in path:
        held = held[key]
    return cast("dict[str, Any]", held)


def loaded(value: Any) -> Any:
    """The value itself, made, or decoded, if it was not yet."""
    return from_json(value) if type(value) is bytes else _undeferred(value)


def _undeferred(value: Any) -> Any:
    return value.load() if isinstance(value, Deferred) else value


class MadeLater:
    """Marks a field of a record whose value may be made when somebody looks at it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        schema = handler(source)
        serialised = core_schema.wrap_serializer_function_ser_schema(
            lambda value, serialise: serialise(_undeferred(value)), schema=schema
        )
        return core_schema.no_info_before_validator_function(_undeferred, schema, serialization=serialised)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(cast("Any", schema)["schema"])


Lazy = Annotated[T, MadeLater()]
"""Type of such a field."""

RawObject = Lazy[dict[str, Any]]
"""Type of the field `raw` of a record."""


class LazyAttribute:
    """The attribute of such a field: makes what the record holds when it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, record: BaseModel | None, owner: type) -> Any:
        if record is None or self._name not in record.__dict__:
            raise AttributeError(self._name)  # a model's class does not have its fields as attributes
        made = record.__dict__[self._name] = _undeferred(record.__dict__[self._name])
        return made

    def __set__(self, record: BaseModel, value: object) -> None:
        raise AttributeError(f"{self._name} cannot be set")


def with_lazy_raw(event_type: C) -> C:
    """A dataclass whose attribute `raw` is decoded when it is first asked for."""

    def get(event: object) -> Any:
        fields = event.__dict__
        raw = fields["raw"] = loaded(fields.get("raw", {}))
        return raw

    def put(event: object, raw: object) -> None:  # the constructor does; to whoever else tries, the class is frozen
        event.__dict__["raw"] = raw

    type.__setattr__(event_type, "raw", property(get, put))
    return event_type


def trusted_event(event_type: Callable[P, E]) -> Callable[P, E]:
    """The constructor of an event from sound values, in a quarter of the time.

    A field that is not given has its default from the class; a required one has to be given, which nobody checks.
    """
    fill = filled_event(cast("type[E]", event_type))

    def construct(*_: P.args, **values: P.kwargs) -> E:
        return fill(values)

    return construct


def filled_event(event_type: type[E]) -> Callable[[dict[str, Any]], E]:
    """A maker of events from dictionaries of their fields, which were validated before and become the events' own."""
    new: Callable[[type[E]], E] = object.__new__
    put = _own_dictionary(event_type)

    def fill(fields: dict[str, Any]) -> E:
        event = new(event_type)
        put(event, fields)
        return event

    return fill


def _own_dictionary(event_type: type) -> Callable[[object, dict[str, Any]], None]:
    """Sets the dictionary of an event, without a look at whether the event is frozen."""
    place = next(vars(part)["__dict__"] for part in event_type.__mro__ if "__dict__" in vars(part))
    return cast("Callable[[object, dict[str, Any]], None]", place.__set__)


def trusted(record_type: Callable[P, R]) -> Callable[P, R]:
    """The constructor of a record for values that were validated before: it does not validate them again.

    It does what pydantic's `model_construct` does, in a third of the time.
    """
    model = cast("type[R]", record_type)
    template = {name: info.default for name, info in model.model_fields.items()}  # in order, which a dump shows
    made: dict[str, Callable[[], Any]] = {
        name: cast("Callable[[], Any]", info.default_factory)
        for name, info in model.model_fields.items()
        if info.default_factory is not None
    }
    required = frozenset(name for name, info in model.model_fields.items() if info.is_required())
    new: Callable[[type[R]], R] = model.__new__
    put = object.__setattr__

    def construct(*_: P.args, **values: P.kwargs) -> R:
        fields = template.copy()
        fields.update(values)
        for name, make in made.items():
            if name not in values:
                fields[name] = make()
        if len(fields) > len(template) or not required <= values.keys():
            raise TypeError(f"a {model.__name__} needs {', '.join(required)}, and takes {', '.join(template)}")
        record = new(model)
        put(record, "__dict__", fields)
        put(record, "__pydantic_fields_set__", set(values))
        put(record, "__pydantic_extra__", None)
        put(record, "__pydantic_private__", None)
        return record

    return construct


def filled(record_type: type[R], given: Iterable[str], **constants: Any) -> Callable[[Mapping[str, Any]], R]:
    """A maker of records from dictionaries of fields that were validated before: for many records at once.

    It does what `trusted` does, in a third of the time, because in all of its records the same fields count as given:
    they share the set that says so.

    Args:
        record_type: The type of the records.
        given: Those fields. A dictionary may lack one only if it has a constant default.
        constants: The values of fields that are the same in all records.

    Raises:
        TypeError: There is no such field, or one without a default is not given.
    """
    template = {name: info.default for name, info in record_type.model_fields.items()} | constants
    names, size = {*given, *constants}, len(record_type.model_fields)
    required = {name for name, info in record_type.model_fields.items() if info.is_required()}
    if not required <= names <= template.keys() or len(template) != size:
        raise TypeError(f"a {record_type.__name__} needs {', '.join(required)}, and takes {', '.join(template)}")
    made = [
        (name, cast("Callable[[], Any]", info.default_factory))
        for name, info in record_type.model_fields.items()
        if info.default_factory is not None and name not in names
    ]
    new: Callable[[type[R]], R] = record_type.__new__

    def fill(values: Mapping[str, Any]) -> R:
        fields = {**template, **values}  # in the order of the template, which a dump shows
        if len(fields) != size:
            raise TypeError(f"a {record_type.__name__} has no field {', '.join(values.keys() - template.keys())}")
        for name, make in made:
            fields[name] = make()
        record = new(record_type)
        _put_fields(record, fields)
        _put_names(record, names)
        _put_extra(record, None)
        _put_private(record, None)
        return record

    return fill
