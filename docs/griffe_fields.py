"""Extension of the reference: constructors of records, and values of enum members, as the classes declare them."""

from __future__ import annotations

from typing import Any

from griffe import (
    Attribute,
    Class,
    Expr,
    ExprCall,
    ExprKeyword,
    Extension,
    Function,
    Module,
    Object,
    Parameter,
    ParameterKind,
    Parameters,
)

_POSITIONAL = {"typing.NamedTuple", "msgspec.Struct"}
_MODELS = {"pydantic.BaseModel", *_POSITIONAL}
_ENUMS = {"enum.Enum", "enum.StrEnum"}


class Fields(Extension):
    """Gives each model, named tuple and struct its `__init__`, and each enum member its value as annotation."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Complete the classes of a package that was loaded."""
        classes = [(each, [*reversed(each.mro()), each]) for each in _classes(pkg)]
        records = [
            (each, lineage)
            for each, lineage in classes
            if _bases(lineage) & _MODELS and not any("__init__" in part.members for part in lineage)
        ]
        for each, lineage in records:
            _add_init(each, lineage)
        for each, lineage in classes:
            if _bases(lineage) & _ENUMS:
                _show_values(each)


def _classes(scope: Object) -> list[Class]:
    found: list[Class] = []
    for each in scope.members.values():
        if isinstance(each, Module | Class):
            found += [*([each] if isinstance(each, Class) else ()), *_classes(each)]
    return found


def _bases(lineage: list[Class]) -> set[str]:
    return {base.canonical_path if isinstance(base, Expr) else base for part in lineage for base in part.bases}


def _fields(part: Class) -> dict[str, Attribute]:
    return {
        name: each
        for name, each in part.members.items()
        if isinstance(each, Attribute) and each.is_public and each.annotation is not None and _is_field(each)
    }


def _is_field(each: Attribute) -> bool:
    return "property" not in each.labels and "instance-attribute" in each.labels


def _add_init(record: Class, lineage: list[Class]) -> None:
    """Add the constructor: own fields first, because those of the bases are the same for many records."""
    fields: dict[str, Attribute] = {}
    for part in reversed(lineage):
        fields = {**fields, **{name: each for name, each in _fields(part).items() if name not in fields}}
    kind = ParameterKind.positional_or_keyword if _bases([record]) & _POSITIONAL else ParameterKind.keyword_only
    parameters = [
        Parameter(name, annotation=each.annotation, kind=kind, default=_default(each)) for name, each in fields.items()
    ]
    this = Parameter("self", kind=ParameterKind.positional_or_keyword)
    record.set_member("__init__", Function("__init__", parameters=Parameters(this, *parameters), parent=record))


def _default(field: Attribute) -> str | Expr | None:
    """The default, also that of a `Field(...)`."""
    if not isinstance(field.value, ExprCall) or str(field.value.function) != "Field":
        return field.value
    options = {each.name: each.value for each in field.value.arguments if isinstance(each, ExprKeyword)}
    return f"{options['default_factory']}()" if "default_factory" in options else options.get("default")


def _show_values(enum: Class) -> None:
    for each in enum.members.values():
        if isinstance(each, Attribute) and "property" not in each.labels and each.annotation is None:
            each.annotation = each.value
